package db_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// installRelease installs version 0.1.0 into a database, whose functions were made by its
// numbered migrations.
func installRelease(t *testing.T, databaseURL string) {
	t.Helper()
	pool, err := sqlx.Connect("postgres", databaseURL)
	must(t, err)
	defer pool.Close()
	_, err = pool.Exec(`CREATE SCHEMA realtime`)
	must(t, err)
	p, err := goose.NewProvider(goose.DialectPostgres, pool.DB, os.DirFS("testdata/released"),
		goose.WithTableName("realtime.goose_db_version"), goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = p.Up(t.Context())
	must(t, err)
	_, err = pool.Exec(`CALL realtime.attach()`)
	must(t, err)
}

// objects describes our functions, triggers, tables and rights, without what differs from one
// installation to the next.
func objects(t *testing.T, databaseURL string) string {
	t.Helper()
	return dbtest.Open(t, databaseURL).ID(t, `
		SELECT concat_ws(E'\n',
			(SELECT string_agg(pg_get_functiondef(p.oid) || coalesce(p.proacl::text, ''), E'\n' ORDER BY p.oid::regprocedure::text)
				FROM pg_proc p WHERE pronamespace = 'realtime'::regnamespace),
			(SELECT string_agg(d, E'\n' ORDER BY d) FROM (SELECT pg_get_triggerdef(oid) AS d FROM pg_trigger WHERE NOT tgisinternal) t),
			(SELECT string_agg(d, E'\n' ORDER BY d) FROM (
				SELECT format('%s.%s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull) AS d
				FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
				WHERE relnamespace = 'realtime'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped) a))`)
}

// TestMigrateUpgrades brings a database of the first release up to date: it becomes what
// a new one is, and goes on logging for the servers of both versions. What the former one
// had made is removed as well.
func TestMigrateUpgrades(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{variants()[0], variants()[2]} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			databaseURL, fresh := v.empty(t), v.migrated(t)
			must(t, execute(databaseURL, rows))
			before := dump(t, databaseURL)
			installRelease(t, databaseURL)
			must(t, db.Migrate(t.Context(), databaseURL, quiet))
			if got, want := objects(t, databaseURL), objects(t, fresh.URL); got != want {
				t.Errorf("after an upgrade there is\n%s\nin a new installation\n%s", got, want)
			}
			// as a server of the former version does at its start
			must(t, execute(databaseURL, `CALL realtime.attach()`))
			s := newTriggerFixture(t, dbtest.Open(t, databaseURL))
			s.do(t, update(`status = 'completed'`))
			if got := s.logged(t); len(got) == 0 || got[0] != "A booking_completed b1 H1 pending>completed" {
				t.Errorf("logged %q", got)
			}
			must(t, execute(databaseURL, `TRUNCATE users CASCADE`))
			must(t, db.Unmigrate(t.Context(), databaseURL, quiet))
			if left := unfinished(t, databaseURL); left != "" {
				t.Errorf("left behind: %s", left)
			}
			if before == "" {
				t.Error("no dump")
			}
		})
	}
}

// frozen refuses every change of a definition, as portals do while they are frozen.
const frozen = `CREATE FUNCTION public.frozen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'frozen: %', tg_tag; END $$;
	CREATE EVENT TRIGGER frozen ON ddl_command_start EXECUTE FUNCTION public.frozen()`

// TestMigrateChangesNothing migrates where all is installed: no definition is touched,
// not even replaced by itself.
func TestMigrateChangesNothing(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := v.migrated(t)
			p.Exec(t, frozen)
			must(t, db.Migrate(t.Context(), p.URL, quiet))
			p.Exec(t, `DROP EVENT TRIGGER frozen`)
		})
	}
}

