package db_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// shadows are functions of a role that may create in the schema public. PostgreSQL prefers them to
// its own where their parameters fit better (CVE-2018-1058): each writes down as whom it runs.
var shadows = func() string {
	script := strings.Builder{}
	script.WriteString(`CREATE TABLE public.caught (name text, who name); GRANT INSERT ON public.caught TO PUBLIC;`)
	for _, f := range []struct{ name, parameters, result string }{
		{"format", "text, name, name", "text"}, {"format", "text, text, text", "text"}, {"concat_ws", "text, varchar, varchar", "text"},
		{"concat_ws", "text, text, text", "text"}, {"concat", "text, text", "text"}, {"btrim", "varchar", "text"}, {"lower", "varchar", "text"},
		{"json_build_object", "text, text", "json"}, {"json_build_object", "text, text, text, text", "json"}, {"unnest", "text[]", "text"},
		{"to_regclass", "varchar", "regclass"}, {"replace", "varchar, varchar, varchar", "text"}, {"quote_ident", "name", "text"},
		{"left", "varchar, integer", "text"}, {"round", "integer, integer", "numeric"}, {"pg_notify", "varchar, varchar", "void"},
		{"array_to_string", "text[], text", "text"}, {"cardinality", "text[]", "integer"}, {"num_nulls", "regclass, regclass, regclass, regclass", "integer"},
	} {
		script.WriteString(`CREATE FUNCTION public.` + f.name + `(` + f.parameters + `) RETURNS ` + f.result + ` LANGUAGE plpgsql AS $$
			BEGIN INSERT INTO public.caught VALUES ('` + f.name + `', current_user); RAISE EXCEPTION 'shadowed: ` + f.name + `(` + f.parameters + `)'; END $$;`)
	}
	for _, a := range []struct{ name, parameter string }{{"array_agg", "text"}, {"json_agg", "text"}} {
		script.WriteString(`CREATE FUNCTION public.catch_` + a.name + `(text, ` + a.parameter + `) RETURNS text LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'shadowed: ` + a.name + `'; END $$;
			CREATE AGGREGATE public.` + a.name + `(` + a.parameter + `) (SFUNC = public.catch_` + a.name + `, STYPE = text);`)
	}
	// Operators between types that have none of their own, and are taken for others that have.
	for i, types := range [][2]string{{"varchar", "varchar"}, {"varchar", "text"}, {"text", "varchar"}, {"name", "varchar"}, {"varchar", "name"}, {"name", "name[]"},
		{"bpchar", "varchar"}, {"varchar", "bpchar"}, {"regclass", "regclass"}, {"regclass", "oid"}, {"oid", "regclass"}, {"regtype", "regtype"}, {"oid", "regtype"}, {"oid", "regnamespace"}} {
		for j, operator := range []string{"=", "<>", "<", ">", "||"} {
			f := fmt.Sprintf("public.operate_%d_%d", i, j)
			result := "boolean"
			if operator == "||" {
				result = "text"
			}
			script.WriteString(fmt.Sprintf(`CREATE FUNCTION %s(%s, %s) RETURNS %s LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'shadowed: %s between %s and %s'; END $$;
				CREATE OPERATOR public.%s (FUNCTION = %s, LEFTARG = %s, RIGHTARG = %s);`, f, types[0], types[1], result, operator, types[0], types[1], operator, f, types[0], types[1]))
		}
	}
	// Tables of the catalog's names.
	for _, name := range []string{"pg_class", "pg_proc", "pg_trigger", "pg_attribute", "pg_type", "pg_namespace", "pg_index", "pg_inherits", "pg_attrdef", "pg_locks",
		"pg_stat_activity", "pg_database", "pg_roles", "pg_settings", "pg_publication", "pg_db_role_setting"} {
		script.WriteString(`CREATE TABLE public.` + name + ` (shadowed int);`)
	}
	return script.String()
}()

