package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

var quiet = slog.New(slog.DiscardHandler)

// rows fill a portal in any variant: one owner, one hangar, one guest and a paid booking.
const rows = `
WITH u AS (INSERT INTO users (first_name, last_name, email, password_hash) VALUES ('Ana', 'Reis', 'ana@guest.example', '!') RETURNING id),
o AS (INSERT INTO hangar_owners (user_id, company_name) SELECT id, 'Hangares Prado' FROM u RETURNING id),
l AS (INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
	SELECT id, 'H1', 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100 FROM o RETURNING id)
INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
SELECT l.id, u.id, '2026-01-10', '2026-01-12', 2, 200, 20, 220.50, 'confirmed' FROM l, u`

// dump returns what pg_dump writes about a database, rows and all.
func dump(t *testing.T, databaseURL string) string {
	t.Helper()
	program := dbtest.Server(t).Program("pg_dump")
	if _, err := os.Stat(program); err != nil { // a downloaded PostgreSQL comes without it
		if program, err = exec.LookPath("pg_dump"); err != nil {
			t.Fatal("this test needs pg_dump: install PostgreSQL's client programs")
		}
	}
	address, parameters, _ := strings.Cut(databaseURL, "&search_path")
	if parameters != "" {
		databaseURL = address
	}
	var output, complaints bytes.Buffer
	command := exec.CommandContext(t.Context(), program, "--dbname="+databaseURL)
	command.Stdout, command.Stderr, command.Env = &output, &complaints, append(os.Environ(), "LC_ALL=C")
	if err := command.Run(); err != nil {
		if strings.Contains(complaints.String(), "server version mismatch") {
			t.Skip("this machine's pg_dump is older than the PostgreSQL that is tested")
		}
		version, _ := exec.CommandContext(t.Context(), program, "--version").Output()
		t.Fatalf("%v: %s(%s; it must not be older than the server)", err, complaints.String(), bytes.TrimSpace(version))
	}
	lines := slices.DeleteFunc(strings.Split(output.String(), "\n"), func(line string) bool {
		// random in every dump
		return strings.HasPrefix(line, `\restrict `) || strings.HasPrefix(line, `\unrestrict `)
	})
	return strings.Join(lines, "\n")
}

