// Package relay carries what servers of one installation tell each other through Redis: parcels
// with batches of the log, heartbeats and counts. Redis stores nothing of it: there is PUBLISH and
// SUBSCRIBE on one channel, and no key.
//
// It promises to block nobody, to say within 1.5 seconds whether what is published arrives (a
// heartbeat of its own has to come back), and to come back by itself. It does not promise that
// anything arrives: parcels may be lost, repeated and reordered, and who needs them all reads the
// log. It knows neither the log nor what a parcel says.
package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/db/seal"
)

const (
	// maxMessage is how many bytes a message has at most, sealed.
	maxMessage = 256<<10 + seal.Overhead
	// beatInterval is how often a heartbeat is sent, and beatTimeout how long one may take to come
	// back.
	beatInterval = 500 * time.Millisecond
	beatTimeout  = time.Second
	// slowBeat is how long a heartbeat takes to come back where Redis is too slow to rely on it
	// alone, and slowFor for how long that counts.
	slowBeat = 100 * time.Millisecond
	slowFor  = 5 * time.Second
	// rebuildAfter is after what time without proof a session is ended that looks alive: everything
	// is made anew then. It is long enough for a Redis that stands still to go on with its old
	// connections, and costs one connection each time where it does not.
	rebuildAfter = 10 * time.Second
	// minPause and maxPause bound the pauses between two sessions. Each is drawn from its upper
	// half, so that servers do not all come at once.
	minPause = 50 * time.Millisecond
	maxPause = 500 * time.Millisecond
	// logAfter is how long Redis is away before it is logged: the reason why it does not come back
	// says more than how a connection ended.
	logAfter = time.Second
	// manyLosses is how many losses are logged that follow each other within logInterval, however
	// short each was.
	manyLosses = 2
	// logInterval is the least time between two lines of log about Redis that is away.
	logInterval = time.Minute
	// maxAge is the most by which a heartbeat's or a count's time may differ from here and now.
	maxAge = 3 * time.Second
	// gossipEvery is after how many heartbeats counts are told.
	gossipEvery = 2
)

// State is what a server says of itself with each heartbeat.
type State struct {
	Epoch   seal.EpochID // of the log
	Head    int64        // the newest batch that it knows
	Leading bool         // whether it numbers the log
}

// Options say what a relay works with. Functions are called by the relay's goroutines, must not
// block and may be nil, but for State.
type Options struct {
	Address *Address
	// Channel is the channel of the installation: see Channel.
	Channel string
	Keys    *seal.Keyring
	// State returns what this server says of itself.
	State func() State
	// Receive is given each parcel as Publish was, also the own ones. It may keep the slice.
	Receive func(sealed []byte)
	// Heard is told of each server's epoch and newest batch, as its heartbeats come.
	Heard func(epoch seal.EpochID, head int64)
	// Counts returns what is to be told to the other servers, of which there are so many, this one
	// included.
	Counts func(servers int) map[string]int
	// Changed is called when the relay became proven or ceased to be.
	Changed func(proven bool)
	Log     *slog.Logger
}

// Channel returns the name of an installation's channel: no other installation has the same, nor
// has another schema's.
func Channel(keys *seal.Keyring, schema string) string {
	return fmt.Sprintf("hangarshare:%s:%x", schema, keys.Derive("relay channel "+schema, 8))
}

// Relay is one server's connection to the others through Redis.
type Relay struct {
	Options

	id      serverID
	out     outbox
	members members
	counts  counters

	sent     atomic.Uint64 // heartbeats and counts: the counter of the last one
	beats    beats
	proven   atomic.Bool
	since    atomic.Int64 // when proven last changed, as Unix nanoseconds
	attempts int

	logged     time.Time // when it was last logged that Redis is away
	instructed time.Time // when it was last logged what somebody has to change
	flapped    time.Time // when it was last logged that Redis is lost again and again
	losses     int       // how often it was lost from losing to lost, which no line has told
	losing     time.Time
	lost       time.Time
	told       bool // that was logged, and not its end
	begun      bool // it was proven before
}

// New returns a relay that does nothing before it runs.
func New(o Options) *Relay {
	r := &Relay{Options: o, out: newOutbox()}
	rand.Read(r.id[:])
	r.members.others = map[serverID]*member{}
	r.since.Store(time.Now().UnixNano())
	return r
}

// Check connects to Redis once, subscribes, and publishes where nobody listens. Errors say what to
// do; one that is ErrRefused does not pass by waiting.
func (r *Relay) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*r.Address.dialTimeout())
	defer cancel()
	s, err := r.connect(ctx)
	for tries := 1; errors.Is(err, errReplica) && tries < len(r.Address.hosts); tries++ {
		s, err = r.connect(ctx)
	}
	if err != nil {
		return r.Address.explain(err)
	}
	subscribed, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		defer crash.Report("relay")
		ended <- s.subscribe(ctx, subscribed)
	}()
	select {
	case <-subscribed:
		err = s.try(ctx)
		cancel()
		<-ended
	case err = <-ended:
	}
	s.close()
	if err != nil {
		return r.Address.explain(err)
	}
	return nil
}

