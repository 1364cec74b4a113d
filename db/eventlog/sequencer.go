package eventlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/db/xid"
)

// sequencerTimeout bounds one step of the numbering: it is short, because a connection that
// swallows it must be given up before anybody waits for long.
const sequencerTimeout = 3 * time.Second

// Sequencer gives committed changes their place in the log. One server of an installation holds it,
// by an advisory lock on a connection of its own; every statement of it goes through that
// connection, so that a server which lost the lock can no longer write.
//
// A number is given to a whole batch at once: all that became visible since the last
// batch's snapshot. The rows are not touched, a transaction that stays open holds nobody
// back (it will be in the batch after its commit), and one that rolled back is never
// seen. The method follows from the visibility rules of the PostgreSQL manual, section
// "Transaction ID and Snapshot Information Functions".
type Sequencer struct {
	pool          *sqlx.DB
	announce      string // tells the other servers' listeners that the log has grown
	quiet         bool   // it is not told
	log           *slog.Logger
	consumers     []db.Consumer
	holderChecked time.Time // after the holder
	holder        sighting  // what was seen then
	foreign       bool      // a stranger has the lock, which was logged
	vague         bool      // the server does not say which one it is, which was logged
	backlogged    bool      // something was there to be numbered when last looked

	inspection            *sqlx.Stmt // inspectQuery
	conn                  *sqlx.Conn // nil while another server numbers
	number                *sqlx.Stmt // numberBatch on conn
	last                  batch
	raw                   bool // see isRaw
	acquired, ended, lost atomic.Int64
	// the transaction id below which some may have found notifications suppressed
	openBelow string
}

// NewSequencer returns a Sequencer that holds nothing yet. The listeners of all servers but its own
// are woken when a batch was numbered.
func NewSequencer(pool *sqlx.DB, own *db.Listener, log *slog.Logger, consumers ...db.Consumer) *Sequencer {
	return &Sequencer{pool: pool, announce: own.Token(), log: log, consumers: consumers}
}

// Published is the newest batch that a server has told its clients, of the history with a
// name; the zero Published is none.
type Published struct {
	Epoch string
	Batch int64
	Mark  uint32
}

// acquireQuery takes the lock and, in the same breath, writes down whose it is, as
// pg_stat_activity names it: others use that to tell a session of ours that fell silent
// from a stranger's that holds the same lock.
const acquireQuery = `
WITH tried AS MATERIALIZED (SELECT pg_try_advisory_lock($1) AS held)
UPDATE realtime.installation SET holder_pid = pg_backend_pid(),
	holder_since = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
FROM tried WHERE tried.held RETURNING true`

// Acquire takes the numbering if nobody has it. It returns ErrNotLeader if another server does, and
// whether the numbering is newly held. Where the log lacks what this server has told, it was rolled
// back, and a new history begins.
func (n *Sequencer) Acquire(ctx context.Context, told Published) (fresh bool, err error) {
	if n.conn != nil {
		return false, nil
	}
	acquiring, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	found, err := n.inspect(acquiring)
	if err != nil {
		return false, err
	}
	if found.Held && found.Ended == 0 {
		return false, ErrNotLeader
	}
	conn, err := n.pool.Connx(acquiring)
	if err != nil {
		return false, fmt.Errorf("connect for numbering: %w", db.Explain(err))
	}
	err = n.tryLock(acquiring, conn)
	for try := 0; found.Ended > 0 && try < holderTries && errors.Is(err, sql.ErrNoRows); try++ {
		pause(acquiring, holderPause)
		err = n.tryLock(acquiring, conn)
	}
	if errors.Is(err, sql.ErrNoRows) {
		conn.Close()
		return false, ErrNotLeader
	}
	if err != nil {
		db.Discard(conn) // perhaps it holds the lock
		return false, fmt.Errorf("take the lock of the sequencer: %w", err)
	}
	n.conn, n.foreign = conn, false
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return n.begin(ctx, told) }, n.prepare, n.readLast, n.resume,
	} {
		if err := step(ctx); err != nil {
			n.Release()
			return false, err
		}
	}
	n.acquired.Add(1)
	n.log.Info("this server numbers the log", "batch", n.last.Number)
	return true, nil
}

