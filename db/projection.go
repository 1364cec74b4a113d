package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// projectionTimeout bounds one step of the projection, projectionBuildTimeout the building of
	// one of millions of bookings.
	projectionTimeout      = 30 * time.Second
	projectionBuildTimeout = 30 * time.Minute
	// projectionKeep is how long a booking stays in the projection after it counted for the last
	// time: clocks of servers may differ.
	projectionKeep = 48 * time.Hour
)

// Projection keeps realtime.ledger: what each booking contributes to an owner's numbers. It is the
// portal's tables as one snapshot saw them; what was committed since, the log names, and
// Store.Metrics reads from the tables instead. So its answers are those of the tables at every
// moment, however late the projection is, and its upkeep delays nobody. Servers take turns by a
// lock on a table, which is taken before the snapshot.
type Projection struct {
	pool  *sqlx.DB
	store *Store
}

// NewProjection returns the projection of the bookings that store knows.
func NewProjection(store *Store) *Projection {
	return &Projection{pool: store.pool, store: store}
}

// Lag is what a step of the projection came to.
type Lag struct {
	Busy  bool `db:"-"`     // another server is at it
	Valid bool `db:"valid"` // the projection was what it has to be; otherwise it must be built
	Fresh int  `db:"fresh"` // rows of the log that it lacked
}

// lockProjection has one server write the projection at a time, and not while the table is
// vacuumed.
const lockProjection = byIndex + `; LOCK TABLE realtime.ledger_generation IN SHARE UPDATE EXCLUSIVE MODE NOWAIT`

// Apply brings the projection up to now, if it is valid.
func (l *Projection) Apply(ctx context.Context) (u Lag, err error) {
	ctx, cancel := context.WithTimeout(ctx, projectionTimeout)
	defer cancel()
	var busy bool
	err = l.store.asking(ctx, func(w *written) (err error) {
		busy, err = l.locked(ctx, w, nil, lockProjection, func(tx transaction) error { return tx.GetContext(ctx, &u, w.sql.projection.apply) })
		return err
	})
	if err != nil {
		return u, fmt.Errorf("bring the projection up to date: %w", err)
	}
	u.Busy = busy
	return u, nil
}

