package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// TrendKeeper keeps what trends are read from: what each booking contributes, and sums of it. Like
// the Projection it is the portal's tables as one snapshot saw them; what was committed since, the
// log names, and Store.Trends adds. So its upkeep costs writers nothing, and no answer waits for
// it. Servers take turns by a lock on a table.
type TrendKeeper struct {
	pool  *sqlx.DB
	store *Store
	locks *Projection
}

// NewTrendKeeper returns the keeper of the trends that store answers.
func NewTrendKeeper(store *Store) *TrendKeeper {
	return &TrendKeeper{pool: store.pool, store: store, locks: NewProjection(store)}
}

// TrendsConsumer are the trends as a consumer of the log.
func TrendsConsumer() Consumer {
	return Consumer{
		Applied:    `SELECT after FROM realtime.trend_marks ORDER BY number DESC LIMIT 1`,
		Invalidate: `UPDATE realtime.trend_generation SET number = number + 1`,
		BuildTime:  2 * projectionBuildTimeout,
	}
}

// Consumers are all consumers of the log.
func Consumers() []Consumer {
	return []Consumer{ProjectionConsumer(), TrendsConsumer(), NotifierConsumer()}
}

// lockTrends has one server write the trends at a time.
const lockTrends = `LOCK TABLE realtime.trend_generation IN SHARE UPDATE EXCLUSIVE MODE NOWAIT`

// The planner must not believe that a third of the log is fresh, nor hold on to a plan of when the
// tables were small: what is planned once for a session is planned by index. But it compares an
// owner's sums as it likes.
const (
	byIndex  = `SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off`
	asItLike = `SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on`
)

// Apply brings the trends up to now, if they are valid.
func (k *TrendKeeper) Apply(ctx context.Context) (lag Lag, err error) {
	lag, _, err = k.apply(ctx, "")
	return lag, err
}

// Check is Apply, and then compares what is kept of an owner with the tables. It reports how many
// sums differ; none where the trends are not valid.
func (k *TrendKeeper) Check(ctx context.Context, ownerID string) (differ int64, err error) {
	_, differ, err = k.apply(ctx, ownerID)
	return differ, err
}

func (k *TrendKeeper) apply(ctx context.Context, ownerID string) (lag Lag, differ int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, projectionTimeout)
	defer cancel()
	var busy bool
	err = k.store.asking(ctx, func(w *written) (err error) {
		q := w.sql.trends
		busy, err = k.locks.locked(ctx, w, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, lockTrends+"; "+byIndex, func(tx transaction) error {
			if err := tx.GetContext(ctx, &lag, q.lag); err != nil || !lag.Valid {
				return err
			}
			if lag.Fresh > 0 {
				for _, statement := range []string{q.notes, q.capacity, q.apply} {
					if _, err := tx.ExecContext(ctx, statement); err != nil {
						return err
					}
				}
			}
			if ownerID == "" {
				return nil
			}
			if _, err := tx.ExecContext(ctx, asItLike); err != nil {
				return err
			}
			return tx.GetContext(ctx, &differ, q.audit, ownerID)
		})
		return err
	})
	if err != nil {
		return lag, 0, fmt.Errorf("bring the trends up to date: %w", err)
	}
	lag.Busy = busy
	return lag, differ, nil
}

// Build makes the trends anew from the portal's tables, as of one snapshot, while everybody writes
// and reads. It reports false when they cannot be believed yet: when another server is at it, a
// trigger failed whose transaction may not have ended, or triggers are missing or disabled.
func (k *TrendKeeper) Build(ctx context.Context, _ time.Time) (built bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, projectionBuildTimeout)
	defer cancel()
	settled, err := k.locks.settled(ctx)
	if err != nil || !settled {
		return false, err
	}
	var busy bool
	err = k.store.asking(ctx, func(w *written) (err error) {
		busy, built, err = k.locks.buildBy(ctx, w, lockTrends, w.sql.trends.build, "")
		return err
	})
	if err != nil {
		return false, fmt.Errorf("build the trends: %w", err)
	}
	if busy || !built {
		return false, nil
	}
	for _, table := range []string{"trend_bookings", "trend_sums", "trend_turns"} {
		if _, err := k.pool.ExecContext(ctx, `VACUUM (ANALYZE) realtime.`+table); err != nil && Unavailable(err) {
			return true, fmt.Errorf("analyze the trends: %w", err)
		}
	}
	return true, nil
}

// Next returns the owner who follows another in the order of ids, "" at the end of the list.
func (k *TrendKeeper) Next(ctx context.Context, after string) (ownerID string, err error) {
	return k.locks.Next(ctx, after)
}

// Invalidate says that the trends are not to be believed until they are built anew.
func (k *TrendKeeper) Invalidate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if _, err := k.pool.ExecContext(ctx, TrendsConsumer().Invalidate); err != nil {
		return fmt.Errorf("distrust the trends: %w", Explain(err))
	}
	return nil
}
