package db_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

// fresh returns a database with the portal's tables and nothing of ours.
func fresh(t *testing.T) *dbtest.Portal {
	t.Helper()
	p := dbtest.Open(t, dbtest.Clone(t, "fresh portal", func(url string) error {
		pool, err := sqlx.Connect("postgres", url)
		if err != nil {
			return err
		}
		defer pool.Close()
		return demo.CreateSchema(t.Context(), pool)
	}))
	return p
}

func checked(t *testing.T, databaseURL string) []db.Finding {
	t.Helper()
	dialer := &db.Dialer{}
	defer dialer.Close()
	return db.Check{URL: databaseURL, Dialer: dialer}.Run(t.Context())
}

// finds says whether some finding of a level holds all parts.
func finds(found []db.Finding, level db.Level, parts ...string) bool {
	for _, f := range found {
		all := f.Level == level
		for _, part := range parts {
			all = all && strings.Contains(f.Area+": "+f.Text+" → "+f.Cure, part)
		}
		if all {
			return true
		}
	}
	return false
}

func TestCheckOfAWorkingDatabase(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	found := checked(t, p.URL)
	for _, f := range found {
		if f.Level == db.Obstacle || f.Level == db.Warning {
			t.Errorf("%+v", f)
		}
	}
	for _, area := range []string{"connection", "version", "encoding", "clock", "role", "connections", "shape", "indexes", "installation", "triggers", "listen"} {
		if !finds(found, db.Fine, area+": ") {
			t.Errorf("nothing is said of %s in %v", area, found)
		}
	}
}

// TestCheckAndMigrateName is one table for both: what check lists as an obstacle, migrate names
// before it changes anything, if it is about the portal's tables.
func TestCheckAndMigrateName(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string
		parts  []string
	}{
		"a table is missing":           {`DROP TABLE users CASCADE`, []string{`"users"`, "does not exist"}},
		"tables in another schema":     {`CREATE SCHEMA app; ALTER TABLE hangar_owners SET SCHEMA app`, []string{`app.hangar_owners`, "search_path=app"}},
		"a name in capitals":           {`ALTER TABLE hangar_listings RENAME TO "HangarListings"`, []string{`"HangarListings"`, "hangar_listings"}},
		"columns are missing":          {`ALTER TABLE bookings DROP COLUMN nights, DROP COLUMN fees`, []string{"bookings", "nights, fees"}},
		"a price that is a text":       {`ALTER TABLE bookings ALTER total_price DROP DEFAULT, ALTER total_price TYPE text`, []string{"total_price", "text", "a number"}},
		"a date that is a text":        {`ALTER TABLE bookings DROP COLUMN check_in CASCADE, ADD check_in text`, []string{"check_in", "a date or a timestamp"}},
		"a truth that is a number":     {`ALTER TABLE hangar_listings ALTER is_available DROP DEFAULT, ALTER is_available TYPE int USING is_available::int`, []string{"is_available", "a boolean"}},
		"an id that is a json":         {`ALTER TABLE users ADD x json; ALTER TABLE users DROP COLUMN id CASCADE; ALTER TABLE users RENAME x TO id`, []string{"id", "json"}},
		"a view for a table":           {`ALTER TABLE hangar_owners RENAME TO owners; CREATE VIEW hangar_owners AS SELECT * FROM owners`, []string{"hangar_owners", "view"}},
		"a view without its table":     {`ALTER TABLE bookings RENAME TO stays; CREATE VIEW bookings AS SELECT * FROM stays`, []string{"bookings", "hangar_bookings"}},
		"a foreign table":              {`CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; DROP TABLE users CASCADE; CREATE FOREIGN TABLE users (id int) SERVER s`, []string{"users", "foreign table"}},
		"a materialized view":          {`ALTER TABLE hangar_listings RENAME TO h; CREATE MATERIALIZED VIEW hangar_listings AS SELECT * FROM h`, []string{"hangar_listings", "view"}},
		"a domain over another domain": {`CREATE DOMAIN a AS text; CREATE DOMAIN b AS a; ALTER TABLE bookings ALTER nights DROP DEFAULT, ALTER nights TYPE b`, []string{"nights", "text"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := fresh(t)
			p.Exec(t, test.change)
			before := p.ID(t, `SELECT count(*)::text || max(oid) FROM pg_class`)
			found := checked(t, p.URL)
			if !finds(found, db.Obstacle, test.parts...) {
				t.Errorf("check found %v", found)
			}
			explains(t, db.Migrate(t.Context(), p.URL, quiet), test.parts...)
			if after := p.ID(t, `SELECT count(*)::text || max(oid) FROM pg_class`); after != before {
				t.Error("something was changed")
			}
		})
	}
}

