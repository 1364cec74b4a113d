package db

import (
	"context"
	"fmt"
	"time"
)

// retentionStep is how many rows one deletion takes at most: small, so that it holds nothing for long.
const retentionStep = 2000

// Retain removes one step of what is older than keep from the log, and reports whether there is more. It first notes the
// last event of every owner whose events go, and removes a batch only after its events: a position stays either servable
// or recognisably too old.
func (l *Log) Retain(ctx context.Context, keep time.Duration) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	_, err = l.pool.ExecContext(ctx, `
		UPDATE realtime.installation SET floor = expired.number + 1 FROM (
			SELECT max(number) AS number FROM realtime.batches
			WHERE at < now() - make_interval(secs => $1) AND number < (SELECT max(number) FROM realtime.batches)) expired
		WHERE floor <= expired.number`, keep.Seconds())
	if err != nil {
		return false, fmt.Errorf("raise the log's floor: %w", err)
	}
	var removed int
	// What the floor's own batch already saw before itself belongs to the batches below it, and nothing else does.
	err = l.pool.GetContext(ctx, &removed, `
		WITH floor AS (
			SELECT b.before FROM realtime.batches b JOIN realtime.installation i ON b.number = i.floor
		),
		chosen AS MATERIALIZED (
			SELECT e.ctid, e.xid, e.owner_id, e.type, e.at FROM realtime.events e
			WHERE e.xid < (SELECT pg_snapshot_xmax(before) FROM floor) AND pg_visible_in_snapshot(e.xid, (SELECT before FROM floor))
			ORDER BY e.xid LIMIT $1
		),
		noted AS (
			-- Its place is that of its transaction, as long as that was whole; of what is left of it later it is an earlier one.
			INSERT INTO realtime.last_events (owner_id, batch, turn, id)
			SELECT DISTINCT ON (coalesce(c.owner_id, '')) coalesce(c.owner_id, ''), b.number, t.turn, t.id
			FROM (SELECT DISTINCT owner_id, xid FROM chosen WHERE type NOT IN ('changed', 'access')) c
			CROSS JOIN LATERAL (
				SELECT max(id) AS turn, max(id) FILTER (WHERE type NOT IN ('changed', 'access')) AS id FROM (
					SELECT id, type FROM realtime.events WHERE owner_id = c.owner_id AND xid = c.xid
					UNION ALL
					SELECT id, type FROM realtime.events WHERE c.owner_id IS NULL AND owner_id IS NULL AND xid = c.xid) e) t
			CROSS JOIN LATERAL (
				SELECT number FROM realtime.batches WHERE bound > c.xid AND pg_visible_in_snapshot(c.xid, after)
				ORDER BY bound, number LIMIT 1) b
			ORDER BY coalesce(c.owner_id, ''), b.number DESC, t.turn DESC, t.id DESC
			ON CONFLICT (owner_id) DO UPDATE SET batch = excluded.batch, turn = excluded.turn, id = excluded.id
			WHERE (last_events.batch, last_events.turn, last_events.id) < (excluded.batch, excluded.turn, excluded.id)
		),
		missed AS ( -- by a ledger that nobody kept for so long, or that is being made and has no mark yet
			UPDATE realtime.ledger_generation SET number = number + 1 WHERE EXISTS (
				SELECT FROM chosen c, (SELECT after FROM realtime.ledger_marks ORDER BY number DESC LIMIT 1) m
				WHERE NOT pg_visible_in_snapshot(c.xid, m.after))
			OR NOT EXISTS (SELECT FROM realtime.ledger_marks) AND EXISTS (SELECT FROM chosen WHERE at > now() - make_interval(secs => $2))
		),
		deleted AS (DELETE FROM realtime.events e USING chosen c WHERE e.ctid = c.ctid RETURNING 1)
		SELECT count(*) FROM deleted`, retentionStep, 2*ledgerBuildTimeout.Seconds())
	if err != nil {
		return false, fmt.Errorf("remove old events: %w", err)
	}
	if removed > 0 {
		return true, nil
	}
	result, err := l.pool.ExecContext(ctx, `
		DELETE FROM realtime.batches WHERE number IN (
			SELECT number FROM realtime.batches WHERE number < (SELECT floor FROM realtime.installation)
			ORDER BY number LIMIT $1)`, retentionStep)
	if err != nil {
		return false, fmt.Errorf("remove old batches: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
