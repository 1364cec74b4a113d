package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// TriggerHealth is what stands between the portal's writers and the log. Missing are
// triggers that do not stand and tables that are not there, Disabled triggers that were
// disabled by hand or that run for replicas only. Outdated says that the portal's tables
// are others than those that the triggers were made for, Shape counts such changes, and
// Columns names the columns that there are now.
type TriggerHealth struct {
	Missing  pq.StringArray `db:"missing"`
	Disabled pq.StringArray `db:"disabled"`
	Outdated bool           `db:"outdated"`
	Shape    int64          `db:"shape"`
	Columns  string         `db:"columns"`
}

// TriggerWatch looks after the triggers on the portal's tables while a server runs.
type TriggerWatch struct {
	pool *sqlx.DB
}

// NewTriggerWatch returns a watch over the database behind pool, which no transaction
// pooler stands before.
func NewTriggerWatch(pool *sqlx.DB) *TriggerWatch { return &TriggerWatch{pool} }

// Check returns what the triggers are up to. What is wrong with them is in the log for
// browsers from then on.
func (w *TriggerWatch) Check(ctx context.Context) (h TriggerHealth, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if err := w.pool.GetContext(ctx, &h, `SELECT missing, disabled, outdated, shape, columns FROM realtime.watch()`); err != nil {
		return h, fmt.Errorf("look after the triggers: %w", Explain(err))
	}
	return h, nil
}

// reattachLockTimeout bounds how long putting a trigger back waits for a table's writers: all who
// come later wait as long.
const reattachLockTimeout = 50 * time.Millisecond

// Reattach puts back what is missing, unless a migration is under way. An error that wraps
// ErrNotPermitted says that the server's role may not.
func (w *TriggerWatch) Reattach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	conn, err := w.pool.Connx(ctx)
	if err != nil {
		return fmt.Errorf("connect to put triggers back: %w", Explain(err))
	}
	defer Discard(conn)
	var free bool
	err = conn.GetContext(ctx, &free, `SELECT pg_catalog.pg_try_advisory_lock($1)`, LockKey(migrationLock, SchemaOf(w.pool)))
	if err == nil && free {
		// Not only by the end of the session, which nobody waits for: the next caller
		// would find it taken.
		defer func() {
			if ctx.Err() == nil {
				conn.ExecContext(ctx, `SELECT pg_catalog.pg_advisory_unlock_all()`)
			}
		}()
		ctx = once(ctx)
		if _, err = conn.ExecContext(ctx, fmt.Sprintf(`SET lock_timeout = %d`, reattachLockTimeout.Milliseconds())); err == nil {
			_, err = conn.ExecContext(ctx, `CALL realtime.attach_again()`)
		}
	}
	if err != nil {
		return fmt.Errorf("put triggers back: %w", hint(err))
	}
	return nil
}
