package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// shape is what the portal's tables look like in this database. Queries are written for it once, with casts on
// parameters and never on columns, so that the portal's own indexes serve.
type shape struct {
	bookings, listings, owners, users string // qualified table names
	ownerID, hangarID, userID         string // types of hangar_owners.id, hangar_listings.id, users.id
	bookingID                         string // type of bookings.id
	checkIn, createdAt, paymentDate   string // column types; paymentDate is "" where the column does not exist
	updatedAt                         string
	totalSpaces                       bool
}

func inspect(ctx context.Context, q sqlx.QueryerContext) (shape, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var s shape
	row := q.QueryRowxContext(ctx, `
		WITH t AS (SELECT realtime.business_table('bookings') b, realtime.business_table('hangar_listings') l,
		                  realtime.business_table('hangar_owners') o, realtime.business_table('users') u),
		c AS (SELECT attrelid, attname, format_type(atttypid, NULL) AS type FROM pg_attribute, t
		      WHERE attrelid IN (t.b, t.l, t.o, t.u) AND attnum > 0 AND NOT attisdropped)
		SELECT realtime.qualified(b), realtime.qualified(l), realtime.qualified(o), realtime.qualified(u),
			(SELECT type FROM c WHERE attrelid = o AND attname = 'id'),
			(SELECT type FROM c WHERE attrelid = l AND attname = 'id'),
			(SELECT type FROM c WHERE attrelid = u AND attname = 'id'),
			(SELECT type FROM c WHERE attrelid = b AND attname = 'id'),
			(SELECT type FROM c WHERE attrelid = b AND attname = 'check_in'),
			(SELECT type FROM c WHERE attrelid = b AND attname = 'created_at'),
			(SELECT type FROM c WHERE attrelid = b AND attname = 'updated_at'),
			coalesce((SELECT type FROM c WHERE attrelid = b AND attname = 'payment_date'), ''),
			EXISTS (SELECT FROM c WHERE attrelid = l AND attname = 'total_spaces')
		FROM t`)
	err := row.Scan(&s.bookings, &s.listings, &s.owners, &s.users, &s.ownerID, &s.hangarID, &s.userID, &s.bookingID,
		&s.checkIn, &s.createdAt, &s.updatedAt, &s.paymentDate, &s.totalSpaces)
	if err != nil {
		return s, fmt.Errorf("read the shape of the portal's tables: %w", hint(err))
	}
	return s, nil
}

// instantParam writes a timestamptz parameter so that it compares with a column of the given type. A date column
// compares with the local date, given by another parameter. What must be converted is a query of its own: a plan that is kept
// would convert it again for each row.
func instantParam(columnType, instant, localDate string) string {
	switch columnType {
	case "date":
		return localDate + "::date"
	case "timestamp with time zone":
		return instant + "::timestamptz"
	default:
		return "(SELECT " + instant + "::timestamptz AT TIME ZONE 'UTC')"
	}
}

// asInstant writes a column as a timestamptz. A date is its first moment in the zone that a parameter names.
func asInstant(columnType, column, zone string) string {
	switch columnType {
	case "date":
		return "(" + column + "::timestamp AT TIME ZONE " + zone + ")"
	case "timestamp with time zone":
		return column
	default:
		return "(" + column + " AT TIME ZONE 'UTC')"
	}
}

// clockParam writes an instant parameter so that it compares with a column of the given type that clock made a timestamp, once
// for all rows like instantParam.
func clockParam(columnType, instant, localDate string) string {
	if columnType == "date" {
		return "(SELECT " + localDate + "::date::timestamp)"
	}
	return "(SELECT " + instant + "::timestamptz AT TIME ZONE 'UTC')"
}

// clock writes a column as the timestamp that a clock in UTC showed; a date is its midnight. Dates reach further than
// timestamps, and are kept within their years.
func clock(columnType, column string) string {
	switch columnType {
	case "date":
		return "CASE WHEN " + column + " IS NOT NULL THEN least(greatest(" + column + ", '4000-01-01 BC'::date), '200000-01-01'::date)::timestamp END"
	case "timestamp with time zone":
		return "(" + column + " AT TIME ZONE 'UTC')"
	default:
		return column + "::timestamp"
	}
}

// bookingKey writes a text as a value to compare with bookings.id; null where the text cannot be one.
func (s shape) bookingKey(text string) string {
	switch s.bookingID {
	case "smallint", "integer", "bigint":
		return "CASE WHEN " + text + " ~ '^-?[0-9]{1,19}$' THEN CASE WHEN " + text +
			"::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN " + text + "::bigint END END"
	case "uuid":
		return "CASE WHEN " + text + " ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN " + text + "::uuid END"
	default:
		return text + "::" + s.bookingID
	}
}

// spaces writes the number of spaces of a listing with the given alias: one where the portal does not say.
func (s shape) spaces(alias string) string {
	if !s.totalSpaces {
		return "1"
	}
	return "greatest(coalesce(" + alias + ".total_spaces, 1), 0)"
}

// paid writes when a booking with alias b was paid, as a column or expression to compare with paidParam, and the
// join it needs. In a database without payment_date it is what the triggers noted, else the row's last change.
func (s shape) paid() (column, condition, join string) {
	if s.paymentDate != "" {
		return "b.payment_date", "b.payment_date IS NOT NULL AND b.status::text <> 'cancelled'", ""
	}
	column = "coalesce(p.paid_at, " + asInstant(s.updatedAt, "b.updated_at", "'UTC'") + ", " +
		asInstant(s.createdAt, "b.created_at", "'UTC'") + ")"
	return column, "b.status::text IN ('confirmed', 'active', 'completed')",
		"LEFT JOIN realtime.payments p ON p.booking_id = b.id::text"
}

func (s shape) paidType() string {
	if s.paymentDate != "" {
		return s.paymentDate
	}
	return "timestamp with time zone"
}

// fill replaces {name} in a query by its value.
func fill(query string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(query)
}
