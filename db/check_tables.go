package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// kind is what a column's values must be, by PostgreSQL's category of its base type.
type kind struct {
	name       string
	categories string // of pg_type.typcategory; "" for any
	types      []string
}

var (
	anyKind    = kind{}
	idKind     = kind{"an integer, a text or a uuid", "NS", []string{"uuid"}}
	numberKind = kind{"a number", "N", nil}
	wordKind   = kind{"a text or an enumeration", "SE", nil}
	truthKind  = kind{"a boolean", "B", nil}
	momentKind = kind{"a date or a timestamp", "", []string{"date", "timestamp without time zone", "timestamp with time zone"}}
)

// column is one that counts. Without an optional one something smaller is missing, which
// without says.
type column struct {
	name    string
	kind    kind
	without string
}

// counting are the tables and columns that count, as the contract lists them.
var counting = []struct {
	table   string
	columns []column
}{
	{"hangar_owners", []column{{"id", idKind, ""}, {"user_id", idKind, ""}, {"company_name", anyKind, "accounts have no name"}}},
	{"hangar_listings", []column{{"id", idKind, ""}, {"owner_id", idKind, ""}, {"hangar_number", anyKind, ""}, {"icao_code", anyKind, ""},
		{"aerodrome_name", anyKind, ""}, {"city", anyKind, ""}, {"status", wordKind, ""}, {"is_available", truthKind, ""}, {"daily_rate", numberKind, ""}}},
	{"bookings", []column{{"id", idKind, ""}, {"hangar_id", idKind, ""}, {"user_id", idKind, ""}, {"check_in", momentKind, ""}, {"check_out", momentKind, ""},
		{"nights", numberKind, ""}, {"subtotal", numberKind, ""}, {"fees", numberKind, ""}, {"total_price", numberKind, ""}, {"status", wordKind, ""},
		{"payment_method", anyKind, ""}, {"created_at", momentKind, ""}, {"updated_at", momentKind, ""}}},
	{"users", []column{{"id", idKind, ""}, {"first_name", anyKind, ""}, {"last_name", anyKind, ""}, {"email", anyKind, ""},
		{"password_hash", anyKind, ""}}},
}

// table is one of the portal's, as the catalog has it.
type table struct {
	Wanted    string `db:"wanted"` // as the portal's programs call it
	OID       int64  `db:"oid"`    // 0 where there is none
	Name      string `db:"name"`   // with its schema
	Kind      string `db:"kind"`
	Unlogged  bool   `db:"unlogged"`
	Inherited int    `db:"inherited"` // tables that inherit from it, partitions among them
	Hidden    bool   `db:"hidden"`    // row-level security hides rows from us
	Forced    bool   `db:"forced"`    // and from its owner
	Readable  bool   `db:"readable"`
	Triggers  bool   `db:"may_trigger"`
	Elsewhere string `db:"elsewhere"` // a table of a like name that is not found by this one
}

// inspection is one transaction in which a database is looked at. It has a search path that nobody
// else can put a function into; the portal's tables were looked up before, by the path of the
// connection, as the portal's programs do.
type inspection struct {
	tx     *sqlx.Tx
	schema string // ours
	tables []table
}

// beginInspection begins to look; the caller rolls back.
func beginInspection(ctx context.Context, pool *sqlx.DB) (*inspection, error) {
	tx, err := pool.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("look at the database: %w", err)
	}
	l := &inspection{tx: tx, schema: SchemaOf(pool)}
	if err := l.findTables(ctx); err != nil {
		tx.Rollback()
		return nil, err
	}
	return l, nil
}

