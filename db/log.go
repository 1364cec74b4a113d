package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Position is a place in the log. Batch is the number of a batch, Turn the owner's last insertion in the same
// transaction, ID the insertion itself: transactions of one batch follow each other by their last insertion (a
// transaction that waited for another's row lock inserted after it), and the events of one stay together.
// The zero Position lies before everything.
type Position struct{ Batch, Turn, ID int64 }

// Compare returns -1, 0 or 1 as p lies before, at or after q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Batch, q.Batch), cmp.Compare(p.Turn, q.Turn), cmp.Compare(p.ID, q.ID))
}

// EndOfBatch returns the position after everything in a batch and before the next.
func EndOfBatch(number int64) Position { return Position{Batch: number + 1} }

// Types of change that are no message to a browser. The others carry the message's own type.
const (
	// TypeChanged says that an owner's numbers may have changed, and nothing else that anybody is told.
	TypeChanged = "changed"
	// TypeAccess says that it may have changed who may see an owner account.
	TypeAccess = "access"
	// TypeTruncated says that changes happened which the log does not hold; it has no owner and concerns all.
	TypeTruncated = "truncated"
)

// Change is one row of the log. OwnerID is empty for what concerns every owner. At is the time of the transaction.
type Change struct {
	Position
	OwnerID string
	Type    string
	Data    json.RawMessage
	At      time.Time
}

// Log is the log of committed changes, in an order that is the same for every reader and never changes.
type Log struct {
	pool   *sqlx.DB
	guard  breaker       // of the questions that requests ask; the feed always asks
	places chan struct{} // held by such a question
	epoch  atomic.Pointer[string]
}

// NewLog returns the log in the database behind pool.
func NewLog(pool *sqlx.DB) *Log {
	return &Log{pool: pool, guard: newBreaker(), places: make(chan struct{}, logPlaces)}
}

// askLog asks the database for a request, when it is its turn: a thousand clients who come back at once stand in line here,
// where the wait does not count against the time limit of a question, and leave connections to others.
func askLog[T any](ctx context.Context, l *Log, question func(context.Context) (T, error)) (answer T, err error) {
	select {
	case l.places <- struct{}{}:
	case <-ctx.Done():
		return answer, fmt.Errorf("wait to read the log: %w", ctx.Err())
	}
	defer func() { <-l.places }()
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return answerTo(ctx, l.guard, func() (T, error) { return question(ctx) })
}

// State is where the log begins and ends: Epoch names this history of this database, Head is the newest batch.
type State struct {
	Epoch string `db:"epoch"`
	Head  int64  `db:"head"`
}

// Follow ties the log to one history: from now on it returns ErrHistoryGone when the database has begun another, as after a
// restore or a failover, whose batches have the same numbers.
func (l *Log) Follow(epoch string) { l.epoch.Store(&epoch) }

// State returns the log's epoch and its newest batch.
func (l *Log) State(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var s State
	err := l.pool.GetContext(ctx, &s, `SELECT epoch::text AS epoch, (SELECT max(number) FROM realtime.batches) AS head FROM realtime.installation`)
	if err != nil {
		return s, fmt.Errorf("read the log's head: %w", explain(err))
	}
	return s, nil
}

// batch is what became visible between two snapshots.
type batch struct {
	Number        int64
	Before, After string
}

// batchRows reads the changes of one batch in order. Rows that its `before` does not see either began later than that or
// were under way then; both are looked up through the index on xid. Parameters: 1 after; 2 and 3 the turn and id after
// which to begin; 4 the upper transaction id of before and 5 those under way in it (as values, for the planner to see); 6 the
// history that it must be, or null: of another there is nothing.
const batchRows = `
SELECT turn, id, owner_id, type, data, at FROM (
	SELECT max(id) OVER (PARTITION BY owner_id, xid) AS turn, id, owner_id, type, data, at FROM (
		SELECT * FROM realtime.events WHERE xid >= $4::xid8 AND xid < pg_snapshot_xmax($1::pg_snapshot)
		UNION ALL
		SELECT * FROM realtime.events WHERE xid = ANY ($5::xid8[]) AND xid < $4::xid8
	) fresh WHERE pg_visible_in_snapshot(xid, $1::pg_snapshot)
) numbered
WHERE (turn, id) > ($2, $3) AND ($6::uuid IS NULL OR $6::uuid = (SELECT epoch FROM realtime.installation)) ORDER BY turn, id`

