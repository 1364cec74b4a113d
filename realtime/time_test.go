package realtime

import (
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
)

var quiet = slog.New(slog.DiscardHandler)

// numbers is a MetricsSource that notes when it was asked. Inside a synctest bubble the
// system's clock is the test's.
type numbers struct {
	mu     sync.Mutex
	asked  []time.Time
	owners int // in all
	fail   error
	takes  time.Duration
}

func (n *numbers) Dashboards(_ context.Context, ownerIDs []string, now time.Time) (map[string]db.Dashboard, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, now)
	n.owners += len(ownerIDs)
	if n.takes > 0 {
		n.mu.Unlock()
		time.Sleep(n.takes)
		n.mu.Lock()
	}
	return nil, n.fail
}

// told returns when it was asked, and about how many owners in all.
func (n *numbers) told() (asked []time.Time, owners int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked), n.owners
}

func TestMetricsPace(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, loc *time.Location) (*numbers, *Metrics) {
		r, source := newBusFixture(), &numbers{}
		m := NewMetrics(source, r.Bus, loc, SystemClock{}, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); m.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
		r.subscribe(t, "1", "")
		return source, m
	}

	t.Run("a burst of changes becomes one computation each 100 ms, and the last change is seen", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			source, m := start(t, time.UTC)
			for range 1000 { // a second of changes
				m.Changed("1")
				m.Changed("nobody watches this one")
				time.Sleep(time.Millisecond)
			}
			last := time.Now()
			time.Sleep(time.Second)
			synctest.Wait()
			asked, _ := source.told()
			if n := len(asked); n < 10 || n > 12 {
				t.Errorf("%d computations for a second of changes", n)
			}
			if asked[len(asked)-1].Before(last.Add(-time.Millisecond)) {
				t.Error("the last change was not computed")
			}
		})
	})

	t.Run("who comes while numbers are computed waits for them", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r, source := newBusFixture(), &numbers{takes: 50 * time.Millisecond}
			m := NewMetrics(source, r.Bus, time.UTC, SystemClock{}, quiet)
			r.OnDemand(m.Demanded)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); m.Run(ctx) }()
			defer func() { cancel(); <-done }()
			told := func(who string, s *Subscription) {
				t.Helper()
				if events, err := s.Next(nil, 10); err != nil || len(events) != len(stateTypes) {
					t.Errorf("%s: told of %d states (%v)", who, len(events), err)
				}
			}
			crowd := make([]*Subscription, 40)
			for i := range crowd {
				crowd[i], _ = r.subscribe(t, "1", "")
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Second)
			for _, s := range crowd {
				told("one of the crowd", s)
			}
			if asked, _ := source.told(); len(asked) != 1 {
				t.Errorf("asked %d times for all of them", len(asked))
			}

			alone, _ := r.subscribe(t, "2", "")
			time.Sleep(10 * time.Millisecond) // it is being computed
			alone.Close()
			m.Changed("2")
			late, _ := r.subscribe(t, "2", "")
			time.Sleep(time.Second)
			told("who came after a change that nobody watched", late)
			if asked, _ := source.told(); len(asked) != 3 {
				t.Errorf("asked %d times in all: the change is in no answer", len(asked))
			}

			alone, _ = r.subscribe(t, "3", "")
			time.Sleep(10 * time.Millisecond)
			alone.Close()
			time.Sleep(source.takes) // nobody is told
			late, _ = r.subscribe(t, "3", "")
			time.Sleep(time.Second)
			told("who came after nobody was told", late)
		})
	})

	t.Run("in a rush the numbers take half of two connections, for all owners who wait together", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			const owners = 50
			r, source := newBusFixture(), &numbers{takes: 50 * time.Millisecond}
			for n := range owners {
				r.subscribe(t, strconv.Itoa(n), "")
			}
			m := NewMetrics(source, r.Bus, time.UTC, SystemClock{}, quiet)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); m.Run(ctx) }()
			begun := time.Now()
			for range 1000 { // a second of changes
				m.ChangedAll()
				time.Sleep(time.Millisecond)
			}
			took := time.Since(begun)
			cancel()
			<-done
			time.Sleep(source.takes) // what was under way
			asked, told := source.told()
			// Each takes 50 ms and rests as long, two at a time.
			if most := 2 + 2*int(took/(100*time.Millisecond)); len(asked) > most {
				t.Errorf("%d computations in %v, want %d at most", len(asked), took, most)
			}
			if told < 3*owners {
				t.Errorf("%d computations for %d owners told of %d owners in all", len(asked), owners, told)
			}
		})
	})

	t.Run("a new day is computed at midnight of the zone, daylight saving or not", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			loc, err := time.LoadLocation("America/Sao_Paulo")
			if err != nil {
				t.Fatal(err)
			}
			source, _ := start(t, loc)
			for range 80 { // over 2000-02-27 00:00, when daylight saving ended
				time.Sleep(24 * time.Hour)
			}
			synctest.Wait()
			var days []time.Time
			asked, _ := source.told()
			for _, at := range asked {
				if h, m, s := at.In(loc).Clock(); h == 0 && m == 0 && s == 0 {
					days = append(days, at)
				}
			}
			if len(days) != 80 {
				t.Errorf("%d of 80 midnights were computed", len(days))
			}
		})
	})

	t.Run("an error is tried again", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			source, m := start(t, time.UTC)
			synctest.Wait()
			source.mu.Lock()
			source.fail, source.asked = errors.New("away"), nil
			source.mu.Unlock()
			time.Sleep(time.Minute)
			m.Changed("1")
			time.Sleep(3500 * time.Millisecond)
			source.mu.Lock()
			source.fail = nil
			before := len(source.asked)
			source.mu.Unlock()
			if before < 3 || before > 5 {
				t.Errorf("tried %d times in 3.5 s", before)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if asked, _ := source.told(); len(asked) != before+1 {
				t.Errorf("computed %d times after it worked again", len(asked)-before)
			}
		})
	})
}

