package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// numberTimeout bounds one step of the numbering: it is short, because a connection that swallows it must be given
// up before anybody waits for long.
const numberTimeout = 3 * time.Second

const (
	// holderSilence is after what time a holder of the numbering counts as gone that did not say anything: it numbers, or
	// looks whether there is anything to, each second. Its server vanished without a word, and PostgreSQL would keep its
	// session, and the lock, for hours.
	holderSilence = 3 * time.Second
	// holderLook is how often somebody who waits for the numbering looks after its holder.
	holderLook = time.Second
)

// Numbering gives committed changes their place in the log. One server of an installation holds it, by an advisory
// lock on a connection of its own; every statement of it goes through that connection, so that a server which lost
// the lock can no longer write.
//
// A number is given to a whole batch at once: all that became visible since the last batch's snapshot. The rows are not
// touched, a transaction that stays open holds nobody back (it will be in the batch after its commit), and one that
// rolled back is never seen. The method follows from the visibility rules of the PostgreSQL manual, section "Transaction
// ID and Snapshot Information Functions".
type Numbering struct {
	pool     *sqlx.DB
	announce string // tells the other servers' listeners that the log has grown
	log      *slog.Logger
	looked   time.Time // after the holder

	conn      *sqlx.Conn // nil while another server numbers
	number    *sqlx.Stmt // numberBatch on conn
	last      batch
	unsettled string // the transaction id below which some may have found the doorbell mute
}

// NewNumbering returns a Numbering that holds nothing yet. The listeners of all servers but its own are woken when a
// batch was numbered.
func NewNumbering(pool *sqlx.DB, own *Listener, log *slog.Logger) *Numbering {
	return &Numbering{pool: pool, announce: own.token, log: log}
}

// Held reports whether this server numbers the log, as far as it knows.
func (n *Numbering) Held() bool { return n.conn != nil }

// Acquire takes the numbering if nobody has it. It returns ErrNotLeader if another server does, and whether the
// numbering is newly held.
func (n *Numbering) Acquire(ctx context.Context) (fresh bool, err error) {
	if n.conn != nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, numberTimeout)
	defer cancel()
	conn, err := n.pool.Connx(ctx)
	if err != nil {
		return false, fmt.Errorf("connect for numbering: %w", explain(err))
	}
	var held bool
	if err := conn.GetContext(ctx, &held, `SELECT pg_try_advisory_lock($1)`, numberingLock); err != nil || !held {
		if err == nil {
			err = cmp.Or(n.relieve(ctx, conn), ErrNotLeader)
		}
		conn.Close()
		return false, err
	}
	n.conn = conn
	for _, step := range []func(context.Context) error{n.begin, n.prepare, n.unmute} {
		if err := step(ctx); err != nil {
			n.Release()
			return false, err
		}
	}
	n.log.Info("this server numbers the log", "batch", n.last.Number)
	return true, nil
}

// relieve ends the session of a holder that has fallen silent: whoever asks next gets the numbering. Should the holder
// live after all, it finds out before it writes anything more.
func (n *Numbering) relieve(ctx context.Context, conn *sqlx.Conn) error {
	if time.Since(n.looked) < holderLook {
		return nil
	}
	n.looked = time.Now()
	var ended int
	err := conn.GetContext(ctx, &ended, `
		SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid)) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid = 0 AND l.objid::bigint = $1 AND l.objsubid = 1
			AND a.state LIKE 'idle%' AND a.state_change < clock_timestamp() - make_interval(secs => $2)`,
		numberingLock, holderSilence.Seconds())
	if err != nil {
		return fmt.Errorf("look after the holder of the numbering: %w", err)
	}
	if ended > 0 {
		n.log.Warn("the holder of the numbering fell silent; its session was ended", "after", holderSilence)
	}
	return nil
}

