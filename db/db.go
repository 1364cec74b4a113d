// Package db is the way to PostgreSQL: the migrations and triggers, the log of committed events, the doorbell that
// rings when the log has grown, and the queries that answer what is true now.
//
// It promises that every committed change is in the log exactly once and in an order that never changes again, and
// that answers are exact decimals. It knows nothing of subscribers, messages or HTTP.
package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// MinimumVersion is the oldest PostgreSQL major version that has what the log is built on: xid8 and pg_snapshot.
const MinimumVersion = 13

// Errors that callers branch on.
var (
	// ErrNotFound says that no row has the given id.
	ErrNotFound = errors.New("not found")
	// ErrHistoryGone says that the log no longer reaches back to a position.
	ErrHistoryGone = errors.New("history does not reach back that far")
	// ErrInvalidID says that a text cannot be an id in this database.
	ErrInvalidID = errors.New("not a valid id")
	// ErrNotPermitted says that the role in DATABASE_URL may not do something.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNotLeader says that another server numbers the log at present.
	ErrNotLeader = errors.New("another server numbers the log")
)

// Keys of the advisory locks that servers of one installation share, in PostgreSQL's space of two integers.
const (
	migrationLock = int64(0x4852_0001) // held while migrating
	numberingLock = int64(0x4852_0002) // held by the server that numbers the log
)

const (
	// connectTimeout bounds one attempt to connect. It is short: while an attempt hangs in a network that swallows it, the
	// database may have come back.
	connectTimeout = 2 * time.Second
	// statementTimeout bounds a query of ours on the server side, so that nothing of ours runs on after its caller left.
	statementTimeout = 30 * time.Second
	// poolSize bounds the connections of one server to the database, the numbering's included; the listener has its own.
	poolSize = 12
	// logPlaces is how many of them may read the log for requests at once.
	logPlaces = 6
)

// Open connects to the database at databaseURL, checks that it is there and new enough, and returns its pool.
// Errors say what to do next.
func Open(ctx context.Context, databaseURL string) (*sqlx.DB, error) {
	return OpenThrough(ctx, databaseURL, &Dialer{})
}

// OpenThrough is Open with a dialer that the caller can cut.
func OpenThrough(ctx context.Context, databaseURL string, dialer *Dialer) (*sqlx.DB, error) {
	pool, err := openPool(databaseURL, dialer)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(ctx, pool, MinimumVersion); err != nil {
		pool.Close()
		return nil, fmt.Errorf("database %s: %w", Redact(databaseURL), err)
	}
	return pool, nil
}

// openPool returns a pool without connecting yet.
func openPool(databaseURL string, dialer *Dialer) (*sqlx.DB, error) {
	dsn, err := connectionString(databaseURL)
	if err != nil {
		return nil, err
	}
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", Redact(databaseURL), err)
	}
	connector.Dialer(dialer)
	pool := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	pool.SetMaxOpenConns(poolSize)
	pool.SetMaxIdleConns(poolSize)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool, nil
}

func checkVersion(ctx context.Context, pool *sqlx.DB, minimum int) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var version int
	var text string
	row := pool.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version')`)
	if err := row.Scan(&version, &text); err != nil {
		return explain(err)
	}
	if version/10000 < minimum {
		return fmt.Errorf("PostgreSQL %s is too old: version %d or newer is needed (15 is tested)", text, minimum)
	}
	return nil
}

// misconfigured is an error that waiting does not cure: its text says what to do. is is the sentinel that it stands for,
// if callers branch on it.
type misconfigured struct {
	text string
	is   error
}

func (e misconfigured) Error() string { return e.text }
func (e misconfigured) Unwrap() error { return e.is }