// TestShadows has such a role make functions, and asks everything of a portal: none of them is
// called, neither by the role that migrates nor by that of a server or a writer.
func TestShadows(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{variants()[0], variants()[2]} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			databaseURL := v.empty(t)
			must(t, execute(databaseURL, shadows))
			must(t, execute(databaseURL, rows))
			must(t, db.Migrate(t.Context(), databaseURL, quiet))
			p := dbtest.Open(t, databaseURL)
			asks(t, p)
			s := newTriggerFixture(t, p)
			for _, statement := range []string{update(`status = 'confirmed'`), update(`hangar_id = {X1}`), `DELETE FROM bookings WHERE id = {b2}`,
				`UPDATE hangar_listings SET city = 'Santos'`, `INSERT INTO realtime.payouts (booking_id, owner_id) VALUES ('{b1}', '{A}')`} {
				s.do(t, statement)
			}
			if n := faults(t, p.Pool); n > 0 {
				t.Errorf("%d faults were counted", n)
			}
			store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
			must(t, err)
			now := time.Now()
			_, err = db.NewOccupancy(store).Reconcile(t.Context(), now, nil, nil)
			must(t, err)
			projection := db.NewProjection(store)
			_, err = projection.Build(t.Context(), now)
			must(t, err)
			_, _, err = projection.Compare(t.Context(), s.a.ID, now)
			must(t, err)
			_, err = store.ChangesSince(t.Context(), db.Version{})
			must(t, err)
			_, err = store.Accounts(t.Context(), s.a.UserID)
			must(t, err)
			_, err = store.User(t.Context(), s.a.UserID)
			must(t, err)
			_, err = store.Today(t.Context(), s.a.ID, "", now, 5)
			must(t, err)
			_, err = db.NewTriggerWatch(p.Pool).Check(t.Context())
			must(t, err)
			_, err = db.NewSessions(store).Credentials(t.Context(), "ana@guest.example")
			must(t, err)
			_, err = store.Members(t.Context(), s.a.ID)
			must(t, err)
			must(t, store.Invite(t.Context(), s.a.ID, "ana@guest.example", db.RoleViewer, s.a.UserID, true))
			_, err = store.Invitations(t.Context(), s.a.ID)
			must(t, err)
			_, err = store.Addressed(t.Context(), s.b.UserID)
			must(t, err)
			column, err := store.UserColumn(t.Context(), "email")
			must(t, err)
			if _, err = column.UserID(t.Context(), "nobody"); !errors.Is(err, db.ErrNotFound) {
				t.Error(err)
			}
			_, err = projection.LeftOut(t.Context())
			must(t, err)
			must(t, eventlog.RenewEpoch(t.Context(), p.Pool, quiet))
			for _, f := range (db.Check{URL: databaseURL, Dialer: &db.Dialer{}}).Run(t.Context()) {
				if f.Level == db.Obstacle || strings.Contains(f.Text, "shadowed") {
					t.Errorf("check found %v", f)
				}
			}
			must(t, db.Unmigrate(t.Context(), databaseURL, quiet))
		})
	}
}

// asks checks that the questions of a page can be asked of a portal that has one owner.
func asks(t *testing.T, p *dbtest.Portal) {
	t.Helper()
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	owner := p.ID(t, `SELECT id::text FROM hangar_owners`)
	_, _, err = store.Metrics(t.Context(), owner, time.Now())
	must(t, err)
	_, err = store.Bookings(t.Context(), owner, "", 10)
	must(t, err)
	_, err = store.Listings(t.Context(), owner, time.Now())
	must(t, err)
}

// call is a function that is called without its schema.
var call = regexp.MustCompile(`(^|[^\w."])([a-z_][a-z0-9_]*)\(`)

// remark is a comment in SQL.
var remark = regexp.MustCompile(`(?m)--.*$`)

// TestQueriesNameFunctions reads the SQL in this package's Go files. A function that takes
// anything, or text, could be another's that takes just what is given: it is named with its schema.
// Through a transaction pooler no search path could help.
func TestQueriesNameFunctions(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	var names []string
	must(t, p.Pool.Select(&names, `SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
		AND EXISTS (SELECT FROM unnest(proargtypes) a WHERE a::regtype::text LIKE '%any%')
		AND proname NOT IN ('min', 'max', 'count')
		UNION SELECT unnest('{btrim,lower,upper,to_regclass,pg_notify}'::text[])`))
	risky := map[string]bool{}
	for _, name := range names {
		risky[name] = true
	}
	check := func(where, text string) {
		for _, match := range call.FindAllStringSubmatch(remark.ReplaceAllString(text, ""), -1) {
			if risky[match[2]] {
				t.Errorf("%s: %s() has no schema in %.80q", where, match[2], text)
			}
		}
	}
	files, err := filepath.Glob("*.go")
	must(t, err)
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		must(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			must(t, err)
			check(set.Position(literal.Pos()).String(), text)
			return true
		})
	}
	migrations, err := filepath.Glob("migrations/*.sql")
	must(t, err)
	for _, name := range migrations {
		text, err := os.ReadFile(name)
		must(t, err)
		check(name, string(text))
	}
}