func TestCheckFinds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string // of a migrated database
		level  db.Level
		parts  []string
	}{
		"a disabled trigger":    {`ALTER TABLE bookings DISABLE TRIGGER USER`, db.Obstacle, []string{"triggers", "disabled", "ENABLE TRIGGER"}},
		"a table built anew":    {`CREATE TABLE b (LIKE bookings INCLUDING ALL); DROP TABLE bookings CASCADE; ALTER TABLE b RENAME TO bookings`, db.Obstacle, []string{"triggers", "bookings", "migrate"}},
		"an unlogged table":     {`ALTER TABLE bookings SET UNLOGGED`, db.Warning, []string{"unlogged", "SET LOGGED"}},
		"replica for a role":    {`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica', current_database()); END $$`, db.Warning, []string{"session_replication_role"}},
		"all tables published":  {`CREATE PUBLICATION p FOR ALL TABLES`, db.Warning, []string{"publication", "FOR TABLE"}},
		"an older installation": {`DELETE FROM realtime.goose_db_version WHERE version_id = (SELECT max(version_id) FROM realtime.goose_db_version)`, db.Obstacle, []string{"installation", "older", "migrate"}},
		"no installation":       {`DROP SCHEMA realtime CASCADE`, db.Obstacle, []string{"installation", "migrate"}},
		"a schema not ours":     {`DROP SCHEMA realtime CASCADE; CREATE SCHEMA realtime CREATE TABLE messages (id int)`, db.Obstacle, []string{"installation", "not ours", "SCHEMA"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dbtest.New(t)
			p.Exec(t, test.change)
			if found := checked(t, p.URL); !finds(found, test.level, test.parts...) {
				t.Errorf("check found %v", found)
			}
		})
	}
	t.Run("a role without rights", func(t *testing.T) {
		t.Parallel()
		p := fresh(t)
		address := role(t, p.URL, "poor", "")
		found := checked(t, address)
		for _, parts := range [][]string{{"role", "may not create"}, {"rights", "bookings may not be read"}, {"rights", "bookings", "triggers"}} {
			if !finds(found, db.Obstacle, parts...) {
				t.Errorf("no %v in %v", parts, found)
			}
		}
	})
	t.Run("few connections", func(t *testing.T) {
		t.Parallel()
		p := dbtest.New(t)
		if found := checked(t, role(t, p.URL, "few", "CONNECTION LIMIT 4")); !finds(found, db.Obstacle, "connections", fmt.Sprint(db.LeastConnections)) {
			t.Errorf("%v", found)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		if found := checked(t, "postgres://ana@127.0.0.1:1/portal"); !finds(found, db.Obstacle, "connection", "cannot be reached") {
			t.Errorf("%v", found)
		}
	})
}

// TestRowSecurity is about rows that row-level security hides: nothing of ours ever takes
// them for not there.
func TestRowSecurity(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	o, guest := p.AddOwner(t, 1), p.AddGuest(t, "Ana", "Reis")
	p.Book(t, o.Hangars[0], guest)
	address := role(t, p.URL, "bound", "")
	u, err := url.Parse(address)
	must(t, err)
	name := u.User.Username()
	p.Exec(t, `GRANT USAGE ON SCHEMA realtime TO `+name+`; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO `+name+`;
		GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA realtime TO `+name+`; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA realtime TO `+name+`;
		GRANT SELECT ON users, hangar_owners, hangar_listings, bookings TO `+name+`; ALTER TABLE bookings ENABLE ROW LEVEL SECURITY`)
	t.Run("check says what is needed", func(t *testing.T) {
		if found := checked(t, address); !finds(found, db.Obstacle, "row-level security", "BYPASSRLS", name) {
			t.Errorf("%v", found)
		}
	})
	t.Run("the start says so", func(t *testing.T) { explains(t, db.Migrate(t.Context(), address, quiet), "BYPASSRLS") })
	t.Run("a query is refused, not answered with less", func(t *testing.T) {
		pool, err := db.Open(t.Context(), address)
		must(t, err)
		defer pool.Close()
		var n int
		if err := pool.Get(&n, `SELECT count(*) FROM bookings`); err == nil {
			t.Errorf("%d bookings", n)
		}
	})
	t.Run("BYPASSRLS helps", func(t *testing.T) {
		p.Exec(t, `ALTER ROLE `+name+` BYPASSRLS`)
		if found := checked(t, address); finds(found, db.Obstacle, "row-level security") {
			t.Errorf("%v", found)
		}
	})
}

