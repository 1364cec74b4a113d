package db_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

// newWriterFixture returns a portal whose tables, and everything of ours, belong to the ordinary
// role `migrator`: unlike a superuser it can lack a right. What the fixture itself asks may do
// everything.
func newWriterFixture(t *testing.T) *triggerFixture {
	t.Helper()
	databaseURL := dbtest.Clone(t, "owned by an ordinary role", func(databaseURL string) error {
		err := execute(databaseURL, `CREATE ROLE migrator LOGIN; GRANT CREATE ON SCHEMA public TO migrator;
			DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO migrator', current_database()); END $$`)
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(databaseURL, "@")
		asMigrator := "postgres://migrator@" + rest
		if err := execute(asMigrator, demo.Schema+cascade); err != nil {
			return err
		}
		return db.Migrate(context.Background(), asMigrator, quiet)
	})
	return newTriggerFixture(t, dbtest.Open(t, databaseURL))
}

// faults returns how many faults our triggers have counted.
func faults(t *testing.T, q sqlx.Queryer) (count int) {
	t.Helper()
	must(t, sqlx.Get(q, &count, `SELECT CASE WHEN is_called THEN last_value + 1 ELSE 0 END FROM realtime.faults`))
	return count
}

// dayOfWork is everything that a portal does, each a transaction of its own; the last
// ones are what they leave.
var dayOfWork = []string{
	`INSERT INTO bookings ({columns}) VALUES {stay in H1}, {stay in X1}`,
	update(`status = 'confirmed', payment_date = now()`),
	update(`hangar_id = {X1}`),
	update(`id = id + 3000000`),
	`UPDATE hangar_listings SET owner_id = {B} WHERE id = {H2}`,
	`UPDATE hangar_owners SET user_id = {user B} WHERE id = {A}`,
	`DELETE FROM bookings WHERE id = {b2}`,
	`DELETE FROM hangar_listings WHERE id = {H1}`,
	`INSERT INTO bookings ({columns}) VALUES {stay in X1}`,
}

