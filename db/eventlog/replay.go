package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"
)

const (
	// firstSpan is how many batches the first query of a replay covers; each further one covers
	// spanGrowth times as many, until a page is full, and fewer again where the owner has more than
	// spanRows rows in them. So a page costs what it holds, an owner with little in a long log
	// costs a few queries, and one with very much no more than is read.
	firstSpan  = 32
	spanGrowth = 8
	spanRows   = wholeBatch
	// pageTime is how long a page may take to fill: what there is by then is a page too, if it
	// comes any further.
	pageTime = time.Second
)

// errOtherMark says that a position is of a batch that has the same number in another history.
var errOtherMark = fmt.Errorf("%w: a position of another history", ErrHistoryGone)

// ownerRows reads an owner's changes in some transactions, each with its batch: the first whose
// `after` sees its transaction. The index on bound leads close to it; only a transaction that
// stayed open for long is some batches further on. Parameters: 1 owner; 2 the first batch; 3 and 4
// the ranges of transactions; 5 at most how many rows.
const ownerRows = `
fresh AS MATERIALIZED (
	SELECT e.* FROM ROWS FROM (pg_catalog.unnest($3::xid8[]), pg_catalog.unnest($4::xid8[])) AS r(lo, hi) CROSS JOIN LATERAL (
		SELECT * FROM realtime.events WHERE owner_id = $1 AND xid >= r.lo AND xid < r.hi
		UNION ALL
		SELECT * FROM realtime.events WHERE owner_id IS NULL AND xid >= r.lo AND xid < r.hi) e
	LIMIT $5
),
numbered AS (
	SELECT b.number, b.mark, max(e.id) OVER (PARTITION BY e.owner_id, e.xid) AS turn, e.id, e.owner_id, e.type, e.data, e.at, e.xid
	FROM fresh e CROSS JOIN LATERAL (
		SELECT number, mark FROM realtime.batches WHERE bound > e.xid AND number >= $2 AND pg_visible_in_snapshot(e.xid, after)
		ORDER BY bound, number LIMIT 1) b
)`

// Page is a part of an owner's messages: everything after a position up to End. More says that
// there is more to read; a page may hold no message and yet come further.
type Page struct {
	Changes []Change
	End     Position
	More    bool
}

// Owner returns an owner's messages after a position, in order, at most limit. It returns
// ErrHistoryGone when the log no longer holds all of them, or never held the position.
func (l *Log) Owner(ctx context.Context, ownerID string, after Position, limit int) (Page, error) {
	return askLog(ctx, l, func(ctx context.Context) (Page, error) { return l.owner(ctx, ownerID, after, limit) })
}

// Reaches returns ErrHistoryGone where a position is none of an owner's in this history,
// or of what the log still holds.
func (l *Log) Reaches(ctx context.Context, ownerID string, p Position) error {
	_, err := askLog(ctx, l, func(ctx context.Context) (*batch, error) { return l.batchOf(ctx, ownerID, p) })
	return err
}

func (l *Log) owner(ctx context.Context, ownerID string, after Position, limit int) (Page, error) {
	p, from, begun := Page{End: after}, after, time.Now()
	first, err := l.batchOf(ctx, ownerID, after)
	if err != nil || first == nil {
		return p, err
	}
	for span := firstSpan; err == nil && first != nil; {
		var done bool
		if span, done, err = l.ownerSpan(ctx, ownerID, *first, span, limit, &p); err != nil {
			break
		}
		if len(p.Changes) > limit {
			p.Changes = p.Changes[:limit]
			p.More, p.End = true, p.Changes[limit-1].Position
			break
		}
		if done {
			first, err = l.batchAt(ctx, p.End)
		}
		if err == nil && first != nil && (len(p.Changes) == limit || p.End.Compare(from) > 0 && time.Since(begun) > l.pageTime) {
			p.More = true
			break
		}
	}
	if err == nil {
		err = l.checkLowWatermark(ctx, from)
	}
	if err != nil {
		return Page{}, err
	}
	return p, nil
}