// TestCheckNamesMissingIndexes takes away what rows are looked for by, and puts something in its
// place. What the check advises is then done, one statement after the other, and is enough.
func TestCheckNamesMissingIndexes(t *testing.T) {
	t.Parallel()
	const gone = `DROP INDEX bookings_hangar_id_idx; `
	for name, test := range map[string]struct {
		change string
		parts  []string // of the finding; none where there is none
	}{
		"none":                           {gone, []string{"public.bookings has no index that begins with hangar_id", "→ CREATE INDEX CONCURRENTLY ON public.bookings (hangar_id)"}},
		"with another column behind":     {gone + `CREATE INDEX ON bookings (hangar_id, check_in DESC)`, nil},
		"with another column before":     {gone + `CREATE INDEX ON bookings (check_in, hangar_id)`, []string{"hangar_id"}},
		"a hash":                         {gone + `CREATE INDEX ON bookings USING hash (hangar_id)`, nil},
		"a summary":                      {gone + `CREATE INDEX ON bookings USING brin (hangar_id)`, []string{"hangar_id"}},
		"of some rows":                   {gone + `CREATE INDEX ON bookings (hangar_id) WHERE status = 'confirmed'`, []string{"hangar_id"}},
		"of all but nulls":               {gone + `CREATE INDEX ON bookings (hangar_id) WHERE hangar_id IS NOT NULL`, nil},
		"of an expression":               {gone + `CREATE INDEX ON bookings ((hangar_id + 0))`, []string{"hangar_id"}},
		"that was not completed":         {`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bookings_hangar_id_idx'::regclass`, []string{"DROP INDEX CONCURRENTLY public.bookings_hangar_id_idx; CREATE INDEX CONCURRENTLY"}},
		"an owner's":                     {`DROP INDEX hangar_listings_owner_id_idx, hangar_owners_user_id_idx`, []string{"hangar_owners (user_id)"}},
		"a time's":                       {`DROP INDEX bookings_created_at_idx; CREATE INDEX ON bookings USING hash (created_at)`, []string{"bookings (created_at)"}},
		"a time's summary":               {`DROP INDEX bookings_created_at_idx; CREATE INDEX ON bookings USING brin (created_at)`, nil},
		"an address's, of another order": {`ALTER TABLE users DROP CONSTRAINT users_email_key; CREATE INDEX ON users (email COLLATE "C")`, []string{"users (email)"}},
		"in capitals, below a view":      {`ALTER TABLE bookings RENAME TO hangar_bookings; CREATE VIEW bookings AS SELECT * FROM hangar_bookings; ` + gone, []string{"ON public.hangar_bookings (hangar_id)"}},
		"of a table that inherits":       {`CREATE TABLE "Old" () INHERITS (bookings); CREATE INDEX ON "Old" (id); CREATE INDEX ON "Old" (created_at)`, []string{`of public.bookings, 1 table has no index`, `ON public."Old" (hangar_id)`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := fresh(t)
			p.Exec(t, test.change)
			advised(t, p, test.parts)
		})
	}
	for name, test := range map[string]struct {
		change string
		parts  []string
	}{
		"partitions":                   {`CREATE INDEX ON bookings (id)`, nil},
		"partitions, none":             {`CREATE INDEX ON bookings (id); ` + gone, []string{"of public.bookings, 2 tables have", "ON public.bookings_leaf (hangar_id); CREATE INDEX CONCURRENTLY ON public.bookings_old (hangar_id); then CREATE INDEX ON public.bookings (hangar_id)"}},
		"partitions, one has its own":  {`CREATE INDEX ON bookings (id); ` + gone + `CREATE INDEX ON bookings_old (hangar_id)`, []string{"of public.bookings, 1 table has", "ON public.bookings_leaf (hangar_id); then"}},
		"partitions, each has its own": {`CREATE INDEX ON bookings (id); ` + gone + `CREATE INDEX ON bookings_old (hangar_id); CREATE INDEX ON bookings_leaf (hangar_id)`, nil},
		"partitions, only the whole":   {`CREATE INDEX ON bookings (id); ` + gone + `CREATE INDEX ON ONLY bookings (hangar_id)`, []string{"2 tables have"}},
		"partitions without a key":     {``, []string{"index that begins with id"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := dbtest.Empty(t)
			must(t, execute(address, partitioned))
			p := dbtest.Open(t, address)
			if test.change != "" {
				p.Exec(t, test.change)
			}
			advised(t, p, test.parts)
		})
	}
}

// advised looks for a finding about indexes with all parts, and does what it says; for none without
// parts.
func advised(t *testing.T, p *dbtest.Portal, parts []string) {
	t.Helper()
	found := checked(t, p.URL)
	if len(parts) == 0 {
		if finds(found, db.Note, "indexes: ") || !finds(found, db.Fine, "indexes: ") {
			t.Errorf("check found %v", found)
		}
		return
	}
	if !finds(found, db.Note, append(parts, "indexes: ")...) {
		t.Fatalf("check found %v", found)
	}
	for _, f := range found {
		if f.Area != "indexes" {
			continue
		}
		for statement := range strings.SplitSeq(f.Cure, "; ") {
			if at := strings.Index(statement, "DROP INDEX"); at > 0 {
				statement = statement[at:]
			}
			statement, _, _ = strings.Cut(strings.TrimPrefix(statement, "then "), ", which")
			p.Exec(t, statement)
		}
	}
	if found = checked(t, p.URL); finds(found, db.Note, "indexes: ") || !finds(found, db.Fine, "indexes: ") {
		t.Errorf("after what it says was done, check found %v", found)
	}
}