// installed describes everything of ours that is in a database, so that a change of anything shows.
func installed(t *testing.T, databaseURL string) string {
	t.Helper()
	pool := dbtest.Open(t, databaseURL).Pool
	var text string
	err := pool.Get(&text, `
		SELECT concat_ws(E'\n', (SELECT string_agg(p.oid || ' ' || pg_get_functiondef(p.oid), E'\n' ORDER BY p.oid)
				FROM pg_proc p WHERE pronamespace = 'realtime'::regnamespace),
			(SELECT string_agg(oid || ' ' || pg_get_triggerdef(oid), E'\n' ORDER BY oid) FROM pg_trigger WHERE NOT tgisinternal),
			(SELECT string_agg(oid || ' ' || relname, E'\n' ORDER BY oid) FROM pg_class WHERE relnamespace = 'realtime'::regnamespace),
			(SELECT string_agg(g::text, E'\n' ORDER BY id) FROM realtime.goose_db_version g),
			(SELECT string_agg(i::text, E'\n') FROM realtime.installation i))`)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMigrateVariants(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			databaseURL := v.empty(t)
			must(t, execute(databaseURL, rows))
			before := dump(t, databaseURL)

			must(t, db.Migrate(t.Context(), databaseURL, quiet))
			first := installed(t, databaseURL)
			must(t, db.Migrate(t.Context(), databaseURL, quiet))
			if again := installed(t, databaseURL); again != first {
				t.Errorf("a second migration changed something:\n%s\nwas\n%s", again, first)
			}
			must(t, db.Unmigrate(t.Context(), databaseURL, quiet))
			if after := dump(t, databaseURL); after != before {
				t.Errorf("the database is not as it was:\n%s\nwas\n%s", after, before)
			}

			must(t, db.Migrate(t.Context(), databaseURL, quiet))
			p := dbtest.Open(t, databaseURL)
			p.Exec(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
				SELECT hangar_id, user_id, check_in, check_out, nights, subtotal, fees, 99.9, 'pending' FROM bookings`)
			var logged []string
			must(t, p.Pool.Select(&logged, `SELECT concat_ws(' ', owner_id = (SELECT id::text FROM hangar_owners), type, data->>'bookingId' =
				(SELECT id::text FROM bookings WHERE status = 'pending'), data->>'hangarNumber', data->>'guestName', data->>'amount',
				left(data->>'checkIn', 10), left(data->>'checkOut', 10), data->>'status') FROM realtime.events ORDER BY id`))
			if want := []string{"t booking_created t H1 Ana Reis 99.90 2026-01-10 2026-01-12 pending"}; !slices.Equal(logged, want) {
				t.Errorf("logged %q, want %q", logged, want)
			}
			answers(t, p)
		})
	}
}

// answers checks that every question can be asked of a portal that has the rows above.
func answers(t *testing.T, p *dbtest.Portal) {
	t.Helper()
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	var owner, user string
	must(t, p.Pool.QueryRow(`SELECT id::text, user_id::text FROM hangar_owners`).Scan(&owner, &user))
	now := time.Date(2026, 1, 11, 12, 0, 0, 0, time.UTC)
	m, _, err := store.Metrics(t.Context(), owner, now)
	if err != nil || m.ActiveListings != 1 || m.OccupancyRate != "100.0" {
		t.Errorf("metrics %+v (%v)", m, err)
	}
	bookings, err := store.Bookings(t.Context(), owner, "", 10)
	if err != nil || len(bookings) != 2 || bookings[0].GuestName != "Ana Reis" {
		t.Errorf("bookings %+v (%v)", bookings, err)
	}
	listings, err := store.Listings(t.Context(), owner, now)
	if err != nil || len(listings) != 1 || !listings[0].IsNowOccupied {
		t.Errorf("listings %+v (%v)", listings, err)
	}
	if role, err := store.Access(t.Context(), db.Caller{UserID: user}, owner); err != nil || role != db.RoleOwner {
		t.Errorf("the owner has the role %q (%v)", role, err)
	}
	if _, err := store.CanonicalOwnerID(owner); err != nil {
		t.Errorf("the owner's id %q: %v", owner, err)
	}
}

func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	failures := make(chan error, 4)
	for range cap(failures) {
		go func() { failures <- db.Migrate(t.Context(), databaseURL, quiet) }()
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	must(t, execute(databaseURL, rows))
}

func TestUnmigrateNothing(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	before := dump(t, databaseURL)
	must(t, db.Unmigrate(t.Context(), databaseURL, quiet))
	if dump(t, databaseURL) != before {
		t.Error("the database changed")
	}
	must(t, db.Unmigrate(t.Context(), dbtest.Empty(t), quiet))
}

// TestMigrateBesideWriters lets a transaction of the portal use the tables in the opposite order:
// it must neither fail nor make the migration fail, whichever waits for the other.
func TestMigrateBesideWriters(t *testing.T) {
	t.Parallel()
	steps := map[string]struct {
		prepare, do func(context.Context, string, *slog.Logger) error
		hold        string
		waitsFor    string
	}{
		"installing": {
			prepare:  func(context.Context, string, *slog.Logger) error { return nil },
			do:       db.Migrate,
			hold:     `UPDATE hangar_listings SET city = 'Santos'`,
			waitsFor: "hangar_listings",
		},
		"removing": {
			prepare:  db.Migrate,
			do:       db.Unmigrate,
			hold:     `UPDATE hangar_owners SET company_name = 'Prado'`,
			waitsFor: "hangar_owners",
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databaseURL := variants()[0].empty(t)
			must(t, execute(databaseURL, rows))
			must(t, step.prepare(t.Context(), databaseURL, quiet))
			p := dbtest.Open(t, databaseURL)
			tx := begin(t, p)
			tx.MustExec(step.hold)
			done := make(chan error, 1)
			go func() { done <- step.do(t.Context(), databaseURL, quiet) }()
			eventually(t, "the migration waits for "+step.waitsFor, func() (waits bool) {
				must(t, p.Pool.Get(&waits, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::regclass)`, step.waitsFor))
				return waits
			})
			_, err := tx.Exec(`SET LOCAL lock_timeout = '1s'; INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, total_price)
				SELECT hangar_id, user_id, check_in, check_out, nights, subtotal, total_price FROM bookings`)
			if err := errors.Join(err, tx.Commit()); err != nil {
				t.Errorf("a booking failed beside the migration: %v", err)
			}
			if err := <-done; err != nil {
				t.Errorf("the migration failed beside a writer: %v", err)
			}
		})
	}
}

// unfinished lists what an attempt to install left in a database.
func unfinished(t *testing.T, databaseURL string) (left string) {
	t.Helper()
	must(t, dbtest.Open(t, databaseURL).Pool.Get(&left, `
		SELECT concat_ws(', ', (SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = 'realtime'),
			(SELECT string_agg(tgname || ' on ' || tgrelid::regclass, ', ') FROM pg_trigger WHERE tgname LIKE 'realtime%'))`))
	return left
}

