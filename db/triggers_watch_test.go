package db_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
)

// truncations returns how often browsers were told to load everything again.
func truncations(t *testing.T, p *dbtest.Portal) (count int) {
	t.Helper()
	must(t, p.Pool.Get(&count, `SELECT count(*) FROM realtime.events WHERE type = 'truncated'`))
	return count
}

// TestWatchRebuiltTable is a migration tool of the portal's that replaces the bookings by a copy.
func TestWatchRebuiltTable(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	s := newTriggerFixture(t, p)
	watch := db.NewTriggerWatch(p.Pool)
	h, err := watch.Check(t.Context())
	if err != nil || len(h.Missing)+len(h.Disabled) > 0 || h.Outdated || truncations(t, p) > 0 {
		t.Fatalf("before anything happened: %+v (%v)", h, err)
	}
	s.do(t, `CREATE TABLE bookings_new (LIKE bookings INCLUDING ALL); INSERT INTO bookings_new SELECT * FROM bookings;
		DROP TABLE bookings; ALTER TABLE bookings_new RENAME TO bookings`)
	before, after := attachAgain(t, p)
	if len(before.Missing) != 4 || !before.Outdated || len(after.Missing) > 0 || after.Outdated {
		t.Errorf("found %+v, then %+v", before, after)
	}
	if truncations(t, p) == 0 {
		t.Error("browsers were not told")
	}
	s.logged(t)
	s.do(t, update(`status = 'confirmed'`))
	if got, want := s.logged(t), []string{"A booking_updated b1 H1 pending>confirmed"}; !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

// TestWatchDisabledTriggers disables triggers in each way: they are reported, and nobody enables
// them again but who disabled them.
func TestWatchDisabledTriggers(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	watch := db.NewTriggerWatch(p.Pool)
	look := func(want int, because string) {
		t.Helper()
		h, err := watch.Check(t.Context())
		if err != nil || len(h.Disabled) != want || len(h.Missing) > 0 {
			t.Errorf("%s: %+v (%v), want %d", because, h, err, want)
		}
	}
	told := 0
	tells := func(because string) {
		t.Helper()
		if now := truncations(t, p); now != told+1 {
			t.Errorf("%s: browsers were told %d times", because, now-told)
		} else {
			told = now
		}
	}
	p.Exec(t, `ALTER TABLE bookings DISABLE TRIGGER ALL`)
	look(4, "all are disabled")
	tells("disabled")
	look(4, "all are still disabled")
	must(t, watch.Reattach(t.Context()))
	look(4, "nobody enables them")
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	if built, err := db.NewProjection(store).Build(t.Context(), time.Now()); err != nil || built {
		t.Errorf("a projection was built that sees no changes: %v, %v", built, err)
	}
	p.Exec(t, `ALTER TABLE bookings ENABLE TRIGGER ALL`)
	look(0, "all are enabled")
	tells("enabled again")
	p.Exec(t, `ALTER TABLE hangar_listings ENABLE REPLICA TRIGGER realtime_inserted`)
	look(1, "for replicas only")
	p.Exec(t, `ALTER TABLE hangar_listings ENABLE ALWAYS TRIGGER realtime_inserted`)
	look(0, "always")
}

// TestWatchNeverWaits puts a trigger back on a table that a transaction holds: it gives up soon,
// and no writer queues up behind it.
func TestWatchNeverWaits(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	p.Exec(t, `DROP TRIGGER realtime_updated ON bookings`)
	tx := begin(t, p)
	tx.MustExec(`LOCK TABLE bookings IN ROW EXCLUSIVE MODE`)
	watch := db.NewTriggerWatch(p.Pool)
	explains(t, watch.Reattach(t.Context()), "locked by another transaction")
	must(t, tx.Rollback())
	must(t, watch.Reattach(t.Context()))
	if h, err := watch.Check(t.Context()); err != nil || len(h.Missing) > 0 {
		t.Errorf("found %+v (%v)", h, err)
	}
}

// TestWatchMissingTable looks while a table is away, and after it came back.
func TestWatchMissingTable(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	watch := db.NewTriggerWatch(p.Pool)
	p.Exec(t, `ALTER TABLE bookings RENAME TO away`)
	h, err := watch.Check(t.Context())
	if err != nil || !slices.Contains(h.Missing, "the table public.bookings") {
		t.Errorf("found %+v (%v)", h, err)
	}
	explains(t, watch.Reattach(t.Context()), "public.bookings", "`hangarshare migrate`")
	p.Exec(t, `ALTER TABLE away RENAME TO bookings`)
	if h, err := watch.Check(t.Context()); err != nil || len(h.Missing) > 0 || h.Outdated {
		t.Errorf("found %+v (%v)", h, err)
	}
}

// TestWatchWithoutRights looks after triggers as a role that may serve and not create any.
func TestWatchWithoutRights(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	served := role(t, p.URL, "watchman", "PASSWORD 'geheim'")
	p.Exec(t, `GRANT USAGE ON SCHEMA realtime TO watchman; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO watchman;
		GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA realtime TO watchman; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA realtime TO watchman;
		GRANT SELECT ON users, hangar_owners, hangar_listings, bookings TO watchman; DROP TRIGGER realtime_updated ON bookings`)
	watch := db.NewTriggerWatch(dbtest.Open(t, served).Pool)
	if h, err := watch.Check(t.Context()); err != nil || len(h.Missing) != 1 {
		t.Errorf("found %+v (%v)", h, err)
	}
	if err := watch.Reattach(t.Context()); !errors.Is(err, db.ErrNotPermitted) {
		t.Errorf("putting it back: %v", err)
	}
	if truncations(t, p) != 1 {
		t.Errorf("browsers were told %d times", truncations(t, p))
	}
}

// TestWatchCrash crashes a PostgreSQL whose bookings are not logged: they are empty then,
// and no trigger has run.
func TestWatchCrash(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	must(t, execute(server.URL(), strings.ReplaceAll(variants()[0].schema, "CREATE TABLE public.bookings", "CREATE UNLOGGED TABLE public.bookings")))
	must(t, db.Migrate(t.Context(), server.URL(), quiet))
	p := dbtest.Open(t, server.URL())
	newTriggerFixture(t, p)
	watch := db.NewTriggerWatch(p.Pool)
	_, err := watch.Check(t.Context())
	must(t, err)
	must(t, server.Restart(t.Context(), devdb.Fast))
	eventually(t, "it answers", func() bool { _, err = watch.Check(t.Context()); return err == nil })
	if n := truncations(t, p); n != 0 {
		t.Errorf("after a stop browsers were told %d times", n)
	}
	must(t, server.Restart(t.Context(), devdb.Kill))
	eventually(t, "it answers", func() bool { _, err = watch.Check(t.Context()); return err == nil })
	if n := truncations(t, p); n != 1 {
		t.Errorf("after a crash browsers were told %d times", n)
	}
	if left := p.ID(t, `SELECT count(*) FROM bookings`); left != "0" {
		t.Fatalf("%s bookings are left", left)
	}
}
