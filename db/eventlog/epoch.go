package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// renewTimeout bounds how long a new history is waited for, and renewPoll how often it is
// looked for meanwhile.
const (
	renewTimeout = 2 * time.Minute
	renewPoll    = 200 * time.Millisecond
)

// RenewEpoch has a new history begin, and returns when it has: every browser loads its numbers
// again, and no position of before is taken for one of after. The server that numbers the log does
// it at its next look; where there is none, it is done here.
func RenewEpoch(ctx context.Context, pool *sqlx.DB, log *slog.Logger, consumers ...db.Consumer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, renewTimeout, fmt.Errorf("the server that numbers the log did not begin a new history within %v: look at its log", renewTimeout))
	defer cancel()
	history := NewLog(pool)
	state, err := history.State(ctx)
	if err != nil {
		return err
	}
	if err := history.EndEpoch(ctx, state.Epoch); err != nil {
		return err
	}
	sequencer := &Sequencer{pool: pool, log: log, consumers: consumers}
	defer sequencer.Release()
	for {
		if _, err := sequencer.Acquire(ctx, Published{}); err != nil && !errors.Is(err, ErrNotLeader) {
			return err
		}
		sequencer.Release()
		now, err := history.State(ctx)
		if err == nil && now.Epoch != state.Epoch {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(renewPoll):
		}
	}
}

// renew begins the new history that was asked for.
func (n *Sequencer) renew(ctx context.Context) error {
	if err := n.begin(ctx, Published{}); err != nil {
		return err
	}
	return n.readLast(ctx)
}

// historyTimeout bounds how long a log of any size is emptied when a new history begins.
const historyTimeout = 10 * time.Minute

// begin reads the last batch, and opens a new history where this log is not the one that
// was told. The database may be a copy: transaction ids of another cluster mean nothing
// here, and a copy may go another way than its original. An earlier state of it may have
// been put back, or a new history was asked for.
func (n *Sequencer) begin(ctx context.Context, told Published) error {
	reading, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	// outside of the transaction, which a refusal would end
	actual, missing, err := db.ReadIdentity(reading, n.conn)
	if err != nil {
		return err
	}
	if len(missing) > 0 && !n.vague {
		n.log.Warn("this server does not say which cluster and timeline it is: after a restore, run `hangarshare epoch --renew`", "refused", missing)
	}
	n.vague = len(missing) > 0
	ctx, cancel = context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	tx, err := n.conn.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin numbering: %w", err)
	}
	defer tx.Rollback()
	var stored string
	var ended, lacks bool
	err = tx.QueryRowxContext(reading, `SELECT identity, coalesce(ended = epoch, false), `+isRaw+`,
		epoch::text = $1 AND floor <= $2 AND NOT EXISTS (SELECT FROM realtime.batches WHERE number = $2 AND mark = $3)
		FROM realtime.installation`, told.Epoch, told.Batch, told.Mark).Scan(&stored, &ended, &n.raw, &lacks)
	if err != nil {
		return fmt.Errorf("read the installation's identity: %w", err)
	}
	reason := ""
	switch {
	case stored != "" && !db.SameDatabase(stored, actual):
		reason = "this database is a copy, or was restored or promoted"
	case lacks:
		reason = "this database was put back to an earlier moment"
	case ended:
		reason = "a new history was asked for"
	}
	if reason != "" {
		n.log.Warn("a new history begins: browsers load their numbers again", "reason", reason)
		if err := n.newHistory(ctx, tx); err != nil {
			return err
		}
	}
	// what was told once is not forgotten
	if stored == "" || len(missing) == 0 && stored != actual {
		if _, err := tx.ExecContext(ctx, `UPDATE realtime.installation SET identity = $1`, actual); err != nil {
			return fmt.Errorf("write the installation's identity: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("begin numbering: %w", err)
	}
	return nil
}

// newHistory empties the log and gives it another name. DELETE and not TRUNCATE: that would wait
// for writers, and make them wait.
func (n *Sequencer) newHistory(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `
		SET LOCAL statement_timeout = 0;
		SET LOCAL lock_timeout = 0;
		DELETE FROM realtime.events;
		DELETE FROM realtime.last_events;
		DELETE FROM realtime.batches;
		INSERT INTO realtime.batches (number, before, after, bound) SELECT 0, s, s, pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s;
		UPDATE realtime.installation SET epoch = gen_random_uuid(), floor = 0, ended = NULL`)
	for _, c := range n.consumers {
		if err == nil {
			_, err = tx.ExecContext(ctx, c.Invalidate)
		}
	}
	if err != nil {
		return fmt.Errorf("begin a new history: %w", err)
	}
	return nil
}
