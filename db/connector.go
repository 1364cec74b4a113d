package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// ErrStandby says that a connection led to a standby, where nothing can be written: the
// log would never grow.
var ErrStandby = errors.New("the server there is a standby (in recovery), where nothing can be written: point DATABASE_URL at the " +
	"primary, or name all servers in it as host1,host2")

// setUpTries is how often a new session is set up at most.
const setUpTries = 5

// maxIdle is how long a connection that nobody uses stays open.
const maxIdle = 5 * time.Minute

// connector opens connections for a pool. It tries the host that answered last before the others,
// sets up each session as ours, and waits where the database has no place for another. It
// implements driver.Connector.
type connector struct {
	hosts []driver.Connector
	last  atomic.Int64 // index of the host that answered last
	// run on each new session; "" through a transaction pooler, where it would reach anybody's
	setUp  string
	schema string // see inSchema
	once   bool   // statements come only once, see retryingConn
	share  *share
}

// openPool returns a pool without connecting yet. extra are settings of its sessions
// beside the usual ones.
func openPool(databaseURL string, dialer *Dialer, extra map[string]string) (*sqlx.DB, error) {
	pool, _, err := openShare(databaseURL, dialer, extra, nil)
	return pool, err
}

// openShare is openPool. notice, if not nil, hears what the database remarks.
func openShare(databaseURL string, dialer *Dialer, extra map[string]string, notice func(*pq.Error)) (*sqlx.DB, *share, error) {
	a, err := parseAddress(databaseURL, nil)
	if err != nil {
		return nil, nil, err
	}
	c := &connector{schema: a.schema(), once: extra["lock_timeout"] != "", share: &share{most: poolSize, now: poolSize}}
	if !a.pooled() {
		c.setUp = setUpQuery(a.session, extra)
	}
	for _, config := range a.configs() {
		one, err := pq.NewConnectorConfig(config)
		if err != nil {
			return nil, nil, fmt.Errorf("open database %s: %w", redact(databaseURL), err)
		}
		one.Dialer(dialer)
		if notice != nil {
			c.hosts = append(c.hosts, pq.ConnectorWithNoticeHandler(one, notice))
		} else {
			c.hosts = append(c.hosts, one)
		}
	}
	pool := sqlx.NewDb(sql.OpenDB(c), "postgres")
	c.share.pool = pool.DB
	c.share.apply()
	pool.SetConnMaxIdleTime(maxIdle)
	dialer.mu.Lock()
	dialer.shares = append(dialer.shares, c.share)
	dialer.mu.Unlock()
	return pool, c.share, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return namedDriver{c.hosts[0].Driver(), c.schema} }

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	deadline := time.Now().Add(crowdedWait)
	for pause := minReconnect; ; pause = min(2*pause, maxReconnect) {
		conn, err := c.try(ctx)
		if err == nil || !crowded(err) {
			return conn, err
		}
		if c.share.shrink() {
			return nil, driver.ErrBadConn // has the pool wait for one of its own connections
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// try goes through the hosts once. One that refuses a user or password is the last, as in
// libpq: others would too.
func (c *connector) try(ctx context.Context) (driver.Conn, error) {
	var errs []error
	first := c.last.Load()
	for i := range int64(len(c.hosts)) {
		at := (first + i) % int64(len(c.hosts))
		conn, err := c.open(ctx, c.hosts[at])
		if err == nil {
			c.last.Store(at)
			return conn, nil
		}
		errs = append(errs, err)
		var refused *pq.Error
		if errors.As(err, &refused) && (refused.Code.Class() == "28" || refused.Code.Class() == "3D") {
			break
		}
		// should the time end here, the next attempt begins there
		c.last.Store((at + 1) % int64(len(c.hosts)))
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return nil, fmt.Errorf("none of %d hosts: %w", len(errs), errors.Join(errs...))
}

func (c *connector) open(ctx context.Context, host driver.Connector) (driver.Conn, error) {
	conn, err := host.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if c.setUp == "" {
		return c.finish(conn)
	}
	standby, err := setUp(ctx, conn, c.setUp)
	var refused *pq.Error
	// The time limit that a role's sessions begin with may be too short for this on a busy machine.
	for range setUpTries - 1 {
		if !errors.As(err, &refused) || refused.Code != "57014" || ctx.Err() != nil {
			break
		}
		standby, err = setUp(ctx, conn, c.setUp)
	}
	switch {
	case err == nil && standby:
		err = ErrStandby
	case errors.As(err, &refused) && (refused.Code.Class() == "42" || refused.Code.Class() == "22" || refused.Code == "55P02"):
		err = misconfigured{text: fmt.Sprintf("a parameter of DATABASE_URL is no setting that PostgreSQL lets a session make (%s): leave it out", refused.Message)}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c.finish(conn)
}

// finish returns a connection as the pool's users see it.
func (c *connector) finish(conn driver.Conn) (driver.Conn, error) {
	full, ok := conn.(connection)
	if !ok {
		return nil, fmt.Errorf("the driver's connection %T lacks what is needed", conn)
	}
	if !c.once {
		full = retryingConn{full}
	}
	return inSchema(full, c.schema), nil
}

// setUp runs the query of setUpQuery and reports whether the session is on a standby.
func setUp(ctx context.Context, conn driver.Conn, query string) (standby bool, err error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, query, nil)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err != nil {
		return false, err
	}
	standby, _ = row[0].(bool)
	if err := rows.Next(row); err != io.EOF {
		return false, errors.Join(err, errors.New("unexpected answer when a session was set up"))
	}
	return standby, nil
}

// sessionSettings are what each session of ours has, whatever role, database or server say. Nothing
// of ours runs on after its caller left, no session is ended because it is quiet, and none waits
// half done. Rows that row-level security would hide are an error instead of missing. A server that
// does not know a setting goes without.
var sessionSettings = map[string]string{
	"statement_timeout": fmt.Sprint(StatementTimeout.Milliseconds()),
	// Whatever the portal's default is: a serializable server could be a reason for
	// writers to fail.
	"default_transaction_isolation":       "read committed",
	"default_transaction_read_only":       "off",
	"default_transaction_deferrable":      "off",
	"idle_session_timeout":                "0",
	"idle_in_transaction_session_timeout": fmt.Sprint(StatementTimeout.Milliseconds()),
	"transaction_timeout":                 "0",
	// our questions are short, and compiling one takes longer than most
	"jit":                         "off",
	"row_security":                "off",
	"standard_conforming_strings": "on",
	"bytea_output":                "hex",
	"IntervalStyle":               "postgres",
}

// setUpQuery writes the query that sets up a session and tells whether it is on a standby. What the
// connection string asks for must work; what we wish for applies where the server knows it.
func setUpQuery(asked, extra map[string]string) string {
	wished := maps.Clone(sessionSettings)
	maps.Copy(wished, extra)
	var b strings.Builder
	b.WriteString("SELECT pg_catalog.pg_is_in_recovery()")
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		fmt.Fprintf(&b, ", pg_catalog.set_config(%s, %s, false)", pq.QuoteLiteral(name), pq.QuoteLiteral(asked[name]))
		delete(wished, name)
	}
	var values []string
	if _, set := asked["lock_timeout"]; !set && wished["lock_timeout"] == "" {
		fmt.Fprintf(&b, ", pg_catalog.set_config('lock_timeout', %s, false)", lockWait)
	}
	for _, name := range slices.Sorted(maps.Keys(wished)) {
		values = append(values, "("+pq.QuoteLiteral(name)+", "+pq.QuoteLiteral(wished[name])+")")
	}
	fmt.Fprintf(&b, `, (SELECT pg_catalog.count(pg_catalog.set_config(s.name, w.value, false)) FROM pg_catalog.pg_settings s
		JOIN (VALUES %s) AS w (name, value) ON w.name OPERATOR(pg_catalog.=) s.name)`, strings.Join(values, ", "))
	return b.String()
}
