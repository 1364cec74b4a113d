package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// SuppressFor is for how long a Suppress holds. It ends by itself, should its server be gone.
const SuppressFor = time.Second

// Suppress has writers notify no more for SuppressFor, because this server looks at the
// log by itself.
func (n *Sequencer) Suppress(ctx context.Context) error {
	return n.onConnection(ctx, func(ctx context.Context) error {
		_, err := n.conn.ExecContext(ctx, `SELECT setval('realtime.awake', (date_part('epoch', clock_timestamp()) * 1000)::bigint + $1)`,
			SuppressFor.Milliseconds())
		return err
	})
}

// Resume has writers notify again. A transaction that is under way now may have found notifications
// suppressed, and will not notify when it commits: until Quiesced, the log must still be looked at.
func (n *Sequencer) Resume(ctx context.Context) error { return n.onConnection(ctx, n.resume) }

func (n *Sequencer) resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	if _, err := n.conn.ExecContext(ctx, `SELECT setval('realtime.awake', 1)`); err != nil {
		return fmt.Errorf("resume notifications: %w", db.Explain(err))
	}
	return n.noteOpen(ctx)
}

// noteOpen notes which transactions are under way: some of those below a new transaction
// id. The upper id of a snapshot would not do: it is the one after the last that ended,
// and those under way may be above it.
func (n *Sequencer) noteOpen(ctx context.Context) error {
	return n.conn.GetContext(ctx, &n.openBelow, `SELECT pg_current_xact_id()::text`)
}

// Quiesced reports whether all transactions have ended that may have found notifications
// suppressed, of this server or of the one that numbered before. A Number that is called after it
// lacks nothing of theirs.
func (n *Sequencer) Quiesced(ctx context.Context) (quiesced bool, err error) {
	err = n.onConnection(ctx, func(ctx context.Context) error {
		return n.conn.GetContext(ctx, &quiesced, `SELECT $1::xid8 <= pg_snapshot_xmin(pg_current_snapshot())`, n.openBelow)
	})
	return quiesced, err
}
