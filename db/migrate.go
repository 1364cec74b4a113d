package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
)

const (
	// migrateLockTimeout bounds how long one attempt to change a table waits for its
	// writers: all who come later queue up behind it for as long. Attempts are repeated
	// with growing pauses for migratePatience in all.
	migrateLockTimeout = 50 * time.Millisecond
	migratePatience    = 10 * time.Second
	firstMigratePause  = 50 * time.Millisecond
)

// migrateTimeout bounds all of a migration: up to a minute for another one to end, and for each
// table its writers. A network that swallows what is sent is found out by AnswerTime before, except
// while an index is built.
const migrateTimeout = 3 * time.Minute

// lockTries is how often the lock of migrations is waited for, and lockPatience for how long each
// time.
const (
	lockTries    = 3
	lockPatience = 20 * time.Second
)

// migrateConnections is how many connections a migration has: one holds the lock, and one works.
const migrateConnections = 3

var errHangs = errors.New("the database was there and then did not answer: check the network on the way to it, and try again")

// Migrate installs or updates all that is ours in the database: the schema realtime and the
// triggers on the portal's tables, adapted to the columns they have. It is safe to call at every
// start and from several servers at once: an advisory lock admits one. A first installation that
// fails leaves nothing behind.
func Migrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return withMigrator(ctx, databaseURL, log, func(ctx context.Context, m *migrator) error {
		if err := preflight(ctx, m.pool, log); err != nil {
			return err
		}
		exists, installed, err := m.inspect(ctx)
		if err != nil {
			return err
		}
		if !exists {
			if _, err := m.pool.ExecContext(ctx, `CREATE SCHEMA realtime`); err != nil {
				return fmt.Errorf("create schema %s: %w", m.schema(), Explain(err))
			}
		}
		if err = m.patiently(ctx, m.install); err != nil && !installed {
			m.spare()
			// What is left would belong to a role that could not finish it, and be in the
			// way of one that can.
			cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), StatementTimeout)
			defer cancel()
			defer m.dialer.cutAtEnd(cleaning)()
			if leftover := m.patiently(cleaning, m.uninstall); leftover != nil {
				log.Warn("a part of our schema is left; `hangarshare migrate --down` removes it", "schema", m.schema(), "error", leftover)
			}
		}
		return err
	})
}

// Unmigrate removes everything of ours from the database and leaves the portal's tables
// as they were.
func Unmigrate(ctx context.Context, databaseURL string, log *slog.Logger) error {
	return withMigrator(ctx, databaseURL, log, func(ctx context.Context, m *migrator) error {
		_, installed, err := m.inspect(ctx)
		if err != nil {
			return err
		}
		if !installed {
			log.Info("nothing to remove: nothing of ours is there")
			return nil
		}
		if err := m.patiently(ctx, m.uninstall); err != nil {
			return err
		}
		log.Info("everything of ours was removed")
		return nil
	})
}

// IsMigrated reports whether everything of ours is installed in the version of this program or a
// newer one, so that a role which may not migrate can serve.
func IsMigrated(ctx context.Context, pool *sqlx.DB) (bool, error) {
	newest, err := newestMigration()
	if err != nil {
		return false, err
	}
	var version int
	err = pool.GetContext(ctx, &version, `SELECT coalesce(max(version_id), 0) FROM realtime.goose_db_version WHERE is_applied`)
	if err != nil {
		return false, fmt.Errorf("read the version that is installed: %w", Explain(err))
	}
	if version < newest {
		return false, nil
	}
	set, err := readFunctions()
	if err != nil {
		return false, err
	}
	found, err := readInstalledFunctions(ctx, pool, set)
	return err == nil && found.current(set), err
}

// newestMigration returns the highest number of our migrations.
func newestMigration() (newest int, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	for _, name := range files {
		var number int
		if _, err := fmt.Sscanf(name, "migrations/%d_", &number); err != nil {
			return 0, fmt.Errorf("read the number of %s: %w", name, err)
		}
		newest = max(newest, number)
	}
	return newest, nil
}

