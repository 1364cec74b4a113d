package eventlog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Last returns the position of an owner's newest message, numbered so far: the zero Position if
// there never was one. What a query reads after Last was called lacks nothing up to it.
func (l *Log) Last(ctx context.Context, ownerID string) (Position, error) {
	answer, err := l.lasts.Load(ctx, ownerID)
	return answer.Position, cmp.Or(err, answer.err)
}

// lastAnswer is the answer about one owner. An error of its own concerns nobody else.
type lastAnswer struct {
	Position
	err error
}

// mostLasts is about how many owners one query asks for their last message, gatherLasts the least
// time between the beginnings of two: clients of a server that is gone come back one by one.
const (
	mostLasts   = 500
	gatherLasts = 20 * time.Millisecond
)

// lastsQuery finds the last message of each of some owners, as last does for one: the batch of the
// numbered transaction with the greatest id, and in it and those after it the last row. Where a
// batch that is a large transaction is among these, it says so and nothing else. Parameter: owners.
const lastsQuery = `
WITH head AS MATERIALIZED (SELECT after FROM realtime.batches ORDER BY number DESC LIMIT 1),
gaps AS MATERIALIZED (
	SELECT x AS above, pg_catalog.lead(x, 1, pg_snapshot_xmax(after)) OVER (ORDER BY x) AS below
	FROM head CROSS JOIN LATERAL (SELECT '0'::xid8 UNION ALL SELECT pg_snapshot_xip(after)) AS b(x)
),
everybody AS MATERIALIZED (
	SELECT e.xid FROM gaps g CROSS JOIN LATERAL (
		SELECT xid FROM realtime.events WHERE owner_id IS NULL AND ` + isMessage + ` AND xid > g.above AND xid < g.below
		ORDER BY xid DESC LIMIT 1) e ORDER BY g.above DESC LIMIT 1
)
SELECT asked.o AS owner, coalesce(first.large, false) AS large,
	coalesce(n.number, x.batch, 0) AS batch, coalesce(n.turn, x.turn, 0) AS turn, coalesce(n.id, x.id, 0) AS id, coalesce(n.mark, x.mark, 0) AS mark
FROM pg_catalog.unnest($1::text[]) AS asked(o)
LEFT JOIN LATERAL (
	SELECT b.number, b.before, EXISTS (SELECT FROM realtime.batches WHERE large IS NOT NULL AND number >= b.number) AS large
	FROM (
		(SELECT e.xid FROM gaps g CROSS JOIN LATERAL (
			SELECT xid FROM realtime.events WHERE owner_id = asked.o AND ` + isMessage + ` AND xid > g.above AND xid < g.below
			ORDER BY xid DESC LIMIT 1) e ORDER BY g.above DESC LIMIT 1)
		UNION ALL
		SELECT xid FROM everybody
	) recent CROSS JOIN LATERAL (
		SELECT * FROM realtime.batches WHERE bound > recent.xid AND pg_visible_in_snapshot(recent.xid, after) ORDER BY bound, number LIMIT 1) b
	ORDER BY b.number DESC LIMIT 1
) first ON true
LEFT JOIN LATERAL (
	SELECT c.number, c.mark, e.turn, e.id FROM (
		SELECT max(id) OVER (PARTITION BY owner_id, xid) AS turn, own.* FROM (
			SELECT * FROM realtime.events WHERE owner_id = asked.o
				AND xid >= pg_snapshot_xmin(first.before) AND xid < (SELECT pg_snapshot_xmax(after) FROM head)
			UNION ALL
			SELECT * FROM realtime.events WHERE owner_id IS NULL
				AND xid >= pg_snapshot_xmin(first.before) AND xid < (SELECT pg_snapshot_xmax(after) FROM head)) own
		WHERE NOT first.large AND NOT pg_visible_in_snapshot(xid, first.before) AND pg_visible_in_snapshot(xid, (SELECT after FROM head))
	) e CROSS JOIN LATERAL (
		SELECT number, mark FROM realtime.batches WHERE bound > e.xid AND number >= first.number AND pg_visible_in_snapshot(e.xid, after)
		ORDER BY bound, number LIMIT 1) c
	WHERE ` + isMessage + ` ORDER BY c.number DESC, e.turn DESC, e.id DESC LIMIT 1
) n ON true
LEFT JOIN LATERAL (
	SELECT batch, turn, id, mark FROM realtime.last_events WHERE n.number IS NULL AND owner_id IN (asked.o, '')
	ORDER BY batch DESC, turn DESC, id DESC LIMIT 1
) x ON true`