// findTables looks the portal's tables up. The rows of bookings may be in hangar_bookings.
func (l *inspection) findTables(ctx context.Context) error {
	var named [5]int64
	row := l.tx.QueryRowxContext(ctx, `SELECT coalesce(pg_catalog.to_regclass('hangar_owners')::pg_catalog.oid::pg_catalog.int8, 0),
		coalesce(pg_catalog.to_regclass('hangar_listings')::pg_catalog.oid::pg_catalog.int8, 0),
		coalesce(pg_catalog.to_regclass('bookings')::pg_catalog.oid::pg_catalog.int8, 0),
		coalesce(pg_catalog.to_regclass('users')::pg_catalog.oid::pg_catalog.int8, 0),
		coalesce(pg_catalog.to_regclass('hangar_bookings')::pg_catalog.oid::pg_catalog.int8, 0)`)
	if err := row.Scan(&named[0], &named[1], &named[2], &named[3], &named[4]); err != nil {
		return fmt.Errorf("look for the portal's tables: %w", err)
	}
	if _, err := l.tx.ExecContext(ctx, `SET LOCAL search_path = pg_catalog, pg_temp`); err != nil {
		return fmt.Errorf("look for the portal's tables: %w", err)
	}
	err := l.tx.SelectContext(ctx, &l.tables, `
		SELECT r.name AS wanted, coalesce(c.oid, 0)::bigint AS oid, CASE WHEN c.oid IS NOT NULL THEN pg_catalog.format('%I.%I', n.nspname, c.relname) ELSE '' END AS name,
			coalesce(c.relkind::text, '') AS kind, coalesce(c.relpersistence = 'u', false) AS unlogged,
			(SELECT count(*) FROM pg_inherits WHERE inhparent = c.oid) AS inherited,
			coalesce(row_security_active(c.oid), false) AS hidden, coalesce(c.relforcerowsecurity, false) AS forced,
			coalesce(has_table_privilege(c.oid, 'SELECT'), false) AS readable,
			coalesce(has_table_privilege(c.oid, 'TRIGGER'), false) AS may_trigger,
			coalesce((SELECT pg_catalog.format('%I.%I', en.nspname, e.relname) FROM pg_class e JOIN pg_namespace en ON en.oid = e.relnamespace
				WHERE c.oid IS NULL AND pg_catalog.lower(replace(e.relname, '_', '')) = replace(r.name, '_', '') AND e.relkind IN ('r', 'p', 'v', 'f')
				AND en.nspname NOT LIKE 'pg\_%' ORDER BY e.relname = r.name DESC, en.nspname LIMIT 1), '') AS elsewhere
		FROM ROWS FROM (pg_catalog.unnest(ARRAY['hangar_owners', 'hangar_listings', 'bookings', 'users']), pg_catalog.unnest($1::bigint[])) AS r (name, rel)
			LEFT JOIN pg_class found ON found.oid = r.rel::oid
			LEFT JOIN pg_class c ON c.oid = CASE WHEN r.name = 'bookings' AND found.relkind = 'v' AND $2::bigint <> 0 THEN $2::bigint::oid ELSE found.oid END
			LEFT JOIN pg_namespace n ON n.oid = c.relnamespace`, pq.Array(named[:4]), named[4])
	if err != nil {
		return fmt.Errorf("look for the portal's tables: %w", err)
	}
	return nil
}

// checkTables looks whether the portal's tables are there, are tables, and may be used.
func checkTables(ctx context.Context, l *inspection) (found []Finding, err error) {
	var installed bool
	if err := l.tx.GetContext(ctx, &installed, `SELECT pg_catalog.to_regclass('realtime.installation') IS NOT NULL`); err != nil {
		return nil, fmt.Errorf("look for the schema %s: %w", l.schema, err)
	}
	for _, t := range l.tables {
		found = append(found, t.check(installed)...)
	}
	return found, nil
}

func (t table) check(installed bool) (found []Finding) {
	area := "table " + t.Wanted
	add := func(level Level, cure, format string, args ...any) {
		found = append(found, Finding{area, level, fmt.Sprintf(format, args...), cure})
	}
	switch {
	case t.OID == 0 && t.Elsewhere != "":
		schema, name, _ := strings.Cut(t.Elsewhere, ".")
		cure := "add ?search_path=" + schema + " to DATABASE_URL"
		if strings.Trim(name, `"`) != t.Wanted {
			cure = "this server knows it as " + t.Wanted + ": rename it, or make the portal's names plain"
		}
		add(Obstacle, cure, "the table %q does not exist in this database's search path, but there is %s", t.Wanted, t.Elsewhere)
		return found
	case t.OID == 0:
		add(Obstacle, "point DATABASE_URL at the portal's database; if its tables are in another schema, add search_path to the URL",
			"the table %q does not exist in this database", t.Wanted)
		return found
	case t.Kind == "f":
		add(Obstacle, "point DATABASE_URL at the database that holds the rows", "%s is a foreign table: its rows are on another server, where our triggers do not see them change", t.Name)
		return found
	case t.Kind == "v" || t.Kind == "m":
		add(Obstacle, "name the table "+t.Wanted+", or for bookings hangar_bookings", "%s is a view, and triggers see only what is written to a table", t.Name)
		return found
	}
	if !t.Readable {
		area = "rights"
		add(Obstacle, "GRANT SELECT ON "+t.Name+" TO the role in DATABASE_URL", "%s may not be read", t.Name)
	}
	if !t.Triggers && !installed {
		area = "rights"
		add(Obstacle, "run `hangarshare migrate` with the role that owns it, or GRANT TRIGGER ON "+t.Name, "%s may not be given triggers", t.Name)
	}
	area = "table " + t.Wanted
	if t.Unlogged {
		add(Warning, "ALTER TABLE "+t.Name+" SET LOGGED", "%s is unlogged: a crash of PostgreSQL empties it", t.Name)
	}
	if t.Inherited > 0 {
		add(Note, "none needed", "%s has %d partitions or tables that inherit from it", t.Name, t.Inherited)
	}
	return found
}

