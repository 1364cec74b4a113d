package demo

import (
	"context"
	_ "embed" // schema.sql, schema_view.sql
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// Schema creates the portal's business tables; bookings is a table with payment_date.
//
//go:embed schema.sql
var Schema string

//go:embed schema_view.sql
var schemaView string

// ViewSchema creates the newer variant of the business tables: rows live in hangar_bookings,
// without payment_date, and bookings is a view over it.
var ViewSchema = Schema + schemaView

// ErrForeignTables says that the database has business tables which the demo did not create.
var ErrForeignTables = errors.New("the database already has tables that are not the demo's")

// schemaLock is the advisory lock under which the demo creates its tables and fills them.
const schemaLock = int64(0x4852_0d00)

// CreateSchema creates the business tables in the schema public. It does nothing where the demo's
// own tables are already there, and returns an error wrapping ErrForeignTables, having changed
// nothing, where other tables have their names: demo data must never mix with a portal's.
func CreateSchema(ctx context.Context, db *sqlx.DB) error { return create(ctx, db, Schema) }

// CreateViewSchema creates the newer variant of the business tables, under the same
// conditions as CreateSchema.
func CreateViewSchema(ctx context.Context, db *sqlx.DB) error { return create(ctx, db, ViewSchema) }

// DropTotalSpaces takes hangar_listings back to the older shape without
// total_spaces: every hangar has one space.
func DropTotalSpaces(ctx context.Context, db *sqlx.DB) error {
	if _, err := db.ExecContext(ctx, `ALTER TABLE public.hangar_listings DROP COLUMN total_spaces`); err != nil {
		return fmt.Errorf("drop column total_spaces: %w", err)
	}
	return nil
}

func create(ctx context.Context, db *sqlx.DB, schema string) error {
	tx, err := begin(ctx, db)
	if err != nil {
		return fmt.Errorf("create demo tables: %w", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, schemaLock); err != nil {
		return fmt.Errorf("lock the demo tables: %w", err)
	}
	var found []struct {
		Name string `db:"name"`
		Ours bool   `db:"ours"`
	}
	err = tx.SelectContext(ctx, &found, `
		SELECT c.relname AS name,
			coalesce(obj_description(c.oid, 'pg_class') = 'HangarShare demo', false) AS ours
		FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
			AND c.relname IN ('users', 'hangar_owners', 'hangar_listings', 'bookings', 'hangar_bookings')
		ORDER BY c.relname`)
	if err != nil {
		return fmt.Errorf("look for business tables: %w", err)
	}
	var foreign []string
	for _, table := range found {
		if !table.Ours {
			foreign = append(foreign, table.Name)
		}
	}
	switch {
	case len(foreign) > 0:
		return fmt.Errorf("%w (%s): start without --demo, or give the demo an empty database", ErrForeignTables, strings.Join(foreign, ", "))
	case len(found) >= 4:
		return nil
	case len(found) > 0:
		return fmt.Errorf("the demo's tables are incomplete (only %d of 4 are left): give it an empty database", len(found))
	}
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("create demo tables: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("create demo tables: %w", err)
	}
	return nil
}

// begin begins a transaction of the portal's, which waits for locks however long it takes.
func begin(ctx context.Context, db *sqlx.DB) (*sqlx.Tx, error) {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `SET LOCAL lock_timeout = 0`); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}
