package e2e

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/seal"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// countedLog counts what a feed asks the database for.
type countedLog struct {
	*eventlog.Log
	reads atomic.Int64
	owner atomic.Int64 // questions about one owner
}

func (l *countedLog) Owner(ctx context.Context, ownerID string, after eventlog.Position, limit int) (eventlog.Page, error) {
	l.owner.Add(1)
	return l.Log.Owner(ctx, ownerID, after, limit)
}

func (l *countedLog) Reaches(ctx context.Context, ownerID string, p eventlog.Position) error {
	l.owner.Add(1)
	return l.Log.Reaches(ctx, ownerID, p)
}

func (l *countedLog) Read(ctx context.Context, after eventlog.Cursor, each func(eventlog.Piece) error) (bool, error) {
	l.reads.Add(1)
	return l.Log.Read(ctx, after, each)
}

func (l *countedLog) State(ctx context.Context) (eventlog.State, error) {
	l.reads.Add(1)
	return l.Log.State(ctx)
}

// countedSequencer counts how often a feed tries to become the one that numbers the log.
type countedSequencer struct {
	*eventlog.Sequencer
	tries atomic.Int64
}

func (s *countedSequencer) Acquire(ctx context.Context, told eventlog.Published) (bool, error) {
	s.tries.Add(1)
	return s.Sequencer.Acquire(ctx, told)
}

// peer is one server of several over one database, from its listener to its bus.
type peer struct {
	feed     *realtime.Feed
	bus      *realtime.Bus
	log      *countedLog
	lock     *countedSequencer
	exchange *realtime.Exchange
	stop     func()
}

