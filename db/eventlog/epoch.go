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