// Publish queues a parcel, as seal.Keyring sealed it, for all servers, and reports whether there
// was room. It never waits. A parcel that was dropped is found missing by who gets the next one or
// the next heartbeat.
func (r *Relay) Publish(sealed []byte) bool {
	if len(sealed) > maxMessage || !r.out.put(sealed) {
		r.counts.dropped.Add(1)
		return false
	}
	return true
}

// Proven reports whether a heartbeat of this server came back lately: what it publishes arrives,
// and it hears what others do.
func (r *Relay) Proven() bool { return r.proven.Load() }

// ProvenFor returns for how long Proven has been true, 0 if it is not.
func (r *Relay) ProvenFor() time.Duration {
	since := r.since.Load()
	if !r.proven.Load() {
		return 0
	}
	return time.Since(time.Unix(0, since))
}

// Run carries messages until ctx ends. It survives every absence of Redis.
func (r *Relay) Run(ctx context.Context) error {
	defer r.change(false)
	pause := minPause
	for ctx.Err() == nil {
		began := time.Now()
		err := r.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		r.change(false)
		r.away(err)
		if time.Since(began) > rebuildAfter {
			pause = minPause
		}
		wait(ctx, pause/2+mathrand.N(pause/2))
		pause = min(2*pause, maxPause)
	}
	return nil
}

// errUnproven says that a connection works and heartbeats do not come back.
var errUnproven = errors.New("what is published does not come back")

// session is one connection's life.
func (r *Relay) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	r.out.clear()
	r.beats.reset()
	subscribed := make(chan struct{}, 1)
	ended := make(chan error, 3)
	var group sync.WaitGroup
	group.Go(func() {
		defer crash.Report("relay")
		ended <- s.subscribe(ctx, subscribed)
	})
	group.Go(func() {
		defer crash.Report("relay")
		ended <- s.publish(ctx)
	})
	group.Go(func() {
		defer crash.Report("relay")
		ended <- s.watch(ctx)
	})
	err = r.prove(ctx, subscribed, ended)
	cancel() // ends every connection
	s.close()
	group.Wait()
	return err
}

// prove sends heartbeats and watches over their return, until the session ends.
func (r *Relay) prove(ctx context.Context, subscribed <-chan struct{}, ended <-chan error) error {
	beat := time.NewTicker(beatInterval)
	defer beat.Stop()
	lost := time.NewTimer(rebuildAfter)
	defer lost.Stop()
	unprovenSince := time.Now()
	for beats := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		case <-subscribed:
			r.beat()
		case <-beat.C:
			r.beat()
			if beats++; beats%gossipEvery == 1 {
				r.gossip()
			}
			r.members.prune(time.Now())
		case <-r.beats.back:
			r.change(true)
		case <-lost.C:
		}
		left := time.Until(r.beats.deadline())
		if left <= 0 && r.Proven() {
			r.change(false)
			r.away(errUnproven)
		}
		if r.proven.Load() {
			unprovenSince = time.Now()
		} else {
			if time.Since(unprovenSince) > beatTimeout {
				r.away(errUnproven)
			}
			if left = rebuildAfter - time.Since(unprovenSince); left <= 0 {
				return errUnproven
			}
			left = min(left, beatInterval)
		}
		lost.Reset(left)
	}
}

// change notes and tells whether the relay is proven.
func (r *Relay) change(proven bool) {
	if r.proven.Load() == proven {
		return
	}
	r.since.Store(time.Now().UnixNano())
	r.proven.Store(proven)
	if proven {
		r.back()
	} else {
		r.counts.losses.Add(1)
		r.notice(time.Now())
	}
	if r.Changed != nil {
		r.Changed(proven)
	}
}

// notice counts a loss: with those before it, if none of them was told and no minute passed between
// two.
func (r *Relay) notice(now time.Time) {
	if r.losses == 0 || now.Sub(r.lost) > logInterval {
		r.losses, r.losing = 0, now
	}
	r.losses, r.lost = r.losses+1, now
}

// away logs that Redis is away, once a minute at most. What somebody has to change is logged as
// often by itself: it may show just after a network that was slow. So is a Redis that is lost again
// and again, and comes back before it counts as away.
func (r *Relay) away(err error) {
	err = r.Address.explain(err)
	if r.losses >= manyLosses && time.Since(r.flapped) >= logInterval {
		r.Log.Warn("Redis is lost again and again; PostgreSQL does its work meanwhile", "losses", r.losses, "within", time.Since(r.losing).Round(time.Millisecond), "error", err)
		r.flapped, r.losses = time.Now(), 0
		return
	}
	logged := &r.logged
	if errors.As(err, new(misconfigured)) {
		logged = &r.instructed
	}
	lost := time.Since(time.Unix(0, r.since.Load()))
	if lost < logAfter || !logged.IsZero() && time.Since(*logged) < logInterval {
		return
	}
	*logged, r.told = time.Now(), true
	r.Log.Warn("Redis is away; PostgreSQL does its work until it is back", "error", err)
}

// back logs that Redis is there for the first time, or that what was logged is over.
func (r *Relay) back() {
	if r.told || !r.begun {
		r.Log.Info("Redis is proven: what is published comes back", "address", r.Address.String())
	}
	r.begun, r.told = true, false
}

// wait waits, at most until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
