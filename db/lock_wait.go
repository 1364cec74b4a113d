package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// longestLockWait bounds how long a statement of ours waits for a lock before it lets go of those
// that it has and comes again. Who rebuilds a table locks it, and then those that its keys refer
// to: a question of ours that holds the latter and waits for the former is half of a deadlock.
// PostgreSQL ends one of the two after deadlock_timeout, and must find none.
const longestLockWait = 250 * time.Millisecond

// lockWait is an expression for lock_timeout: a part of deadlock_timeout, which an
// operator may have made short.
var lockWait = fmt.Sprintf(`(SELECT least(%d, greatest(1, s.setting::pg_catalog.int4 OPERATOR(pg_catalog./) 4))::pg_catalog.text
	FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'deadlock_timeout')`, longestLockWait.Milliseconds())

// isLocked reports whether a statement was given up because of another session's lock.
func isLocked(err error) bool {
	var refused *pq.Error
	// lock_not_available, deadlock_detected
	return errors.As(err, &refused) && (refused.Code == "55P03" || refused.Code == "40P01")
}

// onceKey is the key of a context whose statements come only once.
type onceKey struct{}

// once returns a context whose statements do not come again when another session has a lock: their
// caller does, when it is time.
func once(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, true) }

// retryLocked does what waits for locks until it has them, its time is over, or it fails
// for another reason. In a transaction the second attempt fails, because the first has
// ended it: its caller begins again.
func retryLocked[T any](ctx context.Context, do func() (T, error)) (T, error) {
	answer, err := do()
	for isLocked(err) && ctx.Err() == nil && ctx.Value(onceKey{}) == nil {
		next, nextErr := do()
		var refused *pq.Error
		if errors.As(nextErr, &refused) && refused.Code == "25P02" { // in_failed_sql_transaction
			break
		}
		answer, err = next, nextErr
	}
	return answer, err
}

// connection is what lib/pq's connections are.
type connection interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// retryingConn is a connection whose statements give way to sessions that need a lock, and come
// again.
type retryingConn struct{ connection }

// ExecContext implements driver.ExecerContext.
func (p retryingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return retryLocked(ctx, func() (driver.Result, error) { return p.connection.ExecContext(ctx, query, args) })
}

// QueryContext implements driver.QueryerContext.
func (p retryingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return retryLocked(ctx, func() (driver.Rows, error) { return p.connection.QueryContext(ctx, query, args) })
}

// PrepareContext implements driver.ConnPrepareContext: planning waits for locks too.
func (p retryingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	statement, err := retryLocked(ctx, func() (driver.Stmt, error) { return p.connection.PrepareContext(ctx, query) })
	if full, ok := statement.(preparedStatement); ok && err == nil {
		return retryingStatement{full}, nil
	}
	return statement, err
}

// preparedStatement is what lib/pq's statements are.
type preparedStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// retryingStatement is a statement of such a connection.
type retryingStatement struct{ preparedStatement }

// ExecContext implements driver.StmtExecContext.
func (s retryingStatement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return retryLocked(ctx, func() (driver.Result, error) { return s.preparedStatement.ExecContext(ctx, args) })
}

// QueryContext implements driver.StmtQueryContext.
func (s retryingStatement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return retryLocked(ctx, func() (driver.Rows, error) { return s.preparedStatement.QueryContext(ctx, args) })
}

// beginOwn begins a transaction that writes tables of ours, where one waits for another
// however long it takes. settings are more that it begins with.
func beginOwn(ctx context.Context, pool *sqlx.DB, settings ...string) (*sqlx.Tx, error) {
	tx, err := pool.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if _, err := tx.ExecContext(ctx, strings.Join(append(settings, `SET LOCAL lock_timeout = 0`), "; ")); err != nil {
		return nil, fmt.Errorf("begin: %w", errors.Join(err, tx.Rollback()))
	}
	return tx, nil
}
