package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// reader numbers and reads a log, as the feed does.
type reader struct {
	*dbtest.Portal
	log       *eventlog.Log
	sequencer *eventlog.Sequencer
	cursor    eventlog.Cursor
	seen      []eventlog.Change
	large     []*eventlog.Large
}

func newReader(t *testing.T) *reader {
	t.Helper()
	p := dbtest.New(t)
	listener, err := db.NewListener(p.URL, p.URL, &db.Dialer{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{Portal: p, log: eventlog.NewLog(p.Pool), sequencer: eventlog.NewSequencer(p.Pool, listener, slog.New(slog.DiscardHandler))}
	if _, err := r.sequencer.Acquire(t.Context(), eventlog.Published{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.sequencer.Release)
	state, err := r.log.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.cursor = state.Cursor()
	return r
}

// next numbers and returns what is new.
func (r *reader) next(t *testing.T) []eventlog.Change {
	t.Helper()
	last := r.cursor
	numbered, err := r.sequencer.Number(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	from := len(r.seen)
	for more := true; more; {
		more, err = r.log.Read(t.Context(), r.cursor, func(p eventlog.Piece) error {
			r.cursor = p.End
			r.seen = append(r.seen, p.Changes...)
			if p.Large != nil {
				r.large = append(r.large, p.Large)
			}
			return nil
		})
		must(t, err)
	}
	if head := r.cursor.Batch; head != numbered.Head || r.cursor.Mark != numbered.Mark {
		t.Errorf("numbering came to %d, reading to %d", numbered.Head, head)
	}
	if numbered.Whole && last.Batch == numbered.Head-1 && !reflect.DeepEqual(numbered.Changes, r.seen[from:]) {
		t.Errorf("numbering returned\n%v, reading\n%v", numbered.Changes, r.seen[from:])
	}
	return r.seen[from:]
}

// messages returns "type booking" of the changes that are messages.
func messages(changes []eventlog.Change) []string {
	list := []string{}
	for _, c := range changes {
		if c.Type != eventlog.TypeChanged && c.Type != eventlog.TypeAccess {
			list = append(list, c.Type+" "+bookingOf(c))
		}
	}
	return list
}

func bookingOf(c eventlog.Change) string {
	_, rest, _ := strings.Cut(string(c.Data), `"bookingId" : "`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

func expect(t *testing.T, got []eventlog.Change, want ...string) {
	t.Helper()
	if list := messages(got); !slices.Equal(list, want) {
		t.Errorf("got %q, want %q", list, want)
	}
}

func TestOrderOfCommits(t *testing.T) {
	t.Parallel()

	t.Run("the lower id commits later", func(t *testing.T) {
		t.Parallel()
		r := newReader(t)
		o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
		r.next(t)
		early, late := begin(t, r.Portal), begin(t, r.Portal)
		a := book(t, early, o.Hangars[0], guest)
		b := book(t, late, o.Hangars[0], guest)
		commit(t, late)
		expect(t, r.next(t), "booking_created "+b)
		commit(t, early)
		expect(t, r.next(t), "booking_created "+a)
		if last := r.seen[len(r.seen)-1]; last.Compare(r.seen[len(r.seen)-2].Position) <= 0 {
			t.Errorf("the later commit has position %v, not after %v", last.Position, r.seen[len(r.seen)-2].Position)
		}
	})

	t.Run("a rolled back transaction between two others", func(t *testing.T) {
		t.Parallel()
		r := newReader(t)
		o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
		r.next(t)
		a := r.Book(t, o.Hangars[0], guest)
		gone := begin(t, r.Portal)
		book(t, gone, o.Hangars[0], guest)
		b := r.Book(t, o.Hangars[0], guest)
		expect(t, r.next(t), "booking_created "+a, "booking_created "+b)
		gone.Rollback()
		expect(t, r.next(t))
		c := r.Book(t, o.Hangars[0], guest)
		expect(t, r.next(t), "booking_created "+c)
	})

	t.Run("savepoints: what was rolled back to them is not there, the rest is", func(t *testing.T) {
		t.Parallel()
		r := newReader(t)
		o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
		r.next(t)
		tx := begin(t, r.Portal)
		a := book(t, tx, o.Hangars[0], guest)
		tx.MustExec("SAVEPOINT s")
		book(t, tx, o.Hangars[0], guest)
		tx.MustExec("ROLLBACK TO SAVEPOINT s")
		b := book(t, tx, o.Hangars[0], guest)
		expect(t, r.next(t))
		commit(t, tx)
		expect(t, r.next(t), "booking_created "+a, "booking_created "+b)
	})

	t.Run("two transactions on one row, numbered together", func(t *testing.T) {
		t.Parallel()
		r := newReader(t)
		o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
		a, other := r.Book(t, o.Hangars[0], guest), r.Book(t, o.Hangars[0], guest)
		r.next(t)
		first, second := begin(t, r.Portal), begin(t, r.Portal)
		// it inserts into the log before the first does
		second.MustExec(`UPDATE bookings SET total_price = 1 WHERE id = $1`, other)
		first.MustExec(`UPDATE bookings SET status = 'confirmed' WHERE id = $1`, a)
		done := make(chan error, 1)
		go func() {
			// waits for the first
			_, err := second.Exec(`UPDATE bookings SET status = 'cancelled' WHERE id = $1`, a)
			done <- errors.Join(err, second.Commit())
		}()
		commit(t, first)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		got := r.next(t)
		expect(t, got, "booking_updated "+a, "booking_updated "+other, "booking_updated "+a)
		if !strings.Contains(string(got[0].Data), `"confirmed"`) || !strings.Contains(string(got[2].Data), `"cancelled"`) {
			t.Errorf("the row's changes are in the wrong order: %s, then %s", got[0].Data, got[2].Data)
		}
	})

	t.Run("the events of interleaved transactions stay together", func(t *testing.T) {
		t.Parallel()
		r := newReader(t)
		o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
		r.next(t)
		x, y := begin(t, r.Portal), begin(t, r.Portal)
		x1 := book(t, x, o.Hangars[0], guest)
		y1 := book(t, y, o.Hangars[0], guest)
		x2 := book(t, x, o.Hangars[0], guest)
		y2 := book(t, y, o.Hangars[0], guest)
		x3 := book(t, x, o.Hangars[0], guest)
		commit(t, y)
		commit(t, x)
		expect(t, r.next(t), "booking_created "+y1, "booking_created "+y2, "booking_created "+x1, "booking_created "+x2, "booking_created "+x3)
	})

	t.Run("a transaction that stays open delays nobody and is not lost", func(t *testing.T) {
		t.Parallel()
		r := newReader(t)
		o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
		r.next(t)
		open := begin(t, r.Portal)
		a := book(t, open, o.Hangars[0], guest)
		for range 50 {
			b := r.Book(t, o.Hangars[0], guest)
			expect(t, r.next(t), "booking_created "+b)
		}
		before := r.seen[len(r.seen)-1].Position
		commit(t, open)
		expect(t, r.next(t), "booking_created "+a)
		page, err := r.log.Owner(t.Context(), o.ID, before, 10)
		if err != nil || page.More {
			t.Fatal(err, page.More)
		}
		expect(t, page.Changes, "booking_created "+a)
	})
}

// TestLogUnderLoad lets writers interleave, roll back and stay open at random while the
// log is read, and compares what was read with the tables, and each owner's replay from
// every position with what was read.
func TestLogUnderLoad(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	guest := r.AddGuest(t, "Ana", "Reis")
	owners := []dbtest.Owner{r.AddOwner(t, 2), r.AddOwner(t, 2), r.AddOwner(t, 1)}
	r.next(t)
	start := eventlog.EndOfBatch(r.cursor.Batch)
	var committed sync.Map
	var writers sync.WaitGroup
	for w := range 6 {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		writers.Go(func() {
			for range 40 {
				if err := randomTransaction(t.Context(), r.Pool, rng, owners, guest, &committed); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() { writers.Wait(); close(finished) }()
	for running := true; running; {
		select {
		case <-finished:
			running = false
		default:
		}
		r.next(t)
	}
	r.next(t)

	got := map[string]int{}
	for i, c := range r.seen {
		if i > 0 && c.Compare(r.seen[i-1].Position) <= 0 {
			t.Fatalf("position %v follows %v", c.Position, r.seen[i-1].Position)
		}
		if c.Type == "booking_created" {
			got[bookingOf(c)]++
		}
	}
	count := 0
	committed.Range(func(id, _ any) bool {
		count++
		if got[id.(string)] != 1 {
			t.Errorf("booking %s was read %d times", id, got[id.(string)])
		}
		return true
	})
	if count != len(got) {
		t.Errorf("%d bookings were committed, %d read", count, len(got))
	}
	for _, o := range owners {
		compareReplay(t, r, o.ID, start)
		compareLasts(t, r, o.ID, "nobody")
	}
}

func randomTransaction(ctx context.Context, pool *sqlx.DB, rng *rand.Rand, owners []dbtest.Owner, guest string, committed *sync.Map) error {
	tx, err := pool.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var ids []string
	for range 1 + rng.IntN(3) {
		o := owners[rng.IntN(len(owners))]
		var id string
		query := `INSERT INTO bookings (` + dbtest.BookingColumns + `) VALUES ` + dbtest.BookingValues(o.Hangars[rng.IntN(len(o.Hangars))], guest) + ` RETURNING id::text`
		if rng.IntN(4) == 0 { // a savepoint that is kept or not
			if _, err := tx.ExecContext(ctx, "SAVEPOINT s"); err != nil {
				return err
			}
			if err := tx.GetContext(ctx, &id, query); err != nil {
				return err
			}
			if rng.IntN(2) == 0 {
				if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT s"); err != nil {
					return err
				}
				continue
			}
		} else if err := tx.GetContext(ctx, &id, query); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if rng.IntN(3) == 0 {
		if _, err := tx.ExecContext(ctx, `SELECT pg_sleep($1)`, rng.Float64()/50); err != nil {
			return err
		}
	}
	if rng.IntN(5) == 0 {
		return nil // rolled back
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, id := range ids {
		committed.Store(id, true)
	}
	return nil
}

// compareReplay checks that an owner's replay from any position gives exactly what came
// after it, in pages of any size.
func compareReplay(t *testing.T, r *reader, ownerID string, start eventlog.Position) {
	t.Helper()
	var own []eventlog.Change
	for _, c := range r.seen {
		if c.OwnerID == ownerID && c.Type != eventlog.TypeChanged && c.Compare(start) > 0 {
			own = append(own, c)
		}
	}
	for i := -1; i < len(own); i += 7 {
		after := start
		if i >= 0 {
			after = own[i].Position
		}
		for page := i + 1; page < len(own) || page == i+1; {
			read, err := r.log.Owner(t.Context(), ownerID, after, 10)
			if err != nil {
				t.Fatal(err)
			}
			changes, more := read.Changes, read.More
			for j, c := range changes {
				if fmt.Sprint(c) != fmt.Sprint(own[page+j]) {
					t.Fatalf("replay after %v gives %v, the feed read %v", after, c, own[page+j])
				}
			}
			page += len(changes)
			if !more {
				if page != len(own) {
					t.Fatalf("replay ends after %d of %d", page, len(own))
				}
				break
			}
			after = changes[len(changes)-1].Position
		}
	}
	last, err := r.log.Last(t.Context(), ownerID)
	if err != nil || last != own[len(own)-1].Position {
		t.Errorf("Last says %v (%v), the last event is %v", last, err, own[len(own)-1].Position)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	quiet, busy, guest := r.AddOwner(t, 1), r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.Book(t, quiet.Hangars[0], guest)
	r.next(t)
	quietLast := r.seen[len(r.seen)-1].Position
	var first eventlog.Position
	for i := range 5 {
		r.Book(t, busy.Hangars[0], guest)
		r.next(t)
		if i == 0 {
			first = r.seen[len(r.seen)-1].Position
		}
	}
	busyLast := r.seen[len(r.seen)-1].Position
	r.Exec(t, `UPDATE realtime.batches SET at = at - interval '2 days'`)
	r.AddOwner(t, 1)
	r.next(t) // one batch that is young
	for more := true; more; {
		var err error
		if more, err = r.log.Trim(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	if err := r.Pool.Get(&left, `SELECT count(*) FROM realtime.events WHERE type = 'booking_created'`); err != nil || left != 0 {
		t.Errorf("%d old events are left (%v)", left, err)
	}
	if _, err := r.log.Owner(t.Context(), busy.ID, first, 10); !errors.Is(err, eventlog.ErrHistoryGone) {
		t.Errorf("a position older than the log gives %v, want ErrHistoryGone", err)
	}
	for owner, last := range map[string]eventlog.Position{quiet.ID: quietLast, busy.ID: busyLast} {
		if got, err := r.log.Last(t.Context(), owner); err != nil || got != last {
			t.Errorf("after its removal the last event is at %v (%v), was at %v", got, err, last)
		}
		if page, err := r.log.Owner(t.Context(), owner, last, 10); err != nil || len(page.Changes) != 0 {
			t.Errorf("after the last event come %v (%v), want nothing and no error", page.Changes, err)
		}
	}
	next := r.Book(t, quiet.Hangars[0], guest)
	expect(t, r.next(t), "booking_created "+next)
}

func TestTruncateIsLost(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.Book(t, o.Hangars[0], guest)
	r.next(t)
	before := r.seen[len(r.seen)-1].Position
	r.Exec(t, `TRUNCATE bookings`)
	got := r.next(t)
	if len(got) != 1 || got[0].Type != eventlog.TypeTruncated {
		t.Fatalf("got %v, want one truncated", got)
	}
	if _, err := r.log.Owner(t.Context(), o.ID, before, 10); !errors.Is(err, eventlog.ErrHistoryGone) {
		t.Errorf("a replay over a TRUNCATE gives %v, want ErrHistoryGone", err)
	}
	if last, err := r.log.Last(t.Context(), o.ID); err != nil || last != got[0].Position {
		t.Errorf("the stream begins at %v (%v), want the truncation at %v", last, err, got[0].Position)
	}
}

func TestOneServerNumbers(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	pool := dbtest.Open(t, r.URL).Pool
	listener, err := db.NewListener(r.URL, r.URL, &db.Dialer{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	second := eventlog.NewSequencer(pool, listener, slog.New(slog.DiscardHandler))
	t.Cleanup(second.Release)
	if _, err := second.Acquire(t.Context(), eventlog.Published{}); !errors.Is(err, eventlog.ErrNotLeader) {
		t.Fatalf("a second server takes the sequencer: %v", err)
	}
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	a := r.Book(t, o.Hangars[0], guest)
	// The first server's connection dies; the second goes on where it stopped.
	r.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database =
		(SELECT oid FROM pg_database WHERE datname = current_database())`)
	for {
		_, err := second.Acquire(t.Context(), eventlog.Published{})
		if err == nil {
			break
		}
		if !errors.Is(err, eventlog.ErrNotLeader) || t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.sequencer.Number(t.Context()); err == nil {
		t.Error("the first server still numbers")
	}
	r.sequencer = second
	got := r.next(t)
	expect(t, got[len(got)-1:], "booking_created "+a)
}

func TestCopyGetsAnEpochOfItsOwn(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.Book(t, o.Hangars[0], guest)
	r.next(t)
	before, err := r.log.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.sequencer.Release()
	// what a restored dump brings along
	r.Exec(t, `UPDATE realtime.installation SET identity = 'another cluster'`)
	eventually(t, "the released lock is free", func() bool {
		_, err := r.sequencer.Acquire(t.Context(), eventlog.Published{})
		return err == nil
	})
	after, err := r.log.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.Epoch == before.Epoch || after.Head != 0 {
		t.Errorf("a copy goes on with epoch %s at %d; its original was in %s", after.Epoch, after.Head, before.Epoch)
	}
	if len(before.Secret) != 32 || string(after.Secret) != string(before.Secret) {
		t.Errorf("the installation's secret has %d bytes, and is another after a new history: %v", len(before.Secret), string(after.Secret) != string(before.Secret))
	}
	r.cursor = after.Cursor()
	a := r.Book(t, o.Hangars[0], guest)
	expect(t, r.next(t), "booking_created "+a)
}

// TestReplayOverManyBatches replays more batches than one query covers, of an owner with much and
// one with little in them.
func TestReplayOverManyBatches(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	busy, rare, guest := r.AddOwner(t, 1), r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	start, mark, seen := eventlog.EndOfBatch(r.cursor.Batch), r.cursor.Mark, len(r.seen)
	for i := range 600 {
		hangar := busy.Hangars[0]
		if i%140 == 0 {
			hangar = rare.Hangars[0]
		}
		r.Book(t, hangar, guest)
		r.next(t)
	}
	compareReplay(t, r, busy.ID, start)
	compareReplay(t, r, rare.ID, start)
	compareLasts(t, r, busy.ID, rare.ID, "nobody")
	// What was read batch by batch is read at once.
	var again []eventlog.Change
	from := eventlog.Cursor{Batch: start.Batch - 1, Mark: mark}
	for more := true; more; {
		var err error
		more, err = r.log.Read(t.Context(), from, func(p eventlog.Piece) error {
			from, again = p.End, append(again, p.Changes...)
			return nil
		})
		must(t, err)
	}
	if !reflect.DeepEqual(again, r.seen[seen:]) || from != r.cursor {
		t.Errorf("read at once there are %d changes up to %v, batch by batch %d up to %v", len(again), from, len(r.seen)-seen, r.cursor)
	}
	tail, err := r.log.Tail(t.Context(), eventlog.State{Epoch: r.ID(t, `SELECT epoch::text FROM realtime.installation`), Head: r.cursor.Batch})
	if err != nil || tail.Batch != 0 {
		t.Errorf("the tail of a short log begins after batch %d, %v", tail.Batch, err)
	}
}

// compareLasts asks for the last messages of some owners at once and one by one.
func compareLasts(t *testing.T, r *reader, ownerIDs ...string) {
	t.Helper()
	lasts, err := r.log.LastsAtOnce(t.Context(), ownerIDs)
	must(t, err)
	for _, id := range ownerIDs {
		alone, err := r.log.Last(t.Context(), id)
		must(t, err)
		if together, told := lasts[id]; told && together != alone {
			t.Errorf("the last message of owner %s is at %v, asked together %v", id, alone, together)
		}
	}
	if len(lasts) == 0 {
		t.Error("nothing is known of anybody")
	}
}

// TestRetentionKeepsThePlace removes two transactions of one owner in one batch, of which the one
// that inserted first comes last, because its last row of the log is no message: a client that saw
// the other one only has lost something.
func TestRetentionKeepsThePlace(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 2), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	first, second := begin(t, r.Portal), begin(t, r.Portal)
	late, early := book(t, first, o.Hangars[0], guest), book(t, second, o.Hangars[1], guest)
	commit(t, second)
	_, err := first.Exec(`UPDATE hangar_listings SET daily_rate = daily_rate + 1 WHERE id = $1`, o.Hangars[0])
	must(t, err)
	commit(t, first)
	expect(t, r.next(t), "booking_created "+early, "booking_created "+late)
	places := map[string]eventlog.Position{}
	for _, c := range r.seen {
		if c.Type == "booking_created" {
			places[bookingOf(c)] = c.Position
		}
	}
	r.Book(t, r.AddOwner(t, 1).Hangars[0], guest)
	r.next(t)
	for more := true; more; {
		more, err = r.log.Trim(t.Context(), 0)
		must(t, err)
	}
	if left := r.ID(t, `SELECT count(*)::text FROM realtime.events WHERE owner_id = $1`, o.ID); left != "0" {
		t.Fatalf("%s events are left", left)
	}
	compareLasts(t, r, o.ID, "nobody")
	if last, err := r.log.Last(t.Context(), o.ID); last != places[late] || err != nil {
		t.Errorf("the last is at %v, %v; want %v", last, err, places[late])
	}
	for id, want := range map[string]error{early: eventlog.ErrHistoryGone, late: nil} {
		page, err := r.log.Owner(t.Context(), o.ID, places[id], 10)
		if !errors.Is(err, want) || len(page.Changes) > 0 {
			t.Errorf("after booking %s: %v, %v; want %v", id, messages(page.Changes), err, want)
		}
	}
}

// TestCatchingUpIsOneStatement reads three batches, of which one holds nothing that is read, by one
// prepared statement, and what is too much for that in the same order as ever.
func TestCatchingUpIsOneStatement(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	r.next(t)
	if r.ID(t, `SELECT (current_setting('server_version_num')::int < 140000)::text`) == "true" {
		t.Skip("this PostgreSQL does not count how often a statement was executed")
	}
	begin := r.cursor
	pool := dbtest.Open(t, r.URL).Pool
	pool.SetMaxOpenConns(1) // whose statements are counted
	log := eventlog.NewLog(pool)
	must(t, log.Prepare(t.Context()))
	asked := func() (n int) {
		must(t, pool.Get(&n, `SELECT coalesce(sum(generic_plans + custom_plans), 0) FROM pg_prepared_statements WHERE statement LIKE '%WITH listed%'`))
		return n
	}
	for i := range 3 {
		if i != 1 {
			r.Book(t, o.Hangars[0], guest)
		}
		r.Exec(t, `INSERT INTO realtime.events (owner_id, type) SELECT $1, 'changed' FROM generate_series(0, $2)`, o.ID, i)
		r.next(t)
	}
	read := func(log *eventlog.Log) (changes []eventlog.Change, ends []eventlog.Cursor) {
		more, err := log.Read(t.Context(), begin, func(p eventlog.Piece) error {
			changes, ends = append(changes, p.Changes...), append(ends, p.End)
			return nil
		})
		if err != nil || more {
			t.Fatalf("there is more: %v, %v", more, err)
		}
		return changes, ends
	}
	before := asked()
	changes, ends := read(log)
	if n := asked() - before; n != 1 {
		t.Errorf("catching up is %d statements", n)
	}
	if len(ends) != 3 || ends[2] != r.cursor || !reflect.DeepEqual(changes, r.seen[len(r.seen)-len(changes):]) || len(changes) != 8 {
		t.Errorf("read are %d changes up to %v, want 8 up to %v", len(changes), ends, r.cursor)
	}
	r.Exec(t, `INSERT INTO realtime.events (owner_id, type) SELECT $1, 'changed' FROM generate_series(1, 1500)`, o.ID)
	r.next(t)
	changes, ends = read(log)
	if len(ends) != 4 || ends[3] != r.cursor || len(changes) != 1508 || !reflect.DeepEqual(changes, r.seen[len(r.seen)-len(changes):]) {
		t.Errorf("of much, %d changes are read up to %v, want 1508 up to %v", len(changes), ends, r.cursor)
	}
}
