package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
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
	conn     *sqlx.Conn
	last     batch
	looked   time.Time // after the holder
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
	if err := n.begin(ctx); err != nil {
		n.Release()
		return false, err
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
			UPDATE realtime.installation SET epoch = gen_random_uuid(), floor = 0`)
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

// numberBatch makes a batch of all that is visible now and was not to the last batch, if there is anything.
// Parameters: 1 the last batch's number, 2 its snapshot, 3 that snapshot's upper transaction id, 4 those it saw under way, 5 the
// notification for other servers.
const numberBatch = `
INSERT INTO realtime.batches (number, before, after, bound)
SELECT $1 + 1, $2::pg_snapshot, now, pg_snapshot_xmax(now) FROM pg_current_snapshot() AS now
WHERE EXISTS (SELECT FROM realtime.events WHERE xid >= $3::xid8)
	OR EXISTS (SELECT FROM realtime.events WHERE xid = ANY ($4::xid8[]))
RETURNING number, before::text AS before, after::text AS after, pg_notify('realtime', $5)::text AS notified`

// Number gives a number to what was committed since the last call. It returns the newest batch's number, new or not.
// After an error the numbering is no longer held.
func (n *Numbering) Number(ctx context.Context) (head int64, err error) {
	if n.conn == nil {
		return 0, ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(ctx, numberTimeout)
	defer cancel()
	seen, err := parseSnapshot(n.last.After)
	if err != nil {
		return 0, err
	}
	var next struct {
		batch
		Notified string
	}
	err = n.conn.GetContext(ctx, &next, numberBatch, n.last.Number, n.last.After, seen.upper, pq.Array(seen.open), n.announce)
	if errors.Is(err, sql.ErrNoRows) {
		return n.last.Number, nil
	}
	if err != nil {
		n.Release()
		return 0, fmt.Errorf("number the log: %w", err)
	}
	n.last = next.batch
	return next.Number, nil
}

// Release gives the numbering up. The connection is closed for good, and the lock goes with it.
func (n *Numbering) Release() {
	if n.conn == nil {
		return
	}
	discard(n.conn)
	n.conn = nil
}
