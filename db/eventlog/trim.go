package eventlog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// deletionRows is how many rows one deletion takes at most: small, so that it holds
// nothing for long.
const deletionRows = 2000

// Trim removes one step of what is older than keep from the log, and reports whether there is more.
// It first notes the last event of every owner whose events go, and removes a batch only after its
// events: a position stays either servable or recognisably too old.
func (l *Log) Trim(ctx context.Context, keep time.Duration) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.StatementTimeout)
	defer cancel()
	_, err = l.pool.ExecContext(ctx, `
		UPDATE realtime.installation SET floor = expired.number + 1 FROM (
			SELECT max(number) AS number FROM realtime.batches
			WHERE at < now() - make_interval(secs => $1) AND number < (SELECT max(number) FROM realtime.batches)) expired
		WHERE floor <= expired.number`, keep.Seconds())
	if err != nil {
		return false, fmt.Errorf("raise the low watermark of the log: %w", err)
	}
	var removed int
	// What the low watermark's own batch already saw before itself belongs to the batches
	// below it, and nothing else does.
	err = l.pool.GetContext(ctx, &removed, `
		WITH floor AS (
			SELECT b.before FROM realtime.batches b JOIN realtime.installation i ON b.number = i.floor
		),
		chosen AS MATERIALIZED (
			SELECT e.ctid, e.xid, e.id, e.owner_id, e.type, e.at FROM realtime.events e
			WHERE e.xid < (SELECT pg_snapshot_xmax(before) FROM floor) AND pg_visible_in_snapshot(e.xid, (SELECT before FROM floor))
			ORDER BY e.xid, e.id LIMIT $1
		),
		noted AS (
			-- Its place is that of its transaction, as long as that was whole; of what is left
			-- of it later it is an earlier one. The newest rows of a large transaction go last,
			-- so it is found at the end of an index.
			INSERT INTO realtime.last_events (owner_id, batch, turn, id, mark)
			SELECT DISTINCT ON (coalesce(c.owner_id, '')) coalesce(c.owner_id, ''), b.number, t.turn, t.id, b.mark
			FROM (SELECT DISTINCT owner_id, xid FROM chosen WHERE `+isMessage+`) c
			CROSS JOIN LATERAL (
				SELECT (SELECT max(id) FROM realtime.events WHERE owner_id = c.owner_id AND xid = c.xid) AS turn,
					(SELECT id FROM realtime.events WHERE owner_id = c.owner_id AND xid = c.xid AND `+isMessage+` ORDER BY xid DESC, id DESC LIMIT 1) AS id
				WHERE c.owner_id IS NOT NULL
				UNION ALL
				SELECT (SELECT max(id) FROM realtime.events WHERE owner_id IS NULL AND xid = c.xid),
					(SELECT id FROM realtime.events WHERE owner_id IS NULL AND xid = c.xid AND `+isMessage+` ORDER BY xid DESC, id DESC LIMIT 1)
				WHERE c.owner_id IS NULL) t
			CROSS JOIN LATERAL (
				SELECT number, mark FROM realtime.batches WHERE bound > c.xid AND pg_visible_in_snapshot(c.xid, after)
				ORDER BY bound, number LIMIT 1) b
			ORDER BY coalesce(c.owner_id, ''), b.number DESC, t.turn DESC, t.id DESC
			ON CONFLICT (owner_id) DO UPDATE SET batch = excluded.batch, turn = excluded.turn, id = excluded.id, mark = excluded.mark
			WHERE (last_events.batch, last_events.turn, last_events.id) < (excluded.batch, excluded.turn, excluded.id)
		),
		`+l.missed()+`
		deleted AS (DELETE FROM realtime.events e USING chosen c WHERE e.ctid = c.ctid RETURNING 1)
		SELECT count(*) FROM deleted`, deletionRows)
	if err != nil {
		return false, fmt.Errorf("remove old events: %w", err)
	}
	if removed > 0 {
		return true, nil
	}
	result, err := l.pool.ExecContext(ctx, `
		DELETE FROM realtime.batches WHERE number IN (
			SELECT number FROM realtime.batches WHERE number < (SELECT floor FROM realtime.installation)
			ORDER BY number LIMIT $1)`, deletionRows)
	if err != nil {
		return false, fmt.Errorf("remove old batches: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// missed is the part of the statement that removes the rows in `chosen` which has the consumers
// start over that have not applied one of them, or that are being built and may need it.
func (l *Log) missed() string {
	var b strings.Builder
	for i, c := range l.consumers {
		fmt.Fprintf(&b, `missed_%d AS (%s WHERE EXISTS (
				SELECT FROM chosen c, (%s) m WHERE NOT pg_visible_in_snapshot(c.xid, m.after))
			OR NOT EXISTS (%[3]s) AND EXISTS (SELECT FROM chosen WHERE at > now() - make_interval(secs => %d))),
		`, i, c.Invalidate, c.Applied, int(c.BuildTime.Seconds()))
	}
	return b.String()
}
