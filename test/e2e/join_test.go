package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// writeForever has writers insert and update as fast as they can, in transactions of
// several statements, some of which roll back, until stop is called. It returns the
// number of transactions that committed.
func writeForever(t *testing.T, portal *dbtest.Portal, owners []dbtest.Owner, guest string, writers int) (stop func() int64) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	var committed atomic.Int64
	for writer := range writers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(writer), 6))
			for ctx.Err() == nil {
				o := owners[random.IntN(len(owners))]
				var rows []string
				for range 1 + random.IntN(4) {
					rows = append(rows, dbtest.BookingValues(o.Hangars[random.IntN(len(o.Hangars))], guest))
				}
				statement := `INSERT INTO bookings (` + dbtest.BookingColumns + `) VALUES ` + strings.Join(rows, ", ")
				ending := "COMMIT"
				if random.IntN(8) == 0 {
					ending = "ROLLBACK"
				}
				if _, err := portal.Pool.Exec("BEGIN; " + statement + "; " + ending); err != nil {
					t.Error(err)
					return
				}
				if ending == "COMMIT" {
					committed.Add(1)
				}
			}
		})
	}
	stop = sync.OnceValue(func() int64 { cancel(); group.Wait(); return committed.Load() })
	t.Cleanup(func() { stop() })
	return stop
}

// pipeline runs everything between the database and the bus.
func pipeline(t *testing.T, portal *dbtest.Portal) (*realtime.Bus, *eventlog.Log) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dialer := &db.Dialer{}
	pool, err := db.OpenThrough(t.Context(), portal.URL, dialer)
	if err != nil {
		t.Fatal(err)
	}
	store, err := db.NewStore(t.Context(), pool, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := db.NewListener(portal.URL, portal.URL, dialer, quiet)
	if err != nil {
		t.Fatal(err)
	}
	log, clock := eventlog.NewLog(pool), realtime.SystemClock{}
	bus := realtime.NewBus(log)
	metrics := realtime.NewMetrics(store, bus, time.UTC, clock, quiet)
	feed := &realtime.Feed{
		Source: log, Sequencer: eventlog.NewSequencer(pool, listener, quiet), Bus: bus, Metrics: metrics,
		Occupancy: realtime.NewOccupancy(db.NewOccupancy(store), clock, listener.Ring, quiet),
		Location:  time.UTC, Wakes: listener.Wakes(), Access: func(_, _ string) {}, Log: quiet,
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, part := range []interface{ Run(context.Context) error }{listener, feed} {
		running.Go(func() {
			if err := part.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); running.Wait(); pool.Close() })
	harness.Eventually(t, "begun", feed.Ready)
	return bus, log
}

// joiner is one subscription: where it began, and what it was told since.
type joiner struct {
	owner     string
	began     string // the position after which it reads
	events    []*realtime.Event
	resumed   bool
	recovered bool
	replays   int // reads from the log, not from memory
	err       error
	seen      *sync.Map // owner → an event of theirs that reached a client lately
}

// bell is a realtime.Reader that waits.
type bell chan struct{}

// Ready implements realtime.Reader.
func (b bell) Ready() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// follow reads until the last event of the owner, which last yields when it is known.
func (j *joiner) follow(ctx context.Context, bus *realtime.Bus, after string, last <-chan struct{}, lastOf map[string]string) {
	var sub realtime.Subscription
	ready := make(bell, 1)
	recovered, err := bus.Subscribe(ctx, &sub, ready, j.owner, after)
	if err != nil {
		j.err = err
		return
	}
	defer sub.Close()
	j.began, j.recovered = sub.LastID(), recovered
	for {
		events, err := sub.Next(nil, 64)
		if errors.Is(err, realtime.ErrBehind) {
			events, err = sub.Replay(ctx, 64)
			j.replays++
			if err == nil && len(events) == 0 {
				continue
			}
		}
		if err != nil {
			j.err = err
			return
		}
		for _, e := range events {
			if e.ID != "" {
				j.events = append(j.events, e)
			}
		}
		if len(events) > 0 {
			if n := len(j.events); n > 0 {
				j.seen.Store(j.owner, j.events[n/2].ID)
			}
			continue
		}
		select {
		case <-ready:
		case <-last:
			if sub.LastID() == lastOf[j.owner] {
				return
			}
			last = nil // from now on it is in what is ready
		case <-ctx.Done():
			j.err = fmt.Errorf("the end does not come: %w", ctx.Err())
			return
		}
		if last == nil && sub.LastID() == lastOf[j.owner] {
			return
		}
	}
}

// TestJoinWhileWritersRun subscribes 1,000 times while writers run at full rate, half of the time
// after an event of before: nobody misses anything between what was and what comes.
func TestJoinWhileWritersRun(t *testing.T) {
	t.Parallel()
	const joins, writers, before = 1000, 3, 300
	portal := dbtest.New(t)
	owners := []dbtest.Owner{portal.AddOwner(t, 2), portal.AddOwner(t, 2), portal.AddOwner(t, 2)}
	guest := portal.AddGuest(t, "Caio", "Brandão")
	for _, o := range owners { // older than the memory
		portal.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+
			strings.TrimSuffix(strings.Repeat(dbtest.BookingValues(o.Hangars[0], guest)+",", before), ","))
	}
	bus, log := pipeline(t, portal)
	ctx, cancel := context.WithTimeout(t.Context(), 3*harness.Timeout)
	defer cancel()
	stop := writeForever(t, portal, owners, guest, writers)
	began := time.Now()

	joiners := make([]*joiner, joins)
	last, lastOf := make(chan struct{}), map[string]string{}
	var following sync.WaitGroup
	var seen sync.Map
	random := rand.New(rand.NewPCG(1000, 6))
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for i := range joiners {
		<-tick.C
		j := &joiner{owner: owners[i%len(owners)].ID, seen: &seen}
		joiners[i] = j
		after := ""
		if id, found := seen.Load(j.owner); found && random.IntN(2) == 0 {
			after, j.resumed = id.(string), true
			if random.IntN(50) == 0 {
				// before everything
				after = bus.Encoder().Epoch.Format(j.owner, eventlog.Position{})
			}
		}
		following.Go(func() { j.follow(ctx, bus, after, last, lastOf) })
	}
	committed := stop()
	took := time.Since(began)

	truth := map[string][]string{}
	for _, o := range owners {
		truth[o.ID] = settle(t, ctx, portal, bus, log, o.ID)
		lastOf[o.ID] = truth[o.ID][len(truth[o.ID])-1]
	}
	close(last)
	following.Wait()
	told, resumed, replays := 0, 0, 0
	for i, j := range joiners {
		if j.err != nil || !j.recovered {
			t.Errorf("join %d: %v, recovered %t", i, j.err, j.recovered)
			continue
		}
		got := make([]string, 0, len(j.events))
		for _, e := range j.events {
			got = append(got, e.ID)
		}
		all := truth[j.owner]
		want := all[slices.Index(all, j.began)+1:] // all of it if it began before the first
		if !slices.Equal(got, want) {
			t.Errorf("join %d, resumed %t: %s", i, j.resumed, harness.Difference(got, want))
		}
		told += len(got)
		replays += j.replays
		if j.resumed {
			resumed++
		}
	}
	t.Logf("%d joins, %d of them after an earlier event, over %s with %d transactions/s; %d events told, %d reads of the log",
		joins, resumed, took.Round(time.Millisecond), int(float64(committed)/took.Seconds()), told, replays)
}