// ownerSpan appends an owner's messages of the batches from first on, and moves the page's end. It
// returns how many batches to read next, and whether the end is now that of a batch.
func (l *Log) ownerSpan(ctx context.Context, ownerID string, first batch, span, limit int, p *Page) (next int, done bool, err error) {
	last := first
	if span > 1 {
		if last, err = l.batchAhead(ctx, first.Number, span); err != nil {
			return span, false, err
		}
	}
	most := spanRows
	if last.Number == first.Number && first.Large == nil {
		most = 1 << 30 // more than a batch has, unless an older version numbered it
	}
	all, err := l.readSpan(ctx, ownerID, first, last, most, limit+1, p)
	switch {
	case err != nil:
		return span, false, err
	case all:
		p.End = EndOfBatch(last.Number)
		return span * spanGrowth, true, nil
	case last.Number > first.Number:
		return max(1, span/spanGrowth), false, nil
	}
	done, err = l.readLarge(ctx, ownerID, first, limit+1, p)
	return 1, done, err
}

// readSpan appends an owner's messages of the batches from first to last, after the
// page's end, up to limit in all; or reports false, and does nothing, where the owner has
// more than a number of rows in them.
func (l *Log) readSpan(ctx context.Context, ownerID string, first, last batch, most, limit int, p *Page) (all bool, err error) {
	r, err := first.ranges(last)
	if err != nil {
		return false, err
	}
	lo, hi := r.Parameters()
	const query = `WITH ` + ownerRows + `
		SELECT (SELECT count(*) FROM fresh) AS count, n.* FROM (SELECT) AS one LEFT JOIN (
			SELECT number, mark, turn, id, {owner} AS owner, {type} AS type, {data} AS data, at, xid::text AS xid FROM numbered
			WHERE ` + isMessage + ` AND (number, turn, id) > ($6::bigint, $7::bigint, $8::bigint) AND (SELECT count(*) FROM fresh) < $5
			ORDER BY number, turn, id LIMIT $9
		) n ON true ORDER BY n.number, n.turn, n.id`
	rows, err := l.query(ctx, query, ownerID, first.Number, pq.Array(lo), pq.Array(hi), most+1,
		p.End.Batch, p.End.TxOrder, p.End.ID, limit-len(p.Changes))
	if err != nil {
		return false, fmt.Errorf("read events of owner %s: %w", ownerID, err)
	}
	if rows.count > int64(most) {
		return false, nil
	}
	return true, p.append(rows.changes)
}

// readLarge appends an owner's messages of a batch that is one large transaction, after the page's
// end, up to limit in all, and moves the end. It reports whether it came to the end of the batch.
// Its rows follow each other by id: each is read once.
func (l *Log) readLarge(ctx context.Context, ownerID string, b batch, limit int, p *Page) (done bool, err error) {
	after := p.End
	const query = `
		WITH place AS MATERIALIZED (
			SELECT turn, CASE WHEN turn > $4::bigint THEN 0 WHEN turn = $4::bigint THEN $5::bigint END AS id
			FROM (SELECT max(id) AS turn FROM realtime.events WHERE owner_id = $1 AND xid = $2::xid8) own
		)
		SELECT 0 AS count, $3::bigint AS number, $7::bigint AS mark, n.* FROM (SELECT) AS one LEFT JOIN (
			SELECT turn, id, {owner} AS owner, {type} AS type, CASE WHEN ` + isMessage + ` THEN {data} END AS data, at, xid::text AS xid
			FROM (SELECT p.turn, e.* FROM place p CROSS JOIN LATERAL (
				SELECT * FROM realtime.events WHERE owner_id = $1 AND xid = $2::xid8 AND events.id > p.id ORDER BY xid, id LIMIT $6) e) own
			UNION ALL
			SELECT turn, id, {owner}, {type}, NULL, at, xid::text
			FROM (SELECT max(id) OVER () AS turn, * FROM realtime.events WHERE owner_id IS NULL AND xid = $2::xid8) everybody
			WHERE type = 'truncated' AND (turn, id) > ($4::bigint, $5::bigint)
		) n ON true ORDER BY n.id`
	for most := limit - len(p.Changes); ; most = min(2*most, spanRows) {
		rows, err := l.query(ctx, query, ownerID, *b.Large, b.Number, after.TxOrder, after.ID, most, b.Mark)
		if err != nil {
			return false, fmt.Errorf("read events of owner %s: %w", ownerID, err)
		}
		if n := len(rows.changes); n > 0 {
			p.End = rows.changes[n-1].Position
			after = p.End
		}
		if err := p.append(rows.changes); err != nil {
			return false, err
		}
		if len(rows.changes) < most {
			p.End = EndOfBatch(b.Number)
			return true, nil
		}
		if len(p.Changes) > 0 || most >= spanRows {
			return false, nil
		}
	}
}

