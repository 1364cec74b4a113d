package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/lib/pq"
)

// lookup is a column of the portal's by which rows are looked for more than once a minute, by its
// value, or where it is ranged by a stretch of time.
type lookup struct {
	table, column string
	ranged        bool
	finds         string
}

// lookups are all of these. What is looked for more rarely, as by check_in, may read a whole table.
var lookups = []lookup{
	{"hangar_owners", "id", false, "an account"},
	{"hangar_owners", "user_id", false, "the account of who asks"},
	{"hangar_listings", "id", false, "a hangar"},
	{"hangar_listings", "owner_id", false, "an account's hangars"},
	{"bookings", "id", false, "a booking"},
	{"bookings", "hangar_id", false, "the bookings of a hangar or an account"},
	{"bookings", "created_at", true, "bookings that wait to be confirmed, each 30 s"},
	{"users", "id", false, "a name"},
	{"users", "email", false, "who signs in"},
}

// maxStatements is how many statements a finding about indexes writes out.
const maxStatements = 3

// unindexedQuery lists the tables of some (1 their ids, 2 the columns, 3 whether these are ranged)
// in which a column leads no index that finds its values: the partitions and tables that inherit
// are looked at one by one, as PostgreSQL plans them. An index counts that is valid, of the
// column's collation, and of all rows but those in which the column is null.
const unindexedQuery = `
WITH RECURSIVE tree AS (
	SELECT place, rel::oid AS oid, col, ranged FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::boolean[])) WITH ORDINALITY AS w (rel, col, ranged, place)
	UNION
	SELECT t.place, i.inhrelid, t.col, t.ranged FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
),
columns AS (
	SELECT t.place, t.ranged, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, a.attname, a.attnum, a.attcollation
	FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind = 'r' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = t.col::name AND NOT a.attisdropped
),
useful AS (
	SELECT k.place, k.oid, x.indisvalid AND x.indislive AS valid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
	FROM columns k JOIN pg_catalog.pg_index x ON x.indrelid = k.oid AND x.indkey[0] = k.attnum AND x.indcollation[0] = k.attcollation
		JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_am m ON m.oid = c.relam
	WHERE m.amname IN ('btree', CASE WHEN k.ranged THEN 'brin' ELSE 'hash' END)
		AND (x.indpred IS NULL OR pg_catalog.pg_get_expr(x.indpred, x.indrelid) = pg_catalog.format('(%I IS NOT NULL)', k.attname))
)
SELECT k.place - 1 AS place, k.name, coalesce((SELECT pg_catalog.string_agg(u.name, ', ' ORDER BY u.name) FROM useful u WHERE u.place = k.place AND u.oid = k.oid), '') AS invalid
FROM columns k WHERE NOT EXISTS (SELECT FROM useful u WHERE u.place = k.place AND u.oid = k.oid AND u.valid) ORDER BY k.place, k.name`

// unindexed is a table in which a column leads no index.
type unindexed struct {
	Place   int    `db:"place"`
	Name    string `db:"name"`
	Invalid string `db:"invalid"` // indexes that would do, had their building been completed
}

// checkIndexes looks for columns by which this server looks for rows, and reads whole tables for
// want of an index. That is slow, and nothing else.
func checkIndexes(ctx context.Context, l *inspection) (found []Finding, err error) {
	var wanted []lookup
	var tables []table
	var ids []int64
	var columns []string
	var ranged []bool
	for _, k := range lookups {
		for _, t := range l.tables {
			if t.Wanted == k.table && (t.Kind == "r" || t.Kind == "p") {
				wanted, tables = append(wanted, k), append(tables, t)
				ids, columns, ranged = append(ids, t.OID), append(columns, k.column), append(ranged, k.ranged)
			}
		}
	}
	var rows []unindexed
	if err := l.tx.SelectContext(ctx, &rows, unindexedQuery, pq.Array(ids), pq.Array(columns), pq.Array(ranged)); err != nil {
		return nil, fmt.Errorf("look for the portal's indexes: %w", err)
	}
	lacking := make([][]unindexed, len(wanted))
	for _, r := range rows {
		lacking[r.Place] = append(lacking[r.Place], r)
	}
	for i, k := range wanted {
		if len(lacking[i]) > 0 {
			found = append(found, k.finding(tables[i], lacking[i]))
		}
	}
	if len(found) == 0 && len(wanted) == len(lookups) {
		found = append(found, Finding{"indexes", Fine, "every column has one by which rows are looked for", ""})
	}
	return found, nil
}

// finding says which index a table lacks, or which of the tables below it do.
func (k lookup) finding(t table, lacking []unindexed) Finding {
	what := t.Name + " has"
	if len(lacking) > 1 || lacking[0].Name != t.Name {
		what = fmt.Sprintf("of %s, %s", t.Name, counted(len(lacking), "table has", "tables have"))
	}
	var statements []string
	for i, r := range lacking {
		if i == maxStatements {
			statements = append(statements, fmt.Sprintf("the same for %d more", len(lacking)-i))
			break
		}
		if r.Invalid != "" { // as when its building was cut off
			statements = append(statements, "unless it is being built just now, DROP INDEX CONCURRENTLY "+r.Invalid)
		}
		statements = append(statements, "CREATE INDEX CONCURRENTLY ON "+r.Name+" ("+k.column+")")
	}
	if t.Kind == "p" { // of which PostgreSQL builds none concurrently
		statements = append(statements, "then CREATE INDEX ON "+t.Name+" ("+k.column+"), which takes these and gives later partitions theirs")
	}
	return Finding{"indexes", Note, fmt.Sprintf("%s no index that begins with %s: looking for %s reads all rows", what, k.column, k.finds), strings.Join(statements, "; ")}
}

// counted is a number with the word for one or for many.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
