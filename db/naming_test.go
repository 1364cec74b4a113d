package db_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// inSchema returns a database's address with another schema for everything of ours.
func inSchema(t *testing.T, databaseURL, schema string) string {
	t.Helper()
	url, err := db.InSchema(databaseURL, schema)
	must(t, err)
	return url
}

func TestNamesOfSchemas(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hangarshare", "_", "rt_2", strings.Repeat("a", 40)} {
		if err := db.CheckSchema(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "Hangar", "hangar share", "hangar-share", "2rt", "pg_rt", "public", "information_schema", strings.Repeat("a", 41), `a"; DROP SCHEMA public; --`, "ação"} {
		if err := db.CheckSchema(name); err == nil || !strings.Contains(err.Error(), "SCHEMA is ") {
			t.Errorf("%q: %v", name, err)
		}
	}
	databaseURL := variants()[0].empty(t)
	explains(t, db.Migrate(t.Context(), inSchema(t, databaseURL, "order"), quiet), "a word of SQL")
	_, err := db.InSchema(databaseURL, "public")
	explains(t, err, `SCHEMA is "public"`)
}

// TestSchemaOfARolesName names our schema like the role that writes the portal's tables, which
// finds that schema first.
func TestSchemaOfARolesName(t *testing.T) {
	t.Parallel()
	databaseURL := inSchema(t, variants()[0].empty(t), "hangarshare") // the name of the tests' role
	p := dbtest.Open(t, databaseURL)
	p.Exec(t, `CREATE TABLE public.payments (id int)`)
	explains(t, db.Migrate(t.Context(), databaseURL, quiet), "the role hangarshare", "payments", "SCHEMA", "search_path")
	p.Exec(t, `ALTER DATABASE "`+p.ID(t, `SELECT current_database()`)+`" SET search_path = public`)
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	p.Exec(t, `ALTER DATABASE "`+p.ID(t, `SELECT current_database()`)+`" RESET search_path; DROP TABLE public.payments`)
	found := db.Check{URL: databaseURL, Dialer: &db.Dialer{}}.Run(t.Context())
	if !slices.ContainsFunc(found, func(f db.Finding) bool {
		return f.Area == "schema" && f.Level == db.Warning && strings.Contains(f.Text, "makes new tables there")
	}) || db.Stands(found) {
		t.Errorf("found %v", found)
	}
}

// TestOtherSchema installs into another schema than ours, beside a foreign one of our usual name,
// which also holds the portal's tables: nothing of that is touched or asked, nothing of ours has
// the usual name, and all of it goes.
func TestOtherSchema(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{variants()[0], variants()[2]} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			plain := dbtest.Empty(t)
			must(t, execute(plain, `CREATE SCHEMA realtime; CREATE TABLE realtime.messages (id int); INSERT INTO realtime.messages VALUES (1);
				CREATE FUNCTION realtime.ring() RETURNS void LANGUAGE sql AS 'DELETE FROM realtime.messages';`))
			must(t, execute(plain, strings.ReplaceAll(v.schema, "public.", "realtime.")))
			plain += "&search_path=realtime,public"
			must(t, execute(plain, rows))
			portal := dbtest.Open(t, plain)
			everything := func() (list []string) {
				must(t, portal.Pool.Select(&list, `SELECT relname::text FROM pg_class WHERE relnamespace = 'realtime'::regnamespace
					UNION ALL SELECT proname || prosrc FROM pg_proc WHERE pronamespace = 'realtime'::regnamespace
					UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal
					UNION ALL SELECT nspname::text FROM pg_namespace ORDER BY 1`))
				return list
			}
			before := everything()
			explains(t, db.Migrate(t.Context(), plain, quiet), "a schema named realtime that is not ours", "SCHEMA")
			ours := inSchema(t, plain, "live")
			must(t, db.Migrate(t.Context(), ours, quiet))
			must(t, db.Migrate(t.Context(), ours, quiet))
			p := dbtest.Open(t, ours)
			if left := portal.ID(t, `SELECT coalesce(string_agg(what, ', '), '') FROM (
					SELECT proname || ': ' || substring(prosrc FROM '.{30}\mrealtime[._''"].{0,30}') FROM pg_proc WHERE pronamespace = 'live'::regnamespace
						AND regexp_replace(prosrc, '\mrealtime\.(users|hangar_\w+|bookings)', '', 'g') ~ '\mrealtime[._''"]'
					UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE '%realtime%') f(what)`); left != "" {
				t.Errorf("ours, and with the usual name: %s", left)
			}
			// Statements that the portal's own program sends; those that go through p mean ours.
			s := newTriggerFixture(t, p)
			portal.Exec(t, s.names.Replace(`UPDATE bookings SET status = 'confirmed' WHERE id = {b1}`))
			if got := s.logged(t); len(got) == 0 || got[0] != "A booking_updated b1 H1 pending>confirmed" {
				t.Errorf("logged %q", got)
			}
			asks(t, p)
			if n := faults(t, p.Pool); n != 0 {
				t.Errorf("%d faults were counted", n)
			}
			store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
			must(t, err)
			must(t, store.Prepare(t.Context()))
			if built, err := db.NewProjection(store).Build(t.Context(), time.Now()); err != nil || !built {
				t.Errorf("no projection: %v, %v", built, err)
			}
			if h, err := db.NewTriggerWatch(p.Pool).Check(t.Context()); err != nil || len(h.Missing)+len(h.Disabled) > 0 || h.Outdated {
				t.Errorf("the triggers: %+v (%v)", h, err)
			}
			must(t, db.Unmigrate(t.Context(), ours, quiet))
			if after := everything(); !slices.Equal(before, after) {
				t.Errorf("there was %q, there is %q", before, after)
			}
		})
	}
}
