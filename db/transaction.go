package db

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"
)

// asker asks the database, in a transaction or outside of one.
type asker interface {
	GetContext(ctx context.Context, into any, query string, args ...any) error
	SelectContext(ctx context.Context, into any, query string, args ...any) error
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// transaction is one in which queries that were prepared are not planned anew: see written.
type transaction struct {
	*sqlx.Tx
	prepared map[string]*sqlx.Stmt
}

// GetContext implements asker.
func (t transaction) GetContext(ctx context.Context, into any, query string, args ...any) error {
	if statement := t.prepared[query]; statement != nil {
		return t.StmtxContext(ctx, statement).GetContext(ctx, into, args...)
	}
	return t.Tx.GetContext(ctx, into, query, args...)
}

// SelectContext implements asker.
func (t transaction) SelectContext(ctx context.Context, into any, query string, args ...any) error {
	if statement := t.prepared[query]; statement != nil {
		return t.StmtxContext(ctx, statement).SelectContext(ctx, into, args...)
	}
	return t.Tx.SelectContext(ctx, into, query, args...)
}

// ExecContext implements asker.
func (t transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if statement := t.prepared[query]; statement != nil {
		return t.StmtxContext(ctx, statement).ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, query, args...)
}
