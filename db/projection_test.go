package db_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// projectionFixture is a projection in a database with one owner and one booking, completed and
// paid today: 220.50, of which 180 are pending.
type projectionFixture struct {
	*dbtest.Portal
	store      *db.Store
	projection *db.Projection
	owner      dbtest.Owner
	guest      string
	now        time.Time
}

func newProjectionFixture(t *testing.T) projectionFixture {
	t.Helper()
	return newProjectionFixtureOn(t, dbtest.New(t))
}

func newProjectionFixtureOn(t *testing.T, p *dbtest.Portal) projectionFixture {
	t.Helper()
	store, err := db.NewStore(t.Context(), p.Pool, dbtest.Noon())
	must(t, err)
	b := projectionFixture{Portal: p, store: store, projection: db.NewProjection(store), owner: p.AddOwner(t, 2), guest: p.AddGuest(t, "Caio", "Brandão"), now: time.Now()}
	b.pay(t)
	b.build(t)
	return b
}

// paidBooking is a statement that adds a booking which is completed and paid.
func (b projectionFixture) paidBooking() string {
	return `WITH b AS (INSERT INTO bookings (` + dbtest.BookingColumns + `, payment_date) SELECT v.*, now() AT TIME ZONE 'UTC'
		FROM (VALUES ` + dbtest.BookingValues(b.owner.Hangars[0], b.guest) + `) v RETURNING id) SELECT id FROM b`
}

func (b projectionFixture) pay(t *testing.T) {
	t.Helper()
	b.Exec(t, `UPDATE bookings SET status = 'completed' WHERE id = `+b.ID(t, b.paidBooking()))
}

func (b projectionFixture) build(t *testing.T) {
	t.Helper()
	built, err := b.projection.Build(t.Context(), b.now)
	must(t, err)
	if !built {
		t.Fatal("the projection was not built")
	}
}

// compare returns whether the projection is believed, and whether it differs.
func (b projectionFixture) compare(t *testing.T) (trusted, differs bool) {
	t.Helper()
	trusted, found, err := b.projection.Compare(t.Context(), b.owner.ID, b.now)
	must(t, err)
	return trusted, found != nil
}

// shows sees that the store says what the owner earned and what is pending.
func (b projectionFixture) shows(t *testing.T, revenue, pending db.Decimal) {
	t.Helper()
	m, _, err := b.store.Metrics(t.Context(), b.owner.ID, b.now)
	must(t, err)
	if m.RevenueToday != revenue || m.PendingPayouts != pending {
		t.Errorf("the store says %s and %s, want %s and %s", m.RevenueToday, m.PendingPayouts, revenue, pending)
	}
}

func (b projectionFixture) apply(t *testing.T) db.Lag {
	t.Helper()
	upkeep, err := b.projection.Apply(t.Context())
	must(t, err)
	return upkeep
}

func TestProjectionIsOneSnapshot(t *testing.T) {
	t.Parallel()
	b := newProjectionFixture(t)
	b.shows(t, "220.50", "180.00")
	if trusted, differs := b.compare(t); !trusted || differs {
		t.Fatalf("a new projection: trusted %t, differs %t", trusted, differs)
	}
	open := begin(t, b.Portal) // under way while the projection goes on, and committed later
	_, err := open.Exec(b.paidBooking())
	must(t, err)
	b.pay(t)
	b.shows(t, "441.00", "360.00")
	if upkeep := b.apply(t); !upkeep.Valid || upkeep.Fresh == 0 {
		t.Errorf("upkeep %+v", upkeep)
	}
	b.build(t)
	b.shows(t, "441.00", "360.00")
	commit(t, open)
	b.shows(t, "661.50", "360.00")
	if trusted, differs := b.compare(t); !trusted || differs {
		t.Errorf("with a late commit: trusted %t, differs %t", trusted, differs)
	}
	if upkeep := b.apply(t); upkeep.Fresh == 0 {
		t.Error("the late commit is not applied")
	}
	if upkeep := b.apply(t); upkeep.Fresh != 0 {
		t.Errorf("%d rows are applied twice", upkeep.Fresh)
	}
	b.Exec(t, `INSERT INTO realtime.payouts (booking_id, owner_id, paid_out_at) SELECT id::text, $1, now() FROM bookings`, b.owner.ID)
	b.shows(t, "661.50", "0.00")
	b.apply(t)
	b.Exec(t, `DELETE FROM realtime.payouts`)
	b.Exec(t, `DELETE FROM bookings WHERE status = 'completed'`)
	b.shows(t, "220.50", "0.00")
	if trusted, differs := b.compare(t); !trusted || differs {
		t.Errorf("at the end: trusted %t, differs %t", trusted, differs)
	}
}