// TestMigrateHeals finds what was changed of ours by hand, and puts it right.
func TestMigrateHeals(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	whole := objects(t, p.URL)
	for name, damage := range map[string]string{
		"a function":         `CREATE OR REPLACE FUNCTION realtime.ring() RETURNS void LANGUAGE sql AS 'SELECT 1'`,
		"a trigger function": `CREATE OR REPLACE FUNCTION realtime.bookings_inserted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
		"a search path":      `ALTER FUNCTION realtime.bookings_updated() RESET search_path`,
		"a trigger": `DROP TRIGGER realtime_inserted ON bookings; CREATE TRIGGER realtime_inserted AFTER INSERT ON bookings
			FOR EACH STATEMENT EXECUTE FUNCTION realtime.truncated()`,
		"a missing trigger": `DROP TRIGGER realtime_departs ON hangar_listings; DROP TRIGGER session_ended ON realtime.sessions`,
	} {
		t.Run(name, func(t *testing.T) {
			p.Exec(t, damage)
			must(t, db.Migrate(t.Context(), p.URL, quiet))
			if got := objects(t, p.URL); got != whole {
				t.Errorf("there is\n%s\nand was\n%s", got, whole)
			}
		})
	}
}

// TestMigrateLeavesNewer starts beside a database that a newer version has migrated:
// nothing of it is replaced.
func TestMigrateLeavesNewer(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	p.Exec(t, `UPDATE realtime.functions SET version = 1000000, source = 'newer';
		CREATE OR REPLACE FUNCTION realtime.ring() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_notify('realtime', ''); END $$;
		INSERT INTO realtime.goose_db_version (version_id, is_applied) VALUES (1000000, true)`)
	newer := objects(t, p.URL)
	must(t, db.Migrate(t.Context(), p.URL, quiet))
	if objects(t, p.URL) != newer {
		t.Error("functions of a newer version were replaced")
	}
	if migrated, err := db.IsMigrated(t.Context(), p.Pool); err != nil || !migrated {
		t.Errorf("a newer installation does not serve: %v, %v", migrated, err)
	}
	p.Exec(t, `UPDATE realtime.functions SET version = 0`)
	if migrated, err := db.IsMigrated(t.Context(), p.Pool); err != nil || migrated {
		t.Errorf("an older installation serves: %v, %v", migrated, err)
	}
}

// TestFunctionsAreNobodys calls what is ours as a role that has no right to it, and looks
// where a search path is fixed.
func TestFunctionsAreNobodys(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	var open, loose []string
	must(t, p.Pool.Select(&open, `SELECT p.oid::regprocedure::text FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
		WHERE pronamespace = 'realtime'::regnamespace AND a.grantee = 0`))
	if len(open) > 0 {
		t.Errorf("everybody may call %q", open)
	}
	must(t, p.Pool.Select(&loose, `SELECT proname FROM pg_proc WHERE pronamespace = 'realtime'::regnamespace
		AND ('search_path=pg_catalog, pg_temp' = ANY (proconfig)) IS NOT TRUE ORDER BY proname`))
	// Those that are called for rows or commit, that are found by the caller's path, or
	// that only name what they call.
	if want := strings.Fields("attach attach_again business_table detach fault_count is_internal is_message ring"); !slices.Equal(loose, want) {
		t.Errorf("no fixed search path has %q, want %q", loose, want)
	}
}

// TestMigrateGrants gives a role that may serve its rights on what a later version brings.
func TestMigrateGrants(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	installRelease(t, databaseURL)
	role(t, databaseURL, "served_before", "")
	must(t, execute(databaseURL, `GRANT USAGE ON SCHEMA realtime TO served_before;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO served_before`))
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	var lacks []string
	must(t, dbtest.Open(t, databaseURL).Pool.Select(&lacks, `
		SELECT relname FROM pg_class WHERE relnamespace = 'realtime'::regnamespace AND relkind = 'r' AND NOT has_table_privilege('served_before', oid, 'UPDATE')
		UNION ALL SELECT oid::regprocedure::text FROM pg_proc
		WHERE pronamespace = 'realtime'::regnamespace AND prorettype <> 'trigger'::regtype AND NOT has_function_privilege('served_before', oid, 'EXECUTE')`))
	if len(lacks) > 0 {
		t.Errorf("the role has no right to %q", lacks)
	}
}

// TestMigrateForeignSchema finds a schema of our name that is not ours, as in every Supabase
// database: nothing is put into it, and nothing taken away. One that is empty was made for us.
func TestMigrateForeignSchema(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	must(t, execute(databaseURL, `CREATE SCHEMA realtime; CREATE TABLE realtime.messages (id bigint PRIMARY KEY); INSERT INTO realtime.messages VALUES (1)`))
	before := dump(t, databaseURL)
	explains(t, db.Migrate(t.Context(), databaseURL, quiet), "not ours", "SCHEMA")
	explains(t, db.Unmigrate(t.Context(), databaseURL, quiet), "not ours")
	if after := dump(t, databaseURL); after != before {
		t.Errorf("there is\n%s\nand was\n%s", after, before)
	}
	must(t, execute(databaseURL, `DROP TABLE realtime.messages`))
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	must(t, execute(databaseURL, `CREATE TABLE realtime.notes (text text); INSERT INTO realtime.notes VALUES ('an operator''s')`))
	must(t, db.Unmigrate(t.Context(), databaseURL, quiet))
	if left := dbtest.Open(t, databaseURL).ID(t, `SELECT text FROM realtime.notes`); left == "" {
		t.Error("an operator's table is gone")
	}
	if left := unfinished(t, databaseURL); left != "schema realtime" {
		t.Errorf("left behind: %s", left)
	}
}

// TestMigrateUpgradesALogWithRows has a log of the first release hold rows: its new
// indexes are built beside its writers, also after an attempt that did not succeed, and
// nothing of the log is lost.
func TestMigrateUpgradesALogWithRows(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	installRelease(t, databaseURL)
	must(t, execute(databaseURL, rows))
	p := dbtest.Open(t, databaseURL)
	before := p.ID(t, `SELECT string_agg(concat_ws(' ', xid, id, owner_id, type, data), '|' ORDER BY id) FROM realtime.events`)
	if before == "" {
		t.Fatal("the log is empty")
	}
	indexes := func() (list string) {
		return p.ID(t, `SELECT coalesce(string_agg(c.relname, ' ' ORDER BY c.relname), '') FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			WHERE i.indrelid = 'realtime.events'::regclass AND i.indisvalid`)
	}
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	if got := indexes(); got != "events_owner_place events_place" {
		t.Errorf("the log has the indexes %s", got)
	}
	// An attempt that did not succeed left an index behind that is none.
	p.Exec(t, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'realtime.events_place'::regclass`)
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	if got := indexes(); got != "events_owner_place events_place" {
		t.Errorf("after an attempt that did not succeed the log has the indexes %s", got)
	}
	p.Exec(t, `UPDATE bookings SET total_price = 7`)
	after := p.ID(t, `SELECT string_agg(concat_ws(' ', xid, id, owner_id, type, data), '|' ORDER BY id) FROM realtime.events`)
	if !strings.HasPrefix(after, before+"|") || !strings.Contains(after, `"amount" : 7.00`) {
		t.Errorf("the log was\n%s\nand is\n%s", before, after)
	}
}

// TestReshapesOfColumnsAreNoticed: of the columns by which queries and triggers are written, each
// is one of columns_read(), so that another type of it has them written anew.
func TestReshapesOfColumnsAreNoticed(t *testing.T) {
	t.Parallel()
	read := func(pattern string) (text string) {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			content, err := os.ReadFile(file)
			must(t, err)
			text += string(content)
		}
		return text
	}
	functions := read("schema/functions/*.sql")
	_, after, _ := strings.Cut(functions, "FUNCTION realtime.columns_read()")
	watched, _, _ := strings.Cut(after, "FUNCTION")
	asked := regexp.MustCompile(`realtime\.(?:has_column|base_type|type_sql|amount_sql|instant_sql|id_sql)\([^()]*'([a-z_]+)'\)`)
	found := asked.FindAllStringSubmatch(functions+read("shape.go"), -1)
	if len(found) < 15 {
		t.Fatalf("only %d columns were found", len(found))
	}
	for _, column := range found {
		if !strings.Contains(watched, "'"+column[1]+"'") {
			t.Errorf("%s reads %s, which is not among columns_read() in schema/functions/attach.sql", column[0], column[1])
		}
	}
}
