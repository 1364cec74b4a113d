// Package eventlog is the log of committed changes: what triggers wrote into it, in an order that
// is the same for every reader and never changes.
//
// A Sequencer, of which one server of an installation has the lock, numbers what was committed, in
// batches. A Log reads: its tail, one owner's events after a position, and where that ends. It is
// trimmed up to a low watermark. The package promises that every committed change has exactly one
// position. It does not know what rows mean, who is told of them, or which projections consumers
// derive from them: these register as a Consumer.
package eventlog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/db/xid"
)

// Errors that callers branch on.
var (
	// ErrHistoryGone says that the log no longer reaches back to a position.
	ErrHistoryGone = errors.New("history does not reach back that far")
	// ErrNotLeader says that another server numbers the log at present.
	ErrNotLeader = errors.New("another server numbers the log")
)

// logSlots is how many connections of a pool may read the log for requests at once.
const logSlots = 6

// Position is where the log is. Batch is the number of a batch, TxOrder the owner's last insertion
// in the same transaction, ID the insertion itself. Transactions of one batch follow each other by
// their last insertion, since one that waited for another's row lock inserted after it. The events
// of one stay together. Mark is the batch's, or 0 where it is not known or the batch is from before
// there were marks; it says which history's batch this is and takes no part in the order. The zero
// Position lies before everything.
type Position struct {
	Batch, TxOrder, ID int64
	Mark               uint32
}

// Compare returns -1, 0 or 1 as p lies before, at or after q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Batch, q.Batch), cmp.Compare(p.TxOrder, q.TxOrder), cmp.Compare(p.ID, q.ID))
}

// Contradicts reports whether two positions of one batch are of different histories.
func (p Position) Contradicts(q Position) bool { return p.Mark != 0 && q.Mark != 0 && p.Mark != q.Mark }

// EndOfBatch returns the position after everything in a batch and before the next.
func EndOfBatch(number int64) Position { return Position{Batch: number + 1} }

// Change is one row of the log. OwnerID is empty for what concerns every owner. At is the time of
// the transaction. Data is nil where the row has none, or where the database cannot hand it out.
type Change struct {
	Position
	OwnerID string
	Type    string
	Data    json.RawMessage
	At      time.Time
}

// Log is the log of committed changes, in an order that is the same for every reader and
// never changes.
type Log struct {
	pool      *sqlx.DB
	waiting   atomic.Int64  // questions that are asked, or wait for it
	guard     db.Breaker    // of the questions that requests ask; the feed always asks
	slots     chan struct{} // held by such a question
	epoch     atomic.Pointer[string]
	raw       atomic.Bool // the database does not know the encoding of its texts
	consumers []db.Consumer
	lasts     db.Loader[string, lastAnswer]
	prepared  atomic.Pointer[sqlx.Stmt] // catchUp, where statements may be prepared
	pageTime  time.Duration             // how long a page may take to fill
}

// NewLog returns the log in the database behind pool, from which consumers derive something.
func NewLog(pool *sqlx.DB, consumers ...db.Consumer) *Log {
	l := &Log{pool: pool, consumers: consumers, pageTime: pageTime, guard: db.NewBreaker("log", 0), slots: make(chan struct{}, max(1, min(logSlots, pool.Stats().MaxOpenConnections/2)))}
	l.lasts.Ask, l.lasts.Most, l.lasts.Parallel, l.lasts.Gather = l.lastOfOwners, mostLasts, 2, gatherLasts
	return l
}

// askLog asks the database for a request, when it is its turn: a thousand clients who come back at
// once stand in line here, where the wait does not count against the time limit of a question, and
// leave connections to others.
func askLog[T any](ctx context.Context, l *Log, question func(context.Context) (T, error)) (answer T, err error) {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return answer, fmt.Errorf("wait to read the log: %w", ctx.Err())
	}
	defer func() { <-l.slots }()
	ctx, cancel := context.WithTimeout(ctx, db.QueryTimeout)
	defer cancel()
	return db.Answer(ctx, l.guard, func() (T, error) { return question(ctx) })
}

