package demo_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

func TestCreateSchema(t *testing.T) {
	t.Parallel()
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		must(t, demo.CreateSchema(t.Context(), db))
		must(t, demo.CreateSchema(t.Context(), db))
		must(t, demo.Seed(t.Context(), db, demo.SeedOptions{}))
		must(t, demo.CreateSchema(t.Context(), db))
		if n := get[int](t, db, `SELECT count(*) FROM bookings`); n == 0 {
			t.Error("creating the schema again lost the bookings")
		}
	})
	t.Run("the newer variant twice", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		must(t, demo.CreateViewSchema(t.Context(), db))
		must(t, demo.CreateViewSchema(t.Context(), db))
	})
	t.Run("from two sides at once", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() {
				errs <- errors.Join(demo.CreateSchema(t.Context(), db), demo.Seed(t.Context(), db, demo.SeedOptions{}))
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := get[int](t, db, `SELECT count(*) FROM hangar_owners`); n != len(demo.Companies()) {
			t.Errorf("%d owners, want %d", n, len(demo.Companies()))
		}
	})
	for name, portal := range map[string]string{
		"with a portal's rows":   `CREATE TABLE bookings (id int); INSERT INTO bookings VALUES (1)`,
		"with a portal's table":  `CREATE TABLE users (id uuid)`,
		"with a portal's view":   `CREATE VIEW bookings AS SELECT 1 AS id`,
		"with half of the demo":  demo.Schema + `DROP TABLE bookings`,
		"with one table swapped": demo.Schema + `DROP TABLE bookings; CREATE TABLE bookings (id int)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			_, err := db.ExecContext(t.Context(), portal)
			must(t, err)
			tables := func() int {
				return get[int](t, db, `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`)
			}
			before := tables()
			for _, create := range []func(context.Context, *sqlx.DB) error{demo.CreateSchema, demo.CreateViewSchema} {
				if err := create(t.Context(), db); err == nil {
					t.Error("the demo settled in a database that is not its own")
				} else if name != "with half of the demo" && !errors.Is(err, demo.ErrForeignTables) {
					t.Errorf("error %v, want ErrForeignTables", err)
				}
			}
			if after := tables(); after != before {
				t.Errorf("a refusal left %d relations, there were %d", after, before)
			}
		})
	}
}

func TestVariants(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		create              func(context.Context, *sqlx.DB) error
		dropSpaces, payment bool
		kind                string
	}{
		"table":                      {demo.CreateSchema, false, true, "r"},
		"table without total_spaces": {demo.CreateSchema, true, true, "r"},
		"view":                       {demo.CreateViewSchema, false, false, "v"},
		"view without total_spaces":  {demo.CreateViewSchema, true, false, "v"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			must(t, test.create(t.Context(), db))
			if test.dropSpaces {
				must(t, demo.DropTotalSpaces(t.Context(), db))
			}
			for column, want := range map[string]bool{"bookings.payment_date": test.payment, "hangar_listings.total_spaces": !test.dropSpaces} {
				there := get[bool](t, db, `SELECT EXISTS (SELECT FROM information_schema.columns
					WHERE table_schema = 'public' AND table_name || '.' || column_name = $1)`, column)
				if there != want {
					t.Errorf("column %s exists: %t, want %t", column, there, want)
				}
			}
			if kind := get[string](t, db, `SELECT relkind FROM pg_class WHERE oid = 'public.bookings'::regclass`); kind != test.kind {
				t.Errorf("bookings is of kind %s, want %s", kind, test.kind)
			}
			now := time.Date(2026, 8, 21, 11, 0, 0, 0, saoPaulo(t))
			opts := demo.SeedOptions{Now: now, Location: now.Location()}
			must(t, demo.Seed(t.Context(), db, opts))
			opts.Now = now.AddDate(0, 0, 3)
			must(t, demo.Refresh(t.Context(), db, opts))
			spaces := "l.total_spaces"
			if test.dropSpaces {
				spaces = "1"
			}
			double := get[int](t, db, `
				SELECT count(*) FROM bookings p JOIN hangar_listings l ON l.id = p.hangar_id
				WHERE p.status <> 'cancelled' AND `+spaces+` < (
					SELECT count(*) FROM bookings b WHERE b.hangar_id = p.hangar_id AND b.status <> 'cancelled'
						AND b.check_in <= p.check_in AND b.check_out > p.check_in)`)
			if double > 0 {
				t.Errorf("%d bookings found their hangar full", double)
			}
		})
	}
}

func TestSeedPayouts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 8, 19, 11, 0, 0, 0, saoPaulo(t))
	db := seeded(t, demo.SeedOptions{Now: now, Location: now.Location()})
	_, err := db.ExecContext(t.Context(), `CREATE SCHEMA realtime; CREATE TABLE realtime.payouts (
		booking_id text PRIMARY KEY, owner_id text NOT NULL, scheduled_on date, paid_out_at timestamptz)`)
	must(t, err)
	must(t, demo.SeedPayouts(t.Context(), db, now))
	recorded := get[int](t, db, `SELECT count(*) FROM realtime.payouts`)
	must(t, demo.SeedPayouts(t.Context(), db, now))
	if again := get[int](t, db, `SELECT count(*) FROM realtime.payouts`); again != recorded || recorded == 0 {
		t.Errorf("%d payouts, and %d the second time", recorded, again)
	}
	wrong := get[int](t, db, `SELECT count(*) FROM realtime.payouts p
		JOIN bookings b ON b.id::text = p.booking_id JOIN hangar_listings l ON l.id = b.hangar_id
		WHERE p.owner_id <> l.owner_id::text OR b.status <> 'completed' OR b.payment_date IS NULL OR p.paid_out_at > $1
			OR extract(isodow FROM p.scheduled_on) <> 5 OR p.scheduled_on::timestamp < b.check_out`, now)
	if wrong > 0 {
		t.Errorf("%d payouts are wrong", wrong)
	}
	pending := get[int](t, db, `SELECT count(DISTINCT l.owner_id) FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id
		WHERE b.status = 'completed' AND b.payment_date IS NOT NULL
			AND NOT EXISTS (SELECT FROM realtime.payouts p WHERE p.booking_id = b.id::text)`)
	if pending != len(demo.Companies()) {
		t.Errorf("%d owners wait for a payout, want all", pending)
	}
	must(t, demo.SeedPayouts(t.Context(), db, now.AddDate(0, 0, 5)))
	if later := get[int](t, db, `SELECT count(*) FROM realtime.payouts`); later <= recorded {
		t.Error("five days later no more payouts were due")
	}
}
