package eventlog_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// wakeUpListener hears the doorbell of a database.
type wakeUpListener struct {
	portal *dbtest.Portal
	marks  chan bool // for each mark that arrived, whether the doorbell rang since the one before
}

func newWakeUpListener(t *testing.T, p *dbtest.Portal) *wakeUpListener {
	t.Helper()
	listener := pq.NewListener(p.URL, time.Second, time.Second, nil)
	e := &wakeUpListener{portal: p, marks: make(chan bool)}
	ctx, stop := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	// It never stops reading: PostgreSQL would wait for it, and others for that.
	listening.Go(func() {
		rang := false
		for n := range listener.Notify {
			if n == nil || n.Channel != "mark" {
				rang = rang || n != nil && n.Extra == ""
				continue
			}
			select {
			case e.marks <- rang:
				rang = false
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { stop(); listener.Close(); listening.Wait() })
	for _, channel := range []string{"realtime", "mark"} {
		must(t, listener.Listen(channel))
	}
	return e
}

// rung reports whether the doorbell rang since the last call: a mark that is committed now comes
// after what was committed before.
func (e *wakeUpListener) rung(t *testing.T) (rung bool) {
	t.Helper()
	e.portal.Exec(t, `SELECT pg_notify('mark', '')`)
	select {
	case rung = <-e.marks:
	case <-t.Context().Done():
		t.Fatal("the mark did not come")
	}
	return rung
}

// mute mutes the doorbell, and for so long that no slow machine outlasts it.
func (r *reader) mute(t *testing.T) {
	t.Helper()
	must(t, r.sequencer.Suppress(t.Context()))
	var until, now int64
	must(t, r.Pool.QueryRow(`SELECT last_value, (date_part('epoch', clock_timestamp()) * 1000)::bigint FROM realtime.awake`).Scan(&until, &now))
	if ahead := until - now; ahead > eventlog.SuppressFor.Milliseconds() || ahead < -time.Minute.Milliseconds() {
		t.Errorf("muted until %d ms from now", ahead)
	}
	r.Exec(t, `SELECT setval('realtime.awake', last_value + 3600000) FROM realtime.awake`)
}

func TestMutedDoorbell(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	e := newWakeUpListener(t, r.Portal)
	r.Book(t, o.Hangars[0], guest)
	if !e.rung(t) {
		t.Error("nobody is awake, and the doorbell did not ring")
	}
	r.next(t)
	r.mute(t)
	if e.rung(t) {
		t.Error("a batch rang the doorbell")
	}
	r.Book(t, o.Hangars[0], guest)
	if e.rung(t) {
		t.Error("the doorbell rang while mute")
	}
	if got := r.next(t); len(got) == 0 {
		t.Error("a change that did not ring is not in the log")
	}
	if err := r.sequencer.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Book(t, o.Hangars[0], guest)
	if !e.rung(t) {
		t.Error("the doorbell stayed mute")
	}
}

// TestSettled has a transaction that found the doorbell mute commit after it is no longer.
func TestSettled(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.mute(t)
	tx := begin(t, r.Portal)
	id := book(t, tx, o.Hangars[0], guest)
	if err := r.sequencer.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := begin(t, r.Portal) // rings by itself: nobody has to wait for it
	book(t, later, o.Hangars[0], guest)
	if settled, err := r.sequencer.Quiesced(t.Context()); err != nil || settled {
		t.Fatalf("settled is %v (%v) with a transaction under way that will not ring", settled, err)
	}
	r.next(t)
	e := newWakeUpListener(t, r.Portal)
	commit(t, tx)
	if e.rung(t) {
		t.Fatal("the transaction rang after all")
	}
	// and that of older ones in other databases of this PostgreSQL
	eventually(t, "all is settled after its end", func() bool {
		settled, err := r.sequencer.Quiesced(t.Context())
		return err == nil && settled
	})
	expect(t, r.next(t), "booking_created "+id)
}

// TestMuteLeavesWithItsHolder has the connection of the server that muted the doorbell end.
func TestMuteLeavesWithItsHolder(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	must(t, r.sequencer.Suppress(t.Context()))
	tx := begin(t, r.Portal)
	book(t, tx, o.Hangars[0], guest)
	r.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database =
		(SELECT oid FROM pg_database WHERE datname = current_database())`)
	if _, err := r.sequencer.Number(t.Context()); err == nil {
		t.Error("the ended connection still numbers")
	}
	e := newWakeUpListener(t, r.Portal)
	eventually(t, "the doorbell rings again", func() bool {
		r.Book(t, o.Hangars[0], guest)
		return e.rung(t)
	})
	eventually(t, "the numbering is free", func() bool {
		_, err := r.sequencer.Acquire(t.Context(), eventlog.Published{})
		return err == nil
	})
	if settled, err := r.sequencer.Quiesced(t.Context()); err != nil || settled {
		t.Errorf("settled is %v (%v) with a transaction under way that found the doorbell mute", settled, err)
	}
}

// TestMuteAmongWriters mutes and unmutes while writers commit at full rate. A reader that looks
// only when it is woken, while notifications are mute, or while it is not settled, misses none of
// their bookings.
func TestMuteAmongWriters(t *testing.T) {
	t.Parallel()
	const writers, each = 6, 150
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	e := newWakeUpListener(t, r.Portal)
	writing, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	var running atomic.Int64
	for range writers {
		running.Add(1)
		group.Go(func() {
			defer running.Add(-1)
			for range each {
				if _, err := r.Pool.ExecContext(writing, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+
					dbtest.BookingValues(o.Hangars[0], guest)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	got := 0
	count := func() {
		for _, c := range r.next(t) {
			if c.Type == "booking_created" {
				got++
			}
		}
	}
	for got < writers*each && !t.Failed() {
		e.rung(t)
		must(t, r.sequencer.Suppress(t.Context()))
		for range 5 {
			count()
		}
		must(t, r.sequencer.Resume(t.Context()))
		for settled := false; !settled; count() {
			var err error
			if settled, err = r.sequencer.Quiesced(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if running.Load() > 0 {
			continue
		}
		// Everybody has committed: what is not in yet has sent a wake-up.
		if got < writers*each && !e.rung(t) {
			t.Fatalf("%d of %d bookings were read, and nobody rang for the rest", got, writers*each)
		}
		count()
	}
	group.Wait()
}