// lastOfOwners returns the positions of the newest messages of some owners.
func (l *Log) lastOfOwners(ctx context.Context, ownerIDs []string) (map[string]lastAnswer, error) {
	answers := make(map[string]lastAnswer, len(ownerIDs))
	alone := ownerIDs
	if len(ownerIDs) > 1 {
		var rows []struct {
			Owner     string
			Large     bool
			Batch, ID int64
			TxOrder   int64 `db:"turn"`
			Mark      uint32
		}
		_, err := askLog(ctx, l, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, l.pool.SelectContext(ctx, &rows, lastsQuery, pq.Array(ownerIDs))
		})
		if db.Unavailable(err) {
			return nil, fmt.Errorf("read the last events of %d owners: %w", len(ownerIDs), err)
		}
		if err == nil {
			alone = nil
		}
		for _, r := range rows {
			if r.Large {
				alone = append(alone, r.Owner)
				continue
			}
			answers[r.Owner] = lastAnswer{Position: Position{Batch: r.Batch, TxOrder: r.TxOrder, ID: r.ID, Mark: r.Mark}}
		}
	}
	for _, id := range alone {
		p, err := askLog(ctx, l, func(ctx context.Context) (Position, error) { return l.last(ctx, id) })
		answers[id] = lastAnswer{p, err}
	}
	return answers, nil
}

// Oldest returns a position before the oldest event that the log still holds.
func (l *Log) Oldest(ctx context.Context) (Position, error) {
	oldest, err := askLog(ctx, l, func(ctx context.Context) (oldest Position, err error) {
		err = l.pool.QueryRowContext(ctx, `SELECT b.number, b.mark FROM realtime.installation i
			CROSS JOIN LATERAL (SELECT number, mark FROM realtime.batches WHERE number >= i.floor ORDER BY number LIMIT 1) b`).
			Scan(&oldest.Batch, &oldest.Mark)
		return oldest, err
	})
	if err != nil {
		return oldest, fmt.Errorf("read the low watermark of the log: %w", err)
	}
	return oldest, nil
}

// newestBatch finds the batch of an owner's numbered transaction with the greatest id;
// what was not numbered yet is not touched, however much it is. In a later batch can only
// be what that one did not see.
const newestBatch = `
WITH head AS (SELECT after FROM realtime.batches ORDER BY number DESC LIMIT 1),
gaps AS MATERIALIZED (
	SELECT x AS above, pg_catalog.lead(x, 1, pg_snapshot_xmax(after)) OVER (ORDER BY x) AS below
	FROM head CROSS JOIN LATERAL (SELECT '0'::xid8 UNION ALL SELECT pg_snapshot_xip(after)) AS b(x)
),
recent AS (
	(SELECT e.xid FROM gaps g CROSS JOIN LATERAL (
		SELECT xid FROM realtime.events WHERE owner_id = $1 AND ` + isMessage + ` AND xid > g.above AND xid < g.below
		ORDER BY xid DESC LIMIT 1) e ORDER BY g.above DESC LIMIT 1)
	UNION ALL
	(SELECT e.xid FROM gaps g CROSS JOIN LATERAL (
		SELECT xid FROM realtime.events WHERE owner_id IS NULL AND ` + isMessage + ` AND xid > g.above AND xid < g.below
		ORDER BY xid DESC LIMIT 1) e ORDER BY g.above DESC LIMIT 1)
)
SELECT b.number, b.before::text AS before, (SELECT after::text FROM head) AS after, b.mark, b.large::text AS large
FROM recent r CROSS JOIN LATERAL (
	SELECT * FROM realtime.batches WHERE bound > r.xid AND pg_visible_in_snapshot(r.xid, after)
	ORDER BY bound, number LIMIT 1) b
ORDER BY b.number DESC LIMIT 1`