// TestMigrateLockedTable locks the last of the tables, when the others have their triggers.
func TestMigrateLockedTable(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	tx := begin(t, dbtest.Open(t, databaseURL))
	tx.MustExec(`LOCK TABLE hangar_owners IN ROW EXCLUSIVE MODE`)
	err := db.Migrate(t.Context(), databaseURL, quiet)
	explains(t, err, "locked by another transaction", "try again")
	if left := unfinished(t, databaseURL); left != "" {
		t.Errorf("left behind: %s", left)
	}
	must(t, tx.Rollback())
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
}

// TestMigrateHangs lets the network swallow everything from the connection that migrates on, and
// gives up: lib/pq by itself would wait for ever.
func TestMigrateHangs(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	p := dbtest.Open(t, databaseURL)
	tx := begin(t, p)
	// it waits here, in the midst of it
	tx.MustExec(`LOCK TABLE hangar_owners IN ROW EXCLUSIVE MODE`)
	network := newBlackholeProxy(t, databaseURL)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	ended := make(chan error, 1)
	go func() { ended <- db.Migrate(ctx, network.url, quiet) }()
	eventually(t, "it waits for the table", func() bool {
		var waiting int
		must(t, p.Pool.Get(&waiting, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'hangar_owners'::regclass`))
		return waiting > 0
	})
	network.swallow()
	giveUp()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended by %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on waiting")
	}
}

// explains checks that an error is one line, says what it should, and gives no password away.
func explains(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	for _, bad := range []string{"\n", "geheim", "SELECT", "goroutine"} {
		if strings.Contains(err.Error(), bad) {
			t.Errorf("%q contains %q", err, bad)
		}
	}
}

// role makes a role for one test and returns the database's address for it.
func role(t *testing.T, databaseURL, name, options string) string {
	t.Helper()
	must(t, execute(databaseURL, fmt.Sprintf(`CREATE ROLE %s LOGIN %s`, name, options)))
	t.Cleanup(func() {
		if err := execute(databaseURL, fmt.Sprintf(`DROP OWNED BY %s CASCADE; DROP ROLE %[1]s`, name)); err != nil {
			t.Error(err)
		}
	})
	_, rest, _ := strings.Cut(databaseURL, "@")
	return "postgres://" + name + ":geheim@" + rest
}

func TestMigrateMissingTable(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"bookings", "hangar_listings", "hangar_owners", "users"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			databaseURL := variants()[0].empty(t)
			must(t, execute(databaseURL, `DROP TABLE `+table+` CASCADE`))
			explains(t, db.Migrate(t.Context(), databaseURL, quiet), `"`+table+`" does not exist`, "DATABASE_URL", "search_path")
			if left := unfinished(t, databaseURL); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

func TestMigrateWithoutRights(t *testing.T) {
	t.Parallel()
	t.Run("to create a schema", func(t *testing.T) {
		t.Parallel()
		databaseURL := variants()[0].empty(t)
		weak := role(t, databaseURL, "no_schema", "PASSWORD 'geheim'")
		explains(t, db.Migrate(t.Context(), weak, quiet), "permission denied", "`hangarshare migrate`", "role that may")
	})
	t.Run("to create triggers", func(t *testing.T) {
		t.Parallel()
		databaseURL := variants()[0].empty(t)
		weak := role(t, databaseURL, "no_triggers", "PASSWORD 'geheim'")
		must(t, execute(databaseURL, `DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO no_triggers', current_database()); END $$`))
		explains(t, db.Migrate(t.Context(), weak, quiet), "permission denied", "bookings", "`hangarshare migrate`", "role that may")
		if left := unfinished(t, databaseURL); left != "" { // it would belong to the wrong role
			t.Errorf("left behind: %s", left)
		}
	})
	t.Run("but those of the tables' owner", func(t *testing.T) {
		t.Parallel()
		databaseURL := dbtest.Empty(t)
		owner := role(t, databaseURL, "portal_owner", "PASSWORD 'geheim'")
		must(t, execute(databaseURL, `GRANT CREATE ON SCHEMA public TO portal_owner;
			DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO portal_owner', current_database()); END $$`))
		must(t, execute(owner, demo.Schema))
		must(t, db.Migrate(t.Context(), owner, quiet))
		must(t, execute(owner, rows))
		must(t, db.Unmigrate(t.Context(), owner, quiet))
	})
}
