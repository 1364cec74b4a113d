package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lib/pq"
)

const (
	// firstSpan is how many batches the first query of a replay covers; each further one covers spanGrowth times as many,
	// until a page is full. So a page costs what it holds, and an owner with little in a long log a few queries.
	firstSpan  = 32
	spanGrowth = 8
)

// ownerRows reads an owner's changes between two snapshots, each with its batch: the first whose `after` sees its
// transaction. The index on bound leads close to it; only a transaction that stayed open for long is some batches further
// on. Parameters: 1 owner; 2 the first batch, 3 and 4 what its `before` does not see; 5 the `after` of the last batch, or
// null for all that was numbered.
const ownerRows = `
SELECT b.number, max(e.id) OVER (PARTITION BY e.owner_id, e.xid) AS turn, e.id, e.owner_id, e.type, e.data, e.at
FROM (
	SELECT * FROM realtime.events WHERE owner_id = $1 AND xid >= $3::xid8
		AND ($5::pg_snapshot IS NULL OR xid < pg_snapshot_xmax($5::pg_snapshot))
	UNION ALL
	SELECT * FROM realtime.events WHERE owner_id = $1 AND xid = ANY ($4::xid8[]) AND xid < $3::xid8
	UNION ALL
	SELECT * FROM realtime.events WHERE owner_id IS NULL AND xid >= $3::xid8
	UNION ALL
	SELECT * FROM realtime.events WHERE owner_id IS NULL AND xid = ANY ($4::xid8[]) AND xid < $3::xid8
) e
CROSS JOIN LATERAL (
	SELECT number FROM realtime.batches WHERE bound > e.xid AND number >= $2 AND pg_visible_in_snapshot(e.xid, after)
	ORDER BY bound, number LIMIT 1
) b
WHERE $5::pg_snapshot IS NULL OR pg_visible_in_snapshot(e.xid, $5::pg_snapshot)`

// Owner returns an owner's messages after a position, in order, at most limit, and whether there are more. It
// returns ErrHistoryGone when the log no longer holds all of them.
func (l *Log) Owner(ctx context.Context, ownerID string, after Position, limit int) (changes []Change, more bool, err error) {
	type page struct {
		changes []Change
		more    bool
	}
	p, err := askLog(ctx, l, func(ctx context.Context) (p page, err error) {
		p.changes, p.more, err = l.owner(ctx, ownerID, after, limit)
		return p, err
	})
	return p.changes, p.more, err
}

func (l *Log) owner(ctx context.Context, ownerID string, after Position, limit int) (changes []Change, more bool, err error) {
	first, err := l.batchAt(ctx, after)
	if errors.Is(err, ErrHistoryGone) {
		// Older than the log, and still complete if the owner's last event is the one at this position.
		if last, lastErr := l.last(ctx, ownerID); lastErr != nil || after.Compare(last) < 0 {
			return nil, false, cmp.Or(lastErr, err)
		}
		return nil, false, nil
	}
	from := after
	for span := firstSpan; err == nil && first != nil && len(changes) <= limit; span *= spanGrowth {
		var last batch
		if last, err = l.batchAhead(ctx, first.Number, span); err != nil {
			break
		}
		if changes, err = l.readSpan(ctx, ownerID, *first, last, after, limit+1, changes); err != nil {
			break
		}
		after = EndOfBatch(last.Number)
		first, err = l.batchAt(ctx, after)
	}
	if err == nil {
		err = l.checkFloor(ctx, from)
	}
	if err != nil {
		return nil, false, err
	}
	if len(changes) > limit {
		return changes[:limit], true, nil
	}
	return changes, false, nil
}

// readSpan appends an owner's messages of the batches from first to last, after a position, up to limit in all.
func (l *Log) readSpan(ctx context.Context, ownerID string, first, last batch, after Position, limit int, changes []Change) ([]Change, error) {
	before, err := parseSnapshot(first.Before)
	if err != nil {
		return nil, err
	}
	rows, err := l.pool.QueryContext(ctx, `SELECT * FROM (`+ownerRows+`) numbered
		WHERE type NOT IN ('changed', 'access') AND (number, turn, id) > ($6, $7, $8) ORDER BY number, turn, id LIMIT $9`,
		ownerID, first.Number, before.upper, pq.Array(before.open), last.After, after.Batch, after.Turn, after.ID, limit-len(changes))
	if err != nil {
		return nil, fmt.Errorf("read events of owner %s: %w", ownerID, err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Change
		var owner sql.NullString
		var data sql.RawBytes
		if err := rows.Scan(&c.Batch, &c.Turn, &c.ID, &owner, &c.Type, &data, &c.At); err != nil {
			return nil, fmt.Errorf("read an event of owner %s: %w", ownerID, err)
		}
		if c.Type == TypeTruncated {
			return nil, ErrHistoryGone
		}
		c.OwnerID, c.Data = owner.String, append(json.RawMessage(nil), data...)
		changes = append(changes, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read events of owner %s: %w", ownerID, err)
	}
	return changes, nil
}

// batchAhead returns the batch that lies a number of batches after another, or the newest.
func (l *Log) batchAhead(ctx context.Context, number int64, ahead int) (b batch, err error) {
	err = l.pool.GetContext(ctx, &b, `SELECT number, before::text AS before, after::text AS after
		FROM realtime.batches WHERE number <= $1 ORDER BY number DESC LIMIT 1`, number+int64(ahead))
	if err != nil {
		return b, fmt.Errorf("read batches: %w", err)
	}
	return b, nil
}

// batchAt returns the batch of a position, in which to begin reading after it; nil when the position is at the log's end.
func (l *Log) batchAt(ctx context.Context, after Position) (*batch, error) {
	var b batch
	err := l.pool.GetContext(ctx, &b, `SELECT number, before::text AS before, after::text AS after
		FROM realtime.batches WHERE number >= $1 ORDER BY number LIMIT 1`, after.Batch)
	if errors.Is(err, sql.ErrNoRows) {
		var head int64
		if err := l.pool.GetContext(ctx, &head, `SELECT max(number) FROM realtime.batches`); err != nil {
			return nil, fmt.Errorf("read batches: %w", err)
		}
		if after.Batch > head+1 { // a position that this history has not reached
			return nil, ErrHistoryGone
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	if b.Number != after.Batch {
		return nil, ErrHistoryGone
	}
	return &b, l.checkFloor(ctx, after)
}
