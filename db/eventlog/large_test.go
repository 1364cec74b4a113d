package eventlog_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// bookMany books many times in one statement.
const bookMany = `INSERT INTO bookings (` + dbtest.BookingColumns + `)
	SELECT $1::int, $2::int, now() + interval '30 days', now() + interval '31 days', 1, 200, 20, 220, 'pending' FROM generate_series(1, $3::int)`

// history reads all of an owner's messages after a position, in pages.
func (r *reader) history(t *testing.T, ownerID string, after eventlog.Position, limit int) (changes []eventlog.Change) {
	t.Helper()
	for {
		p, err := r.log.Owner(t.Context(), ownerID, after, limit)
		must(t, err)
		if len(p.Changes) > limit || p.More && p.End.Compare(after) <= 0 {
			t.Fatalf("a page of %d after %v ends at %v", len(p.Changes), after, p.End)
		}
		changes, after = append(changes, p.Changes...), p.End
		if !p.More {
			return changes
		}
	}
}

// TestLargeTransaction has one statement write more than a batch holds, among small ones of the
// same owner, of another, and one that began before it and commits later. All are numbered at once.
func TestLargeTransaction(t *testing.T) {
	t.Parallel()
	const rows = 12_000
	r := newReader(t)
	a, b, guest := r.AddOwner(t, 1), r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	start := eventlog.EndOfBatch(r.cursor.Batch)
	first := r.Book(t, a.Hangars[0], guest)
	around := begin(t, r.Portal)
	book(t, around, a.Hangars[0], guest)
	r.Exec(t, bookMany, a.Hangars[0], guest, rows)
	last := book(t, around, a.Hangars[0], guest)
	commit(t, around)
	other := r.Book(t, b.Hangars[0], guest)
	open := begin(t, r.Portal)
	late := book(t, open, b.Hangars[0], guest)

	got := r.next(t)
	if len(got) != 4 || len(r.large) != 1 {
		t.Fatalf("read %d changes and %d large transactions, want 4 and one", len(got), len(r.large))
	}
	if list := messages(got); list[0] != "booking_created "+first || list[2] != "booking_created "+last || list[3] != "booking_created "+other {
		t.Errorf("read %v", list)
	}
	large := r.large[0].Batch
	if got[0].Batch >= large || got[1].Batch <= large || got[3].Batch <= large {
		t.Errorf("the large transaction is batch %d, the others are %v", large, got)
	}
	concerned, err := r.log.Concerned(t.Context(), r.large[0], []string{"nobody", a.ID, b.ID})
	if err != nil || !slices.Equal(concerned, []string{a.ID}) {
		t.Errorf("it concerns %v, %v; want %s", concerned, err, a.ID)
	}
	commit(t, open)
	expect(t, r.next(t), "booking_created "+late)

	t.Run("its owner reads it in pieces, in order", func(t *testing.T) {
		begun := time.Now()
		own := r.history(t, a.ID, start, 1000)
		t.Logf("%d messages in %s", len(own), time.Since(begun).Round(time.Millisecond))
		if len(own) != rows+3 || bookingOf(own[0]) != first || bookingOf(own[len(own)-1]) != last {
			t.Fatalf("%d messages", len(own))
		}
		for i := 1; i < len(own); i++ {
			if own[i].Compare(own[i-1].Position) <= 0 || own[i].Mark == 0 {
				t.Fatalf("%v follows %v", own[i].Position, own[i-1].Position)
			}
		}
		for _, i := range []int{0, 1, 500, 5000, 11_998, rows, rows + 1} {
			if rest := r.history(t, a.ID, own[i].Position, 777); len(rest) != len(own)-i-1 || fmt.Sprint(rest[0]) != fmt.Sprint(own[i+1]) {
				t.Errorf("after message %d come %d, want %d", i, len(rest), len(own)-i-1)
			}
		}
		if at, err := r.log.Last(t.Context(), a.ID); err != nil || at != own[len(own)-1].Position {
			t.Errorf("the last is at %v, %v; want %v", at, err, own[len(own)-1].Position)
		}
		wrong := own[500].Position
		wrong.Mark++
		if _, err := r.log.Owner(t.Context(), a.ID, wrong, 10); !errors.Is(err, eventlog.ErrHistoryGone) {
			t.Errorf("after a position with another mark: %v", err)
		}
	})
	t.Run("each page comes further, however slow the machine", func(t *testing.T) {
		slow := *r
		slow.log = eventlog.NewLog(r.Pool)
		slow.log.Hurry()
		if own := slow.history(t, a.ID, start, 1000); len(own) != rows+3 {
			t.Errorf("%d messages", len(own))
		}
	})
	t.Run("the other owner reads nothing of it", func(t *testing.T) {
		if own := r.history(t, b.ID, start, 10); len(own) != 2 {
			t.Errorf("%d messages", len(own))
		}
	})
	t.Run("retention removes it in steps and keeps the place", func(t *testing.T) {
		r.Exec(t, bookMany, b.Hangars[0], guest, rows)
		r.next(t)
		want, err := r.log.Last(t.Context(), b.ID)
		must(t, err)
		r.Book(t, a.Hangars[0], guest)
		r.next(t)
		for more := true; more; {
			more, err = r.log.Trim(t.Context(), 0)
			must(t, err)
		}
		if at, err := r.log.Last(t.Context(), b.ID); err != nil || at != want {
			t.Errorf("the last is at %v, %v; want %v", at, err, want)
		}
		if p, err := r.log.Owner(t.Context(), b.ID, want, 10); err != nil || len(p.Changes) > 0 {
			t.Errorf("after the last: %v, %v", p, err)
		}
		wrong := want
		wrong.Mark++
		if _, err := r.log.Owner(t.Context(), b.ID, wrong, 10); !errors.Is(err, eventlog.ErrHistoryGone) {
			t.Errorf("after the last, with another mark: %v", err)
		}
	})
}