// Prune removes what no longer counts at the instant now.
func (l *Projection) Prune(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, projectionTimeout)
	defer cancel()
	err := l.store.asking(ctx, func(w *written) error {
		_, err := l.locked(ctx, w, nil, lockProjection, func(tx transaction) error {
			_, err := tx.ExecContext(ctx, w.sql.projection.prune, projectionFloor(now))
			return err
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("prune the projection: %w", err)
	}
	return nil
}

func projectionFloor(now time.Time) string {
	return now.Add(-projectionKeep).UTC().Format("2006-01-02 15:04:05")
}

// Build makes the projection anew from the portal's tables, as of one snapshot, while everybody
// writes and reads. It reports false when it cannot be believed yet: when another server is at it,
// a trigger failed whose transaction may not have ended, or triggers are missing or disabled.
func (l *Projection) Build(ctx context.Context, now time.Time) (built bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, projectionBuildTimeout)
	defer cancel()
	settled, err := l.settled(ctx)
	if err != nil || !settled {
		return false, err
	}
	var busy bool
	err = l.store.asking(ctx, func(w *written) (err error) {
		busy, built, err = l.buildBy(ctx, w, `LOCK TABLE realtime.ledger_generation IN SHARE UPDATE EXCLUSIVE MODE NOWAIT`,
			w.sql.projection.build, projectionFloor(now))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("build the projection: %w", err)
	}
	if busy || !built {
		return false, nil
	}
	// The planner's statistics, and what the former projection left. A role that does not own the
	// table leaves both to autovacuum.
	if _, err := l.pool.ExecContext(ctx, `VACUUM (ANALYZE) realtime.ledger`); err != nil && Unavailable(err) {
		return true, fmt.Errorf("analyze the projection: %w", err)
	}
	return true, nil
}

// settled reports whether no trigger failed whose transaction may not have ended, and all stand.
func (l *Projection) settled(ctx context.Context) (settled bool, err error) {
	err = l.pool.GetContext(ctx, &settled, `SELECT i.faults_until IS NULL AND i.faults_seen = realtime.fault_count() AND w.faults = ''
		FROM realtime.installation i, realtime.watched w`)
	return settled, Explain(err)
}

// buildBy does the statements of a build in one snapshot, under a lock. The last one says whether
// it is to be believed.
func (l *Projection) buildBy(ctx context.Context, w *written, lock string, statements []string, floor string) (busy, built bool, err error) {
	begin := `SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '64MB'; ` + lock
	busy, err = l.locked(ctx, w, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, begin, func(tx transaction) error {
		for _, statement := range statements {
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
	return busy, built, err
}

// locked runs work in a transaction that begins with some settings and the projection's lock; or
// reports that it is taken, or that a table which work reads is locked.
func (l *Projection) locked(ctx context.Context, w *written, options *sql.TxOptions, begin string, work func(transaction) error) (busy bool, err error) {
	tx, err := l.pool.BeginTxx(ctx, options)
	if err != nil {
		return false, Explain(err)
	}
	defer tx.Rollback()
	_, err = tx.ExecContext(once(ctx), refuseHidden+"; "+begin)
	if err == nil {
		err = work(transaction{tx, w.prepared})
	}
	if isLocked(err) {
		return true, nil
	}
	if err != nil {
		return false, Explain(err)
	}
	return false, Explain(tx.Commit())
}

// Invalidate says that the projection is not to be believed until it is built anew, and has the
// browsers of an owner whose numbers were wrong load them again.
func (l *Projection) Invalidate(ctx context.Context, ownerID string) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	_, err := l.pool.ExecContext(ctx, `
		WITH told AS (INSERT INTO realtime.events (owner_id, type) VALUES ($1, 'truncated') RETURNING realtime.ring())
		UPDATE realtime.ledger_generation SET number = number + (SELECT count(*) FROM told)`, ownerID)
	if err != nil {
		return fmt.Errorf("distrust the projection: %w", err)
	}
	return nil
}

// Difference is an owner for whom the projection gave other numbers than the tables, in
// one snapshot.
type Difference struct {
	OwnerID            string
	Projection, Tables RealTimeMetrics
}

// Next returns the owner who follows another in the order of ids, "" at the end of the list.
func (l *Projection) Next(ctx context.Context, after string) (ownerID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	err = l.store.asking(ctx, func(w *written) error { return l.pool.GetContext(ctx, &ownerID, w.sql.nextOwner, after) })
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("find an owner to check: %w", Explain(err))
	}
	return ownerID, nil
}

// Compare compares an owner's numbers of the projection at the instant now with those of
// the tables, in one snapshot. trusted is false, and nothing differs, when the projection
// gives no answer.
func (l *Projection) Compare(ctx context.Context, ownerID string, now time.Time) (trusted bool, found *Difference, err error) {
	ctx, cancel := context.WithTimeout(ctx, projectionTimeout)
	defer cancel()
	tx, err := l.pool.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return false, nil, fmt.Errorf("compare the projection: %w", Explain(err))
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, refuseHidden); err != nil {
		return false, nil, fmt.Errorf("compare the projection: %w", Explain(err))
	}
	var kept, actual metricsRow
	args, w := l.store.metricsArgs(ownerID, now), l.store.now.Load()
	err = tx.GetContext(ctx, &kept, w.sql.projection.metrics, args...)
	if err == nil && kept.Trusted {
		err = tx.GetContext(ctx, &actual, w.sql.metrics, args...)
	}
	if isLocked(err) { // another time
		return false, nil, nil
	}
	if err != nil {
		return false, nil, fmt.Errorf("compare the projection of owner %s: %w", ownerID, Explain(err))
	}
	if kept.Trusted && !kept.says(actual) {
		return true, &Difference{ownerID, kept.RealTimeMetrics, actual.RealTimeMetrics}, nil
	}
	return kept.Trusted, nil, nil
}
