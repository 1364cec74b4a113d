package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Cursor is how far a reader of the whole log has come: Batch was read to its end, and has Mark; of
// the next one, everything up to TxOrder and ID.
type Cursor struct {
	Batch       int64
	Mark        uint32
	TxOrder, ID int64
}

// ErrRolledBack says that the log is not the one that was read before, nor one that continues it,
// and does not say so: a copy of an earlier moment was put back in its place.
var ErrRolledBack = errors.New("the log was rolled back to an earlier moment")

// Piece is a part of the log that was read at once.
type Piece struct {
	Changes []Change
	// Large is set instead of Changes for a batch that is one large transaction: its
	// owners read it for themselves.
	Large *Large
	// End is where the log goes on.
	End Cursor
}

// Large is a batch that is one large transaction.
type Large struct {
	Batch int64
	// Losses are its rows of the type truncated that concern everybody.
	Losses []Change
	xid    string
}

const (
	// readBatches and readRows bound what one Read reads. The sequencer has to look after
	// the log in between.
	readBatches = 128
	readRows    = 2 * wholeBatch
)

// Read calls each with what follows a cursor, of all owners, in order, piece by piece,
// and reports whether there is more. It returns ErrHistoryGone when the log no longer
// reaches back to the cursor, or begins anew, and ErrRolledBack. The time limit is that
// of a piece, and each is not part of it.
func (l *Log) Read(ctx context.Context, after Cursor, each func(Piece) error) (more bool, err error) {
	pieces, more, ok, err := l.catchUp(ctx, after)
	if err != nil {
		return false, err
	}
	if ok {
		for _, p := range pieces {
			if err := each(p); err != nil {
				return false, err
			}
		}
		return more, nil
	}
	batches, err := l.batchesAfter(ctx, after)
	if err != nil {
		return false, err
	}
	if pieces, err := l.readTogether(ctx, batches, after); err != nil || pieces != nil {
		for _, p := range pieces {
			if err := each(p); err != nil {
				return false, err
			}
		}
		return len(batches) == readBatches, err
	}
	rows := 0
	for i, b := range batches {
		for whole := false; !whole; {
			var p Piece
			if p, whole, err = l.readPiece(ctx, b, after); err != nil {
				return false, err
			}
			after = p.End
			if rows += len(p.Changes); rows > readRows {
				return true, each(p)
			}
			if err := each(p); err != nil {
				return false, err
			}
		}
		if i+1 == readBatches {
			return true, nil
		}
	}
	return false, nil
}

// rowsTogether reads the changes of consecutive batches in order, if the log still holds them, each
// with its batch: the first whose snapshot sees its transaction. Parameters: 1 and 2 the ranges of
// the batches' transactions, 3 the first batch, 4 the history that it must be, or null, 5 how many
// rows.
const rowsTogether = `
SELECT 0 AS count, n.* FROM realtime.installation i LEFT JOIN (
	SELECT b.number, b.mark, max(e.id) OVER (PARTITION BY e.owner_id, e.xid) AS turn, e.id, {owner} AS owner, {type} AS type, {data} AS data,
		e.at, e.xid::text AS xid
	FROM (SELECT e.* FROM ROWS FROM (pg_catalog.unnest($1::xid8[]), pg_catalog.unnest($2::xid8[])) AS r(lo, hi)
		CROSS JOIN LATERAL (SELECT * FROM realtime.events WHERE xid >= r.lo AND xid < r.hi) e LIMIT $5) e
	CROSS JOIN LATERAL (
		SELECT number, mark FROM realtime.batches WHERE bound > e.xid AND number >= $3 AND pg_visible_in_snapshot(e.xid, after)
		ORDER BY bound, number LIMIT 1) b
) n ON true WHERE i.floor <= $3 AND ($4::uuid IS NULL OR i.epoch = $4::uuid) ORDER BY n.number, n.turn, n.id`

