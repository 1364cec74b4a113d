package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// TypeOccupancy is the type of the changes that Occupancy writes to the log.
const TypeOccupancy = "occupancy_changed"

// Occupancy keeps which hangars are occupied, and logs each turn from empty to occupied and back, once, in one
// transaction with what it keeps. Only the server that numbers the log may use it.
type Occupancy struct {
	pool  *sqlx.DB
	loc   *time.Location
	query string
	due   string
}

// settleQuery compares what is kept with what is true now for the hangars given in $1 (all of them when it is null),
// writes down the differences and logs them. A hangar that was never looked at counts as empty, except at the very
// first time ($4), when nothing is said of what was already so. $2 is now, $3 its date.
//
// An owner is told `changed` for each hangar that a check-in or check-out time ($5) has just reached, also where the
// hangar did not turn: its share of occupied spaces did.
const settleQuery = `
WITH known AS (
	SELECT l.id AS key, l.id::text AS hangar_id, l.owner_id::text AS owner_id, coalesce(l.hangar_number::text, '') AS number
	FROM {listings} l WHERE $1::text[] IS NULL OR l.id = ANY ($1::text[]::{hangarType}[])
	UNION ALL
	SELECT NULL, d.hangar_id, d.owner_id, coalesce(d.hangar_number, '') FROM realtime.departed_hangars d
	WHERE ($1::text[] IS NULL OR d.hangar_id = ANY ($1::text[])) AND d.hangar_id NOT IN (SELECT id::text FROM {listings})
),
now AS (
	SELECT k.hangar_id, k.owner_id, k.number, k.key IS NOT NULL AS listed, s.occupant IS NOT NULL AS occupied, s.occupant
	FROM known k LEFT JOIN LATERAL (
		SELECT btrim(concat_ws(' ', u.first_name, u.last_name)) AS occupant
		FROM {bookings} b LEFT JOIN {users} u ON u.id = b.user_id
		WHERE b.hangar_id = k.key AND b.status::text IN ('confirmed', 'active')
			AND b.check_in <= {now.stay} AND b.check_out > {now.stay}
		ORDER BY b.check_in DESC, b.id DESC LIMIT 1) s ON true
),
turned AS (
	SELECT n.*, o.occupant AS previous, coalesce(o.occupied, false) AS was
	FROM now n LEFT JOIN realtime.occupancy o USING (hangar_id)
	WHERE o.hangar_id IS NULL OR o.occupied <> n.occupied OR o.occupant IS DISTINCT FROM n.occupant
),
kept AS (
	INSERT INTO realtime.occupancy (hangar_id, occupied, occupant)
	SELECT hangar_id, occupied, occupant FROM turned WHERE listed
	ON CONFLICT (hangar_id) DO UPDATE SET occupied = excluded.occupied, occupant = excluded.occupant
),
gone AS (
	DELETE FROM realtime.occupancy o USING now n WHERE o.hangar_id = n.hangar_id AND NOT n.listed
),
logged AS (
	INSERT INTO realtime.events (owner_id, type, data)
	SELECT owner_id, type, data FROM (
		SELECT 1 AS ord, owner_id, 'occupancy_changed' AS type, json_build_object('hangarId', hangar_id, 'hangarNumber', number,
			'isNowOccupied', occupied, 'previousOccupant', coalesce(previous, ''), 'newOccupant', coalesce(occupant, '')) AS data
		FROM turned WHERE occupied <> was AND NOT $4::boolean
		UNION ALL
		SELECT 2, owner_id, 'changed', '{"bookings": []}' FROM now WHERE hangar_id = ANY ($5::text[])
	) e WHERE owner_id IS NOT NULL ORDER BY ord
	RETURNING 1
)
SELECT count(*) FROM logged`

// dueQuery lists when stays begin or end after $1 and up to $2 ($3 and $4 as dates), with their hangars.
const dueQuery = `
SELECT hangar_id::text AS hangar_id, at FROM (
	SELECT hangar_id, {checkIn} AS at FROM {bookings} b
	WHERE status::text IN ('confirmed', 'active') AND check_in > {from} AND check_in <= {until}
	UNION ALL
	SELECT hangar_id, {checkOut} FROM {bookings} b
	WHERE status::text IN ('confirmed', 'active') AND check_out > {from} AND check_out <= {until}
) t WHERE $1::timestamptz IS NOT NULL AND $2::timestamptz IS NOT NULL
	AND $3::date IS NOT NULL AND $4::date IS NOT NULL AND $5::text IS NOT NULL`

// NewOccupancy returns the occupancy of the hangars that store knows.
func NewOccupancy(store *Store) *Occupancy {
	s := store.shape
	return &Occupancy{
		pool: store.pool,
		loc:  store.loc,
		query: fill(fill(settleQuery, "{now.stay}", instantParam(s.checkIn, "$2", "$3")),
			"{listings}", s.listings, "{bookings}", s.bookings, "{users}", s.users, "{hangarType}", s.hangarID) +
			`, (SELECT $2::timestamptz, $3::date) AS parameters GROUP BY ()`,
		due: fill(dueQuery, "{bookings}", s.bookings,
			"{checkIn}", asInstant(s.checkIn, "b.check_in", "$5"), "{checkOut}", asInstant(s.checkIn, "b.check_out", "$5"),
			"{from}", instantParam(s.checkIn, "$1", "$3"), "{until}", instantParam(s.checkIn, "$2", "$4")),
	}
}

// Boundary is a moment at which a stay in a hangar begins or ends.
type Boundary struct {
	HangarID string    `db:"hangar_id"`
	At       time.Time `db:"at"`
}

// Settle compares the given hangars, or all when hangars is nil, with what is true at the instant now and logs what
// turned; reached are those among them whose check-in or check-out time has come. It returns how many rows it logged.
func (o *Occupancy) Settle(ctx context.Context, now time.Time, hangars, reached []string) (logged int, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	tx, err := o.pool.BeginTxx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("settle occupancy: %w", err)
	}
	defer tx.Rollback()
	first := false
	if hangars == nil {
		if err := tx.GetContext(ctx, &first, `SELECT baselined_at IS NULL FROM realtime.installation`); err != nil {
			return 0, fmt.Errorf("settle occupancy: %w", err)
		}
	}
	err = tx.GetContext(ctx, &logged, o.query, array(hangars), now, now.In(o.loc).Format(time.DateOnly), first, array(reached))
	if err != nil {
		return 0, fmt.Errorf("settle occupancy: %w", err)
	}
	if first {
		if _, err := tx.ExecContext(ctx, `UPDATE realtime.installation SET baselined_at = now()`); err != nil {
			return 0, fmt.Errorf("settle occupancy: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("settle occupancy: %w", err)
	}
	return logged, nil
}

// Due returns when stays begin or end after from and up to until.
func (o *Occupancy) Due(ctx context.Context, from, until time.Time) ([]Boundary, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	var due []Boundary
	date := func(t time.Time) string { return t.In(o.loc).Format(time.DateOnly) }
	if err := o.pool.SelectContext(ctx, &due, o.due, from, until, date(from), date(until), o.loc.String()); err != nil {
		return nil, fmt.Errorf("read coming check-ins and check-outs: %w", err)
	}
	return due, nil
}

// array is a text[] parameter; nil is SQL's null.
func array(values []string) any {
	if values == nil {
		return nil
	}
	return pq.Array(values)
}