// settle waits until everything that was booked is in the log, and returns an owner's events.
func settle(t *testing.T, ctx context.Context, portal *dbtest.Portal, bus *realtime.Bus, log *eventlog.Log, ownerID string) (ids []string) {
	t.Helper()
	var booked int
	if err := portal.Pool.GetContext(ctx, &booked, `SELECT count(*) FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id
		WHERE l.owner_id::text = $1`, ownerID); err != nil {
		t.Fatal(err)
	}
	var after eventlog.Position
	harness.Eventually(t, "numbered", func() bool {
		for {
			page, err := log.Owner(ctx, ownerID, after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page.Changes {
				ids = append(ids, bus.Encoder().Epoch.Format(ownerID, c.Position))
				after = c.Position
			}
			if !page.More {
				return len(ids) >= booked
			}
		}
	})
	if len(ids) != booked {
		t.Errorf("the log has %d events of owner %s, and %d bookings", len(ids), ownerID, booked)
	}
	return ids
}

// TestConnectWhileWritersRun is the same with real connections, of both transports.
func TestConnectWhileWritersRun(t *testing.T) {
	t.Parallel()
	const joins = 60
	s := harness.NewSetup(t)
	stop := writeForever(t, s.Portal, []dbtest.Owner{s.Owner}, s.Guest, 2)
	witnesses := make([]*recorder, joins)
	var watching sync.WaitGroup
	var begins []string
	for i := range witnesses {
		o := harness.WireOptions{WebSocket: i%2 == 0, OwnerID: s.Owner.ID}
		if i%3 == 0 && len(begins) > 0 {
			o.LastEventID = begins[i%len(begins)]
		}
		w := &recorder{wire: s.DialWire(t, s.Token, o), options: o}
		hello, err := w.wire.Next()
		if err != nil || !harness.IsOf(hello, "connection_established") || harness.ParseMessage(hello).Field("recovered") != "true" {
			t.Fatalf("join %d: %s %v", i, hello, err)
		}
		w.options.LastEventID = harness.ParseMessage(hello).Field("lastEventId")
		begins = append(begins, w.options.LastEventID)
		witnesses[i] = w
		watching.Go(w.watch)
	}
	stop()
	truth := s.History(t, s.Token, s.Owner.ID, begins[0])
	harness.Eventually(t, "in the log", func() bool {
		var booked int
		if err := s.Portal.Pool.Get(&booked, `SELECT count(*) FROM bookings`); err != nil {
			t.Fatal(err)
		}
		truth = s.History(t, s.Token, s.Owner.ID, "")
		return len(truth) >= booked
	})
	for _, w := range witnesses {
		due := len(truth) - slices.Index(truth, w.options.LastEventID) - 1
		harness.Eventually(t, "told of everything", func() bool { return int(w.told.Load()) >= due })
	}
	s.Stop()
	watching.Wait()
	for i, w := range witnesses {
		want := truth[slices.Index(truth, w.options.LastEventID)+1:]
		if !slices.Equal(w.ids, want) {
			t.Errorf("join %d: %s (ended with %v)", i, harness.Difference(w.ids, want), w.err)
		}
	}
	t.Logf("%d joins, %d events in the log", joins, len(truth))
}
