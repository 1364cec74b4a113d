package db

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/jmoiron/sqlx"
)

// errTransactionPooler says what to do about a pooler where a session is needed.
var errTransactionPooler = misconfigured{text: "it leads through a transaction pooler such as PgBouncer, which passes neither LISTEN nor " +
	"locks that outlive a transaction: set LISTEN_DATABASE_URL to a direct connection to the same database"}

// OpenDirect is OpenThrough for what needs sessions of its own: numbering, listening, migrations. A
// transaction pooler on the way is found out at once and refused.
func OpenDirect(ctx context.Context, databaseURL string, dialer *Dialer) (*sqlx.DB, error) {
	pool, err := OpenThrough(ctx, databaseURL, dialer)
	if err != nil {
		return nil, err
	}
	if err := proveSession(ctx, pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("database %s: %w", redact(databaseURL), err)
	}
	return pool, nil
}

// proveSession looks whether a connection is one session of PostgreSQL from beginning to
// end. A transaction pooler gives two connections the same process in turn, or one
// connection another process each time.
func proveSession(ctx context.Context, pool *sqlx.DB) error {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	var conns [2]*sqlx.Conn
	for i := range conns {
		conn, err := pool.Connx(ctx)
		if err != nil {
			return Explain(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	var processes [4]int
	for i := range processes {
		if err := conns[i%2].GetContext(ctx, &processes[i], `SELECT pg_catalog.pg_backend_pid()`); err != nil {
			return Explain(err)
		}
	}
	if processes[0] == processes[1] || processes[0] != processes[2] || processes[1] != processes[3] {
		return errTransactionPooler
	}
	return nil
}

// errTwoDatabases says what to do where two URLs lead apart.
var errTwoDatabases = misconfigured{text: "it leads to another database than DATABASE_URL: set it to a direct connection to the same one"}

// ProveSame refuses two pools that lead to two databases, copies of each other perhaps: a lock that
// a session of one holds is seen by the other.
func ProveSame(ctx context.Context, pool, direct *sqlx.DB) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	conn, err := direct.Connx(ctx)
	if err != nil {
		return Explain(err)
	}
	defer conn.Close()
	key := rand.Int64()
	if _, err := conn.ExecContext(ctx, `SELECT pg_catalog.pg_advisory_lock($1)`, key); err != nil {
		return Explain(err)
	}
	defer conn.ExecContext(ctx, `SELECT pg_catalog.pg_advisory_unlock($1)`, key) //nolint:errcheck // it ends with the session
	apart := false
	if err := pool.GetContext(ctx, &apart, `SELECT pg_catalog.pg_try_advisory_xact_lock($1)`, key); err != nil {
		return Explain(err)
	}
	if apart {
		return errTwoDatabases
	}
	return nil
}

// Allot divides a server's connections, total in all, among those that listen and prove it, the
// numbering and the pool; direct is the numbering's pool, or pool itself where there is no
// transaction pooler. What role or database allow is kept to, and said where it is less. An error
// says how many are needed.
func Allot(ctx context.Context, total int, dialer *Dialer, pool, direct *sqlx.DB, log *slog.Logger) error {
	if total < LeastConnections {
		return misconfigured{text: fmt.Sprintf("MAX_DATABASE_CONNECTIONS is %d: a server needs at least %d", total, LeastConnections)}
	}
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var allowed struct {
		Role  string `db:"role"`
		Limit int    `db:"allowed"`
	}
	// Superusers are held to no limit of a role or database.
	err := direct.GetContext(ctx, &allowed, `
		SELECT session_user::pg_catalog.text AS role, coalesce(least(
			CASE WHEN r.rolconnlimit OPERATOR(pg_catalog.>=) 0 AND NOT r.rolsuper THEN r.rolconnlimit END,
			CASE WHEN d.datconnlimit OPERATOR(pg_catalog.>=) 0 AND NOT r.rolsuper THEN d.datconnlimit END,
			pg_catalog.current_setting('max_connections')::pg_catalog.int4), $1::pg_catalog.int4) AS allowed
		FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
		WHERE r.rolname OPERATOR(pg_catalog.=) session_user AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`, total)
	if err != nil {
		return fmt.Errorf("ask how many connections the role may have: %w", Explain(err))
	}
	least, most := LeastConnections, total
	if direct != pool { // the others are the pooler's
		least, most = sequencerConns+1, sequencerConns+1
	}
	if allowed.Limit < least {
		return misconfigured{text: fmt.Sprintf("role %s may have %d connections to this database at once, and a server needs %d: raise the CONNECTION "+
			"LIMIT of the role or the database", allowed.Role, allowed.Limit, least)}
	}
	if allowed.Limit < most {
		log.Warn("role or database allow fewer connections than MAX_DATABASE_CONNECTIONS", "allowed", allowed.Limit, "setting", total)
		total = allowed.Limit
	}
	size := total - besidePool
	if direct != pool {
		size -= sequencerConns
		dialer.resize(direct, sequencerConns)
	}
	dialer.resize(pool, size)
	return nil
}