// newPeer runs a server. Messages of the others go through meddle, if it is not nil.
func newPeer(t *testing.T, portal *dbtest.Portal, meddle func(deliver func([]byte)) func([]byte)) *peer {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dialer := &db.Dialer{}
	pool, err := db.OpenThrough(t.Context(), portal.URL, dialer)
	must(t, err)
	store, err := db.NewStore(t.Context(), pool, time.UTC)
	must(t, err)
	listener, err := db.NewListener(portal.URL, portal.URL, dialer, quiet)
	must(t, err)
	p := &peer{log: &countedLog{Log: eventlog.NewLog(pool)}}
	state, err := p.log.State(t.Context())
	must(t, err)
	keys, err := seal.New(state.Secret)
	must(t, err)
	p.exchange = realtime.NewExchange(keys, realtime.Notify{Send: db.NewNotifier(pool, listener).Notify, Limit: db.MaxNotified}, quiet)
	listener.Received, listener.Announced = p.exchange.Receive, p.exchange.Announced
	if meddle != nil {
		listener.Received = meddle(p.exchange.Receive)
	}
	clock := realtime.SystemClock{}
	p.bus = realtime.NewBus(p.log)
	metrics := realtime.NewMetrics(store, p.bus, time.UTC, clock, quiet)
	p.lock = &countedSequencer{Sequencer: eventlog.NewSequencer(pool, listener, quiet)}
	p.feed = &realtime.Feed{
		Source: p.log, Sequencer: p.lock, Bus: p.bus, Metrics: metrics, Exchange: p.exchange,
		Occupancy: realtime.NewOccupancy(db.NewOccupancy(store), clock, listener.Ring, quiet),
		Location:  time.UTC, Wakes: listener.Wakes(), Access: func(_, _ string) {}, Log: quiet,
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, part := range []interface{ Run(context.Context) error }{listener, p.exchange, p.feed} {
		running.Go(func() { must(t, part.Run(ctx)) })
	}
	p.stop = sync.OnceFunc(func() { cancel(); running.Wait(); pool.Close() })
	t.Cleanup(p.stop)
	harness.Eventually(t, "begun and listening", func() bool { return p.feed.Ready() && listener.Proven() })
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// result returns one of the counts of an exchange.
func (p *peer) result(name, of string) (n int) {
	for _, stat := range p.exchange.Collect() {
		if stat.Name == name && len(stat.Labels) > 0 && stat.Labels[0].Value == of {
			n += int(stat.Value)
		}
	}
	return n
}

const received = "hangarshare_parcels_total"

// listener reads what a bus publishes about one owner.
type listener struct {
	sub   realtime.Subscription
	ready bell
	ids   []string
}

func listenOn(t *testing.T, bus *realtime.Bus, ownerID string) *listener {
	t.Helper()
	l := &listener{ready: make(bell, 1)}
	_, err := bus.Subscribe(t.Context(), &l.sub, l.ready, ownerID, "")
	must(t, err)
	t.Cleanup(l.sub.Close)
	return l
}

// await reads until it has seen so many events, those that cannot be told from memory included.
func (l *listener) await(t *testing.T, count int) {
	t.Helper()
	for len(l.ids) < count {
		events, err := l.sub.Next(nil, 64)
		if errors.Is(err, realtime.ErrBehind) {
			events, err = l.sub.Replay(t.Context(), 64)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.ID != "" {
				l.ids = append(l.ids, e.ID)
			}
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-l.ready:
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d events came", len(l.ids), count)
		}
	}
}

// logged returns the ids of an owner's events in the log, in order.
func (p *peer) logged(t *testing.T, ownerID string, start eventlog.Position) (ids []string) {
	t.Helper()
	page, err := realtime.ReadPage(t.Context(), p.log, p.bus.Encoder(), ownerID, start, 10_000)
	must(t, err)
	for _, e := range page.Events {
		ids = append(ids, e.ID)
	}
	return ids
}

// TestFollowerAsksNothing has one server number bookings and another publish them: the other reads
// the log at its polls only, and both tell the same.
func TestFollowerAsksNothing(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	leader, follower := newPeer(t, portal, nil), newPeer(t, portal, nil)
	start, err := leader.log.Last(t.Context(), o.ID)
	must(t, err)
	there := listenOn(t, follower.bus, o.ID)
	portal.Book(t, o.Hangars[0], guest) // the first finds everybody awake
	there.await(t, 1)
	const bookings = 100
	begun, reads, applied := time.Now(), follower.log.reads.Load(), follower.result(received, "applied")
	for n := range bookings {
		portal.Book(t, o.Hangars[0], guest)
		there.await(t, n+2)
	}
	reads, applied = follower.log.reads.Load()-reads, follower.result(received, "applied")-applied
	// A machine that is so slow that a batch takes longer than a follower waits for it has it read.
	if most := int64(5 + time.Since(begun)/(100*time.Millisecond)); reads > most {
		t.Errorf("%d reads of the log in %v, want %d at most", reads, time.Since(begun), most)
	}
	t.Logf("%d bookings in %v: %d reads, %d parcels", bookings, time.Since(begun), reads, applied)
	if applied == 0 {
		t.Error("no parcel was published")
	}
	if want := leader.logged(t, o.ID, start); !slices.Equal(there.ids, want) {
		t.Errorf("published\n%q, in the log\n%q", there.ids, want)
	}
}

// TestLockIsTriedByTheClock has a follower read the log at each batch, since no parcel reaches it:
// it tries to number the log itself by the clock, and not each time that something wakes it.
func TestLockIsTriedByTheClock(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	newPeer(t, portal, nil)
	follower := newPeer(t, portal, func(func([]byte)) func([]byte) { return func([]byte) {} })
	there := listenOn(t, follower.bus, o.ID)
	const bookings = 20
	begun, reads, tries := time.Now(), follower.log.reads.Load(), follower.lock.tries.Load()
	for n := range bookings {
		portal.Book(t, o.Hangars[0], guest)
		there.await(t, n+1)
	}
	reads, tries = follower.log.reads.Load()-reads, follower.lock.tries.Load()-tries
	t.Logf("%d bookings in %v: %d reads, %d tries", bookings, time.Since(begun), reads, tries)
	if reads < bookings {
		t.Errorf("%d reads of the log for %d batches that no parcel told", reads, bookings)
	}
	if most := 3 + int64(time.Since(begun)/(250*time.Millisecond)); tries > most {
		t.Errorf("%d tries in %v, want %d at most", tries, time.Since(begun), most)
	}
}

// TestLyingCarrier has parcels lost, repeated, reordered, changed, replayed, and those of another
// history, another installation and nobody come between: what is published is the log.
func TestLyingCarrier(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	leader := newPeer(t, portal, nil)
	strangers, err := seal.New(make([]byte, seal.SecretSize))
	must(t, err)
	forged := eventlog.Parcel{Mark: 1, Whole: true, Changes: []eventlog.Change{{OwnerID: o.ID, Type: "booking_created", Data: []byte(`{"bookingId":"forged"}`)}}}.Encode()
	rng := rand.New(rand.NewPCG(7, 7))
	var kept [][]byte
	var number int64
	follower := newPeer(t, portal, func(deliver func([]byte)) func([]byte) {
		return func(message []byte) {
			number++
			switch rng.IntN(8) {
			case 0: // lost
				return
			case 1:
				deliver(message)
			case 2: // overtaken by a later one
				kept = append(kept, message)
				return
			case 3:
				changed := slices.Clone(message)
				changed[rng.IntN(len(changed))] ^= 1 << rng.IntN(8)
				deliver(changed)
			case 4: // of another installation, and of another history of this one
				for _, keys := range []*seal.Keyring{strangers, leader.exchange.Keys} {
					other, err := keys.Seal(seal.Parcel, keys.EpochID("another"), number, forged, time.Now())
					must(t, err)
					deliver(other)
				}
			case 5:
				deliver([]byte("nonsense"))
				deliver(nil)
			case 6: // of a log of this epoch that was rolled back: it follows another batch
				real, err := leader.exchange.Keys.Open(message, time.Now())
				must(t, err)
				other, err := leader.exchange.Keys.Seal(seal.Parcel, real.Epoch, real.Number, forged, time.Now())
				must(t, err)
				deliver(other)
			}
			deliver(message)
			for len(kept) > 0 && rng.IntN(2) == 0 {
				n := rng.IntN(len(kept))
				deliver(kept[n])
				if rng.IntN(4) > 0 {
					kept = slices.Delete(kept, n, n+1)
				}
			}
		}
	})
	start, err := leader.log.Last(t.Context(), o.ID)
	must(t, err)
	there := listenOn(t, follower.bus, o.ID)
	kinds := []string{"applied", "repeated", "forged"}
	met := func() bool {
		return !slices.ContainsFunc(kinds, func(of string) bool { return follower.result(received, of) == 0 })
	}
	bookings := 0
	// A slow machine puts many bookings in one parcel: there may have to be more.
	for begun := time.Now(); bookings < 300 || !met() && time.Since(begun) < harness.Timeout; bookings++ {
		portal.Book(t, o.Hangars[0], guest)
	}
	there.await(t, bookings)
	if want := leader.logged(t, o.ID, start); !slices.Equal(there.ids, want) {
		t.Errorf("published\n%q, in the log\n%q", there.ids, want)
	}
	for _, of := range kinds {
		if follower.result(received, of) == 0 {
			t.Errorf("no parcel was %s", of)
		}
	}
}

// TestTailIsInMemory has a server start over a log: clients of before resume from any event of its
// tail without a question to the log, and those who hold the last one of a quiet owner too.
func TestTailIsInMemory(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	busy, quiet, guest := portal.AddOwner(t, 1), portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	former := newPeer(t, portal, nil)
	there, elsewhere := listenOn(t, former.bus, busy.ID), listenOn(t, former.bus, quiet.ID)
	portal.Book(t, quiet.Hangars[0], guest)
	const bookings = 40
	for range bookings {
		portal.Book(t, busy.Hangars[0], guest)
	}
	there.await(t, bookings)
	elsewhere.await(t, 1)
	former.stop()

	p := newPeer(t, portal, nil)
	asked := p.log.owner.Load()
	for n, id := range there.ids {
		l := &listener{ready: make(bell, 1)}
		recovered, err := p.bus.Subscribe(t.Context(), &l.sub, l.ready, busy.ID, id)
		if err != nil || !recovered {
			t.Fatalf("after event %d: recovered %t, %v", n, recovered, err)
		}
		l.await(t, bookings-n-1)
		if !slices.Equal(l.ids, there.ids[n+1:]) {
			t.Errorf("after event %d come %q", n, l.ids)
		}
		l.sub.Close()
	}
	var sub realtime.Subscription
	if recovered, err := p.bus.Subscribe(t.Context(), &sub, make(bell, 1), quiet.ID, elsewhere.ids[0]); err != nil || !recovered {
		t.Errorf("the quiet owner: recovered %t, %v", recovered, err)
	}
	sub.Close()
	if asked := p.log.owner.Load() - asked; asked > 0 {
		t.Errorf("the log was asked %d times", asked)
	}
	fresh := listenOn(t, p.bus, busy.ID)
	portal.Book(t, busy.Hangars[0], guest)
	fresh.await(t, 1)
	if len(fresh.ids) != 1 {
		t.Errorf("a stream without an id begins with %q", fresh.ids)
	}
}

// TestLargeBatchIsRead has a batch that no notification carries: a follower is told of
// it, and reads it.
func TestLargeBatchIsRead(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	leader, follower := newPeer(t, portal, nil), newPeer(t, portal, nil)
	start, err := leader.log.Last(t.Context(), o.ID)
	must(t, err)
	there := listenOn(t, follower.bus, o.ID)
	rows := strings.Repeat(dbtest.BookingValues(o.Hangars[0], guest)+", ", 199) + dbtest.BookingValues(o.Hangars[0], guest)
	portal.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+rows)
	there.await(t, 200)
	portal.Book(t, o.Hangars[0], guest)
	there.await(t, 201)
	if want := leader.logged(t, o.ID, start); !slices.Equal(there.ids, want) {
		t.Errorf("published\n%q, in the log\n%q", there.ids, want)
	}
}

// TestSequencerStops stops the process of the server that numbers the log, kills it, or has its
// network swallow everything: another one numbers soon, and nothing is lost or doubled, also after
// the first goes on.
func TestSequencerStops(t *testing.T) {
	t.Parallel()
	signal := func(s syscall.Signal) func(*testing.T, *harness.Process, *harness.Proxy) {
		return func(t *testing.T, process *harness.Process, _ *harness.Proxy) {
			harness.Must(t, syscall.Kill(process.PID(), s))
		}
	}
	for name, fault := range map[string]struct {
		begin, end func(*testing.T, *harness.Process, *harness.Proxy)
	}{
		"stopped": {signal(syscall.SIGSTOP), signal(syscall.SIGCONT)},
		"killed":  {signal(syscall.SIGKILL), nil},
		"cut off": {func(_ *testing.T, _ *harness.Process, p *harness.Proxy) { p.Set(harness.Blackhole) },
			func(_ *testing.T, _ *harness.Process, p *harness.Proxy) { p.Set(harness.Pass) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			portal := dbtest.New(t)
			o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
			way, through := harness.BeforeDatabase(t, portal.URL)
			process := harness.Launch(t, nil, harness.OwnBinary(t), harness.ServeFlags(through)...)
			first := &harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: harness.Client, Portal: portal, Output: process.Output}
			first.Ready(t)
			second, third := newPeer(t, portal, nil), newPeer(t, portal, nil)
			start, err := second.log.Last(t.Context(), o.ID)
			must(t, err)
			readers := []*listener{listenOn(t, second.bus, o.ID), listenOn(t, third.bus, o.ID)}
			book := func(count int) {
				t.Helper()
				portal.Book(t, o.Hangars[0], guest)
				for _, l := range readers {
					l.await(t, count)
				}
			}
			book(1)
			if second.feed.Progress().Leading || third.feed.Progress().Leading {
				t.Fatal("the first server does not number the log")
			}
			begun := time.Now()
			fault.begin(t, process, way)
			book(2)
			t.Logf("numbered by another after %v", time.Since(begun).Round(10*time.Millisecond))
			if fault.end != nil {
				fault.end(t, process, way)
			}
			for n := range 20 {
				book(n + 3)
			}
			for i, l := range readers {
				if want := second.logged(t, o.ID, start); !slices.Equal(l.ids, want) {
					t.Errorf("server %d published\n%q, in the log\n%q", i+2, l.ids, want)
				}
			}
		})
	}
}