// TestProjectionIsNotBelieved does whatever the projection cannot know of, or makes it wrong, and
// sees that what the store says stays right, or is right again once the projection was compared.
func TestProjectionIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, b projectionFixture){
		"a truncated table": func(t *testing.T, b projectionFixture) {
			b.Exec(t, `TRUNCATE bookings CASCADE`)
			b.pay(t)
		},
		"rows written past the triggers, and said so": func(t *testing.T, b projectionFixture) {
			b.Exec(t, `ALTER TABLE bookings DISABLE TRIGGER ALL; UPDATE bookings SET total_price = 220.5; ALTER TABLE bookings ENABLE TRIGGER ALL;
				INSERT INTO realtime.events (type) VALUES ('truncated')`)
		},
		"a table written anew": func(t *testing.T, b projectionFixture) { b.Exec(t, `VACUUM FULL bookings`) },
		"a fault of a trigger": func(t *testing.T, b projectionFixture) { b.Exec(t, `SELECT nextval('realtime.faults')`) },
		"a trigger that was missing": func(t *testing.T, b projectionFixture) {
			b.Exec(t, `DROP TRIGGER realtime_updated ON bookings`)
			b.Exec(t, `CALL realtime.attach()`)
		},
		"another history": func(t *testing.T, b projectionFixture) { must(t, b.projection.Invalidate(t.Context(), "")) },
		"a log that is gone before it was read": func(t *testing.T, b projectionFixture) {
			b.Exec(t, `UPDATE bookings SET total_price = 220.51; UPDATE bookings SET total_price = 220.50`)
			b.Exec(t, `WITH s AS (SELECT pg_current_snapshot() AS s) INSERT INTO realtime.batches (number, before, after, bound, at)
				SELECT 1, s, s, pg_snapshot_xmax(s), now() - interval '2 days' FROM s
				UNION ALL SELECT 2, s, s, pg_snapshot_xmax(s), now() FROM s`)
			log := eventlog.NewLog(b.Pool, db.ProjectionConsumer())
			for more := true; more; {
				var err error
				more, err = log.Trim(t.Context(), time.Hour)
				must(t, err)
			}
		},
		"a row of an older version": func(t *testing.T, b projectionFixture) {
			b.Exec(t, `INSERT INTO realtime.events (owner_id, type, data) VALUES ($1, 'changed', '{"hangarId":"1"}')`, b.owner.ID)
		},
		"a wrong number": func(t *testing.T, b projectionFixture) {
			b.Exec(t, `UPDATE realtime.ledger SET price = price + 1000`)
			if trusted, differs := b.compare(t); !trusted || !differs {
				t.Errorf("a wrong projection: trusted %t, differs %t", trusted, differs)
			}
			must(t, b.projection.Invalidate(t.Context(), ""))
		},
		"a wrong sum": func(t *testing.T, b projectionFixture) {
			b.Exec(t, `UPDATE realtime.ledger_totals SET pending = pending + 0.01`)
			if trusted, differs := b.compare(t); !trusted || !differs {
				t.Errorf("a wrong projection: trusted %t, differs %t", trusted, differs)
			}
			must(t, b.projection.Invalidate(t.Context(), ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newProjectionFixture(t)
			var mark db.Version
			look(t, b.store, &mark)
			spoil(t, b)
			if n := look(t, b.store, &mark); !n.Everything && !slices.Contains(n.Owners, b.owner.ID) {
				t.Errorf("what was known before is still believed: %+v", n)
			}
			b.shows(t, "220.50", "180.00")
			if trusted, _ := b.compare(t); trusted {
				t.Error("the projection is believed")
			}
			if upkeep := b.apply(t); upkeep.Valid {
				t.Errorf("upkeep %+v", upkeep)
			}
			b.Exec(t, `UPDATE realtime.installation SET faults_until = NULL,
				faults_seen = (SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM realtime.faults)`)
			b.build(t)
			b.shows(t, "220.50", "180.00")
			if trusted, differs := b.compare(t); !trusted || differs {
				t.Errorf("a projection that was built anew: trusted %t, differs %t", trusted, differs)
			}
		})
	}
}

