package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	// ledgerTimeout bounds one step of the ledger, ledgerBuildTimeout the building of one of millions of bookings.
	ledgerTimeout      = 30 * time.Second
	ledgerBuildTimeout = 30 * time.Minute
	// ledgerKeep is how long a booking stays in the ledger after it counted for the last time: clocks of servers may differ.
	ledgerKeep = 48 * time.Hour
)

// Ledger keeps realtime.ledger: what each booking contributes to an owner's numbers. It is the portal's tables as one snapshot
// saw them; what was committed since, the log names, and Store.Metrics reads from the tables instead. So its answers are those of
// the tables at every moment, however late the ledger is, and its upkeep delays nobody. Servers take turns by a lock on a table,
// which is taken before the snapshot.
type Ledger struct {
	pool  *sqlx.DB
	store *Store
	sql   ledgerQueries
}

// NewLedger returns the ledger of the bookings that store knows.
func NewLedger(store *Store) *Ledger {
	return &Ledger{pool: store.pool, store: store, sql: store.sql.ledger}
}

// Upkeep is what a step of the ledger came to.
type Upkeep struct {
	Busy  bool `db:"-"`     // another server is at it
	Valid bool `db:"valid"` // the ledger was what it has to be; otherwise it must be built
	Fresh int  `db:"fresh"` // rows of the log that it lacked
}

// lockLedger has one server write the ledger at a time, and not while the table is vacuumed. The planner must not believe that
// a third of the log is fresh.
const lockLedger = `SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;
	LOCK TABLE realtime.ledger_generation IN SHARE UPDATE EXCLUSIVE MODE NOWAIT`

// Apply brings the ledger up to now, if it is valid.
func (l *Ledger) Apply(ctx context.Context) (u Upkeep, err error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	busy, err := l.locked(ctx, nil, lockLedger, func(tx *sqlx.Tx) error { return tx.GetContext(ctx, &u, l.sql.apply) })
	if err != nil {
		return u, fmt.Errorf("bring the ledger up to date: %w", err)
	}
	u.Busy = busy
	return u, nil
}

// Prune removes what no longer counts at the instant now.
func (l *Ledger) Prune(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	_, err := l.locked(ctx, nil, lockLedger, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, l.sql.prune, ledgerFloor(now))
		return err
	})
	if err != nil {
		return fmt.Errorf("prune the ledger: %w", err)
	}
	return nil
}

func ledgerFloor(now time.Time) string {
	return now.Add(-ledgerKeep).UTC().Format("2006-01-02 15:04:05")
}

// Build makes the ledger anew from the portal's tables, as of one snapshot, while everybody writes and reads. It reports false
// when it cannot be believed yet: when another server is at it, or a trigger failed whose transaction may not have ended.
func (l *Ledger) Build(ctx context.Context, now time.Time) (built bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerBuildTimeout)
	defer cancel()
	var settled bool
	err = l.pool.GetContext(ctx, &settled, `SELECT i.faults_until IS NULL AND i.faults_seen = CASE WHEN f.is_called THEN f.last_value + 1 ELSE f.last_value END
		FROM realtime.installation i, realtime.faults f`)
	if err != nil || !settled {
		return false, explain(err)
	}
	floor := ledgerFloor(now)
	busy, err := l.locked(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, `SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '64MB';
		LOCK TABLE realtime.ledger_generation IN SHARE UPDATE EXCLUSIVE MODE NOWAIT`, func(tx *sqlx.Tx) error {
		for _, statement := range l.sql.build {
			var args []any
			if strings.Contains(statement, "$1") {
				args = []any{floor}
			}
			result, err := tx.ExecContext(ctx, statement, args...)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			built = n > 0 // as said by the last one, which marks it
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("build the ledger: %w", err)
	}
	if busy || !built {
		return false, nil
	}
	// The planner's statistics, and what the former ledger left. A role that does not own the table leaves both to autovacuum.
	if _, err := l.pool.ExecContext(ctx, `VACUUM (ANALYZE) realtime.ledger`); err != nil && Unavailable(err) {
		return true, fmt.Errorf("analyze the ledger: %w", err)
	}
	return true, nil
}

// locked runs work in a transaction that begins with some settings and the ledger's lock; or reports that it is taken.
func (l *Ledger) locked(ctx context.Context, options *sql.TxOptions, begin string, work func(*sqlx.Tx) error) (busy bool, err error) {
	tx, err := l.pool.BeginTxx(ctx, options)
	if err != nil {
		return false, explain(err)
	}
	defer tx.Rollback()
	_, err = tx.ExecContext(ctx, begin)
	var pqErr *pq.Error
	if errors.As(err, &pqErr) && pqErr.Code == "55P03" { // lock_not_available
		return true, nil
	}
	if err != nil {
		return false, explain(err)
	}
	if err := work(tx); err != nil {
		return false, explain(err)
	}
	return false, explain(tx.Commit())
}

// Distrust says that the ledger is not to be believed until it is built anew.
func (l *Ledger) Distrust(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if _, err := l.pool.ExecContext(ctx, `UPDATE realtime.ledger_generation SET number = number + 1`); err != nil {
		return fmt.Errorf("distrust the ledger: %w", err)
	}
	return nil
}

// Difference is an owner for whom the ledger gave other numbers than the tables, in one snapshot.
type Difference struct {
	OwnerID        string
	Ledger, Tables RealTimeMetrics
}

// Next returns the owner who follows another in the order of ids, "" at the end of the list.
func (l *Ledger) Next(ctx context.Context, after string) (ownerID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	err = l.pool.GetContext(ctx, &ownerID, l.store.sql.nextOwner, after)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("find an owner to check: %w", explain(err))
	}
	return ownerID, nil
}

// Compare compares an owner's numbers of the ledger at the instant now with those of the tables, in one snapshot. trusted is
// false, and nothing differs, when the ledger gives no answer.
func (l *Ledger) Compare(ctx context.Context, ownerID string, now time.Time) (trusted bool, found *Difference, err error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	tx, err := l.pool.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return false, nil, fmt.Errorf("compare the ledger: %w", explain(err))
	}
	defer tx.Rollback()
	var kept, actual metricsRow
	args := l.store.metricsArgs(ownerID, now)
	err = tx.GetContext(ctx, &kept, l.sql.metrics, args...)
	if err == nil && kept.Trusted {
		err = tx.GetContext(ctx, &actual, l.store.sql.metrics, args...)
	}
	if err != nil {
		return false, nil, fmt.Errorf("compare the ledger of owner %s: %w", ownerID, explain(err))
	}
	if kept.Trusted && !kept.says(actual) {
		return true, &Difference{ownerID, kept.RealTimeMetrics, actual.RealTimeMetrics}, nil
	}
	return kept.Trusted, nil, nil
}
