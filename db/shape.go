package db

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jmoiron/sqlx"
)

// shape is what the portal's tables look like in this database. Queries are written for it once,
// with casts on parameters and never on columns, so that the portal's own indexes serve.
type shape struct {
	bookings, listings, owners, users string // qualified table names
	ownerID, userID, email            string // types of hangar_owners.id, users.id and users.email
	lowerEmail                        bool   // users has an index on lower(email)
	keys                              keyForms
	// column types; paymentDate is "" where the column does not exist
	checkIn, createdAt, paymentDate string
	updatedAt                       string
	isPaid, price, subtotal, fees   string // expressions over a booking b
	nights                          string
	spaces, rate                    string // expressions over a listing l
	// of this shape: it grows with each change of the portal's columns
	number int64
	server serverFacts
}

func inspect(ctx context.Context, q sqlx.QueryerContext) (shape, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var s shape
	row := q.QueryRowxContext(ctx, `
		SELECT realtime.qualified(b), realtime.qualified(l), realtime.qualified(o), realtime.qualified(u),
			realtime.type_sql(o, 'id'), realtime.type_sql(u, 'id'), realtime.key_sql(b, '{text}'), realtime.key_sql(l, '{text}'),
			realtime.key_sql(o, '{text}'), realtime.key_sql(u, '{text}'), realtime.key_of(realtime.base_type(o, 'user_id'), '{text}'),
			realtime.type_sql(u, 'email'), EXISTS (SELECT FROM pg_index WHERE indrelid = u::oid AND indisvalid AND indpred IS NULL
				AND pg_get_expr(indexprs, indrelid) ~ '^lower[(][(]?email[)]?(::text)?[)]$'),
			realtime.type_sql(b, 'check_in'), realtime.type_sql(b, 'created_at'),
			realtime.type_sql(b, 'updated_at'), coalesce(realtime.type_sql(b, 'payment_date'), ''),
			realtime.paid_sql(b, 'b'), realtime.amount_sql(b, 'b', 'total_price'), realtime.amount_sql(b, 'b', 'subtotal'),
			realtime.amount_sql(b, 'b', 'fees'), realtime.nights_sql(b, 'b'), realtime.spaces_sql(l, 'l'),
			realtime.amount_sql(l, 'l', 'daily_rate'), shape
		FROM realtime.watched, (SELECT
			coalesce(realtime.portal_table('bookings'), realtime.business_table('bookings')) AS b,
			coalesce(realtime.portal_table('hangar_listings'), realtime.business_table('hangar_listings')) AS l,
			coalesce(realtime.portal_table('hangar_owners'), realtime.business_table('hangar_owners')) AS o,
			coalesce(realtime.portal_table('users'), realtime.business_table('users')) AS u OFFSET 0) t`)
	err := row.Scan(&s.bookings, &s.listings, &s.owners, &s.users, &s.ownerID, &s.userID,
		&s.keys.booking, &s.keys.hangar, &s.keys.owner, &s.keys.user, &s.keys.ownerUser, &s.email, &s.lowerEmail,
		&s.checkIn, &s.createdAt, &s.updatedAt, &s.paymentDate, &s.isPaid, &s.price, &s.subtotal, &s.fees, &s.nights,
		&s.spaces, &s.rate, &s.number)
	if err != nil {
		return s, fmt.Errorf("read the shape of the portal's tables: %w", hint(err))
	}
	for _, table := range []*string{&s.bookings, &s.listings, &s.owners, &s.users} {
		*table = foreignSchema(*table)
	}
	return s, nil
}

// instantParam writes a timestamptz parameter so that it compares with a column of the given type.
// A date column compares with the local date, given by another parameter. What must be converted is
// a query of its own: a plan that is kept would convert it again for each row.
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

// asInstant writes a column as a timestamptz. A date is its first moment in the zone that
// a parameter names.
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

// clockParam writes an instant parameter so that it compares with a column of the given type that
// clock made a timestamp, once for all rows like instantParam.
func clockParam(columnType, instant, localDate string) string {
	if columnType == "date" {
		return "(SELECT " + localDate + "::date::timestamp)"
	}
	return "(SELECT " + instant + "::timestamptz AT TIME ZONE 'UTC')"
}

// clock writes a column as the timestamp that a clock in UTC showed; a date is its midnight. Dates
// reach further than timestamps, and are kept within their years.
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

// keyForms write a text as a value to compare with bookings.id, hangar_listings.id,
// hangar_owners.id, users.id and hangar_owners.user_id, as realtime.key_of does.
type keyForms struct{ booking, hangar, owner, user, ownerUser keyForm }

// keyForm is such an expression, in which {text} is the text.
type keyForm string

func (f keyForm) of(text string) string { return strings.ReplaceAll(string(f), "{text}", text) }

var keyPattern = regexp.MustCompile(`\{(ownerKey|userKey|ownerUserKey):([^}]*)\}`)

// fillKeys replaces {ownerKey:text} by the text as a value to compare with hangar_owners.id,
// {userKey:text} with users.id, and {ownerUserKey:text} with hangar_owners.user_id.
func (s shape) fillKeys(query string) string {
	forms := map[string]keyForm{"ownerKey": s.keys.owner, "userKey": s.keys.user, "ownerUserKey": s.keys.ownerUser}
	return keyPattern.ReplaceAllStringFunc(query, func(found string) string {
		parts := keyPattern.FindStringSubmatch(found)
		return "(" + forms[parts[1]].of(parts[2]) + ")"
	})
}

// paid writes when a booking with alias b was paid, as a column or expression to compare with
// paidParam, and the join it needs. In a database without payment_date it is what the triggers
// noted, else the row's last change.
func (s shape) paid() (column, condition, join string) {
	if s.paymentDate != "" {
		return "b.payment_date", s.isPaid, ""
	}
	column = "coalesce(p.paid_at, " + asInstant(s.updatedAt, "b.updated_at", "'UTC'") + ", " +
		asInstant(s.createdAt, "b.created_at", "'UTC'") + ")"
	return column, s.isPaid, "LEFT JOIN realtime.payments p ON p.booking_id = b.id::text"
}

// arrived writes whether the payment of a booking with alias b has arrived, be it cancelled since
// or not. Without payment_date the status alone tells.
func (s shape) arrived() string {
	if s.paymentDate != "" {
		return "b.payment_date IS NOT NULL"
	}
	return s.isPaid
}

// hasDates reports whether bookings have dates without hours.
func (s shape) hasDates() bool {
	return s.checkIn == "date" || s.createdAt == "date" || s.paidType() == "date"
}

func (s shape) paidType() string {
	if s.paymentDate != "" {
		return s.paymentDate
	}
	return "timestamp with time zone"
}

// builtIn is the equality of PostgreSQL's own. A plain = between two values of a type that has none
// of its own, like varchar, could be that of a role that may create in a schema of the search path.
// So ids, which are of such types, are compared by {=}.
const builtIn = "OPERATOR(pg_catalog.=)"

// equals writes the equality of a type: that of an extension's is its own.
func equals(columnType string) string {
	if strings.Contains(columnType, ".") {
		return "="
	}
	return builtIn
}

// Fill replaces {name} in a query by its value.
func Fill(query string, pairs ...string) string {
	return strings.NewReplacer(append(pairs, "{=}", builtIn)...).Replace(query)
}
