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

	"github.com/hangarshare/hangarshare-realtime/db/crash"
)

const (
	// proofChannel is the first part of where a listener hears itself, behind the name of our
	// schema, which is what the triggers notify. Each has a channel of its own: on one for all,
	// everybody would hear everybody each second. A channel's name has 63 bytes: proofToken are for
	// the part that is random.
	proofChannel = "_proof_"
	proofToken   = 16
	// proofInterval is how often the listener proves that notifications arrive, and
	// proofTimeout how long one may take.
	proofInterval = time.Second
	proofTimeout  = time.Second
	// provenFor is how long a proof holds.
	provenFor = 2*proofInterval + proofTimeout
	// reliefPoll is how often it is asked whether other servers listen for this one.
	reliefPoll = 100 * time.Millisecond
	// minReconnect and maxReconnect bound the pauses between attempts to connect again.
	minReconnect = 50 * time.Millisecond
	maxReconnect = 500 * time.Millisecond
)

// Listener holds the connection that LISTENs for the triggers' doorbell. It yields wake-ups, and
// one after each reconnect, because notifications are not kept for those who were away. It proves
// itself by notifying itself through the pool: a connection that is open and dead, or a pooler that
// swallows notifications, shows within seconds.
type Listener struct {
	// Relieved reports whether other servers listen for this one, by another way than PostgreSQL:
	// then nothing is listened to, which spares every writer a signal to this server. It is to be
	// set before Run and asked often. May be nil.
	Relieved func() bool
	// Received is given each message of another server's Notifier, nil for one that is spoilt, by
	// one goroutine. It must not block, and is set before Run. Without it, messages wake.
	Received func(message []byte)
	// Announced is called when another server's sequencer announces a batch, in the same way.
	Announced func()

	address *address
	channel string // what the triggers notify
	proof   string // and where it hears itself
	main    string // where it notifies itself
	log     *slog.Logger
	wake    chan struct{}
	dialer  Dialer       // of the listening connection
	shared  *Dialer      // of the pool's connections
	token   string       // what this server's own notifications say
	heard   chan string  // proofs that arrived
	proven  atomic.Int64 // when the last proof arrived, as Unix nanoseconds; 0 while unproven
	resting atomic.Bool  // others listen for this server
	ending  atomic.Bool  // Run is about to return: what is lost now is no news
}

// NewListener returns a listener that will connect to listenURL when it runs. That must be a direct
// connection: LISTEN does not pass a transaction pooler. It notifies itself through databaseURL,
// which proves that both lead to one database. Connections of shared, the dialer of databaseURL's
// pool, are cut when they turn out to be dead while new ones work, see cutSilent.
func NewListener(listenURL, databaseURL string, shared *Dialer, log *slog.Logger) (*Listener, error) {
	address, err := parseAddress(listenURL, nil)
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	return &Listener{address: address, channel: address.schema(), proof: address.schema() + proofChannel + token[:proofToken],
		main: databaseURL, shared: shared, log: log, wake: make(chan struct{}, 1), token: token, heard: make(chan string, 1)}, nil
}

// Token is what this server's own notifications begin with, so that its listener leaves them out.
func (l *Listener) Token() string { return l.token }

// Wakes yields a value when the log may have grown. Several wake-ups become one.
func (l *Listener) Wakes() <-chan struct{} { return l.wake }

// Ring makes Wakes yield, as a notification would.
func (l *Listener) Ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Proven reports whether the listener heard its own notification lately, or other servers listen
// for it.
func (l *Listener) Proven() bool {
	if l.resting.Load() {
		return true
	}
	at := l.proven.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < provenFor
}

// Run listens until ctx ends. It survives every loss of the connection.
func (l *Listener) Run(ctx context.Context) error {
	var prover Dialer // of a connection of its own: a busy pool must not look like a dead one
	defer prover.Close()
	proofs, own, err := openShare(l.main, &prover, nil, nil)
	if err != nil {
		return err
	}
	defer proofs.Close()
	own.setMost(1)
	pl := pq.NewDialListener(&l.dialer, l.listenString(ctx), minReconnect, maxReconnect, l.observe)
	notifications := pl.NotificationChannel()
	var group sync.WaitGroup
	group.Go(func() {
		defer crash.Report("listener")
		l.subscribe(ctx, pl)
	})
	group.Go(func() {
		defer crash.Report("listener")
		l.prove(ctx, proofs, &prover)
	})
	group.Go(func() { // its own goroutine, because Close waits while nobody drains
		defer crash.Report("listener")
		for n := range notifications {
			l.receive(n)
		}
	})
	<-ctx.Done()
	l.ending.Store(true)
	// lib/pq holds its lock while it waits for the network: only a closed connection frees it
	l.dialer.Close()
	pl.Close()
	group.Wait()
	return nil
}

