// Package db is the way to PostgreSQL: the migrations and triggers, the log of committed events,
// the doorbell that rings when the log has grown, and the queries that answer what is true now.
//
// It promises that every committed change is in the log exactly once and in an order that
// never changes again, and that answers are exact decimals. It knows nothing of
// subscribers, messages or HTTP.
package db

import (
	"context"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// MinimumVersion is the oldest PostgreSQL major version that has what the log is built
// on: xid8 and pg_snapshot.
const MinimumVersion = 13

// Errors that callers branch on.
var (
	// ErrNotFound says that no row has the given id.
	ErrNotFound = errors.New("not found")
	// ErrInvalidID says that a text cannot be an id in this database.
	ErrInvalidID = errors.New("not a valid id")
	// ErrInvalidText says that a text holds what this database cannot: a NUL, or a
	// character that its encoding lacks.
	ErrInvalidText = errors.New("not a text that the database can hold")
	// ErrNotPermitted says that the role in DATABASE_URL may not do something.
	ErrNotPermitted = errors.New("not permitted")
)

// Keys of the advisory locks that servers of one installation share: see lockKey.
const (
	migrationLock = int64(0x4852_0001) // held while migrating
	SequencerLock = int64(0x4852_0002) // held by the server that numbers the log
	devicesLock   = int32(0x4852_0003) // of two halves: held while one user's devices are changed
)

const (
	// DefaultConnections is how many connections to the database a server has at most, all counted,
	// and LeastConnections with how many it works: one that listens, one that proves it, one that
	// numbers the log, and some for questions.
	DefaultConnections = 14
	LeastConnections   = 6
	// besidePool are those of them that listen and prove it, and sequencerConns those for the
	// numbering where it has a pool of its own.
	besidePool     = 2
	sequencerConns = 2
)

const (
	// connectTimeout bounds one attempt to connect. It is short: while an attempt hangs in a
	// network that swallows it, the database may have come back.
	connectTimeout = 2 * time.Second
	// StatementTimeout bounds a query of ours on the server side, so that nothing of ours
	// runs on after its caller left.
	StatementTimeout = 30 * time.Second
	// AnswerTime bounds the wait for an answer to such a query: the database has answered by then,
	// were it that it gave up.
	AnswerTime = StatementTimeout + 5*time.Second
	// poolSize bounds a pool that nobody gave another size.
	poolSize = 12
)

// Open connects to the database at databaseURL, checks that it is there and new enough, and returns
// its pool. Errors say what to do next.
func Open(ctx context.Context, databaseURL string) (*sqlx.DB, error) {
	return OpenThrough(ctx, databaseURL, &Dialer{})
}

// OpenThrough is Open with a dialer that the caller can cut.
func OpenThrough(ctx context.Context, databaseURL string, dialer *Dialer) (*sqlx.DB, error) {
	pool, err := openPool(databaseURL, dialer, nil)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(ctx, pool, MinimumVersion); err != nil {
		pool.Close()
		return nil, fmt.Errorf("database %s: %w", redact(databaseURL), err)
	}
	return pool, nil
}

func checkVersion(ctx context.Context, pool *sqlx.DB, minimum int) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var version int
	var text string
	var plain bool
	row := pool.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'),
		pg_catalog.quote_ident('realtime') OPERATOR(pg_catalog.=) 'realtime'::pg_catalog.text`)
	if err := row.Scan(&version, &text, &plain); err != nil {
		return Explain(err)
	}
	if version/10000 < minimum {
		return fmt.Errorf("PostgreSQL %s is too old: version %d or newer is needed (15 is tested)", text, minimum)
	}
	if !plain {
		return errReserved
	}
	return nil
}

// misconfigured is an error that waiting does not cure: its text says what to do. is is the
// sentinel that it stands for, if callers branch on it.
type misconfigured struct {
	text string
	is   error
}

func (e misconfigured) Error() string { return e.text }
func (e misconfigured) Unwrap() error { return e.is }

// Explain turns the driver's connection errors into sentences that say what to do.
func Explain(err error) error {
	var pqErr *pq.Error
	var netErr net.Error
	switch {
	case errors.As(err, &pqErr) && pqErr.Code.Class() == "28":
		return misconfigured{text: fmt.Sprintf("the database refused the user or password (%s): check DATABASE_URL", pqErr.Message)}
	case errors.As(err, &pqErr) && pqErr.Code == "3D000":
		return misconfigured{text: fmt.Sprintf("%s: create it, or correct DATABASE_URL", pqErr.Message)}
	case hiddenRows(err):
		return misconfigured{text: "row-level security hides rows of the portal's tables from the role in DATABASE_URL, so that its numbers " +
			"would be wrong: it needs BYPASSRLS (ALTER ROLE … BYPASSRLS), or must own the tables without FORCE ROW LEVEL SECURITY"}
	case errors.As(err, &pqErr) && pqErr.Code == "42501":
		return misconfigured{fmt.Sprintf("%s: run `hangarshare migrate` once with a role that may, then start the server again", pqErr.Message), ErrNotPermitted}
	case crowded(err):
		return fmt.Errorf("the database has no place for another connection (%w): raise max_connections or the CONNECTION LIMIT of role "+
			"and database, or lower MAX_DATABASE_CONNECTIONS (a server works with %d)", err, LeastConnections)
	case errors.As(err, &pqErr) && pqErr.Code == "08P01":
		return misconfigured{text: fmt.Sprintf("the connection was refused (%s): if a pooler such as PgBouncer is on the way, leave options out of "+
			"DATABASE_URL, or add what it names to ignore_startup_parameters", pqErr.Message)}
	case untrusted(err):
		return misconfigured{text: fmt.Sprintf("the server's certificate cannot be verified (%v): give the certificates of who signed it in "+
			"sslrootcert=FILE (sslrootcert=system for those of this machine); sslmode=require without channel_binding=require verifies none", err)}
	case errors.Is(err, pq.ErrSSLNotSupported):
		return misconfigured{text: "the database does not offer TLS: add sslmode=disable to DATABASE_URL, and leave out channel_binding and PGSSLMODE, if the network is trusted"}
	case errors.As(err, &netErr), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("cannot be reached (%w): check that PostgreSQL runs there and DATABASE_URL is right", err)
	}
	return err
}

// hiddenRows reports whether PostgreSQL refused a query because row-level security would have
// hidden rows from it. The function in its source says so in every language.
func hiddenRows(err error) bool {
	var refused *pq.Error
	return errors.As(err, &refused) && refused.Code == "42501" && refused.Routine == "check_enable_rls"
}

// untrusted reports whether err says that a server's certificate is not one to believe.
func untrusted(err error) bool {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var roots x509.SystemRootsError
	return errors.As(err, &authority) || errors.As(err, &name) || errors.As(err, &invalid) || errors.As(err, &roots)
}

// logNotice is where warnings of a migration go.
func logNotice(log *slog.Logger) func(*pq.Error) {
	return func(notice *pq.Error) { log.Warn("database notice", "message", notice.Message) }
}

// Discard closes a connection for good, so that nothing it holds or has set returns to the pool.
func Discard(conn *sqlx.Conn) {
	conn.Raw(func(any) error { return driver.ErrBadConn })
	conn.Close()
}