// TestWriterIsSafe breaks what our triggers need in every way, and lets the portal do its work.
func TestWriterIsSafe(t *testing.T) {
	t.Parallel()
	raising := func(function string) string {
		return `CREATE OR REPLACE FUNCTION realtime.` + function + ` RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;`
	}
	const (
		ring  = "ring()"
		fault = "fault(place text, code text, message text)"
	)
	tests := []struct {
		name, damage string
		uncounted    bool // not even the counter is left
		harmless     bool // everything is logged all the same
		without      []string
	}{
		{name: "nothing", harmless: true},
		{name: "no right to write the log", damage: `REVOKE INSERT ON realtime.events FROM migrator`},
		{name: "no right to the log's tables", damage: `REVOKE ALL ON ALL TABLES IN SCHEMA realtime FROM migrator`},
		{name: "no right to the counter", damage: `REVOKE ALL ON ALL TABLES IN SCHEMA realtime FROM migrator; REVOKE ALL ON realtime.faults FROM migrator`, uncounted: true},
		{name: "no right to our schema", damage: `ALTER SCHEMA realtime OWNER TO hangarshare`, uncounted: true},
		{name: "no right to ring", damage: `ALTER FUNCTION realtime.ring() OWNER TO hangarshare; REVOKE ALL ON FUNCTION realtime.ring() FROM PUBLIC`},
		{name: "no right to read the guests", damage: `ALTER TABLE users OWNER TO hangarshare`},
		{name: "no right to notify", damage: `REVOKE ALL ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC`},
		{name: "log renamed", damage: `ALTER TABLE realtime.events RENAME TO others`},
		{name: "log dropped", damage: `DROP TABLE realtime.events`},
		{name: "log without its columns", damage: `ALTER TABLE realtime.events DROP COLUMN data, DROP COLUMN type`},
		{name: "log refuses", damage: `ALTER TABLE realtime.events ADD CHECK (id < 0) NOT VALID`},
		{name: "log refuses by its own trigger", damage: `CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION SQLSTATE '53100' USING MESSAGE = 'could not extend file: No space left on device'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON realtime.events FOR EACH ROW EXECUTE FUNCTION public.refuse()`},
		{name: "log's numbers are exhausted", damage: `SELECT setval(pg_get_serial_sequence('realtime.events', 'id'), 9223372036854775807)`},
		{name: "no table of departed hangars", damage: `DROP TABLE realtime.departed_hangars`},
		{name: "our schema renamed", damage: `ALTER SCHEMA realtime RENAME TO other`, uncounted: true},
		{name: "ring raises", damage: raising(ring)},
		{name: "ring dropped", damage: `DROP FUNCTION realtime.` + ring},
		{name: "ring raises, fault raises", damage: raising(ring) + raising(fault), uncounted: true},
		{name: "log dropped, fault raises", damage: `DROP TABLE realtime.events;` + raising(fault), uncounted: true},
		{name: "log dropped, fault dropped", damage: `DROP TABLE realtime.events; DROP FUNCTION realtime.` + fault, uncounted: true},
		{name: "log dropped, counter dropped", damage: `DROP TABLE realtime.events; DROP SEQUENCE realtime.faults`, uncounted: true},
		{name: "log dropped, counter exhausted", damage: `DROP TABLE realtime.events; ALTER SEQUENCE realtime.faults MAXVALUE 1; SELECT setval('realtime.faults', 1)`, uncounted: true},
		{name: "the portal drops a column of bookings", damage: `ALTER TABLE bookings DROP COLUMN nights`, without: []string{"nights, ", "2, 200"}},
		{name: "the portal drops a column of listings", damage: `ALTER TABLE hangar_listings DROP COLUMN hangar_number`},
		{name: "the portal drops a column of users", damage: `ALTER TABLE users DROP COLUMN first_name`},
		{name: "the portal renames the users", damage: `ALTER TABLE users RENAME TO people`},
		{name: "the portal changes a type", damage: `ALTER TABLE bookings ALTER total_price TYPE text USING 'R$ 220,50'`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newWriterFixture(t)
			s.Exec(t, test.damage)
			for i, statement := range dayOfWork {
				if test.without != nil { // what the portal writes once it has dropped the column
					statement = strings.NewReplacer("{columns}", strings.Replace(dbtest.BookingColumns, test.without[0], "", 1),
						"{stay in H1}", strings.Replace(s.names.Replace("{stay in H1}"), test.without[1], "200", 1),
						"{stay in X1}", strings.Replace(s.names.Replace("{stay in X1}"), test.without[1], "200", 1)).Replace(statement)
				}
				if _, err := s.Pool.Exec(s.names.Replace(statement)); err != nil {
					t.Errorf("step %d failed: %v", i, err)
				}
			}
			var left string
			must(t, s.Pool.Get(&left, s.names.Replace(`SELECT concat_ws(' ', (SELECT count(*) FROM bookings WHERE hangar_id = {X1}),
				(SELECT count(*) FROM bookings WHERE id IN ({b1}, {b2})), (SELECT count(*) FROM hangar_listings WHERE id = {H1}))`)))
			if left != "3 0 0" {
				t.Errorf("bookings of X1, moved or deleted bookings, deleted listings: %s, want 3 0 0", left)
			}
			if test.uncounted {
				return
			}
			if counted := faults(t, s.Pool); (counted == 0) != test.harmless {
				t.Errorf("%d faults were counted", counted)
			}
		})
	}
}