// checkHidden looks whether row-level security hides the portal's rows from the role of a
// connection.
func checkHidden(ctx context.Context, l *inspection) (found []Finding, err error) {
	var role string
	if err := l.tx.GetContext(ctx, &role, `SELECT current_user::text`); err != nil {
		return nil, fmt.Errorf("ask for the role: %w", err)
	}
	for _, t := range l.tables {
		if t.Hidden {
			cure := "ALTER ROLE " + pq.QuoteIdentifier(role) + " BYPASSRLS"
			if t.Forced {
				cure += ", or ALTER TABLE " + t.Name + " NO FORCE ROW LEVEL SECURITY if it is the owner"
			}
			found = append(found, Finding{"row-level security", Obstacle,
				fmt.Sprintf("rows of %s are hidden from the role %s, so that numbers would be wrong: it needs BYPASSRLS", t.Name, role), cure})
		}
	}
	return found, nil
}

// checkColumns looks at every column that counts: whether it is there and of a type that
// can be used.
func checkColumns(ctx context.Context, l *inspection) (found []Finding, err error) {
	ids := make([]int64, 0, len(l.tables))
	names := map[string]table{}
	for _, t := range l.tables {
		if t.OID != 0 && t.Kind != "f" && t.Kind != "v" && t.Kind != "m" {
			ids, names[t.Wanted] = append(ids, t.OID), t
		}
	}
	var rows []struct {
		Table    int64  `db:"tab"`
		Column   string `db:"col"`
		Type     string `db:"type"` // the base of a domain
		Category string `db:"category"`
	}
	err = l.tx.SelectContext(ctx, &rows, `
		WITH RECURSIVE base AS (
			SELECT attrelid, attname, atttypid AS type FROM pg_catalog.pg_attribute
			WHERE attrelid = ANY ($1::bigint[]::oid[]) AND attnum > 0 AND NOT attisdropped
			UNION ALL SELECT b.attrelid, b.attname, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
		SELECT attrelid::bigint AS tab, attname::text AS col, format_type(type, NULL) AS type, typcategory::text AS category
		FROM base JOIN pg_catalog.pg_type t ON t.oid = type WHERE t.typtype <> 'd'`, pq.Array(ids))
	if err != nil {
		return nil, fmt.Errorf("look at the portal's columns: %w", err)
	}
	there := map[string]string{} // type and category by table and column
	for _, r := range rows {
		there[fmt.Sprint(r.Table, ".", r.Column)] = r.Category + r.Type
	}
	for _, wanted := range counting {
		t, ok := names[wanted.table]
		if !ok {
			continue
		}
		var lacks []string
		for _, c := range wanted.columns {
			has, ok := there[fmt.Sprint(t.OID, ".", c.name)]
			switch {
			case !ok && c.without != "":
				found = append(found, Finding{"table " + t.Wanted, Warning, t.Name + " has no column " + c.name + ": " + c.without, "add it"})
			case !ok:
				lacks = append(lacks, c.name)
			case !c.kind.takes(has[1:], has[:1]):
				found = append(found, Finding{"table " + t.Wanted, Obstacle, fmt.Sprintf("column %s of %s is of type %s", c.name, t.Name, has[1:]), "it must be " + c.kind.name})
			}
		}
		if len(lacks) > 0 {
			found = append(found, Finding{"table " + t.Wanted, Obstacle, t.Name + " lacks the columns that count: " + strings.Join(lacks, ", "),
				"this server knows the portal's tables by these names"})
		}
	}
	if !Stands(found) && len(names) == len(counting) {
		paid := "paid bookings are told by payment_date"
		if _, ok := there[fmt.Sprint(names["bookings"].OID, ".payment_date")]; !ok {
			paid = "there is no payment_date: a booking counts as paid by its status"
		}
		found = append(found, Finding{"shape", Fine, "all columns that count are there, in " + names["bookings"].Name + " and beside it; " + paid, ""})
	}
	return found, nil
}

func (k kind) takes(name, category string) bool {
	return k.categories == "" && k.types == nil || k.categories != "" && strings.Contains(k.categories, category) || slices.Contains(k.types, name)
}
