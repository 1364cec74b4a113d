package db

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jmoiron/sqlx"
)

// logIndex is an index of the log that a later version brought.
type logIndex struct {
	name, columns string
	replaces      string // the index that it makes superfluous
}

var logIndexes = []logIndex{
	{"events_place", "(xid, id)", "events_xid"},
	{"events_owner_place", "(owner_id, xid, id)", "events_owner"},
}

// ensureLogIndexes builds what the log lacks of its indexes while its writers go on. What cannot be
// built now (the role does not own the log, a transaction stays open for long) is left to the next
// start: the log is read without it, only slower.
func ensureLogIndexes(ctx context.Context, pool *sqlx.DB, dialer *Dialer, log *slog.Logger) {
	conn, err := pool.Connx(ctx)
	if err == nil {
		defer Discard(conn)
		_, err = conn.ExecContext(ctx, `SET statement_timeout = 0`)
	}
	if err != nil {
		log.Warn("the log's indexes could not be looked after", "error", err)
		return
	}
	for _, index := range logIndexes {
		if err := index.ensure(ctx, conn, dialer); err != nil {
			log.Warn("an index of the log could not be built; the next start tries again", "index", index.name, "error", err)
		}
	}
}

func (i logIndex) ensure(ctx context.Context, conn *sqlx.Conn, dialer *Dialer) error {
	var stands, superfluous bool
	err := conn.QueryRowxContext(ctx, `SELECT coalesce((SELECT indisvalid FROM pg_catalog.pg_index
			WHERE indexrelid = pg_catalog.to_regclass('realtime.' || $1)::oid), false),
		pg_catalog.to_regclass('realtime.' || $2) IS NOT NULL`, i.name, i.replaces).Scan(&stands, &superfluous)
	if err != nil {
		return fmt.Errorf("look for the index: %w", err)
	}
	// Building while others write leaves an invalid index behind when it does not succeed.
	var steps []string
	if !stands {
		steps = append(steps, `DROP INDEX CONCURRENTLY IF EXISTS realtime.`+i.name,
			`CREATE INDEX CONCURRENTLY `+i.name+` ON realtime.events `+i.columns)
	}
	if superfluous {
		steps = append(steps, `DROP INDEX CONCURRENTLY IF EXISTS realtime.`+i.replaces)
	}
	if len(steps) > 0 {
		dialer.Expect(0) // a large log takes its time
	}
	for _, step := range steps {
		if _, err := conn.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", step, hint(err))
		}
	}
	return nil
}