// tryLock takes the lock if it is free, and returns sql.ErrNoRows otherwise.
func (n *Sequencer) tryLock(ctx context.Context, conn *sqlx.Conn) error {
	var held bool
	return conn.GetContext(ctx, &held, acquireQuery, n.lock())
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// lock is the key of the sequencer's advisory lock.
func (n *Sequencer) lock() int64 { return db.LockKey(db.SequencerLock, db.SchemaOf(n.pool)) }

func (n *Sequencer) readLast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	err := n.conn.GetContext(ctx, &n.last, `SELECT `+batchColumns+` FROM realtime.batches ORDER BY number DESC LIMIT 1`)
	if err != nil {
		return fmt.Errorf("read the last batch: %w", err)
	}
	return nil
}

// wholeBatch is how many rows a batch has at most, and wholeBytes how many bytes of data, except
// for one that is a single large transaction.
const (
	wholeBatch = 5000
	wholeBytes = 8 << 20
)

// numberBatch makes a batch of all that is visible now and was not to the last batch, if there is
// anything and it is not too much, and returns its rows in order. One statement has one snapshot,
// so what it reads is what that snapshot sees. Rows of transactions that are under way are not
// touched, however many. Where it is too much there is one row, without a batch. Parameters: 1 the
// last batch's number, 2 its snapshot, 3 that snapshot's upper transaction id, 4 those it saw under
// way, 5 the notification for other servers,
// or nothing, 6 at most how many rows, and one more.
var numberBatch = db.Fill(`
WITH `+xid.Gaps+`, fresh AS MATERIALIZED (SELECT * FROM (`+xid.Fresh+`) visible LIMIT $6), numbered AS (
	INSERT INTO realtime.batches (number, before, after, bound)
	SELECT $1::bigint + 1, $2::pg_snapshot, now, pg_snapshot_xmax(now) FROM pg_current_snapshot() AS now
	WHERE (SELECT count(*) BETWEEN 1 AND $6::bigint - 1 AND coalesce(sum(octet_length(data::text)), 0) <= {bytes} FROM fresh)
	RETURNING after::text AS after, mark, CASE WHEN $5::text <> '' THEN pg_catalog.pg_notify('realtime', $5)::text END AS told
)
SELECT n.after, n.mark, n.told, f.* FROM (
	SELECT max(id) OVER (PARTITION BY owner_id, xid) AS turn, id, {owner} AS owner, {type} AS type, {data} AS data, at FROM fresh) f
LEFT JOIN numbered n ON true
ORDER BY turn, id LIMIT CASE WHEN EXISTS (SELECT FROM numbered) THEN $6::bigint ELSE 1 END`,
	"{columns}", "xid, id, owner_id, type, data, at", "{which}", "true", "{upper}", "$3::xid8", "{open}", "$4::xid8[]", "{limit}", "$6", "{bytes}", strconv.Itoa(wholeBytes))

// Announce says whether the transactions that make batches notify the other servers. They do unless
// told otherwise; a caller that tells the others in another way spares all who notify the wait for
// each other.
func (n *Sequencer) Announce(announces bool) { n.quiet = !announces }

func (n *Sequencer) announcement() string {
	if n.quiet {
		return ""
	}
	return n.announce
}

// Numbered is what a call of Number came to. Whole says that the newest batch, Head, is
// new and that Changes are all of it, in order. Otherwise what is new, if anything, is to
// be read from the log.
type Numbered struct {
	Head    int64
	Mark    uint32
	Before  uint32 // the mark of the batch before Head; only where Whole
	Changes []Change
	Whole   bool
}

// Parcel returns what other servers are told of the newest batch.
func (n Numbered) Parcel() Parcel {
	return Parcel{Batch: n.Head, Mark: n.Mark, Before: n.Before, Whole: n.Whole, Changes: n.Changes}
}

