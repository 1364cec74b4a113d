package handlers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// fakeChanges is Changes that a test writes.
type fakeChanges struct {
	mu    sync.Mutex
	next  db.Changes
	err   error
	asked int
	since db.Version
	busy  func() // called while it answers
}

func (b *fakeChanges) ChangesSince(_ context.Context, since db.Version) (db.Changes, error) {
	b.mu.Lock()
	b.asked++
	b.since = since
	n, err, busy := b.next, b.err, b.busy
	b.next = db.Changes{}
	b.mu.Unlock()
	if busy != nil {
		busy()
	}
	return n, err
}

// failing is a Present whose numbers cannot be had, and a History without events.
type failing struct {
	Present
	History
	fail func() (db.RealTimeMetrics, db.Validity, error)
}

func (f failing) Metrics(context.Context, string, time.Time) (db.RealTimeMetrics, db.Validity, error) {
	return f.fail()
}

func (failing) Last(context.Context, string) (eventlog.Position, error) {
	return eventlog.Position{}, nil
}

func TestMetricsCache(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	const never = 365 * 24 * time.Hour
	// know returns a memory that knows 42 and 43 from start until some time later.
	know := func(t *testing.T, lasts time.Duration) (*MetricsCache, *Invalidator, *fakeChanges) {
		b := &fakeChanges{}
		invalidator := NewInvalidator(b)
		k := NewMetricsCache(invalidator)
		for _, id := range []string{"42", "43"} {
			p := k.begin(id)
			p.put(cacheEntry{answer{Content: NewContent([]byte(id))}, start, db.Validity{Until: start.Add(lasts), Hangars: []string{"h" + id}}})
			p.end()
		}
		return k, invalidator, b
	}
	knows := func(t *testing.T, k *MetricsCache, id string, at time.Duration, want bool) {
		t.Helper()
		a, ok := k.get(id, start.Add(at))
		if ok != want || ok && string(a.body) != id {
			t.Errorf("%s after %s: known %t, %q", id, at, ok, a.body)
		}
	}

	t.Run("an answer holds until something changes by itself, and not before it was given", func(t *testing.T) {
		t.Parallel()
		k, _, _ := know(t, 10*time.Second)
		knows(t, k, "42", 0, true)
		knows(t, k, "42", 10*time.Second-1, true)
		knows(t, k, "42", 10*time.Second, false)
		knows(t, k, "42", -1, false) // the clock was put back
		knows(t, k, "44", 0, false)
	})
	t.Run("no answer is kept for more than a minute, or when nobody knows how long it holds", func(t *testing.T) {
		t.Parallel()
		k, _, _ := know(t, never)
		knows(t, k, "42", time.Minute-1, true)
		knows(t, k, "42", time.Minute, false)
		k, _, _ = know(t, -never)
		knows(t, k, "42", 0, false)
	})
	t.Run("news makes forget whom it concerns", func(t *testing.T) {
		t.Parallel()
		k, invalidator, b := know(t, never)
		b.next = db.Changes{Owners: []string{"42", "99"}, Accounts: []string{"43"}, Users: []string{"43"}}
		if err := invalidator.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		knows(t, k, "42", 0, false)
		knows(t, k, "43", 0, true)
		b.next = db.Changes{Everything: true}
		if err := invalidator.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		knows(t, k, "43", 0, false)
		k, invalidator, b = know(t, never)
		// of the owner who had it before
		b.next = db.Changes{Owners: []string{"99"}, Hangars: []string{"h43", "h99"}}
		if err := invalidator.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		knows(t, k, "42", 0, true)
		knows(t, k, "43", 0, false)
		if len(k.hangars) != 1 {
			t.Errorf("hangars of nobody are kept: %v", k.hangars)
		}
	})
	t.Run("what there was news of while it was computed is not kept", func(t *testing.T) {
		t.Parallel()
		for _, n := range []db.Changes{{Owners: []string{"42"}}, {Hangars: []string{"h2"}}, {Everything: true}} {
			k, invalidator, b := know(t, never)
			b.next = n
			k.entries.Remove("42")
			p := k.begin("42")
			if err := invalidator.Sync(t.Context()); err != nil {
				t.Error(err)
			}
			p.put(cacheEntry{answer{Content: NewContent([]byte("older"))}, start, db.Validity{Until: start.Add(never), Hangars: []string{"h1", "h2"}}})
			p.end()
			knows(t, k, "42", 0, false)
		}
	})
	t.Run("errors and panics are not kept", func(t *testing.T) {
		t.Parallel()
		for name, fail := range map[string]func() (db.RealTimeMetrics, db.Validity, error){
			"error": func() (db.RealTimeMetrics, db.Validity, error) {
				return db.RealTimeMetrics{}, db.Validity{Until: start.Add(never)}, errors.New("the database is away")
			},
			"panic": func() (db.RealTimeMetrics, db.Validity, error) { panic("a mistake") },
		} {
			k := NewMetricsCache(NewInvalidator(&fakeChanges{}))
			bus := realtime.NewBus(nil)
			s := &Snapshot{Present: failing{fail: fail}, MetricsCache: k, History: failing{}, Bus: bus, Now: func() time.Time { return start }}
			func() {
				defer func() { recover() }()
				if _, err := s.metrics(t.Context(), "42"); err == nil {
					t.Errorf("%s: no error", name)
				}
			}()
			knows(t, k, "42", 0, false)
			if len(k.pending) != 0 {
				t.Errorf("%s: still pending %v", name, k.pending)
			}
		}
	})
}

