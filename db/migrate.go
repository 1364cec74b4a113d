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
// advisory lock admits one. A first installation that fails leaves nothing behind.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return withMigrator(ctx, databaseURL, log, func(pool *sqlx.DB, provider func() (*goose.Provider, error)) error {
		installed, err := isInstalled(ctx, pool)
		if err != nil {
			return err
		}
		if !installed {
			if _, err := pool.ExecContext(ctx, `CREATE SCHEMA realtime`); err != nil {
				return fmt.Errorf("create schema realtime: %w", explain(err))
			}
		}
		if err = install(ctx, pool, provider, log); err != nil && !installed {
			// What is left would belong to a role that could not finish it, and be in the way of one that can.
			cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
			defer cancel()
			if leftover := uninstall(cleaning, pool, provider); leftover != nil {
				log.Warn("a part of the schema realtime is left; `hangarshare migrate --down` removes it", "error", leftover)
			}
		}
		return err
	})
}

// Unmigrate removes everything of ours from the database and leaves the portal's tables as they were.
func Unmigrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return withMigrator(ctx, databaseURL, log, func(pool *sqlx.DB, provider func() (*goose.Provider, error)) error {
		installed, err := isInstalled(ctx, pool)
		if err != nil {
			return err
		}
		if !installed {
			log.Info("nothing to remove: there is no schema realtime")
			return nil
		}
		if err := uninstall(ctx, pool, provider); err != nil {
			return err
		}
		log.Info("everything of ours was removed")
		return nil
	})
}

// IsMigrated reports whether everything of ours is installed in the version of this program, so that a role which may not
// migrate can serve.
func IsMigrated(ctx context.Context, pool *sqlx.DB) (bool, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return false, fmt.Errorf("list migrations: %w", err)
	}
	var version int
	err = pool.GetContext(ctx, &version, `SELECT coalesce(max(version_id), 0) FROM realtime.goose_db_version WHERE is_applied`)
	if err != nil {
		return false, fmt.Errorf("read the version that is installed: %w", explain(err))
	}
	return version == len(files), nil // they are numbered from 1
}

func isInstalled(ctx context.Context, pool *sqlx.DB) (installed bool, err error) {
	if err := pool.GetContext(ctx, &installed, `SELECT to_regnamespace('realtime') IS NOT NULL`); err != nil {
		return false, fmt.Errorf("look for schema realtime: %w", explain(err))
	}
	return installed, nil
}

func install(ctx context.Context, pool *sqlx.DB, provider func() (*goose.Provider, error), log *slog.Logger) error {
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
	if _, err := pool.ExecContext(ctx, `CALL realtime.attach()`); err != nil {
		return fmt.Errorf("install triggers: %w", hint(err))
	}
	return nil
}

func uninstall(ctx context.Context, pool *sqlx.DB, provider func() (*goose.Provider, error)) error {
	var attached bool
	if err := pool.GetContext(ctx, &attached, `SELECT to_regprocedure('realtime.detach(regclass[])') IS NOT NULL`); err != nil {
		return fmt.Errorf("look for triggers: %w", explain(err))
	}
	if attached {
		if _, err := pool.ExecContext(ctx, `CALL realtime.detach()`); err != nil {
			return fmt.Errorf("remove triggers: %w", hint(err))
		}
	}
	p, err := provider()
	if err != nil {
		return err
	}
	if _, err := p.DownTo(ctx, 0); err != nil {
		return fmt.Errorf("revert migrations: %w", unwrapPartial(err))
	}
	if _, err := pool.ExecContext(ctx, `DROP SCHEMA IF EXISTS realtime CASCADE`); err != nil {
		return fmt.Errorf("drop schema realtime: %w", explain(err))
	}
	return nil
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
