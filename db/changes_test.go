package db_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

// look returns the news since the last look, and remembers where it ended.
func look(t *testing.T, store *db.Store, mark *db.Version) db.Changes {
	t.Helper()
	n, err := store.ChangesSince(t.Context(), *mark)
	must(t, err)
	*mark = n.Version
	return n
}

func TestChanges(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t) // nobody else's databases are made in it, which takes checkpoints
	p := dbtest.Open(t, server.URL())
	must(t, demo.CreateSchema(t.Context(), p.Pool))
	must(t, db.Migrate(t.Context(), p.URL, quiet))
	b := newProjectionFixtureOn(t, p)
	other := b.AddOwner(t, 1)
	book := func(o dbtest.Owner) {
		t.Helper()
		b.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+dbtest.BookingValues(o.Hangars[0], b.guest))
	}
	var mark db.Version
	want := func(what string, everything bool, owners, accounts, users []string) {
		t.Helper()
		n := look(t, b.store, &mark)
		for _, list := range [][]string{n.Owners, n.Accounts, n.Users, owners} {
			slices.Sort(list)
		}
		if n.Everything != everything || !slices.Equal(n.Owners, owners) || !slices.Equal(n.Accounts, accounts) || !slices.Equal(n.Users, users) {
			t.Errorf("%s: %+v", what, n)
		}
	}
	want("the first look", true, nil, nil, nil)
	want("nothing", false, nil, nil, nil)
	book(b.owner)
	book(b.owner)
	want("two bookings of one", false, []string{b.owner.ID}, nil, nil)
	want("nothing more", false, nil, nil, nil)

	// under way during several looks, and committed in the other order
	early, late := begin(t, b.Portal), begin(t, b.Portal)
	_, err := early.Exec(b.paidBooking())
	must(t, err)
	_, err = late.Exec(`UPDATE hangar_listings SET is_available = NOT is_available WHERE owner_id = $1`, other.ID)
	must(t, err)
	want("nothing is committed", false, nil, nil, nil)
	book(other)
	want("a later one is", false, []string{other.ID}, nil, nil)
	commit(t, late)
	want("the second", false, []string{other.ID}, nil, nil)
	commit(t, early)
	want("the first", false, []string{b.owner.ID}, nil, nil)
	early = begin(t, b.Portal)
	_, err = early.Exec(b.paidBooking())
	must(t, err)
	must(t, early.Rollback())
	want("one that was rolled back", false, nil, nil, nil)

	b.Exec(t, `UPDATE bookings SET hangar_id = $1`, other.Hangars[0])
	want("bookings change hands", false, []string{b.owner.ID, other.ID}, nil, nil)

	// Without a key that holds the owner, a hangar changes hands while a transaction that
	// booked it is under way.
	b.Exec(t, `ALTER TABLE hangar_listings DROP CONSTRAINT hangar_listings_owner_id_hangar_number_key`)
	early = begin(t, b.Portal)
	_, err = early.Exec(b.paidBooking())
	must(t, err)
	b.Exec(t, `UPDATE hangar_listings SET owner_id = $1 WHERE id = $2`, other.ID, b.owner.Hangars[0])
	want("a hangar changes hands", false, []string{b.owner.ID, other.ID}, nil, nil)
	commit(t, early) // it knew the owner of before
	n, err := b.store.ChangesSince(t.Context(), mark)
	must(t, err)
	if _, validity, err := b.store.Metrics(t.Context(), other.ID, b.now); err != nil || !slices.Contains(validity.Hangars, n.Hangars[0]) {
		t.Errorf("a booking in a hangar that changed hands: news of hangars %v, the new owner's are %v, %v", n.Hangars, validity.Hangars, err)
	}
	want("a booking in it", false, []string{b.owner.ID}, nil, nil)
	b.Exec(t, `UPDATE hangar_listings SET owner_id = $1 WHERE id = $2`, b.owner.ID, b.owner.Hangars[0])
	want("it is given back", false, []string{b.owner.ID, other.ID}, nil, nil)

	b.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, other.ID, b.guest)
	want("a new member", false, nil, []string{other.ID}, nil)
	must(t, db.NewSessions(b.store).EndAll(t.Context(), b.guest))
	want("a user signs out of all", false, nil, nil, []string{b.guest})

	b.Exec(t, `INSERT INTO realtime.sessions (id, user_id, expires_at) VALUES ('1', $1, now() + interval '1 day'), ('2', '7', now())`, b.guest)
	b.Exec(t, `DELETE FROM realtime.sessions`)
	want("sessions are removed, one after its end", false, nil, nil, []string{b.guest})
	for _, table := range []string{"members", "sessions, realtime.refresh_tokens"} {
		b.Exec(t, `TRUNCATE realtime.`+table)
		want(table+" are emptied", true, nil, nil, nil)
	}

	b.Exec(t, `INSERT INTO realtime.events (owner_id, type, data) SELECT '77', 'changed', '{"hangarId":"7","bookings":[]}' FROM generate_series(1, 1999)`)
	want("much of one", false, []string{"77"}, nil, nil)
	b.Exec(t, `INSERT INTO realtime.events (owner_id, type, data) SELECT '77', 'changed', '{"hangarId":"7","bookings":[]}' FROM generate_series(1, 2000)`)
	want("too much to tell", true, nil, nil, nil)
	b.Exec(t, `INSERT INTO realtime.payouts (booking_id, owner_id) SELECT min(id)::text, '77' FROM bookings`)
	want("a payout to somebody else", true, nil, nil, nil)
	b.Exec(t, `INSERT INTO realtime.events (owner_id, type) VALUES ('', 'access')`)
	want("nobody knows whose", true, nil, nil, nil)
	b.Exec(t, `CHECKPOINT`) // as after a crash
	want("PostgreSQL took a checkpoint", true, nil, nil, nil)
	b.Exec(t, `UPDATE realtime.installation SET floor = floor + 1`)
	want("the log was shortened", true, nil, nil, nil)
	mark = db.Version{}
	want("a mark of nothing", true, nil, nil, nil)
	want("nothing at the end", false, nil, nil, nil)
}