// subscribe listens, and ceases to while other servers listen for this one.
func (l *Listener) subscribe(ctx context.Context, pl *pq.Listener) {
	l.each(ctx, "listen for", pl.Listen)
	l.Ring() // what came before LISTEN was heard by nobody
	if l.Relieved == nil {
		return
	}
	poll := time.NewTicker(reliefPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
		switch resting := l.resting.Load(); {
		case l.Relieved() == resting:
		case !resting:
			l.resting.Store(true)
			l.each(ctx, "cease to listen for", pl.Unlisten)
		default:
			// The proof begins first: it finds out if the connection died meanwhile,
			// which Listen would wait for.
			l.proven.Store(time.Now().UnixNano())
			l.resting.Store(false)
			l.each(ctx, "listen for", pl.Listen)
			l.Ring()
		}
	}
}

// each does something with each channel. Listen blocks until there is a connection; closing the
// listener ends it.
func (l *Listener) each(ctx context.Context, what string, do func(channel string) error) {
	for _, name := range []string{l.channel, l.proof} {
		if err := do(name); err != nil && ctx.Err() == nil {
			l.log.Error("cannot "+what+" changes", "channel", name, "error", err)
		}
	}
}

// listenString returns what the driver's listener connects with. That connection is idle for days,
// and no setting can be made on it later: so it asks for idle_session_timeout at its start, where
// the server knows it and no pooler refuses.
func (l *Listener) listenString(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	var dialer Dialer
	defer dialer.cutAtEnd(ctx)()
	dsn := l.address.dsn(map[string]string{"idle_session_timeout": "0"})
	conn, err := pq.DialOpen(&dialer, dsn)
	if err != nil {
		return l.address.dsn(nil)
	}
	conn.Close()
	return dsn
}

func (l *Listener) receive(n *pq.Notification) {
	switch {
	case n == nil: // reconnected: whatever happened in between was not heard
		l.Ring()
	case n.Channel == l.channel:
		sent, carries, ours := message(n.Extra, l.token)
		switch {
		case ours: // it is our own numbering, and we know
		case carries && l.Received != nil:
			l.Received(sent)
		case n.Extra != "" && l.Announced != nil:
			l.Announced()
		default:
			l.Ring()
		}
	case n.Channel == l.proof && n.Extra == l.token:
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
	case pq.ListenerEventConnectionAttemptFailed:
		if crowded(err) {
			l.shared.yield()
		}
	}
}

// prove notifies this listener again and again, and revives the connections when the
// notification does not arrive.
func (l *Listener) prove(ctx context.Context, proofs *sqlx.DB, prover *Dialer) {
	timer := time.NewTimer(minReconnect)
	defer timer.Stop()
	var doubted doubt // connections may be dead
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
		asked, pause, resting := time.Now(), proofInterval, l.resting.Load()
		if l.proofArrives(ctx, proofs, prover, resting) {
			// where it came back between two looks; nothing otherwise
			l.shared.cutSilent(doubted.before, doubted.since)
			doubted = doubt{}
			if !resting {
				l.proven.Store(time.Now().UnixNano())
			}
		} else if ctx.Err() == nil && l.resting.Load() == resting {
			if l.proven.Swap(0) != 0 {
				l.log.Warn("a notification to ourselves did not arrive: connecting again")
			}
			prover.Cut(time.Now()) // the new one takes its place
			doubted = l.revive(ctx, asked)
			pause = minReconnect
		}
		timer.Reset(pause)
	}
}

// doubt is about connections that were dialled before a moment and have brought nothing since
// another.
type doubt struct{ before, since time.Time }

// revive tries a new connection to the database. If that works, those of before are dead, the
// listening one and the pool's: they are cut, so that everybody who waits on one finds out now and
// not at some time limit. Where one of them has brought anything since the proof was asked for, the
// database or this machine is slow, and they are left. If it does not work, the database is away,
// and only the listening connection is cut, once it had its time to come up. It returns which
// connections are still in doubt.
func (l *Listener) revive(ctx context.Context, asked time.Time) (doubted doubt) {
	l.dialer.cutSilent(asked.Add(-connectTimeout), asked)
	trying, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	var dialer Dialer
	defer dialer.cutAtEnd(trying)()
	probe, err := OpenThrough(trying, l.address.String(), &dialer)
	if err != nil {
		return doubt{before: time.Now(), since: asked}
	}
	probe.Close()
	l.shared.cutSilent(asked, asked)
	l.dialer.cutSilent(asked, asked)
	return doubt{}
}

// proofArrives notifies this listener and reports whether it heard that. While others listen for it
// an answer of the database is proof enough.
func (l *Listener) proofArrives(ctx context.Context, proofs *sqlx.DB, prover *Dialer, resting bool) bool {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	defer prover.cutAtEnd(ctx)()
	if resting {
		_, err := proofs.ExecContext(ctx, `SELECT`)
		return err == nil
	}
	// More than once: the listening connection may be on its way, and what it does not
	// hear is kept for nobody.
	again := time.NewTicker(proofTimeout / 4)
	defer again.Stop()
	for {
		if _, err := proofs.ExecContext(ctx, `SELECT pg_catalog.pg_notify($1, $2)`, l.proof, l.token); err != nil {
			if crowded(err) {
				l.shared.yield()
			}
			return false
		}
		select {
		case <-l.heard:
			return true
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
}