// explain turns the driver's connection errors into sentences that say what to do.
func explain(err error) error {
	var pqErr *pq.Error
	var netErr net.Error
	switch {
	case errors.As(err, &pqErr) && pqErr.Code.Class() == "28":
		return misconfigured{text: fmt.Sprintf("the database refused the user or password (%s): check DATABASE_URL", pqErr.Message)}
	case errors.As(err, &pqErr) && pqErr.Code == "3D000":
		return misconfigured{text: fmt.Sprintf("%s: create it, or correct DATABASE_URL", pqErr.Message)}
	case errors.As(err, &pqErr) && pqErr.Code == "42501":
		return misconfigured{fmt.Sprintf("%s: run `hangarshare migrate` once with a role that may, then start the server again", pqErr.Message), ErrNotPermitted}
	case errors.Is(err, pq.ErrSSLNotSupported):
		return misconfigured{text: "the database does not offer TLS: add sslmode=disable to DATABASE_URL if the network is trusted"}
	case errors.As(err, &netErr), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("cannot be reached (%w): check that PostgreSQL runs there and DATABASE_URL is right", err)
	}
	return err
}

// Unavailable reports whether err says that the database cannot be reached or is going away, so that trying again
// later makes sense, rather than that it refused something.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var wrong misconfigured
	if errors.As(err, &wrong) {
		return false
	}
	var pqErr *pq.Error
	if errors.As(err, &pqErr) {
		switch pqErr.Code.Class() {
		case "08", "53", "57", "58": // connection, resources, operator intervention, system error
			return true
		}
		return false
	}
	for _, own := range []error{sql.ErrNoRows, ErrNotFound, ErrHistoryGone, ErrInvalidID, ErrNotLeader} {
		if errors.Is(err, own) {
			return false
		}
	}
	return true // anything that did not come from PostgreSQL's own answer: network, driver, time out
}

// connectionString adds to a URL what every connection of ours wants, where it does not say otherwise: a bounded
// connect, an explicit sslmode (lib/pq's default is require), a name that operators see in pg_stat_activity, and
// keepalives that notice a half-open connection.
func connectionString(databaseURL string) (string, error) {
	u, err := parseURL(databaseURL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	settings := map[string]string{
		"sslmode":          defaultSSLMode(u, q),
		"connect_timeout":  fmt.Sprint(int(connectTimeout.Seconds())),
		"application_name": "hangarshare-realtime",
		"datestyle":        "ISO, MDY",
		"timezone":         "UTC",
	}
	if q.Get(oneMessage) != "yes" {
		settings["statement_timeout"] = fmt.Sprint(statementTimeout.Milliseconds())
		// Whatever the portal's default is: a serializable server could be a reason for writers to fail.
		settings["default_transaction_isolation"] = "read committed"
		settings["default_transaction_read_only"] = "off"
	}
	for name, value := range settings {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Pooled returns a database URL for connections that go through a transaction pooler such as PgBouncer: each query is sent
// in one message, because the next message may reach another session, and no setting is asked for that a pooler refuses.
func Pooled(databaseURL string) (string, error) {
	u, err := parseURL(databaseURL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set(oneMessage, "yes")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// oneMessage is lib/pq's parameter that has a query go in one message; here it also says that a pooler is on the way.
const oneMessage = "binary_parameters"

func parseURL(databaseURL string) (*url.URL, error) {
	u, err := url.Parse(databaseURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, misconfigured{text: "DATABASE_URL must look like postgres://user:password@host:5432/database?sslmode=require"}
	}
	return u, nil
}

// defaultSSLMode is what a URL without sslmode gets: no TLS to this machine, TLS to any other.
func defaultSSLMode(u *url.URL, q url.Values) string {
	host := u.Hostname()
	if h := q.Get("host"); h != "" {
		host = h
	}
	if host == "" || host == "localhost" || strings.HasPrefix(host, "/") {
		return "disable"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return "disable"
	}
	return "require"
}

// Redact returns a database URL without its password, for messages and logs.
func Redact(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "(unreadable URL)"
	}
	q := u.Query()
	if q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// logNotice is where warnings of a migration go.
func logNotice(log *slog.Logger) func(*pq.Error) {
	return func(notice *pq.Error) { log.Warn("database notice", "message", notice.Message) }
}

// discard closes a connection for good, so that nothing it holds or has set returns to the pool.
func discard(conn *sqlx.Conn) {
	conn.Raw(func(any) error { return driver.ErrBadConn })
	conn.Close()
}