// Read calls each with every change after a position, of all owners, in order, and returns the number of the last
// batch it has read to the end: that before the position when there is nothing new. It reads at most a thousand batches,
// and returns ErrHistoryGone when the log no longer reaches back to the position.
func (l *Log) Read(ctx context.Context, after Position, each func(Change) error) (head int64, err error) {
	var batches []batch
	listing, cancel := context.WithTimeout(ctx, numberTimeout)
	defer cancel()
	err = l.pool.SelectContext(listing, &batches,
		`SELECT number, before::text AS before, after::text AS after FROM realtime.batches
		WHERE number >= $1 ORDER BY number LIMIT 1000`, after.Batch)
	if err != nil {
		return 0, fmt.Errorf("read batches: %w", err)
	}
	head = after.Batch - 1
	for _, b := range batches {
		if err := l.readBatch(ctx, b, after, each); err != nil {
			return 0, err
		}
		head = b.Number
	}
	return head, l.checkFloor(ctx, after)
}

// checkFloor returns ErrHistoryGone when rows after a position may have been removed, or are those of another history. It comes
// after the reading: the floor rises before the first row goes.
func (l *Log) checkFloor(ctx context.Context, after Position) error {
	var floor int64
	row := l.pool.QueryRowContext(ctx, `SELECT floor FROM realtime.installation WHERE $1::uuid IS NULL OR epoch = $1::uuid`, l.epoch.Load())
	err := row.Scan(&floor)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the log's floor: %w", err)
	}
	if err != nil || after.Batch < floor {
		return ErrHistoryGone
	}
	return nil
}

func (l *Log) readBatch(ctx context.Context, b batch, after Position, each func(Change) error) error {
	if b.Number > after.Batch {
		after = Position{}
	}
	before, err := parseSnapshot(b.Before)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows, err := l.pool.QueryContext(ctx, batchRows, b.After, after.Turn, after.ID, before.upper, pq.Array(before.open), l.epoch.Load())
	if err != nil {
		return fmt.Errorf("read batch %d: %w", b.Number, err)
	}
	defer rows.Close()
	for rows.Next() {
		c, err := scanChange(rows, b.Number)
		if err != nil {
			return err
		}
		if err := each(c); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read batch %d: %w", b.Number, err)
	}
	return nil
}

// scanChange reads a row of turn, id, owner_id, type, data and at in a batch, after the columns that first is for.
func scanChange(rows *sql.Rows, batch int64, first ...any) (Change, error) {
	c := Change{Position: Position{Batch: batch}}
	var owner sql.NullString
	var data sql.RawBytes
	if err := rows.Scan(append(first, &c.Turn, &c.ID, &owner, &c.Type, &data, &c.At)...); err != nil {
		return c, fmt.Errorf("read a row of batch %d: %w", batch, err)
	}
	c.OwnerID, c.Data = owner.String, append(json.RawMessage(nil), data...)
	return c, nil
}

// expired returns the position of the last of an owner's events that retention has removed.
func (l *Log) expired(ctx context.Context, ownerID string) (Position, error) {
	var p Position
	row := l.pool.QueryRowContext(ctx, `SELECT batch, turn, id FROM realtime.last_events
		WHERE owner_id IN ($1, '') ORDER BY batch DESC, turn DESC, id DESC LIMIT 1`, ownerID)
	if err := row.Scan(&p.Batch, &p.Turn, &p.ID); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("read the last removed event of owner %s: %w", ownerID, err)
	}
	return p, nil
}