// State is where the log begins and ends: Epoch names this history of this database, Head
// is the newest batch, Mark its mark. Secret is what the servers of an installation share
// and nobody else: 32 random bytes.
type State struct {
	Epoch  string `db:"epoch"`
	Head   int64  `db:"head"`
	Mark   uint32 `db:"mark"`
	Secret []byte `db:"secret"`
}

// Cursor returns the cursor of a reader who begins at the end of the log.
func (s State) Cursor() Cursor { return Cursor{Batch: s.Head, Mark: s.Mark} }

// Follow ties the log to one history: from now on it returns ErrHistoryGone when the database has
// begun another, as after a restore or a failover, whose batches have the same numbers.
func (l *Log) Follow(epoch string) { l.epoch.Store(&epoch) }

// State returns the log's epoch and its newest batch.
func (l *Log) State(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, db.QueryTimeout)
	defer cancel()
	var s struct {
		State
		Raw bool `db:"raw"`
	}
	err := l.pool.GetContext(ctx, &s, `SELECT i.epoch::text AS epoch, b.number AS head, b.mark, i.relay_key AS secret, `+isRaw+` AS raw
		FROM realtime.installation i CROSS JOIN LATERAL (SELECT number, mark FROM realtime.batches ORDER BY number DESC LIMIT 1) b`)
	if err != nil {
		return s.State, fmt.Errorf("read the log's head: %w", db.Explain(err))
	}
	l.raw.Store(s.Raw)
	return s.State, nil
}

// isRaw asks whether the database takes texts of any encoding, without knowing which.
// PostgreSQL hands such a text out only if it happens to be UTF-8, and fails the whole
// query otherwise; as bytes it hands out any.
const isRaw = `(pg_catalog.current_setting('server_encoding') = 'SQL_ASCII')`

// columnsOf names the columns of a row of the log in a query that has {owner}, {type} and
// {data} for them.
func columnsOf(query string, raw bool) string {
	if raw {
		return strings.NewReplacer("{owner}", "pg_catalog.convert_to(owner_id, 'SQL_ASCII')",
			"{type}", "pg_catalog.convert_to(type, 'SQL_ASCII')", "{data}", "pg_catalog.convert_to(data::text, 'SQL_ASCII')").Replace(query)
	}
	return strings.NewReplacer("{owner}", "owner_id", "{type}", "type", "{data}", "data").Replace(query)
}

// batch is what became visible between two snapshots. Large is the transaction of a batch
// that is a single large one, else nil: another batch has up to wholeBatch rows, or any
// number if an older version numbered it.
type batch struct {
	Number        int64
	Before, After string
	Mark          uint32
	Large         *string
}

// batchColumns are the columns of a batch.
const batchColumns = `number, before::text AS before, after::text AS after, mark, large::text AS large`

// ranges returns the transactions of the batches from b up to another.
func (b batch) ranges(last batch, but ...uint64) (r xid.Ranges, err error) {
	before, err := xid.Parse(b.Before)
	if err != nil {
		return r, err
	}
	after, err := xid.Parse(last.After)
	if err != nil {
		return r, err
	}
	return xid.Between(before, after, but...), nil
}

// withoutData is a query that has {data}, without it.
func withoutData(query string) string { return strings.ReplaceAll(query, "{data}", "NULL::json") }

// isUnreadable reports whether PostgreSQL failed a query because of a text that it could
// not hand out.
func isUnreadable(err error) bool {
	var pqErr *pq.Error
	return errors.As(err, &pqErr) && (pqErr.Code == "22021" || pqErr.Code == "22P05")
}

// EndEpoch asks the sequencer to begin a new history, if the present one still
// has this name.
func (l *Log) EndEpoch(ctx context.Context, epoch string) error {
	ctx, cancel := context.WithTimeout(ctx, db.QueryTimeout)
	defer cancel()
	_, err := l.pool.ExecContext(ctx, `UPDATE realtime.installation SET ended = epoch WHERE epoch = $1::uuid AND ended IS DISTINCT FROM epoch`, epoch)
	if err != nil {
		return fmt.Errorf("ask for a new history: %w", err)
	}
	return nil
}

// Collect implements stats.Collector.
func (l *Log) Collect() []stats.Stat {
	return append(l.guard.Collect(),
		stats.Gauge("hangarshare_replay_waiting", "Clients and requests that read the log, or wait for it.", float64(l.waiting.Load())))
}
