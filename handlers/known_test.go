package handlers

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// bulletin is News that a test writes.
type bulletin struct {
	mu    sync.Mutex
	next  db.News
	err   error
	asked int
	since db.Mark
	busy  func() // called while it answers
}

func (b *bulletin) News(_ context.Context, since db.Mark) (db.News, error) {
	b.mu.Lock()
	b.asked++
	b.since = since
	n, err, busy := b.next, b.err, b.busy
	b.next = db.News{}
	b.mu.Unlock()
	if busy != nil {
		busy()
	}
	return n, err
}

func TestKnownMetrics(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	const never = 365 * 24 * time.Hour
	// know returns a memory that knows 42 and 43 from start until some time later.
	know := func(t *testing.T, lasts time.Duration) (*KnownMetrics, *Lookout, *bulletin) {
		b := &bulletin{}
		lookout := NewLookout(b)
		k := NewKnownMetrics(lookout)
		for _, id := range []string{"42", "43"} {
			if _, err := k.compute(id, start, func() (answer, db.Validity, error) {
				return answer{body: []byte(id)}, db.Validity{Until: start.Add(lasts), Hangars: []string{"h" + id}}, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		return k, lookout, b
	}
	knows := func(t *testing.T, k *KnownMetrics, id string, at time.Duration, want bool) {
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
		k, lookout, b := know(t, never)
		b.next = db.News{Owners: []string{"42", "99"}, Accounts: []string{"43"}, Users: []string{"43"}}
		if err := lookout.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		knows(t, k, "42", 0, false)
		knows(t, k, "43", 0, true)
		b.next = db.News{Everything: true}
		if err := lookout.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		knows(t, k, "43", 0, false)
		k, lookout, b = know(t, never)
		b.next = db.News{Owners: []string{"99"}, Hangars: []string{"h43", "h99"}} // of somebody who had it before
		if err := lookout.Look(t.Context()); err != nil {
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
		for _, n := range []db.News{{Owners: []string{"42"}}, {Hangars: []string{"h2"}}, {Everything: true}} {
			k, lookout, b := know(t, never)
			b.next = n
			k.answers.Remove("42")
			a, err := k.compute("42", start, func() (answer, db.Validity, error) {
				if err := lookout.Look(t.Context()); err != nil {
					t.Error(err)
				}
				return answer{body: []byte("older")}, db.Validity{Until: start.Add(never), Hangars: []string{"h1", "h2"}}, nil
			})
			if err != nil || string(a.body) != "older" {
				t.Errorf("%s, %v", a.body, err)
			}
			knows(t, k, "42", 0, false)
		}
	})
	t.Run("errors and panics are not kept", func(t *testing.T) {
		t.Parallel()
		k, _, _ := know(t, -never)
		if _, err := k.compute("42", start, func() (answer, db.Validity, error) {
			return answer{}, db.Validity{Until: start.Add(never)}, errors.New("the database is away")
		}); err == nil {
			t.Error("no error")
		}
		func() {
			defer func() { recover() }()
			k.compute("42", start, func() (answer, db.Validity, error) { panic("a mistake") })
		}()
		knows(t, k, "42", 0, false)
		if len(k.computing) != 0 {
			t.Errorf("still computing %v", k.computing)
		}
	})
}

func TestLookout(t *testing.T) {
	t.Parallel()

	t.Run("a thousand who look at once look twice, and what failed is looked for again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			b := &bulletin{busy: func() { <-release }, err: db.ErrUnavailable}
			heard := 0
			lookout := NewLookout(b)
			lookout.tell(func(db.News) { heard++ })
			var group sync.WaitGroup
			for range 1000 {
				group.Go(func() {
					if err := lookout.Look(t.Context()); err == nil {
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
		b := &bulletin{next: db.News{Mark: db.Mark{After: "1"}}, err: db.ErrInvalidID}
		lookout := NewLookout(b)
		var heard []db.News
		lookout.tell(func(n db.News) { heard = append(heard, n) })
		for range 2 {
			if err := lookout.Look(t.Context()); err != nil {
				t.Error(err)
			}
			if b.since != (db.Mark{}) {
				t.Errorf("looked since %v", b.since)
			}
		}
		if len(heard) != 2 || !heard[0].Everything || !heard[1].Everything {
			t.Errorf("heard %+v", heard)
		}
	})
	t.Run("each look goes on where the last that succeeded ended, unless that was long ago", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := &bulletin{}
			lookout := NewLookout(b)
			look := func(since, ends db.Mark, fails error) {
				t.Helper()
				b.next, b.err = db.News{Mark: ends}, fails
				if err := lookout.Look(t.Context()); !errors.Is(err, fails) || b.since != since {
					t.Errorf("looked since %v, %v; want since %v", b.since, err, since)
				}
			}
			first, second, third := db.Mark{After: "1"}, db.Mark{After: "2"}, db.Mark{After: "3"}
			look(db.Mark{}, first, nil)
			look(first, second, nil)
			look(second, third, db.ErrUnavailable)
			look(second, third, nil)
			time.Sleep(knownFor)
			look(third, first, nil)
			time.Sleep(knownFor + 1)
			look(db.Mark{}, second, nil)
		})
	})
}