// prepare readies the connection for one statement again and again. It is planned once, for
// parameters unknown; the planner must not believe then that a third of the log is new. A batch
// must be on disk before anybody is told of it, also where the portal does without that for itself:
// a crash would give its number to other events.
func (n *Sequencer) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	if _, err := n.conn.ExecContext(ctx, `SET enable_seqscan = off; SET lock_timeout = 0; SET plan_cache_mode = force_generic_plan;
		SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`); err != nil {
		return fmt.Errorf("set up the numbering: %w", err)
	}
	// What PostgreSQL sends to a server that is gone ends soon, where the system knows how.
	if _, err := n.conn.ExecContext(ctx, `SET tcp_user_timeout = '5s'`); db.Unavailable(err) {
		return fmt.Errorf("set up the numbering: %w", err)
	}
	statement, err := n.conn.PreparexContext(ctx, columnsOf(numberBatch, n.raw))
	if err != nil {
		return fmt.Errorf("prepare the numbering: %w", err)
	}
	n.number = statement
	return nil
}

// Number gives a number to what was committed since the last call. After an error the
// numbering is no longer held.
func (n *Sequencer) Number(ctx context.Context) (Numbered, error) {
	if n.conn == nil {
		return Numbered{}, ErrNotLeader
	}
	next, tooMuch, err := n.numberNext(ctx)
	if tooMuch || isUnreadable(err) { // the rows need not be read to be numbered
		next, err = n.numberBacklog(ctx)
	}
	if err != nil {
		n.lose(err)
		return Numbered{}, fmt.Errorf("number the log: %w", err)
	}
	return next, nil
}

// head says that nothing was read.
func (n *Sequencer) head() Numbered { return Numbered{Head: n.last.Number, Mark: n.last.Mark} }

func (n *Sequencer) numberNext(ctx context.Context) (next Numbered, tooMuch bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	seen, err := xid.Parse(n.last.After)
	if err != nil {
		return Numbered{}, false, err
	}
	rows, err := n.number.QueryContext(ctx, n.last.Number, n.last.After, seen.Upper, pq.Array(xid.Decimals(seen.Open)), n.announcement(), wholeBatch+1)
	if err != nil {
		return Numbered{}, false, err
	}
	defer rows.Close()
	var after, told sql.NullString
	var mark sql.NullInt64
	var changes []Change
	for rows.Next() {
		c := Change{Position: Position{Batch: n.last.Number + 1}}
		var owner sql.NullString
		var data []byte
		if err := rows.Scan(&after, &mark, &told, &c.TxOrder, &c.ID, &owner, &c.Type, &data, &c.At); err != nil {
			return Numbered{}, false, fmt.Errorf("read a row: %w", err)
		}
		c.Mark, c.OwnerID, c.Data = uint32(mark.Int64), owner.String, data
		changes = append(changes, c)
	}
	if err := rows.Err(); err != nil { // also that of the commit: only after it is the batch one
		return Numbered{}, false, err
	}
	if len(changes) == 0 {
		return n.head(), false, nil
	}
	if !after.Valid {
		return n.head(), true, nil
	}
	before := n.last.Mark
	n.last = batch{Number: n.last.Number + 1, Before: n.last.After, After: after.String, Mark: uint32(mark.Int64)}
	return Numbered{n.last.Number, n.last.Mark, before, changes, true}, false, nil
}

// onConnection runs a question on the connection that holds the numbering. After an error
// it is no longer held.
func (n *Sequencer) onConnection(ctx context.Context, question func(context.Context) error) error {
	if n.conn == nil {
		return ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	if err := question(ctx); err != nil {
		n.lose(err)
		return fmt.Errorf("control notifications: %w", err)
	}
	return nil
}

// lose gives the numbering up after an error.
func (n *Sequencer) lose(err error) {
	n.Release()
	if !errors.Is(err, context.Canceled) { // it stops
		n.lost.Add(1)
		n.log.Warn("this server no longer numbers the log: its session was ended, or the way to it is cut", "error", err)
	}
}

// Collect implements stats.Collector.
func (n *Sequencer) Collect() []stats.Stat {
	return []stats.Stat{
		stats.Counter("hangarshare_numbering_takeovers_total", "Times that this server became the one that numbers the log.", n.acquired.Load()),
		stats.Counter("hangarshare_sequencer_losses_total", "Times that it ceased to be, by an error.", n.lost.Load()),
		stats.Counter("hangarshare_sequencer_terminations_total", "Silent sessions of other servers that this one ended to take over.", n.ended.Load()),
	}
}

// Release gives the numbering up. The connection is closed for good, and its locks go with it.
func (n *Sequencer) Release() {
	if n.conn == nil {
		return
	}
	db.Discard(n.conn)
	n.conn, n.number = nil, nil
}