// Last returns the position of an owner's newest message, numbered so far: the zero Position if there never was one.
// What a query reads after Last was called lacks nothing up to it.
func (l *Log) Last(ctx context.Context, ownerID string) (Position, error) {
	return askLog(ctx, l, func(ctx context.Context) (Position, error) { return l.last(ctx, ownerID) })
}

// Oldest returns a position before the oldest event that the log still holds.
func (l *Log) Oldest(ctx context.Context) (Position, error) {
	oldest, err := askLog(ctx, l, func(ctx context.Context) (oldest Position, err error) {
		err = l.pool.GetContext(ctx, &oldest.Batch, `SELECT floor FROM realtime.installation`)
		return oldest, err
	})
	if err != nil {
		return oldest, fmt.Errorf("read the log's floor: %w", err)
	}
	return oldest, nil
}

func (l *Log) last(ctx context.Context, ownerID string) (Position, error) {
	// The owner's newest numbered transaction is in some batch; in a later one can only be what that batch did not see.
	var b batch
	err := l.pool.GetContext(ctx, &b, `
		WITH head AS (SELECT after FROM realtime.batches ORDER BY number DESC LIMIT 1),
		recent AS (
			(SELECT xid FROM realtime.events WHERE owner_id = $1 AND type NOT IN ('changed', 'access')
				AND pg_visible_in_snapshot(xid, (SELECT after FROM head)) ORDER BY xid DESC LIMIT 1)
			UNION ALL
			(SELECT xid FROM realtime.events WHERE owner_id IS NULL
				AND pg_visible_in_snapshot(xid, (SELECT after FROM head)) ORDER BY xid DESC LIMIT 1)
		)
		SELECT b.number, b.before::text AS before, b.after::text AS after FROM recent r CROSS JOIN LATERAL (
			SELECT * FROM realtime.batches WHERE bound > r.xid AND pg_visible_in_snapshot(r.xid, after)
			ORDER BY bound, number LIMIT 1) b
		ORDER BY b.number DESC LIMIT 1`, ownerID)
	if errors.Is(err, sql.ErrNoRows) {
		return l.expired(ctx, ownerID)
	}
	if err != nil {
		return Position{}, fmt.Errorf("read the last event of owner %s: %w", ownerID, err)
	}
	before, err := parseSnapshot(b.Before)
	if err != nil {
		return Position{}, err
	}
	var p Position
	row := l.pool.QueryRowContext(ctx, `SELECT number, turn, id FROM (`+ownerRows+`) numbered
		WHERE type NOT IN ('changed', 'access') ORDER BY number DESC, turn DESC, id DESC LIMIT 1`,
		ownerID, b.Number, before.upper, pq.Array(before.open), nil)
	if err = row.Scan(&p.Batch, &p.Turn, &p.ID); errors.Is(err, sql.ErrNoRows) { // retention removed it meanwhile
		return l.expired(ctx, ownerID)
	}
	if err != nil {
		return p, fmt.Errorf("read the last event of owner %s: %w", ownerID, err)
	}
	return p, nil
}

// snapshot is the part of a pg_snapshot that selects what it does not see: transactions from upper on, and open ones.
type snapshot struct {
	upper string
	open  []string
}

// parseSnapshot reads PostgreSQL's text form of a pg_snapshot, xmin:xmax:xip,xip,… (PostgreSQL manual, section
// "Transaction ID and Snapshot Information Functions").
func parseSnapshot(text string) (snapshot, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return snapshot{}, fmt.Errorf("read snapshot %q: not of the form xmin:xmax:list", text)
	}
	s := snapshot{upper: parts[1], open: []string{}}
	if parts[2] != "" {
		s.open = strings.Split(parts[2], ",")
	}
	return s, nil
}