// hangarSpy notes what was reconciled, and when.
type hangarSpy struct {
	mu         sync.Mutex
	reconciled []reconciliation
	due        []db.Transition
	fail       error
	takes      time.Duration // how long a reconciliation takes
	read       func()        // called when what is coming was read, with the lock
	baselined  bool
}

func (h *hangarSpy) Baselined(context.Context) (bool, error) { return h.baselined, nil }

type reconciliation struct {
	at               time.Time
	hangars, reached []string
}

func (h *hangarSpy) Reconcile(_ context.Context, now time.Time, hangars, reached []string) (int, error) {
	time.Sleep(h.takes)
	h.mu.Lock()
	defer h.mu.Unlock()
	slices.Sort(hangars)
	h.reconciled = append(h.reconciled, reconciliation{now, hangars, reached})
	return len(hangars), h.fail
}

func (h *hangarSpy) Transitions(_ context.Context, from, until time.Time) (due []db.Transition, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.due {
		if b.At.After(from) && !b.At.After(until) {
			due = append(due, b)
		}
	}
	if h.read != nil {
		h.read()
	}
	return due, h.fail
}

func (h *hangarSpy) take() []reconciliation {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.reconciled
	h.reconciled = nil
	return s
}

func TestOccupancy(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, spy *hangarSpy) (*Occupancy, *int) {
		rung := new(int)
		table := NewOccupancy(spy, SystemClock{}, func() { *rung++ }, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); table.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
		return table, rung
	}

	t.Run("the hour of a stay comes, today, in a week, and for a stay made since", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			spy := &hangarSpy{due: []db.Transition{{HangarID: "1", At: now.Add(time.Hour)}, {HangarID: "2", At: now.Add(7 * 24 * time.Hour)}}}
			table, rung := start(t, spy)
			table.Start()
			if all := spy.take(); len(all) != 1 || all[0].hangars != nil {
				t.Errorf("the first reconciliation is %v, want all hangars", all)
			}
			table.Changed("3", now.Add(30*time.Minute), now.Add(48*time.Hour))
			spy.take()
			for _, want := range []struct {
				hangar string
				at     time.Duration
			}{{"3", 30 * time.Minute}, {"1", time.Hour}, {"2", 7 * 24 * time.Hour}} {
				time.Sleep(time.Until(now.Add(want.at)))
				got := spy.take()
				if len(got) != 1 || !slices.Equal(got[0].reached, []string{want.hangar}) || !got[0].at.Equal(now.Add(want.at)) {
					t.Errorf("at %s: reconciled %v, want hangar %s", want.at, got, want.hangar)
				}
			}
			if *rung == 0 {
				t.Error("the feed was not rung")
			}
		})
	})

	t.Run("reconciliations that take long in a rush of changes take a tenth of the time, and the last change is reconciled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			spy := &hangarSpy{takes: 20 * time.Millisecond}
			table, _ := start(t, spy)
			table.Start()
			for range 2000 { // two seconds of changes
				table.Changed("1")
				time.Sleep(time.Millisecond)
			}
			last := time.Now()
			time.Sleep(time.Second)
			got := spy.take()
			if len(got) < 8 || len(got) > 12 {
				t.Errorf("%d reconciliations of 20 ms in two seconds", len(got))
			}
			if got[len(got)-1].at.Before(last.Add(-time.Millisecond)) {
				t.Error("the last change was not reconciled")
			}
		})
	})

	t.Run("what could not be reconciled is reconciled later", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			spy := &hangarSpy{}
			table, _ := start(t, spy)
			table.Start()
			spy.take()
			spy.mu.Lock()
			spy.fail = errors.New("away")
			spy.mu.Unlock()
			table.Changed("1")
			table.Changed("2")
			synctest.Wait()
			time.Sleep(5 * time.Second)
			spy.mu.Lock()
			spy.fail, spy.reconciled = nil, nil
			spy.mu.Unlock()
			time.Sleep(2 * time.Second)
			if got := spy.take(); len(got) != 1 || !slices.Equal(got[0].hangars, []string{"1", "2"}) {
				t.Errorf("reconciled %v", got)
			}
		})
	})

	t.Run("all hangars are reconciled again when that is asked for while what is coming is read", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			spy := &hangarSpy{}
			table, _ := start(t, spy)
			table.Start()
			spy.take()
			var at time.Time
			spy.mu.Lock()
			spy.read = sync.OnceFunc(func() {
				at = time.Now().Add(time.Hour)
				spy.due = []db.Transition{{HangarID: "1", At: at}}
				table.ChangedAll()
			})
			spy.mu.Unlock()
			time.Sleep(readAheadEvery)
			synctest.Wait()
			if got := spy.take(); len(got) == 0 || got[0].hangars != nil {
				t.Errorf("reconciled %v, want all hangars", got)
			}
			time.Sleep(time.Until(at))
			if got := spy.take(); len(got) != 1 || !slices.Equal(got[0].reached, []string{"1"}) {
				t.Errorf("an hour that came to the tables meanwhile: reconciled %v", got)
			}
		})
	})

	t.Run("a server is ready once an installation's first look at all hangars was made", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ready := func(spy *hangarSpy) (atOnce, then bool) {
				table, _ := start(t, spy)
				synctest.Wait()
				if !table.Ready() {
					t.Error("a server that does not number is not ready")
				}
				table.Start()
				if taken := table.Ready(); taken != spy.baselined {
					t.Errorf("one that takes over is ready: %v, where it was looked at: %v", taken, spy.baselined)
				}
				synctest.Wait()
				atOnce = table.Ready()
				time.Sleep(10 * time.Second)
				return atOnce, table.Ready()
			}
			for name, want := range map[string]struct {
				spy          *hangarSpy
				atOnce, then bool
			}{
				"the first time":        {&hangarSpy{takes: 5 * time.Second}, false, true},
				"later":                 {&hangarSpy{takes: 5 * time.Second, baselined: true}, true, true},
				"without a database":    {&hangarSpy{fail: driver.ErrBadConn}, false, false},
				"where it is a refusal": {&hangarSpy{fail: errors.New("refused")}, true, true},
				"where it takes longer": {&hangarSpy{fail: &pq.Error{Code: "57014"}}, true, true},
				"not dialled in time":   {&hangarSpy{fail: dialTooLong(t)}, false, false},
			} {
				if atOnce, then := ready(want.spy); atOnce != want.atOnce || then != want.then {
					t.Errorf("%s: ready %v, then %v", name, atOnce, then)
				}
			}
		})
	})

	t.Run("a server that does not number does not reconcile", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			spy := &hangarSpy{}
			table, _ := start(t, spy)
			table.Changed("1")
			table.Start()
			spy.take()
			table.Stop()
			table.Changed("2")
			time.Sleep(48 * time.Hour)
			if got := spy.take(); len(got) != 0 {
				t.Errorf("reconciled %v", got)
			}
		})
	})
}