// TestFaultsAreCountedInTheQuery has PostgreSQL say what it makes of the count of faults: a call of
// a function that begins a query of its own costs a third of what a look for changes does.
func TestFaultsAreCountedInTheQuery(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	var plan []string
	must(t, p.Pool.Select(&plan, `EXPLAIN (VERBOSE) SELECT realtime.fault_count()`))
	if text := strings.Join(plan, "\n"); strings.Contains(text, "fault_count") {
		t.Errorf("the count is a call:\n%s", text)
	}
	for range 3 {
		var before, after int64
		must(t, p.Pool.Get(&before, `SELECT realtime.fault_count()`))
		p.Exec(t, `SELECT nextval('realtime.faults')`)
		must(t, p.Pool.Get(&after, `SELECT realtime.fault_count()`))
		if after != before+1 {
			t.Errorf("a fault after %d makes %d", before, after)
		}
	}
}

// TestChangesWhileFaultIsUnsettled has a trigger fail in a transaction that commits later: nobody
// may remember anything until then, because the commit leaves no row in the log.
func TestChangesWhileFaultIsUnsettled(t *testing.T) {
	t.Parallel()
	b := newProjectionFixture(t)
	b.Exec(t, `ALTER TABLE realtime.events ADD CONSTRAINT broken CHECK (type <> 'access') NOT VALID`)
	var mark db.Version
	look(t, b.store, &mark)
	tx := begin(t, b.Portal)
	_, err := tx.Exec(`UPDATE hangar_owners SET user_id = $1 WHERE id = $2`, b.guest, b.owner.ID)
	must(t, err)
	for range 2 {
		if !look(t, b.store, &mark).Everything {
			t.Error("between fault and commit there is no news")
		}
	}
	commit(t, tx)
	if !look(t, b.store, &mark).Everything {
		t.Error("after the commit there is no news")
	}
}
