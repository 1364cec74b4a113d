package db

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// Occupancy keeps which hangars are occupied, and logs each turn from empty to occupied and back,
// once, in one transaction with what it keeps. Only the server that numbers the log may use it.
type Occupancy struct{ store *Store }

// reconcileQuery compares what is kept with what is true now for the hangars given in $1 (all of
// them when it is null), writes down the differences and logs them. A hangar that was never looked
// at counts as empty, except at the very first time ($4), when nothing is said of what was already
// so. $2 is now, $3 its date.
//
// An owner is told `changed` for each hangar that a check-in or check-out time ($5) has just
// reached, also where the hangar did not turn: its share of occupied spaces did.
const reconcileQuery = `
WITH known AS (
	SELECT l.id AS key, l.id::text AS hangar_id, l.owner_id::text AS owner_id, coalesce(l.hangar_number::text, '') AS number
	FROM {listings} l WHERE $1::text[] IS NULL OR l.id {=} ANY (ARRAY(SELECT {hangarKey} FROM pg_catalog.unnest($1::text[]) given))
	UNION ALL
	SELECT NULL, d.hangar_id, d.owner_id, coalesce(d.hangar_number, '') FROM realtime.departed_hangars d
	WHERE ($1::text[] IS NULL OR d.hangar_id = ANY ($1::text[])) AND d.hangar_id NOT IN (SELECT id::text FROM {listings})
),
now AS (
	SELECT k.hangar_id, k.owner_id, k.number, k.key IS NOT NULL AS listed, s.occupant IS NOT NULL AS occupied, s.occupant
	FROM known k LEFT JOIN LATERAL (
		SELECT pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)) AS occupant
		FROM {bookings} b LEFT JOIN {users} u ON u.id {=} b.user_id
		WHERE b.hangar_id {=} k.key AND b.status::text IN ('confirmed', 'active')
			AND b.check_in OPERATOR(pg_catalog.<=) {now.stay} AND b.check_out OPERATOR(pg_catalog.>) {now.stay}
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
		SELECT 1 AS ord, owner_id, 'occupancy_changed' AS type, pg_catalog.json_build_object('hangarId', hangar_id, 'hangarNumber', number,
			'isNowOccupied', occupied, 'previousOccupant', coalesce(previous, ''), 'newOccupant', coalesce(occupant, '')) AS data
		FROM turned WHERE occupied <> was AND NOT $4::boolean
		UNION ALL
		SELECT 2, owner_id, 'changed', '{"bookings": []}' FROM now WHERE hangar_id = ANY ($5::text[])
	) e WHERE owner_id IS NOT NULL ORDER BY ord
	RETURNING 1
)
SELECT count(*) FROM logged`

// transitionsQuery lists when stays begin or end after $1 and up to $2 ($3 and $4 as
// dates), with their hangars.
const transitionsQuery = `
SELECT hangar_id::text AS hangar_id, at FROM (
	SELECT hangar_id, {checkIn} AS at FROM {bookings} b
	WHERE status::text IN ('confirmed', 'active') AND hangar_id IS NOT NULL AND check_in OPERATOR(pg_catalog.>) {from} AND check_in OPERATOR(pg_catalog.<=) {until}
	UNION ALL
	SELECT hangar_id, {checkOut} FROM {bookings} b
	WHERE status::text IN ('confirmed', 'active') AND hangar_id IS NOT NULL AND check_out OPERATOR(pg_catalog.>) {from} AND check_out OPERATOR(pg_catalog.<=) {until}
) t WHERE $1::timestamptz IS NOT NULL AND $2::timestamptz IS NOT NULL
	AND $3::date IS NOT NULL AND $4::date IS NOT NULL AND $5::text IS NOT NULL`

// NewOccupancy returns the occupancy of the hangars that store knows.
func NewOccupancy(store *Store) *Occupancy { return &Occupancy{store} }

// Transition is a moment at which a stay in a hangar begins or ends.
type Transition struct {
	HangarID string    `db:"hangar_id"`
	At       time.Time `db:"at"`
}

// Reconcile compares the given hangars, or all when hangars is nil, with what is true at the
// instant now and logs what turned; reached are those among them whose check-in or check-out time
// has come. It returns how many rows it logged.
func (o *Occupancy) Reconcile(ctx context.Context, now time.Time, hangars, reached []string) (logged int, err error) {
	limit := QueryTimeout
	if hangars == nil { // of tables without indexes this takes its time
		limit = StatementTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = o.store.asking(ctx, func(w *written) (err error) {
		logged, err = o.reconcile(ctx, w.sql.reconcile, now, hangars, reached)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reconcile occupancy: %w", err)
	}
	return logged, nil
}

func (o *Occupancy) reconcile(ctx context.Context, query string, now time.Time, hangars, reached []string) (logged int, err error) {
	tx, err := o.store.pool.BeginTxx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, refuseHidden); err != nil {
		return 0, fmt.Errorf("reconcile occupancy: %w", err)
	}
	first := false
	if hangars == nil {
		if err := tx.GetContext(ctx, &first, `SELECT baselined_at IS NULL FROM realtime.installation`); err != nil {
			return 0, err
		}
	}
	err = tx.GetContext(ctx, &logged, query, array(hangars), now, now.In(o.store.loc).Format(time.DateOnly), first, array(reached))
	if err != nil {
		return 0, err
	}
	if first {
		if _, err := tx.ExecContext(ctx, `UPDATE realtime.installation SET baselined_at = now()`); err != nil {
			return 0, err
		}
	}
	return logged, tx.Commit()
}

// Baselined reports whether all hangars were ever reconciled.
func (o *Occupancy) Baselined(ctx context.Context) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	if err := o.store.pool.GetContext(ctx, &done, `SELECT baselined_at IS NOT NULL FROM realtime.installation`); err != nil {
		return false, fmt.Errorf("read whether occupancy was looked at: %w", err)
	}
	return done, nil
}

// Transitions returns when stays begin or end after from and up to until.
func (o *Occupancy) Transitions(ctx context.Context, from, until time.Time) ([]Transition, error) {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	var due []Transition
	date := func(t time.Time) string { return t.In(o.store.loc).Format(time.DateOnly) }
	err := o.store.asking(ctx, func(w *written) error {
		due = nil
		return o.store.pool.SelectContext(ctx, &due, w.sql.transitions, from, until, date(from), date(until), o.store.loc.String())
	})
	if err != nil {
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