// TestWriterWithoutRights runs the portal's work as a role that may do nothing with our
// schema: it is logged all the same.
func TestWriterWithoutRights(t *testing.T) {
	t.Parallel()
	s := newWriterFixture(t)
	clerk := role(t, s.URL, "clerk", "")
	s.Exec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON bookings, hangar_listings, hangar_owners TO clerk`)
	pool := dbtest.Open(t, clerk).Pool
	var usage bool
	must(t, pool.Get(&usage, `SELECT has_schema_privilege('realtime', 'USAGE')`))
	if usage {
		t.Fatal("the role has a right to our schema")
	}
	for _, statement := range dayOfWork {
		_, err := pool.Exec(s.names.Replace(statement))
		must(t, err)
	}
	if n := len(s.logged(t)); n < len(dayOfWork) || faults(t, s.Pool) != 0 {
		t.Errorf("%d rows were logged, %d faults counted", n, faults(t, s.Pool))
	}
}

// TestWriterSessions runs the portal's work in sessions whose settings are unusual or
// hostile: what is logged is the same.
func TestWriterSessions(t *testing.T) {
	t.Parallel()
	const hostile = `CREATE SCHEMA evil;
		CREATE FUNCTION evil.raise() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile'; END $$;
		CREATE FUNCTION evil.same(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT evil.raise()';
		CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.same);
		CREATE FUNCTION evil.btrim(text) RETURNS text LANGUAGE sql AS 'SELECT evil.raise()::text';
		CREATE FUNCTION evil.round(numeric, integer) RETURNS numeric LANGUAGE sql AS 'SELECT evil.raise()::int::numeric';
		CREATE TABLE evil.new_rows (); CREATE TABLE evil.old_rows (); CREATE TABLE evil.hangar_listings (); CREATE TABLE evil.users ();`
	for name, settings := range map[string]string{
		"hostile search path":      `SET search_path = evil, pg_catalog, public`,
		"hostile temporary tables": `CREATE TEMP TABLE new_rows (); CREATE TEMP TABLE old_rows (); CREATE TEMP TABLE events (); CREATE TEMP TABLE users ()`,
		"no search path":           `SET search_path = ''`,
		"another locale":           `SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'; SET intervalstyle = 'sql_standard'; SET bytea_output = 'escape'`,
		"other habits": `SET standard_conforming_strings = off; SET transform_null_equals = on; SET extra_float_digits = -15;
			SET plpgsql.extra_errors = 'all'; SET plpgsql.variable_conflict = 'use_column'; SET quote_all_identifiers = on; SET row_security = off`,
		"repeatable read":    `SET default_transaction_isolation = 'repeatable read'`,
		"serializable":       `SET default_transaction_isolation = 'serializable'; SET default_transaction_deferrable = on`,
		"read only by habit": `SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWriterFixture(t)
			s.Exec(t, hostile)
			conn, err := s.Pool.Connx(t.Context())
			must(t, err)
			defer conn.Close()
			_, err = conn.ExecContext(t.Context(), settings)
			must(t, err)
			statements := []string{`INSERT INTO public.bookings ({columns}) VALUES {stay in H1}`,
				`UPDATE public.bookings SET status = 'confirmed', payment_date = '2026-01-01' WHERE id OPERATOR(pg_catalog.=) {b1}`,
				`DELETE FROM public.bookings WHERE id OPERATOR(pg_catalog.=) {b2}`}
			for _, statement := range statements {
				// Read-only comes after the write, and must not keep the transaction from ringing.
				_, err := conn.ExecContext(t.Context(), s.names.Replace(`BEGIN; SET TRANSACTION READ WRITE; `+statement+`; SET TRANSACTION READ ONLY; COMMIT`))
				must(t, err)
			}
			want := []string{"A booking_created new1 H1 pending", "A booking_updated b1 H1 pending>confirmed", "A revenue_received b1 H1 220.50", "A booking_updated b2 H1 pending>deleted"}
			if got := s.logged(t); !slices.Equal(got, want) || faults(t, s.Pool) != 0 {
				t.Errorf("logged %q with %d faults, want %q", got, faults(t, s.Pool), want)
			}
			data := lastData(t, s.Pool, "booking_created")
			if !strings.Contains(data, `"guestName" : "Ana Reis", "amount" : 220.50,`) || !strings.Contains(data, `"checkIn" : "20`) {
				t.Errorf("logged %s", data)
			}
		})
	}
}

// TestWritersSerializable lets two serializable transactions book side by side: our
// triggers give them no reason to fail.
func TestWritersSerializable(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{variants()[0], variants()[2]} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			s := newTriggerFixture(t, v.migrated(t))
			var all [3]*sqlx.Tx
			for i := range all {
				all[i] = begin(t, s.Portal)
				all[i].MustExec(`SET TRANSACTION ISOLATION LEVEL SERIALIZABLE`)
				book(t, all[i], s.a.Hangars[i%2], s.names.Replace("{guest}"))
			}
			all[0].MustExec(s.names.Replace(update(`status = 'confirmed'`)))
			all[1].MustExec(s.names.Replace(`UPDATE bookings SET status = 'completed' WHERE id = {b2}`))
			all[2].MustExec(s.names.Replace(`INSERT INTO bookings ({columns}) VALUES {stay in X1}`))
			for _, tx := range all {
				commit(t, tx)
			}
			if faults(t, s.Pool) != 0 {
				t.Errorf("%d faults were counted", faults(t, s.Pool))
			}
		})
	}
}

