package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrateLockTimeout bounds how long installing a trigger waits for the table's writers, and so how long they could
// queue up behind it.
const migrateLockTimeout = "5s"

// migrateTimeout bounds all of a migration: up to a minute for another one to end, and for each table its writers. It is there
// for networks that swallow what is sent, where nothing else ends.
const migrateTimeout = 3 * time.Minute

var errMigrationHangs = fmt.Errorf("the database was there and then did not answer for %v: check the network on the way to it, and try again",
	migrateTimeout)

// Migrate installs or updates all that is ours in the database: the schema realtime and the triggers on the portal's
// tables, adapted to the columns they have. It is safe to call at every start and from several servers at once: an
// advisory lock admits one. A first installation that fails leaves nothing behind.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return withMigrator(ctx, databaseURL, log, func(ctx context.Context, m *migrator) error {
		installed, err := m.isInstalled(ctx)
		if err != nil {
			return err
		}
		if !installed {
			if _, err := m.pool.ExecContext(ctx, `CREATE SCHEMA realtime`); err != nil {
				return fmt.Errorf("create schema realtime: %w", explain(err))
			}
		}
		if err = m.install(ctx); err != nil && !installed {
			m.spare()
			// What is left would belong to a role that could not finish it, and be in the way of one that can.
			cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
			defer cancel()
			defer m.dialer.cutAtEnd(cleaning)()
			if leftover := m.uninstall(cleaning); leftover != nil {
				log.Warn("a part of the schema realtime is left; `hangarshare migrate --down` removes it", "error", leftover)
			}
		}
		return err
	})
}

// Unmigrate removes everything of ours from the database and leaves the portal's tables as they were.
func Unmigrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return withMigrator(ctx, databaseURL, log, func(ctx context.Context, m *migrator) error {
		installed, err := m.isInstalled(ctx)
		if err != nil {
			return err
		}
		if !installed {
			log.Info("nothing to remove: there is no schema realtime")
			return nil
		}
		if err := m.uninstall(ctx); err != nil {
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

// migrator is one migration under way, alone in its database. spare ends the watch that would cut its connections.
type migrator struct {
	dialer Dialer
	spare  func()
	pool   *sqlx.DB
	log    *slog.Logger
}

// withMigrator gives a migrator to do, whose context ends in time.
func withMigrator(ctx context.Context, databaseURL string, log *slog.Logger, do func(context.Context, *migrator) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, migrateTimeout, errMigrationHangs)
	defer cancel()
	m := migrator{log: log}
	m.spare = m.dialer.cutAfter(ctx, connectTimeout)
	defer m.spare()
	err := m.open(ctx, databaseURL)
	if err == nil {
		defer m.pool.Close()
		var unlock func()
		if unlock, err = lockMigration(ctx, m.pool); err == nil {
			defer unlock()
			err = do(ctx, &m)
		}
	}
	if err != nil && ctx.Err() != nil { // what the connections say is only that they were cut
		return context.Cause(ctx)
	}
	return err
}

func (m *migrator) open(ctx context.Context, databaseURL string) error {
	check, err := OpenThrough(ctx, databaseURL, &m.dialer)
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
	connector.Dialer(&m.dialer)
	m.pool = sqlx.NewDb(sql.OpenDB(pq.ConnectorWithNoticeHandler(connector, logNotice(m.log))), "postgres")
	return nil
}

func (m *migrator) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, m.pool.DB, files,
		goose.WithTableName("realtime.goose_db_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("load migrations: %w", err)
	}
	return p, nil
}

func (m *migrator) isInstalled(ctx context.Context) (installed bool, err error) {
	if err := m.pool.GetContext(ctx, &installed, `SELECT to_regnamespace('realtime') IS NOT NULL`); err != nil {
		return false, fmt.Errorf("look for schema realtime: %w", explain(err))
	}
	return installed, nil
}

func (m *migrator) install(ctx context.Context) error {
	p, err := m.provider()
	if err != nil {
		return err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("apply migrations: %w", unwrapPartial(err))
	}
	for _, r := range results {
		m.log.Info("migration applied", "file", r.Source.Path, "duration", r.Duration)
	}
	if _, err := m.pool.ExecContext(ctx, `CALL realtime.attach()`); err != nil {
		return fmt.Errorf("install triggers: %w", hint(err))
	}
	return nil
}

func (m *migrator) uninstall(ctx context.Context) error {
	var attached bool
	if err := m.pool.GetContext(ctx, &attached, `SELECT to_regprocedure('realtime.detach(regclass[])') IS NOT NULL`); err != nil {
		return fmt.Errorf("look for triggers: %w", explain(err))
	}
	if attached {
		if _, err := m.pool.ExecContext(ctx, `CALL realtime.detach()`); err != nil {
			return fmt.Errorf("remove triggers: %w", hint(err))
		}
	}
	p, err := m.provider()
	if err != nil {
		return err
	}
	if _, err := p.DownTo(ctx, 0); err != nil {
		return fmt.Errorf("revert migrations: %w", unwrapPartial(err))
	}
	if _, err := m.pool.ExecContext(ctx, `DROP SCHEMA IF EXISTS realtime CASCADE`); err != nil {
		return fmt.Errorf("drop schema realtime: %w", explain(err))
	}
	return nil
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