// TestShadowsOfTextIDs asks where ids are varchar, a type that has no operators of its own.
func TestShadowsOfTextIDs(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.Empty(t)
	must(t, execute(databaseURL, idColumn.ReplaceAllStringFunc(variants()[0].schema, func(column string) string {
		if strings.Contains(column, "IDENTITY") {
			return "id varchar(40) DEFAULT gen_random_uuid()"
		}
		return strings.Replace(column, "integer", "varchar(40)", 1)
	})))
	must(t, execute(databaseURL, shadows))
	must(t, execute(databaseURL, rows))
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	p := dbtest.Open(t, databaseURL)
	asks(t, p)
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	owner, user := p.ID(t, `SELECT id::text FROM hangar_owners`), p.ID(t, `SELECT user_id::text FROM hangar_owners`)
	now := time.Now()
	if role, err := store.Access(t.Context(), db.Caller{UserID: user}, owner); err != nil || role != db.RoleOwner {
		t.Errorf("the owner has the role %q (%v)", role, err)
	}
	_, err = store.Accounts(t.Context(), user)
	must(t, err)
	_, err = store.User(t.Context(), user)
	must(t, err)
	_, err = store.Members(t.Context(), owner)
	must(t, err)
	_, err = store.Addressed(t.Context(), user)
	must(t, err)
	_, err = store.Booking(t.Context(), owner, p.ID(t, `SELECT id::text FROM bookings LIMIT 1`))
	must(t, err)
	_, err = db.NewOccupancy(store).Reconcile(t.Context(), now, []string{p.ID(t, `SELECT id::text FROM hangar_listings LIMIT 1`)}, nil)
	must(t, err)
	projection := db.NewProjection(store)
	if built, err := projection.Build(t.Context(), now); err != nil || !built {
		t.Errorf("no projection: %v, %v", built, err)
	}
	p.Exec(t, `UPDATE hangar_listings SET city = 'Santos'`)
	if trusted, found, err := projection.Compare(t.Context(), owner, now); err != nil || !trusted || found != nil {
		t.Errorf("the projection: %v, %v, %v", trusted, found, err)
	}
	_, err = projection.Next(t.Context(), owner)
	must(t, err)
	asks(t, p)
}

// TestShadowsOfMoments compares moments of a domain with those of its base, for which a
// role has made operators.
func TestShadowsOfMoments(t *testing.T) {
	t.Parallel()
	databaseURL := dbtest.Empty(t)
	moment := regexp.MustCompile(`\b((?:check_in|check_out|payment_date|created_at)\s+)timestamp\b`)
	must(t, execute(databaseURL, `CREATE DOMAIN public.moment AS timestamp;`+moment.ReplaceAllString(variants()[0].schema, "${1}public.moment")))
	must(t, execute(databaseURL, shadows))
	var operators strings.Builder
	for i, types := range [][2]string{{"moment", "timestamp"}, {"timestamp", "moment"}, {"moment", "timestamptz"}, {"moment", "date"}, {"moment", "moment"}} {
		for j, operator := range []string{"<", "<=", ">", ">=", "=", "<>"} {
			f := fmt.Sprintf("public.moment_%d_%d", i, j)
			operators.WriteString(fmt.Sprintf(`CREATE FUNCTION %s(%s, %s) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'shadowed: %s'; END $$;
				CREATE OPERATOR public.%[4]s (FUNCTION = %[1]s, LEFTARG = %[2]s, RIGHTARG = %[3]s);`, f, types[0], types[1], operator))
		}
	}
	must(t, execute(databaseURL, operators.String()))
	must(t, execute(databaseURL, rows))
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	p := dbtest.Open(t, databaseURL)
	asks(t, p)
	s := newTriggerFixture(t, p)
	for _, statement := range []string{update(`status = 'confirmed'`), update(`check_in = '2026-01-10', payment_date = '2026-01-10'`), `DELETE FROM bookings WHERE id = {b2}`} {
		s.do(t, statement)
	}
	if n := faults(t, p.Pool); n > 0 {
		t.Errorf("%d faults were counted", n)
	}
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	now, occupancy := time.Now(), db.NewOccupancy(store)
	_, err = occupancy.Reconcile(t.Context(), now, nil, nil)
	must(t, err)
	_, err = occupancy.Transitions(t.Context(), now, now.Add(24*time.Hour))
	must(t, err)
	_, err = store.Today(t.Context(), s.a.ID, "", now, 5)
	must(t, err)
	projection := db.NewProjection(store)
	if built, err := projection.Build(t.Context(), now); err != nil || !built {
		t.Errorf("no projection: %v, %v", built, err)
	}
	if _, _, err := projection.Compare(t.Context(), s.a.ID, now); err != nil {
		t.Error(err)
	}
	_, err = projection.Next(t.Context(), s.a.ID)
	must(t, err)
	_, err = projection.LeftOut(t.Context())
	must(t, err)
	asks(t, p)
}