// begin reads the last batch, and opens a new history where this database is not the one that the log was written in:
// transaction ids of another cluster mean nothing here, and a copy may go another way than its original.
func (n *Numbering) begin(ctx context.Context) error {
	tx, err := n.conn.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin numbering: %w", err)
	}
	defer tx.Rollback()
	var known, actual string
	err = tx.QueryRowxContext(ctx, `SELECT identity, (SELECT system_identifier FROM pg_control_system())::text || '/' ||
		(SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
		FROM realtime.installation`).Scan(&known, &actual)
	if err != nil {
		return fmt.Errorf("read the installation's identity: %w", err)
	}
	if known != "" && known != actual {
		n.log.Warn("this database is a copy or was restored: browsers load their numbers again", "was", known, "is", actual)
		// DELETE and not TRUNCATE: that would wait for writers, and make them wait.
		_, err := tx.ExecContext(ctx, `
			DELETE FROM realtime.events;
			DELETE FROM realtime.last_events;
			DELETE FROM realtime.batches;
			INSERT INTO realtime.batches (number, before, after, bound) SELECT 0, s, s, pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s;
			UPDATE realtime.installation SET epoch = gen_random_uuid(), floor = 0;
			UPDATE realtime.ledger_generation SET number = number + 1`)
		if err != nil {
			return fmt.Errorf("begin a new history: %w", err)
		}
	}
	if known != actual {
		if _, err := tx.ExecContext(ctx, `UPDATE realtime.installation SET identity = $1`, actual); err != nil {
			return fmt.Errorf("write the installation's identity: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("begin numbering: %w", err)
	}
	return n.readLast(ctx)
}

func (n *Numbering) readLast(ctx context.Context) error {
	err := n.conn.GetContext(ctx, &n.last, `SELECT number, before::text AS before, after::text AS after
		FROM realtime.batches ORDER BY number DESC LIMIT 1`)
	if err != nil {
		return fmt.Errorf("read the last batch: %w", err)
	}
	return nil
}

// wholeBatch is up to how many rows the numbering returns with a batch; a larger one is read from the log.
const wholeBatch = 5000

// numberBatch makes a batch of all that is visible now and was not to the last batch, if there is anything, and returns its
// rows in order: one statement has one snapshot, so what it reads is what that snapshot sees. Parameters: 1 the last batch's
// number, 2 its snapshot, 3 that snapshot's upper transaction id, 4 those it saw under way, 5 the notification for other
// servers, 6 at most how many rows.
const numberBatch = `
WITH fresh AS MATERIALIZED (
	SELECT * FROM (
		SELECT xid, id, owner_id, type, data, at FROM realtime.events WHERE xid >= $3::xid8
		UNION ALL
		SELECT xid, id, owner_id, type, data, at FROM realtime.events WHERE xid = ANY ($4::xid8[]) AND xid < $3::xid8
	) visible LIMIT $6
), numbered AS (
	INSERT INTO realtime.batches (number, before, after, bound)
	SELECT $1::bigint + 1, $2::pg_snapshot, now, pg_snapshot_xmax(now) FROM pg_current_snapshot() AS now
	WHERE EXISTS (SELECT FROM fresh)
	RETURNING after::text AS after, pg_notify('realtime', $5)::text AS told
)
SELECT n.after, n.told, f.* FROM numbered n CROSS JOIN (
	SELECT max(id) OVER (PARTITION BY owner_id, xid) AS turn, id, owner_id, type, data, at FROM fresh) f
ORDER BY turn, id`

// Numbered is what a call of Number came to.
type Numbered struct {
	Head    int64    // the newest batch, new or not
	Changes []Change // all of that batch, in order, if it is new and Whole
	Whole   bool     // false when nothing is new, or when the batch is too large to be returned
}

// prepare readies the connection for one statement again and again. It is planned once, for parameters unknown; the
// planner must not believe then that a third of the log is new. A batch must be on disk before anybody is told of it, also where
// the portal does without that for itself: a crash would give its number to other events.
func (n *Numbering) prepare(ctx context.Context) error {
	if _, err := n.conn.ExecContext(ctx, `SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan;
		SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`); err != nil {
		return fmt.Errorf("set up the numbering: %w", err)
	}
	statement, err := n.conn.PreparexContext(ctx, numberBatch)
	if err != nil {
		return fmt.Errorf("prepare the numbering: %w", err)
	}
	n.number = statement
	return nil
}

// Number gives a number to what was committed since the last call. After an error the numbering is no longer held.
func (n *Numbering) Number(ctx context.Context) (Numbered, error) {
	if n.conn == nil {
		return Numbered{}, ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(ctx, numberTimeout)
	defer cancel()
	next, err := n.numberNext(ctx)
	if err != nil {
		n.Release()
		return Numbered{}, fmt.Errorf("number the log: %w", err)
	}
	return next, nil
}

func (n *Numbering) numberNext(ctx context.Context) (Numbered, error) {
	seen, err := parseSnapshot(n.last.After)
	if err != nil {
		return Numbered{}, err
	}
	rows, err := n.number.QueryContext(ctx, n.last.Number, n.last.After, seen.upper, pq.Array(seen.open), n.announce, wholeBatch+1)
	if err != nil {
		return Numbered{}, err
	}
	defer rows.Close()
	var after string
	var told sql.RawBytes
	var changes []Change
	for rows.Next() {
		c, err := scanChange(rows, n.last.Number+1, &after, &told)
		if err != nil {
			return Numbered{}, err
		}
		changes = append(changes, c)
	}
	if err := rows.Err(); err != nil { // also that of the commit: only after it is the batch one
		return Numbered{}, err
	}
	if len(changes) == 0 {
		return Numbered{Head: n.last.Number}, nil
	}
	n.last = batch{Number: n.last.Number + 1, Before: n.last.After, After: after}
	if len(changes) > wholeBatch {
		return Numbered{Head: n.last.Number}, nil
	}
	return Numbered{n.last.Number, changes, true}, nil
}

// AwakeFor is for how long a Mute holds. It ends by itself, should its server be gone.
const AwakeFor = time.Second

// Mute has writers ring no more for AwakeFor, because this server looks at the log by itself.
func (n *Numbering) Mute(ctx context.Context) error {
	return n.ask(ctx, func(ctx context.Context) error {
		_, err := n.conn.ExecContext(ctx, `SELECT setval('realtime.awake', (date_part('epoch', clock_timestamp()) * 1000)::bigint + $1)`,
			AwakeFor.Milliseconds())
		return err
	})
}

// Unmute has writers ring again. A transaction that is under way now may have found the doorbell mute, and will not ring
// when it commits: until Settled, the log must still be looked at.
func (n *Numbering) Unmute(ctx context.Context) error { return n.ask(ctx, n.unmute) }

func (n *Numbering) unmute(ctx context.Context) error {
	if _, err := n.conn.ExecContext(ctx, `SELECT setval('realtime.awake', 1)`); err != nil {
		return fmt.Errorf("unmute the doorbell: %w", explain(err))
	}
	return n.mark(ctx)
}

// mark notes which transactions are under way: some of those below a new transaction id. The upper id of a snapshot would
// not do: it is the one after the last that ended, and those under way may be above it.
func (n *Numbering) mark(ctx context.Context) error {
	return n.conn.GetContext(ctx, &n.unsettled, `SELECT pg_current_xact_id()::text`)
}

// Settled reports whether all transactions have ended that may have found the doorbell mute, of this server or of the one
// that numbered before. A Number that is called after it lacks nothing of theirs.
func (n *Numbering) Settled(ctx context.Context) (settled bool, err error) {
	err = n.ask(ctx, func(ctx context.Context) error {
		return n.conn.GetContext(ctx, &settled, `SELECT $1::xid8 <= pg_snapshot_xmin(pg_current_snapshot())`, n.unsettled)
	})
	return settled, err
}

// ask runs a question on the connection that holds the numbering. After an error it is no longer held.
func (n *Numbering) ask(ctx context.Context, question func(context.Context) error) error {
	if n.conn == nil {
		return ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(ctx, numberTimeout)
	defer cancel()
	if err := question(ctx); err != nil {
		n.Release()
		return fmt.Errorf("keep the doorbell: %w", err)
	}
	return nil
}

// Release gives the numbering up. The connection is closed for good, and its locks go with it.
func (n *Numbering) Release() {
	if n.conn == nil {
		return
	}
	discard(n.conn)
	n.conn, n.number = nil, nil
}