// handClock moves when a test says so, and fires its timers when it is told to.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
	armed  chan struct{} // gets a value for each timer, as long as there is room
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := make(chan time.Time, 1)
	c.timers[timer] = c.now.Add(d)
	select {
	case c.armed <- struct{}{}:
	default:
	}
	return timer
}

func (c *handClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// recordingSource yields when and for whom numbers are computed.
type recordingSource chan computed

type computed struct {
	owner string
	at    time.Time
}

func (c recordingSource) Dashboards(ctx context.Context, ownerIDs []string, now time.Time) (map[string]db.Dashboard, error) {
	for _, id := range ownerIDs {
		select {
		case c <- computed{id, now}:
		case <-ctx.Done():
		}
	}
	return nil, ctx.Err()
}

// TestMidnightIsNotForgotten wakes the computation by a change in the instant of midnight, before
// its timer fires: the new day's numbers are computed for everybody all the same.
func TestMidnightIsNotForgotten(t *testing.T) {
	midnight := time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC)
	clock := &handClock{now: midnight.Add(-30 * time.Second), timers: make(map[chan time.Time]time.Time), armed: make(chan struct{}, 1)}
	r, source := newBusFixture(), make(recordingSource)
	m := NewMetrics(source, r.Bus, time.UTC, clock, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	defer func() { cancel(); <-done }()
	<-clock.armed
	r.subscribe(t, "quiet", "")
	r.subscribe(t, "busy", "")
	clock.set(midnight.Add(time.Microsecond))
	m.Changed("busy")
	late := time.After(time.Minute)
	for {
		select {
		case c := <-source:
			if c.owner == "quiet" && !c.at.Before(midnight) {
				return
			}
		case <-late:
			t.Fatal("the quiet owner keeps the numbers of yesterday")
		}
	}
}