// migrator is one migration under way, alone in its database. spare ends the watch that
// would cut its connections.
type migrator struct {
	dialer Dialer
	spare  func()
	pool   *sqlx.DB
	log    *slog.Logger
}

// withMigrator gives a migrator to do, whose context ends in time.
func withMigrator(ctx context.Context, databaseURL string, log *slog.Logger, do func(context.Context, *migrator) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, migrateTimeout, errHangs)
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
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errHangs
		}
	}
	if err != nil && ctx.Err() != nil { // what the connections say is only that they were cut
		return context.Cause(ctx)
	}
	return err
}

func (m *migrator) open(ctx context.Context, databaseURL string) error {
	a, err := parseAddress(databaseURL, nil)
	if err != nil {
		return err
	}
	if a.session["statement_timeout"] == "" && !a.pooled() { // else statements may take any time
		m.dialer.Expect(AnswerTime)
	}
	check, err := OpenDirect(ctx, databaseURL, &m.dialer)
	if err != nil {
		return err
	}
	check.Close()
	pool, share, err := openShare(databaseURL, &m.dialer, map[string]string{"lock_timeout": fmt.Sprint(migrateLockTimeout.Milliseconds())}, logNotice(m.log))
	if err != nil {
		return err
	}
	share.setMost(migrateConnections)
	m.pool = pool
	return nil
}

// schema is where everything of ours is.
func (m *migrator) schema() string { return SchemaOf(m.pool) }

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

// inspect reports whether there is a schema of our name, and whether it holds what is ours. It
// returns an error when our schema's name is that of a foreign one, as every Supabase database has
// one: that is neither written to nor removed.
func (m *migrator) inspect(ctx context.Context) (exists, installed bool, err error) {
	var found struct{ Exists, Ours, Empty bool }
	err = m.pool.GetContext(ctx, &found, `SELECT to_regnamespace('realtime') IS NOT NULL AS exists,
		pg_catalog.to_regclass('realtime.goose_db_version') IS NOT NULL AS ours, NOT EXISTS (`+leftInSchema+`) AS empty`)
	if err != nil {
		return false, false, fmt.Errorf("look for schema %s: %w", m.schema(), Explain(err))
	}
	if found.Exists && !found.Ours && !found.Empty {
		return false, false, misconfigured{text: fmt.Sprintf("the database has a schema named %s that is not ours, as those of Supabase have: "+
			"nothing was changed in it; name another schema for us in SCHEMA", m.schema())}
	}
	return found.Exists, found.Ours, nil
}

// patiently repeats a step whose tables other transactions hold. Each attempt goes on
// where the last one ended.
func (m *migrator) patiently(ctx context.Context, step func(context.Context) error) error {
	giveUp := time.Now().Add(migratePatience)
	for pause := firstMigratePause; ; pause = min(2*pause, time.Second) {
		err := step(ctx)
		if !errors.Is(err, errTableLocked) || time.Now().Add(pause).After(giveUp) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// errTableLocked says that a transaction held a table for longer than an attempt waits.
var errTableLocked = misconfigured{text: "a table stayed locked by another transaction: try again when it has ended"}

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
	replaced, err := m.installFunctions(ctx)
	if err != nil {
		return err
	}
	if _, err := m.pool.ExecContext(ctx, `CALL realtime.attach()`); err != nil {
		return fmt.Errorf("install triggers: %w", hint(err))
	}
	if replaced || len(results) > 0 {
		if _, err := m.pool.ExecContext(ctx, `SELECT realtime.share_rights()`); err != nil {
			return fmt.Errorf("grant rights: %w", hint(err))
		}
	}
	ensureLogIndexes(ctx, m.pool, &m.dialer, m.log)
	return nil
}

// uninstall removes our triggers, one table after the other, and then all that our files made, by
// name. A table that is not ours in our schema stays, and the schema with it.
func (m *migrator) uninstall(ctx context.Context) error {
	var attached bool
	if err := m.pool.GetContext(ctx, &attached, `SELECT to_regprocedure('realtime.detach(regclass[])') IS NOT NULL`); err != nil {
		return fmt.Errorf("look for triggers: %w", Explain(err))
	}
	if attached {
		if _, err := m.pool.ExecContext(ctx, `CALL realtime.detach()`); err != nil {
			return fmt.Errorf("remove triggers: %w", hint(err))
		}
	}
	drops, err := m.drops(ctx)
	if err != nil {
		return err
	}
	tx, err := m.pool.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("remove what is ours: %w", Explain(err))
	}
	defer tx.Rollback()
	for _, statement := range drops {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("remove what is ours: %w", hint(err))
		}
	}
	left := []string{}
	if err := tx.SelectContext(ctx, &left, leftInSchema); err != nil {
		return fmt.Errorf("look what is left in the schema %s: %w", m.schema(), hint(err))
	}
	if len(left) > 0 {
		m.log.Warn("our schema holds what is not ours: it stays, and this in it", "schema", m.schema(), "left", left)
	} else if _, err := tx.ExecContext(ctx, `DROP SCHEMA IF EXISTS realtime`); err != nil {
		return fmt.Errorf("drop schema %s: %w", m.schema(), hint(err))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("remove what is ours: %w", hint(err))
	}
	return nil
}

