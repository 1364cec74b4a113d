package eventlog

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/xid"
)

// catchUpRows is up to how many rows one statement reads together with the batches that hold them.
// What is more is read batch by batch.
const catchUpRows = 1000

// catchUp reads what follows a cursor in one statement: the batch of the cursor and those after it,
// each with its changes in order, where all of these are few and none is a large transaction;
// otherwise without them. Without an answer the history is another one. The bounds stand in the
// text, because the plan that is kept for a prepared statement knows no parameters. Parameters: 1
// the cursor's batch, 2 the history that it must be, or null.
var catchUp = func() string {
	gaps, fresh := xid.Until("edge")
	return db.Fill(`
WITH listed AS MATERIALIZED (SELECT number, after, mark, large FROM realtime.batches WHERE number >= $1 ORDER BY number LIMIT {batches}),
edge AS MATERIALIZED (
	SELECT first.after AS seen, (SELECT after FROM listed ORDER BY number DESC LIMIT 1) AS now
	FROM listed first WHERE first.number = $1 AND NOT EXISTS (SELECT FROM listed WHERE number > $1 AND large IS NOT NULL)
),`+gaps+`, fresh AS MATERIALIZED (SELECT * FROM (`+fresh+`) visible LIMIT {limit}),
numbered AS (
	SELECT b.number, max(e.id) OVER (PARTITION BY e.owner_id, e.xid) AS turn, e.id, {owner} AS owner, {type} AS type, {data} AS data, e.at
	FROM fresh e CROSS JOIN LATERAL (
		SELECT number FROM realtime.batches WHERE bound > e.xid AND number > $1 AND pg_visible_in_snapshot(e.xid, after)
		ORDER BY bound, number LIMIT 1) b
	WHERE (SELECT count(*) FROM fresh) < {limit}
)
SELECT i.floor, l.number, l.mark, EXISTS (SELECT FROM edge) AND (SELECT count(*) FROM fresh) < {limit} AS whole,
	n.turn, n.id, n.owner, n.type, n.data, n.at
FROM realtime.installation i LEFT JOIN listed l ON true LEFT JOIN numbered n ON n.number = l.number
WHERE $2::uuid IS NULL OR i.epoch = $2::uuid ORDER BY l.number, n.turn, n.id`,
		"{columns}", "xid, id, owner_id, type, data, at", "{which}", "true", "{upper}", "(SELECT pg_snapshot_xmax(seen) FROM edge)",
		"{open}", "ARRAY(SELECT pg_snapshot_xip(seen) FROM edge)", "{limit}", strconv.Itoa(catchUpRows+1), "{batches}", strconv.Itoa(readBatches+1))
}()

// Prepare has the database plan the statement by which the log is followed once for each
// connection, which a transaction pooler does not allow. It comes after State.
func (l *Log) Prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, db.QueryTimeout)
	defer cancel()
	statement, err := l.pool.PreparexContext(ctx, columnsOf(catchUp, l.raw.Load()))
	if err != nil {
		return fmt.Errorf("prepare reading the log: %w", db.Explain(err))
	}
	l.prepared.Store(statement)
	return nil
}

// catchUp returns the pieces that follow a cursor, if they are few, and whether there are more. ok
// is false where they are to be read batch by batch.
func (l *Log) catchUp(ctx context.Context, after Cursor) (pieces []Piece, more, ok bool, err error) {
	if after.ID != 0 {
		return nil, false, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	var rows *sql.Rows
	if prepared := l.prepared.Load(); prepared != nil {
		rows, err = prepared.QueryContext(ctx, after.Batch, l.epoch.Load())
	} else {
		rows, err = l.pool.QueryContext(ctx, columnsOf(catchUp, l.raw.Load()), after.Batch, l.epoch.Load())
	}
	if err == nil {
		defer rows.Close()
		pieces, ok, err = readPieces(rows, after)
	}
	if isUnreadable(err) {
		return nil, false, false, nil
	}
	if err != nil {
		return nil, false, false, fmt.Errorf("read what follows batch %d: %w", after.Batch, err)
	}
	return pieces, len(pieces) == readBatches, ok, nil
}

// readPieces reads the answer to catchUp, and makes sure that it continues what was read before.
func readPieces(rows *sql.Rows, after Cursor) (pieces []Piece, ok bool, err error) {
	first := true
	for rows.Next() {
		var floor int64
		var number, mark, txOrder, id *int64
		var whole bool
		var owner, typ *string
		var data []byte
		var at *time.Time
		if err := rows.Scan(&floor, &number, &mark, &whole, &txOrder, &id, &owner, &typ, &data, &at); err != nil {
			return nil, false, fmt.Errorf("read a row: %w", err)
		}
		if first {
			if err := after.continues(floor, number, mark); err != nil {
				return nil, false, err
			}
			first, ok = false, whole
			continue
		}
		if floor > after.Batch+1 {
			return nil, false, ErrHistoryGone
		}
		if last := len(pieces) - 1; last < 0 || pieces[last].End.Batch != *number {
			pieces = append(pieces, Piece{End: Cursor{Batch: *number, Mark: uint32(*mark)}})
		}
		if id == nil {
			continue
		}
		c := Change{Position: Position{*number, *txOrder, *id, uint32(*mark)}, Type: *typ, Data: data, At: *at}
		if owner != nil {
			c.OwnerID = *owner
		}
		p := &pieces[len(pieces)-1]
		p.Changes = append(p.Changes, c)
	}
	if err := rows.Err(); err != nil {
		return nil, false, err
	}
	if first { // another epoch
		return nil, false, ErrHistoryGone
	}
	return pieces, ok, nil
}

// continues returns an error unless the first batch from a cursor on, if there is any, is the one
// that was read before.
func (c Cursor) continues(floor int64, number, mark *int64) error {
	switch {
	case number == nil: // all that is there lies before what was read
		return ErrRolledBack
	case *number != c.Batch && floor > c.Batch:
		return ErrHistoryGone
	case *number != c.Batch || uint32(*mark) != c.Mark:
		return ErrRolledBack
	}
	return nil
}