// append adds what has a place in an owner's stream, or returns ErrHistoryGone where
// something is lost.
func (p *Page) append(changes []Change) error {
	for _, c := range changes {
		switch {
		case c.Type == TypeTruncated:
			return ErrHistoryGone
		case c.hasPosition():
			p.Changes = append(p.Changes, c)
		}
	}
	return nil
}

// hasPosition is isMessage.
func (c Change) hasPosition() bool {
	return c.OwnerID != "" && c.Type != TypeChanged && c.Type != TypeAccess && !strings.HasPrefix(c.Type, ".")
}

// batchAhead returns the batch that lies a number of batches after another, or the newest.
func (l *Log) batchAhead(ctx context.Context, number int64, ahead int) (b batch, err error) {
	err = l.pool.GetContext(ctx, &b, `SELECT `+batchColumns+`
		FROM realtime.batches WHERE number <= $1 ORDER BY number DESC LIMIT 1`, number+int64(ahead))
	if err != nil {
		return b, fmt.Errorf("read batches: %w", err)
	}
	return b, nil
}

// batchOf returns the batch of a position, in which to begin reading after it; nil when nothing
// comes after it, as when it is older than the log and yet the owner's last.
func (l *Log) batchOf(ctx context.Context, ownerID string, p Position) (*batch, error) {
	b, err := l.batchAt(ctx, p)
	if !errors.Is(err, ErrHistoryGone) || errors.Is(err, errOtherMark) {
		return b, err
	}
	last, lastErr := l.last(ctx, ownerID)
	switch {
	case lastErr != nil:
		return nil, lastErr
	case p.Compare(last) != 0 || p.Contradicts(last):
		return nil, err
	}
	return nil, nil
}

// batchAt returns the batch of a position, in which to begin reading after it; nil when the
// position is at the log's end.
func (l *Log) batchAt(ctx context.Context, at Position) (*batch, error) {
	var b batch
	err := l.pool.GetContext(ctx, &b, `SELECT `+batchColumns+` FROM realtime.batches WHERE number >= $1 ORDER BY number LIMIT 1`, at.Batch)
	if errors.Is(err, sql.ErrNoRows) {
		var head int64
		if err := l.pool.GetContext(ctx, &head, `SELECT max(number) FROM realtime.batches`); err != nil {
			return nil, fmt.Errorf("read batches: %w", err)
		}
		if at.Batch > head+1 || at.Mark != 0 { // a position that this history has not reached
			return nil, errOtherMark
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	if b.Number != at.Batch {
		return nil, ErrHistoryGone
	}
	if at.Mark != 0 && at.Mark != b.Mark {
		return nil, errOtherMark
	}
	return &b, l.checkLowWatermark(ctx, at)
}

// checkLowWatermark returns ErrHistoryGone when rows after a position may have been
// removed, or are those of another history. It comes after the reading: the low watermark
// rises before the first row goes.
func (l *Log) checkLowWatermark(ctx context.Context, after Position) error {
	var low int64
	row := l.pool.QueryRowContext(ctx, `SELECT floor FROM realtime.installation WHERE $1::uuid IS NULL OR epoch = $1::uuid`, l.epoch.Load())
	err := row.Scan(&low)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the low watermark of the log: %w", err)
	}
	if err != nil || after.Batch < low {
		return ErrHistoryGone
	}
	return nil
}