// drops are the statements that remove our tables, sequences and functions, as far as they are
// there. Tables go first, and with them the triggers on them.
func (m *migrator) drops(ctx context.Context) (statements []string, err error) {
	set, err := readFunctions()
	if err != nil {
		return nil, err
	}
	tables, sequences, err := ownRelations()
	if err != nil {
		return nil, err
	}
	err = m.pool.SelectContext(ctx, &statements, `
		SELECT statement FROM (
			SELECT 1 AS turn, 'DROP TABLE ' || pg_catalog.string_agg(pg_catalog.format('%I.%I', 'realtime', relname), ', ') AS statement FROM pg_catalog.pg_class
			WHERE relnamespace = to_regnamespace('realtime')::oid AND relkind IN ('r', 'p') AND relname = ANY ($1::name[])
			UNION ALL
			SELECT 2, pg_catalog.format('DROP SEQUENCE %I.%I', 'realtime', relname) FROM pg_catalog.pg_class
			WHERE relnamespace = to_regnamespace('realtime')::oid AND relkind = 'S' AND relname = ANY ($2::name[])
			UNION ALL
			SELECT 3, 'DROP ROUTINE ' || oid::regprocedure::text FROM pg_catalog.pg_proc
			WHERE pronamespace = to_regnamespace('realtime')::oid AND proname = ANY ($3::name[])) d
		WHERE statement IS NOT NULL ORDER BY turn`, pq.Array(tables), pq.Array(sequences), pq.Array(append(set.names, set.generated...)))
	if err != nil {
		return nil, fmt.Errorf("look what there is to remove: %w", Explain(err))
	}
	return statements, nil
}

// leftInSchema lists what is in the schema.
const leftInSchema = `
SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('realtime')::oid
UNION ALL SELECT p.proname::text || '()'::text FROM pg_catalog.pg_proc p WHERE p.pronamespace = to_regnamespace('realtime')::oid
UNION ALL SELECT t.typname::text FROM pg_catalog.pg_type t WHERE t.typnamespace = to_regnamespace('realtime')::oid AND t.typrelid = 0 AND t.typelem = 0`

// lockMigration admits one migration at a time to a database; the others wait for up to a minute.
func lockMigration(ctx context.Context, pool *sqlx.DB) (unlock func(), err error) {
	conn, err := pool.Connx(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to migrate: %w", Explain(err))
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf(`SET lock_timeout = %d; SET statement_timeout = 0`, lockPatience.Milliseconds())); err != nil {
		conn.Close()
		return nil, fmt.Errorf("prepare to migrate: %w", err)
	}
	for range lockTries {
		if _, err = conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, LockKey(migrationLock, SchemaOf(pool))); !isLocked(err) {
			break
		}
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("wait for another migration of this database: %w", err)
	}
	return func() { Discard(conn) }, nil
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
			return errTableLocked
		case pqErr.Hint != "":
			return fmt.Errorf("%s. %s", pqErr.Message, pqErr.Hint)
		}
	}
	return Explain(err)
}