func (l *Log) last(ctx context.Context, ownerID string) (Position, error) {
	var b batch // up to the log's head
	err := l.pool.GetContext(ctx, &b, newestBatch, ownerID)
	if errors.Is(err, sql.ErrNoRows) {
		return l.expired(ctx, ownerID)
	}
	if err != nil {
		return Position{}, fmt.Errorf("read the last event of owner %s: %w", ownerID, err)
	}
	var large []batch
	if err := l.pool.SelectContext(ctx, &large, `SELECT `+batchColumns+`
		FROM realtime.batches WHERE large IS NOT NULL AND number >= $1`, b.Number); err != nil {
		return Position{}, fmt.Errorf("read large batches: %w", err)
	}
	p, err := l.lastOfMany(ctx, ownerID, b, large)
	for _, one := range large {
		if err != nil {
			break
		}
		var q Position
		if q, err = l.lastOfLarge(ctx, ownerID, one); q.Compare(p) > 0 {
			p = q
		}
	}
	if err != nil {
		return Position{}, fmt.Errorf("read the last event of owner %s: %w", ownerID, err)
	}
	if p == (Position{}) { // retention removed it meanwhile
		return l.expired(ctx, ownerID)
	}
	return p, nil
}

// lastOfMany returns the position of an owner's last message from a batch on, those of
// large transactions left out.
func (l *Log) lastOfMany(ctx context.Context, ownerID string, b batch, but []batch) (p Position, err error) {
	var without []uint64
	for _, one := range but {
		xid, err := strconv.ParseUint(*one.Large, 10, 64)
		if err != nil {
			return p, fmt.Errorf("read the transaction of batch %d: %w", one.Number, err)
		}
		without = append(without, xid)
	}
	r, err := b.ranges(b, without...)
	if err != nil {
		return p, err
	}
	lo, hi := r.Parameters()
	row := l.pool.QueryRowContext(ctx, `WITH `+ownerRows+`
		SELECT number, turn, id, mark FROM numbered WHERE `+isMessage+` ORDER BY number DESC, turn DESC, id DESC LIMIT 1`,
		ownerID, b.Number, pq.Array(lo), pq.Array(hi), nil)
	if err = row.Scan(&p.Batch, &p.TxOrder, &p.ID, &p.Mark); errors.Is(err, sql.ErrNoRows) {
		return Position{}, nil
	}
	return p, err
}

// lastOfLarge returns the position of an owner's last message in a batch that is one
// large transaction.
func (l *Log) lastOfLarge(ctx context.Context, ownerID string, b batch) (p Position, err error) {
	const newest = `SELECT (SELECT max(id) FROM realtime.events WHERE owner_id {is} AND xid = $2::xid8) AS turn, id
		FROM realtime.events WHERE owner_id {is} AND xid = $2::xid8 AND ` + isMessage + ` ORDER BY xid DESC, id DESC LIMIT 1`
	row := l.pool.QueryRowContext(ctx, `SELECT turn, id FROM ((`+db.Fill(newest, "{is}", "= $1")+`) UNION ALL (`+db.Fill(newest, "{is}", "IS NULL")+`)) n
		ORDER BY turn DESC, id DESC LIMIT 1`, ownerID, *b.Large)
	if err := row.Scan(&p.TxOrder, &p.ID); errors.Is(err, sql.ErrNoRows) {
		return Position{}, nil
	} else if err != nil {
		return p, err
	}
	p.Batch, p.Mark = b.Number, b.Mark
	return p, nil
}

// expired returns the position of the last of an owner's events that retention has removed.
func (l *Log) expired(ctx context.Context, ownerID string) (Position, error) {
	var p Position
	row := l.pool.QueryRowContext(ctx, `SELECT batch, turn, id, mark FROM realtime.last_events
		WHERE owner_id IN ($1, '') ORDER BY batch DESC, turn DESC, id DESC LIMIT 1`, ownerID)
	if err := row.Scan(&p.Batch, &p.TxOrder, &p.ID, &p.Mark); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("read the last removed event of owner %s: %w", ownerID, err)
	}
	return p, nil
}
