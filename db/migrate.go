package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrateLockTimeout bounds how long installing a trigger waits for the table's writers, and so how long they could
// queue up behind it.
const migrateLockTimeout = "5s"

// Migrate installs or updates all that is ours in the database: the schema realtime and the triggers on the portal's
// tables, adapted to the columns they have. It is safe to call at every start and from several servers at once: an
// advisory lock admits one.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return withMigrator(ctx, databaseURL, log, func(pool *sqlx.DB, provider func() (*goose.Provider, error)) error {
		if _, err := pool.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS realtime`); err != nil {
			return fmt.Errorf("create schema realtime: %w", explain(err))
		}
		p, err := provider()
		if err != nil {
			return err
		}
		results, err := p.Up(ctx)
		if err != nil {
			return fmt.Errorf("apply migrations: %w", unwrapPartial(err))
		}
		for _, r := range results {
			log.Info("migration applied", "file", r.Source.Path, "duration", r.Duration)
		}
		if _, err := pool.ExecContext(ctx, `SELECT realtime.attach()`); err != nil {
			return fmt.Errorf("install triggers: %w", hint(err))
		}
		return nil
	})
}

// Unmigrate removes everything of ours from the database and leaves the portal's tables as they were.
func Unmigrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return withMigrator(ctx, databaseURL, log, func(pool *sqlx.DB, provider func() (*goose.Provider, error)) error {
		var installed bool
		if err := pool.GetContext(ctx, &installed, `SELECT to_regnamespace('realtime') IS NOT NULL`); err != nil {
			return fmt.Errorf("look for schema realtime: %w", explain(err))
		}
		if !installed {
			log.Info("nothing to remove: there is no schema realtime")
			return nil
		}
		p, err := provider()
		if err != nil {
			return err
		}
		if _, err := p.DownTo(ctx, 0); err != nil {
			return fmt.Errorf("revert migrations: %w", unwrapPartial(err))
		}
		if _, err := pool.ExecContext(ctx, `DROP SCHEMA realtime CASCADE`); err != nil {
			return fmt.Errorf("drop schema realtime: %w", explain(err))
		}
		log.Info("everything of ours was removed")
		return nil
	})
}

func withMigrator(ctx context.Context, databaseURL string, log *slog.Logger,
	do func(*sqlx.DB, func() (*goose.Provider, error)) error) error {
	check, err := Open(ctx, databaseURL)
	if err != nil {
		return err
	}
	check.Close()
	dsn, err := connectionString(databaseURL)
	if err != nil {
		return err
	}
	connector, err := pq.NewConnector(dsn + "&lock_timeout=" + migrateLockTimeout)
	if err != nil {
		return fmt.Errorf("open database %s: %w", Redact(databaseURL), err)
	}
	pool := sqlx.NewDb(sql.OpenDB(pq.ConnectorWithNoticeHandler(connector, logNotice(log))), "postgres")
	defer pool.Close()
	unlock, err := lockMigration(ctx, pool)
	if err != nil {
		return err
	}
	defer unlock()
	return do(pool, func() (*goose.Provider, error) {
		files, err := fs.Sub(migrations, "migrations")
		if err != nil {
			return nil, fmt.Errorf("read embedded migrations: %w", err)
		}
		p, err := goose.NewProvider(goose.DialectPostgres, pool.DB, files,
			goose.WithTableName("realtime.goose_db_version"), goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return nil, fmt.Errorf("load migrations: %w", err)
		}
		return p, nil
	})
}

// lockMigration admits one migration at a time to a database; the others wait for up to a minute.
func lockMigration(ctx context.Context, pool *sqlx.DB) (unlock func(), err error) {
	conn, err := pool.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to migrate: %w", explain(err))
	}
	if _, err := conn.ExecContext(ctx, `SET lock_timeout = '60s'; SET statement_timeout = 0`); err != nil {
		conn.Close()
		return nil, fmt.Errorf("prepare to migrate: %w", err)
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		conn.Close()
		return nil, fmt.Errorf("wait for another migration of this database: %w", err)
	}
	return func() { discard(conn) }, nil
}

// unwrapPartial shows the database's own words instead of the library's list of what it did before.
func unwrapPartial(err error) error {
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		return fmt.Errorf("%s: %w", partial.Failed.Source.Path, hint(partial.Err))
	}
	return hint(err)
}

// hint adds PostgreSQL's advice, where it gave one.
func hint(err error) error {
	var pqErr *pq.Error
	if errors.As(err, &pqErr) {
		switch {
		case pqErr.Code == "55P03":
			return errors.New("a table stayed locked by another transaction for " + migrateLockTimeout + ": try again when it has ended")
		case pqErr.Hint != "":
			return fmt.Errorf("%s. %s", pqErr.Message, pqErr.Hint)
		}
	}
	return explain(err)
}
