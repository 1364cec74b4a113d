package db

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	// channel is what the triggers notify.
	channel = "realtime"
	// proofChannel is where a listener hears itself.
	proofChannel = "realtime_proof"
	// proofInterval is how often the listener proves that notifications arrive, and proofTimeout how long one may take.
	proofInterval = time.Second
	proofTimeout  = time.Second
	// provenFor is how long a proof holds.
	provenFor = 2*proofInterval + proofTimeout
	// minReconnect and maxReconnect bound the pauses between attempts to connect again.
	minReconnect = 50 * time.Millisecond
	maxReconnect = 500 * time.Millisecond
)

// Listener holds the connection that LISTENs for the triggers' doorbell. It yields wake-ups, and one after each
// reconnect, because notifications are not kept for those who were away. It proves itself by notifying itself through
// the pool: a connection that is open and dead, or a pooler that swallows notifications, shows within seconds.
type Listener struct {
	dsn    string
	main   string // where it notifies itself
	log    *slog.Logger
	wake   chan struct{}
	dialer Dialer       // of the listening connection
	shared *Dialer      // of the pool's connections
	token  string       // what this server's own notifications say
	heard  chan string  // proofs that arrived
	proven atomic.Int64 // when the last proof arrived, as Unix nanoseconds; 0 while unproven
	ending atomic.Bool  // Run is about to return: what is lost now is no news
}

// NewListener returns a listener that will connect to listenURL when it runs. That must be a direct connection: LISTEN does
// not pass a transaction pooler. It notifies itself through databaseURL, which proves that both lead to one database.
// Connections of shared, the dialer of databaseURL's pool, are cut when they turn out to be dead while new ones work.
func NewListener(listenURL, databaseURL string, shared *Dialer, log *slog.Logger) (*Listener, error) {
	dsn, err := connectionString(listenURL)
	if err != nil {
		return nil, err
	}
	return &Listener{dsn: dsn, main: databaseURL, shared: shared, log: log,
		wake: make(chan struct{}, 1), token: rand.Text(), heard: make(chan string, 1)}, nil
}

// Wakes yields a value when the log may have grown. Several wake-ups become one.
func (l *Listener) Wakes() <-chan struct{} { return l.wake }

// Ring makes Wakes yield, as a notification would.
func (l *Listener) Ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Proven reports whether the listener heard its own notification lately.
func (l *Listener) Proven() bool {
	at := l.proven.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < provenFor
}

// Run listens until ctx ends. It survives every loss of the connection.
func (l *Listener) Run(ctx context.Context) error {
	var prover Dialer // of a connection of its own: a busy pool must not look like a dead one
	defer prover.Close()
	proofs, err := openPool(l.main, &prover)
	if err != nil {
		return err
	}
	defer proofs.Close()
	proofs.SetMaxOpenConns(1)
	pl := pq.NewDialListener(&l.dialer, l.dsn, minReconnect, maxReconnect, l.observe)
	notifications := pl.NotificationChannel()
	var group sync.WaitGroup
	group.Go(func() {
		for _, name := range []string{channel, proofChannel} {
			// Listen blocks until there is a connection; closing the listener ends it.
			if err := pl.Listen(name); err != nil && ctx.Err() == nil {
				l.log.Error("cannot listen for changes", "channel", name, "error", err)
			}
		}
		l.Ring() // what came before LISTEN was heard by nobody
	})
	group.Go(func() { l.prove(ctx, proofs, &prover) })
	group.Go(func() { // its own goroutine, because Close waits while nobody drains
		for n := range notifications {
			l.receive(n)
		}
	})
	<-ctx.Done()
	l.ending.Store(true)
	l.dialer.Close() // lib/pq holds its lock while it waits for the network: only a closed connection frees it
	pl.Close()
	group.Wait()
	return nil
}

func (l *Listener) receive(n *pq.Notification) {
	switch {
	case n == nil: // reconnected: whatever happened in between was not heard
		l.Ring()
	case n.Channel == channel && n.Extra != l.token: // with our token it is our own numbering, and we know
		l.Ring()
	case n.Channel == proofChannel && n.Extra == l.token:
		select {
		case l.heard <- n.Extra:
		default:
		}
	}
}

// observe logs each loss once.
func (l *Listener) observe(event pq.ListenerEventType, err error) {
	if l.ending.Load() {
		return
	}
	switch event {
	case pq.ListenerEventDisconnected:
		l.proven.Store(0)
		l.log.Warn("the listening connection was lost; connecting again", "error", err)
	case pq.ListenerEventReconnected:
		l.log.Info("the listening connection is back")
	}
}

// prove notifies this listener again and again, and revives the connections when the notification does not arrive.
func (l *Listener) prove(ctx context.Context, proofs *sqlx.DB, prover *Dialer) {
	timer := time.NewTimer(minReconnect)
	defer timer.Stop()
	var doubted time.Time // connections of before may be dead
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		select {
		case <-l.heard: // an answer that came too late is none
		default:
		}
		asked, pause := time.Now(), proofInterval
		if l.proofArrives(ctx, proofs, prover) {
			l.shared.Cut(doubted) // where it came back between two looks; nothing otherwise
			doubted = time.Time{}
			l.proven.Store(time.Now().UnixNano())
		} else if ctx.Err() == nil {
			if l.proven.Swap(0) != 0 {
				l.log.Warn("a notification to ourselves did not arrive: connecting again")
			}
			doubted = l.revive(ctx, asked)
			pause = minReconnect
		}
		timer.Reset(pause)
	}
}

// revive tries a new connection to the database. If that works, those of before are dead, the listening one and the
// pool's: they are cut, so that everybody who waits on one finds out now and not at some time limit. If it does not, the
// database is away, and only the listening connection is cut, once it had its time to come up. It returns until when connections
// were made that are still in doubt.
func (l *Listener) revive(ctx context.Context, asked time.Time) (doubted time.Time) {
	l.dialer.Cut(asked.Add(-connectTimeout))
	trying, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	var dialer Dialer
	defer dialer.cutAtEnd(trying)()
	probe, err := OpenThrough(trying, l.dsn, &dialer)
	if err != nil {
		return time.Now()
	}
	probe.Close()
	l.shared.Cut(asked)
	l.dialer.Cut(asked)
	return time.Time{}
}

func (l *Listener) proofArrives(ctx context.Context, proofs *sqlx.DB, prover *Dialer) bool {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	defer prover.cutAtEnd(ctx)()
	if _, err := proofs.ExecContext(ctx, `SELECT pg_notify($1, $2)`, proofChannel, l.token); err != nil {
		return false
	}
	select {
	case <-l.heard:
		return true
	case <-ctx.Done():
		return false
	}
}