// TestBacklogInTheOrderOfIDs has transactions wait whose ids have more digits than those before: as
// texts they would have another order, and a batch would hold what nobody had counted.
func TestBacklogInTheOrderOfIDs(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.Exec(t, `INSERT INTO realtime.events (xid, owner_id, type) SELECT x::text::xid8, '1', 'changed'
		FROM unnest(ARRAY[9, 10, 99, 100, 101]) x, generate_series(1, CASE x WHEN 10 THEN 12000 WHEN 99 THEN 4999 ELSE 3 END)`)
	ids, rows, err := r.sequencer.WaitingTransactions(t.Context(), 3, 102)
	must(t, err)
	if want := []uint64{9, 10, 99, 100, 101}; !slices.Equal(ids, want) {
		t.Errorf("found %v, want %v", ids, want)
	}
	for i, n := range rows {
		if want := map[uint64]int{9: 3, 99: 4999, 100: 3, 101: 3}[ids[i]]; n != want && (ids[i] != 10 || n <= 5000) {
			t.Errorf("transaction %d has %d rows", ids[i], n)
		}
	}
}

// TestBacklogOfSmallTransactions has more than a batch holds wait in many transactions: each batch
// is bounded, and a transaction that changes what another one did before it comes after it.
func TestBacklogOfSmallTransactions(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	start := eventlog.EndOfBatch(r.cursor.Batch)
	r.seen = nil
	waits, holds := begin(t, r.Portal), begin(t, r.Portal)
	id := r.Book(t, o.Hangars[0], guest)
	book(t, waits, o.Hangars[0], guest) // its transaction id is lower
	_, err := holds.Exec(`UPDATE bookings SET status = 'confirmed' WHERE id = $1`, id)
	must(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := waits.Exec(`UPDATE bookings SET status = 'cancelled' WHERE id = $1`, id)
		done <- errors.Join(err, waits.Commit())
	}()
	for range 4 {
		r.Exec(t, bookMany, o.Hangars[0], guest, 3000)
	}
	commit(t, holds)
	must(t, <-done)
	r.next(t)
	if len(r.large) > 0 || len(r.seen) != 12_000+4 {
		t.Fatalf("%d changes and %d large transactions", len(r.seen), len(r.large))
	}
	rows := map[int64]int{}
	for _, c := range r.seen {
		rows[c.Batch]++
	}
	if len(rows) < 3 {
		t.Errorf("the batches have %v rows", rows)
	}
	for number, n := range rows {
		if n > 5000 {
			t.Errorf("batch %d has %d rows", number, n)
		}
	}
	expect(t, slices.DeleteFunc(slices.Clone(r.seen), func(c eventlog.Change) bool { return bookingOf(c) != id }),
		"booking_created "+id, "booking_updated "+id, "booking_updated "+id)
	if own := r.history(t, o.ID, start, 1000); len(own) != len(r.seen) || fmt.Sprint(own) != fmt.Sprint(r.seen) {
		t.Errorf("a replay gives %d messages, reading %d", len(own), len(r.seen))
	}
}

// TestNumberingBesideALargeTransaction numbers while one statement has written very much and is not
// committed: what it wrote is not looked at again and again.
func TestNumberingBesideALargeTransaction(t *testing.T) {
	t.Parallel()
	const rows = 40_000
	r := newReader(t)
	a, b, guest := r.AddOwner(t, 1), r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	blocks := func() (n int64) {
		must(t, r.Pool.Get(&n, `SELECT pg_stat_get_blocks_fetched('realtime.events'::regclass)`))
		return n
	}
	large := begin(t, r.Portal)
	_, err := large.Exec(bookMany, a.Hangars[0], guest, rows)
	must(t, err)
	for range 3 { // the first is the one that learns of it
		r.Book(t, b.Hangars[0], guest)
		r.next(t)
	}
	// anew has another session number: the statistics of one count when it ends, which is after it
	// has let go of its locks.
	anew := func() {
		t.Helper()
		pid := r.ID(t, `SELECT holder_pid::text FROM realtime.installation`)
		r.sequencer.Release()
		eventually(t, "the session has ended", func() bool {
			return r.ID(t, `SELECT count(*)::text FROM pg_stat_activity WHERE pid = $1::int`, pid) == "0"
		})
		_, err := r.sequencer.Acquire(t.Context(), eventlog.Published{})
		must(t, err)
	}
	anew()
	before := blocks()
	for range 20 {
		r.Book(t, b.Hangars[0], guest)
		r.next(t)
	}
	anew()
	if read := blocks() - before; read > rows/10 {
		t.Errorf("20 small batches read %d blocks of the log beside %d rows under way", read, rows)
	}
	commit(t, large)
	r.next(t)
	if len(r.large) != 1 {
		t.Errorf("%d large transactions", len(r.large))
	}
}