// TestServerIsNotSerializable is a portal whose sessions are all serializable or read-only by
// default: ours are neither, and so are no party to conflicts between writers.
func TestServerIsNotSerializable(t *testing.T) {
	t.Parallel()
	r := dbtest.New(t)
	r.Exec(t, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database());
		EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`)
	p := dbtest.Open(t, r.URL)
	if got := p.ID(t, `SELECT current_setting('transaction_isolation') || ', ' || current_setting('transaction_read_only')`); got != "read committed, off" {
		t.Errorf("our transactions are %s", got)
	}
	must(t, db.Migrate(t.Context(), r.URL, quiet))
}

// TestWritersNeverWait holds every lock that a server of ours, or PostgreSQL's own housekeeping,
// ever takes on our tables.
func TestWritersNeverWait(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{variants()[0], variants()[2]} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := v.migrated(t)
			table := "bookings"
			if v.name != variants()[0].name {
				table = "hangar_bookings"
			}
			p.Exec(t, strings.NewReplacer("bookings DROP", table+" DROP", "bookings_hangar", table+"_hangar").Replace(cascade))
			s := newTriggerFixture(t, p)
			s.Exec(t, `INSERT INTO realtime.occupancy SELECT id::text, true, 'Ana' FROM hangar_listings`)
			server := begin(t, s.Portal)
			for _, statement := range []string{
				// what migrating and numbering hold
				`SELECT pg_advisory_xact_lock(1213333505), pg_advisory_xact_lock(1213333506)`,
				`LOCK TABLE realtime.events, realtime.batches, realtime.installation, realtime.last_events, realtime.occupancy,
					realtime.departed_hangars, realtime.payments, realtime.payouts IN SHARE UPDATE EXCLUSIVE MODE`,
				`SELECT * FROM realtime.events FOR UPDATE`,
				// a new history, retention, settling
				`UPDATE realtime.installation SET epoch = gen_random_uuid(), identity = 'copy', floor = 1, baselined_at = now()`,
				`INSERT INTO realtime.batches (number, before, after, bound) SELECT 1, s, s, pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s`,
				`INSERT INTO realtime.last_events SELECT owner_id, 1, max(id), max(id) FROM realtime.events GROUP BY owner_id`,
				`UPDATE realtime.occupancy SET occupied = false, occupant = NULL`,
				`DELETE FROM realtime.occupancy`,
				`INSERT INTO realtime.events (owner_id, type) SELECT id::text, 'occupancy_changed' FROM hangar_owners`,
				`DELETE FROM realtime.events`,
				`DELETE FROM realtime.last_events`,
				`DELETE FROM realtime.batches`,
				// attaching anew
				`CREATE OR REPLACE FUNCTION realtime.ring() RETURNS void LANGUAGE sql AS $$ SELECT pg_catalog.pg_notify('realtime', '') $$`,
			} {
				server.MustExec(statement)
			}
			for i, statement := range dayOfWork {
				if v.name != variants()[0].name {
					statement = strings.ReplaceAll(statement, ", payment_date = now()", "")
				}
				// The limit is for the statement and its triggers. The commit then waits its turn
				// among all who notify in the cluster.
				_, err := s.Pool.Exec(s.names.Replace(`BEGIN; SET LOCAL lock_timeout = '1ms'; ` + statement + `; SET LOCAL lock_timeout = 0; COMMIT`))
				if err != nil {
					t.Errorf("step %d: %v", i, err)
				}
			}
			if n := len(s.logged(t)); n < len(dayOfWork) || faults(t, s.Pool) != 0 {
				t.Errorf("%d rows were logged, %d faults counted", n, faults(t, s.Pool))
			}
			commit(t, server)
		})
	}
}

// TestTransactionIDs counts the transaction ids that our triggers cost a writer: one for each
// statement that changes something, of the sub-transaction in which a fault of ours would end,
// whatever the statement writes; none for one that changes nothing.
func TestTransactionIDs(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	o, guest := p.AddOwner(t, 1), p.AddGuest(t, "Ana", "Reis")
	tx := begin(t, p)
	defer tx.Rollback()
	nothing := []string{`UPDATE bookings SET status = 'paid' WHERE false`, `DELETE FROM bookings WHERE false`, `DELETE FROM users WHERE false`,
		`INSERT INTO bookings SELECT * FROM bookings WHERE false`, `INSERT INTO hangar_listings SELECT * FROM hangar_listings WHERE false`,
		`UPDATE hangar_listings SET city = '' WHERE false`, `UPDATE hangar_owners SET user_id = 1 WHERE false`}
	for _, statement := range nothing {
		_, err := tx.Exec(statement)
		must(t, err)
		var assigned bool
		must(t, tx.Get(&assigned, `SELECT pg_current_xact_id_if_assigned() IS NOT NULL`))
		if assigned {
			t.Fatalf("%s: has a transaction id", statement)
		}
	}
	const statements = 20
	for range statements / 2 {
		id := book(t, tx, o.Hangars[0], guest)
		// logs two rows
		_, err := tx.Exec(`UPDATE bookings SET status = 'confirmed', payment_date = now(), nights = nights + 1 WHERE id = $1`, id)
		must(t, err)
	}
	var ids, rows int
	must(t, tx.QueryRowx(`SELECT count(DISTINCT xmin::text), count(*) FROM realtime.events WHERE xid = pg_current_xact_id()`).Scan(&ids, &rows))
	if ids != statements || rows < statements*3/2 {
		t.Errorf("%d statements wrote %d rows of the log in %d sub-transactions", statements, rows, ids)
	}
}