func TestInvalidator(t *testing.T) {
	t.Parallel()

	t.Run("a thousand who look at once look twice, and what failed is looked for again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			b := &fakeChanges{busy: func() { <-release }, err: db.ErrUnavailable}
			heard := 0
			invalidator := NewInvalidator(b)
			invalidator.subscribe(func(db.Changes) { heard++ })
			var group sync.WaitGroup
			for range 1000 {
				group.Go(func() {
					if err := invalidator.Sync(t.Context()); err == nil {
						t.Error("no error")
					}
				})
				synctest.Wait()
			}
			close(release)
			group.Wait()
			if b.asked != 2 || heard != 0 {
				t.Errorf("asked %d times, heard %d", b.asked, heard)
			}
		})
	})
	t.Run("what cannot be found out may be anything", func(t *testing.T) {
		t.Parallel()
		b := &fakeChanges{next: db.Changes{Version: db.Version{Snapshot: "1"}}, err: db.ErrInvalidID}
		invalidator := NewInvalidator(b)
		var heard []db.Changes
		invalidator.subscribe(func(n db.Changes) { heard = append(heard, n) })
		for range 2 {
			if err := invalidator.Sync(t.Context()); err != nil {
				t.Error(err)
			}
			if b.since != (db.Version{}) {
				t.Errorf("looked since %v", b.since)
			}
		}
		if len(heard) != 2 || !heard[0].Everything || !heard[1].Everything {
			t.Errorf("heard %+v", heard)
		}
	})
	t.Run("each look goes on where the last that succeeded ended, unless that was long ago", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := &fakeChanges{}
			invalidator := NewInvalidator(b)
			look := func(since, ends db.Version, fails error) {
				t.Helper()
				b.next, b.err = db.Changes{Version: ends}, fails
				if err := invalidator.Sync(t.Context()); !errors.Is(err, fails) || b.since != since {
					t.Errorf("looked since %v, %v; want since %v", b.since, err, since)
				}
			}
			first, second, third := db.Version{Snapshot: "1"}, db.Version{Snapshot: "2"}, db.Version{Snapshot: "3"}
			look(db.Version{}, first, nil)
			look(first, second, nil)
			look(second, third, db.ErrUnavailable)
			look(second, third, nil)
			time.Sleep(maxCacheAge)
			look(third, first, nil)
			time.Sleep(maxCacheAge + 1)
			look(db.Version{}, second, nil)
		})
	})
}