// readTogether reads what several batches hold at once; or returns nothing where that is too much,
// or one of them is a large transaction.
func (l *Log) readTogether(ctx context.Context, batches []batch, after Cursor) ([]Piece, error) {
	if len(batches) < 2 || after.ID != 0 || slices.ContainsFunc(batches, func(b batch) bool { return b.Large != nil }) {
		return nil, nil
	}
	first := batches[0]
	r, err := first.ranges(batches[len(batches)-1])
	if err != nil {
		return nil, err
	}
	lo, hi := r.Parameters()
	rows, err := l.query(ctx, rowsTogether, pq.Array(lo), pq.Array(hi), first.Number, l.epoch.Load(), readRows+1)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read batches from %d on: %w", first.Number, err)
	case !rows.found:
		return nil, ErrHistoryGone
	case len(rows.changes) > readRows:
		return nil, nil
	}
	pieces, rest := make([]Piece, 0, len(batches)), rows.changes
	for _, b := range batches {
		n := 0
		for n < len(rest) && rest[n].Batch == b.Number {
			n++
		}
		pieces = append(pieces, Piece{Changes: rest[:n:n], End: Cursor{Batch: b.Number, Mark: b.Mark}})
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("read batches from %d on: batch %d has rows and is none of them", first.Number, rest[0].Batch)
	}
	return pieces, nil
}

// tailBatches is how many of the newest batches the tail of the log is.
const tailBatches = 4096

// Tail returns the cursor after which the newest batches follow: those that are kept in memory.
func (l *Log) Tail(ctx context.Context, s State) (c Cursor, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.QueryTimeout)
	defer cancel()
	row := l.pool.QueryRowContext(ctx, `SELECT b.number, b.mark FROM realtime.batches b JOIN realtime.installation i ON b.number >= i.floor
		WHERE b.number >= $1 AND i.epoch = $2::uuid ORDER BY b.number LIMIT 1`, s.Head-tailBatches, s.Epoch)
	err = row.Scan(&c.Batch, &c.Mark)
	if errors.Is(err, sql.ErrNoRows) {
		return c, ErrHistoryGone
	}
	if err != nil {
		return c, fmt.Errorf("read where the log's tail begins: %w", err)
	}
	return c, nil
}

// batchesAfter lists the batches after a cursor, having made sure that the one before
// them is the one that was read.
func (l *Log) batchesAfter(ctx context.Context, after Cursor) ([]batch, error) {
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	var rows []struct {
		Floor         int64
		Number        *int64
		Before, After *string
		Mark          *int64
		Large         *string
	}
	err := l.pool.SelectContext(ctx, &rows, `SELECT i.floor, b.* FROM realtime.installation i
		LEFT JOIN LATERAL (SELECT `+batchColumns+` FROM realtime.batches WHERE number >= $1 ORDER BY number LIMIT $2) b ON true
		WHERE $3::uuid IS NULL OR i.epoch = $3::uuid ORDER BY b.number`, after.Batch, readBatches+1, l.epoch.Load())
	if err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	if len(rows) == 0 { // another epoch
		return nil, ErrHistoryGone
	}
	if err := after.continues(rows[0].Floor, rows[0].Number, rows[0].Mark); err != nil {
		return nil, err
	}
	batches := make([]batch, 0, len(rows)-1)
	for _, r := range rows[1:] {
		batches = append(batches, batch{*r.Number, *r.Before, *r.After, uint32(*r.Mark), r.Large})
	}
	return batches, nil
}

// batchRows reads the changes of one batch in order, if the log still holds them: then there is at
// least one row, perhaps of nulls. The low watermark rises before the first row goes, so one
// snapshot that sees it low sees all rows. Parameters: 1 and 2 the ranges of the batch's
// transactions; 3 and 4 the order of the transaction and the id after which to begin; 5 the batch;
// 6 the history that it must be, or null; 7 how many rows; 8 the batch's mark.
const batchRows = `
SELECT 0 AS count, $5::bigint AS number, $8::bigint AS mark, n.* FROM realtime.installation i LEFT JOIN (
	SELECT * FROM (
		SELECT max(id) OVER (PARTITION BY owner_id, xid) AS turn, id, {owner} AS owner, {type} AS type, {data} AS data, at, xid::text AS xid
		FROM ROWS FROM (pg_catalog.unnest($1::xid8[]), pg_catalog.unnest($2::xid8[])) AS r(lo, hi)
		CROSS JOIN LATERAL (SELECT * FROM realtime.events WHERE xid >= r.lo AND xid < r.hi) e
	) numbered WHERE (turn, id) > ($3::bigint, $4::bigint) ORDER BY turn, id LIMIT $7
) n ON true WHERE i.floor <= $5 AND ($6::uuid IS NULL OR i.epoch = $6::uuid) ORDER BY n.turn, n.id`