func TestProjectionIsNotBuiltBesideAFault(t *testing.T) {
	t.Parallel()
	b := newProjectionFixture(t)
	b.Exec(t, `SELECT nextval('realtime.faults')`)
	if built, err := b.projection.Build(t.Context(), b.now); err != nil || built {
		t.Errorf("built %t, %v, although the transaction with the fault may not have ended", built, err)
	}
}

func TestOneServerWritesTheProjection(t *testing.T) {
	t.Parallel()
	b := newProjectionFixture(t)
	other := begin(t, b.Portal)
	_, err := other.Exec(`LOCK TABLE realtime.ledger_generation IN SHARE UPDATE EXCLUSIVE MODE`)
	must(t, err)
	if upkeep := b.apply(t); !upkeep.Busy {
		t.Errorf("upkeep %+v while another server is at it", upkeep)
	}
	if built, err := b.projection.Build(t.Context(), b.now); err != nil || built {
		t.Errorf("built %t, %v, while another server is at it", built, err)
	}
	b.pay(t) // writers and readers never wait for it
	b.shows(t, "441.00", "360.00")
	must(t, other.Rollback())
	if upkeep := b.apply(t); upkeep.Busy || !upkeep.Valid {
		t.Errorf("upkeep %+v afterwards", upkeep)
	}
}

// TestProjectionForgets sees that it holds no more than what counts.
func TestProjectionForgets(t *testing.T) {
	t.Parallel()
	b := newProjectionFixture(t)
	b.Exec(t, `INSERT INTO realtime.payouts (booking_id, owner_id, paid_out_at) SELECT id::text, $1, now() FROM bookings`, b.owner.ID)
	b.apply(t)
	later := b.now.Add(90 * 24 * time.Hour)
	must(t, b.projection.Prune(t.Context(), later))
	if n := b.ID(t, `SELECT count(*)::text FROM realtime.ledger`); n != "0" {
		t.Errorf("%s rows are kept three months later", n)
	}
	b.shows(t, "220.50", "0.00") // of an earlier time, by the tables
	b.now = later
	b.shows(t, "0.00", "0.00")
}

// TestProjectionIsBuiltBesideRetention lets retention remove, while the first projection is being
// made, rows of the log that came meanwhile.
func TestProjectionIsBuiltBesideRetention(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	projection, log := db.NewProjection(store), eventlog.NewLog(p.Pool, db.ProjectionConsumer())
	owner, guest := p.AddOwner(t, 1), p.AddGuest(t, "Caio", "Brandão")
	slow := begin(t, p) // stands for the time that millions of bookings take
	slow.MustExec(`LOCK TABLE realtime.ledger_totals IN EXCLUSIVE MODE`)
	done := make(chan error, 1)
	go func() {
		_, err := projection.Build(t.Context(), time.Now())
		done <- err
	}()
	eventually(t, "it is being made", func() bool {
		return p.ID(t, `SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 'realtime.ledger_totals'::regclass`) != "0"
	})
	p.Book(t, owner.Hangars[0], guest)
	p.Exec(t, `WITH s AS (SELECT pg_current_snapshot() AS s) INSERT INTO realtime.batches (number, before, after, bound, at)
		SELECT 1, s, s, pg_snapshot_xmax(s), now() - interval '2 days' FROM s UNION ALL SELECT 2, s, s, pg_snapshot_xmax(s), now() FROM s`)
	for more := true; more; {
		more, err = log.Trim(t.Context(), time.Hour)
		must(t, err)
	}
	must(t, slow.Rollback())
	must(t, <-done)
	trusted, found, err := projection.Compare(t.Context(), owner.ID, time.Now())
	must(t, err)
	if trusted && found != nil {
		t.Errorf("the projection is believed and says %+v, the tables %+v", found.Projection, found.Tables)
	}
}