// readPiece reads what follows a cursor in a batch, and reports whether that is all of the batch.
func (l *Log) readPiece(ctx context.Context, b batch, after Cursor) (p Piece, whole bool, err error) {
	end := Cursor{Batch: b.Number, Mark: b.Mark}
	if b.Large != nil {
		large, err := l.readLosses(ctx, b)
		return Piece{Large: large, End: end}, true, err
	}
	r, err := b.ranges(b)
	if err != nil {
		return p, false, err
	}
	lo, hi := r.Parameters()
	rows, err := l.query(ctx, batchRows,
		pq.Array(lo), pq.Array(hi), after.TxOrder, after.ID, b.Number, l.epoch.Load(), wholeBatch+1, b.Mark)
	changes := rows.changes
	switch {
	case err != nil:
		return p, false, fmt.Errorf("read batch %d: %w", b.Number, err)
	case !rows.found:
		return p, false, ErrHistoryGone
	case len(changes) <= wholeBatch:
		return Piece{Changes: changes, End: end}, true, nil
	}
	last := changes[wholeBatch-1]
	return Piece{Changes: changes[:wholeBatch], End: Cursor{Batch: after.Batch, Mark: after.Mark, TxOrder: last.TxOrder, ID: last.ID}}, false, nil
}

// readLosses reads what everybody has to know of a large transaction.
func (l *Log) readLosses(ctx context.Context, b batch) (*Large, error) {
	rows, err := l.query(ctx, `
		SELECT 0 AS count, $2::bigint AS number, $4::bigint AS mark, n.* FROM realtime.installation i LEFT JOIN (
			SELECT max(id) OVER () AS turn, id, {owner} AS owner, {type} AS type, NULL::json AS data, at, xid::text AS xid
			FROM realtime.events WHERE owner_id IS NULL AND xid = $1::xid8 AND type = 'truncated' ORDER BY id LIMIT 100
		) n ON true WHERE i.floor <= $2 AND ($3::uuid IS NULL OR i.epoch = $3::uuid) ORDER BY n.id`, *b.Large, b.Number, l.epoch.Load(), b.Mark)
	if err != nil {
		return nil, fmt.Errorf("read batch %d: %w", b.Number, err)
	}
	if !rows.found {
		return nil, ErrHistoryGone
	}
	return &Large{Batch: b.Number, Losses: rows.changes, xid: *b.Large}, nil
}

// Concerned returns which of some owners have rows in a large transaction. It looks for
// each in the index.
func (l *Log) Concerned(ctx context.Context, large *Large, ownerIDs []string) (concerned []string, err error) {
	const step = 2000
	for len(ownerIDs) > 0 {
		some := ownerIDs[:min(step, len(ownerIDs))]
		ownerIDs = ownerIDs[len(some):]
		var found []string
		asking, cancel := context.WithTimeout(ctx, db.QueryTimeout)
		err := l.pool.SelectContext(asking, &found, `SELECT o FROM pg_catalog.unnest($1::text[]) o WHERE EXISTS (
			SELECT FROM realtime.events WHERE owner_id = o AND xid = $2::xid8)`, pq.Array(some), large.xid)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("find the owners of a large transaction: %w", err)
		}
		concerned = append(concerned, found...)
	}
	return concerned, nil
}

// ChangesAccess reports whether a large transaction may have changed who sees what. It
// looks at every row.
func (l *Log) ChangesAccess(ctx context.Context, large *Large) (changes bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.StatementTimeout)
	defer cancel()
	err = l.pool.GetContext(ctx, &changes, `SELECT EXISTS (SELECT FROM realtime.events WHERE xid = $1::xid8 AND type = 'access')`, large.xid)
	if err != nil {
		return false, fmt.Errorf("look for changes of access in a large transaction: %w", err)
	}
	return changes, nil
}
