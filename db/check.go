package db

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
)

// Level says what a finding means for a server.
type Level string

// The levels, from what is well to what keeps a server from working.
const (
	Fine     Level = "ok"
	Note     Level = "note"
	Warning  Level = "warning"
	Obstacle Level = "obstacle"
)

// Finding is one thing that Check looked at: what there is, and, unless it is well, what to do.
type Finding struct {
	Area  string `json:"area"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Cure  string `json:"cure,omitempty"`
}

// Check describes what stands between a database and a working server. It changes nothing there.
type Check struct {
	URL    string // of ordinary connections
	Direct string // of connections for LISTEN and migrations; "" for the same
	Dialer *Dialer
}

// checkTimeout bounds all of a check.
const checkTimeout = 30 * time.Second

// clockTolerance is up to what difference two clocks count as the same.
const clockTolerance = 2 * time.Second

// Run looks at everything and returns what it found, in the order in which a person would
// act on it.
func (c Check) Run(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	defer c.Dialer.cutAtEnd(ctx)()
	pooled := c.Direct != "" && c.Direct != c.URL
	direct := c.Direct
	if !pooled {
		direct = c.URL
	}
	var found []Finding
	pool, err := OpenThrough(ctx, direct, c.Dialer)
	if err != nil {
		return append(found, Finding{"connection", Obstacle, err.Error(), ""})
	}
	defer pool.Close()
	found = append(found, Finding{"connection", Fine, "connected to " + redact(direct), ""})
	if err := proveSession(ctx, pool); err != nil {
		return append(found, Finding{"pooler", Obstacle, err.Error(), ""})
	}
	ordinary := pool
	if pooled {
		if ordinary, err = openPooled(ctx, c.URL, c.Dialer); err != nil {
			return append(found, Finding{"pooler", Obstacle, "DATABASE_URL: " + err.Error(), ""})
		}
		defer ordinary.Close()
	}
	found = append(found, inspectAll(ctx, pool, checkServer, checkClock, checkRole, checkTables, checkHidden, checkColumns,
		checkIndexes, checkName, checkReplication, checkInstalled, checkTriggers)...)
	if !slices.ContainsFunc(found, func(f Finding) bool { return f.Area == "installation" && f.Level == Obstacle }) {
		found = append(found, checkVersionOfOurs(ctx, pool)...)
	}
	found = append(found, checkIdentity(ctx, pool)...)
	if pooled {
		found = append(found, prefixed("through the pooler, ", inspectAll(ctx, ordinary, checkHidden))...)
	}
	return append(found, checkListen(ctx, direct, ordinary))
}

// inspectAll runs checks one after the other, up to the first that cannot be made.
func inspectAll(ctx context.Context, pool *sqlx.DB, checks ...func(context.Context, *inspection) ([]Finding, error)) (found []Finding) {
	l, err := beginInspection(ctx, pool)
	if err != nil {
		return []Finding{{"connection", Obstacle, Explain(err).Error(), ""}}
	}
	defer l.tx.Rollback()
	for _, check := range checks {
		more, err := check(ctx, l)
		found = append(found, more...)
		if err != nil {
			return append(found, Finding{"connection", Obstacle, Explain(err).Error(), ""})
		}
	}
	return found
}

func openPooled(ctx context.Context, databaseURL string, dialer *Dialer) (*sqlx.DB, error) {
	through, err := Pooled(databaseURL)
	if err != nil {
		return nil, err
	}
	return OpenThrough(ctx, through, dialer)
}

func prefixed(words string, found []Finding) []Finding {
	for i := range found {
		found[i].Text = words + found[i].Text
	}
	return found
}

// checkServer looks at what holds for all of the server or database.
func checkServer(ctx context.Context, l *inspection) ([]Finding, error) {
	var s struct {
		Version  string  `db:"version"`
		Encoding string  `db:"encoding"`
		Prepared int     `db:"prepared"`
		Replica  string  `db:"replica"`
		Queue    float64 `db:"queue"`
	}
	err := l.tx.GetContext(ctx, &s, `SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS encoding,
		current_setting('max_prepared_transactions')::int AS prepared, pg_catalog.pg_notification_queue_usage() AS queue,
		coalesce((SELECT pg_catalog.string_agg(coalesce('role ' || nullif(setrole, 0)::regrole::text, 'all roles'), ', ') FROM pg_catalog.pg_db_role_setting
			WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
			AND 'session_replication_role=replica' = ANY (setconfig)), '') AS replica`)
	if err != nil {
		return nil, fmt.Errorf("look at the server: %w", err)
	}
	found := []Finding{{"version", Fine, "PostgreSQL " + s.Version, ""}}
	switch s.Encoding {
	case "UTF8":
		found = append(found, Finding{"encoding", Fine, "UTF8", ""})
	case "SQL_ASCII":
		found = append(found, Finding{"encoding", Warning, "SQL_ASCII: PostgreSQL does not look at what characters are, and a name that is no UTF-8 is not told",
			"move to a database in UTF8, or see that the portal writes nothing else"})
	default:
		found = append(found, Finding{"encoding", Note, s.Encoding + ": characters that it lacks cannot be searched for", "none needed"})
	}
	if s.Prepared > 0 {
		found = append(found, Finding{"version", Note, "max_prepared_transactions is set: PostgreSQL allows no PREPARE TRANSACTION after a notification",
			"none needed, unless the portal uses two-phase commit on these tables"})
	}
	if s.Replica != "" {
		found = append(found, Finding{"triggers", Warning, "session_replication_role = replica is set for " + s.Replica + ": triggers do not see what is written then",
			"ALTER ROLE … RESET session_replication_role"})
	}
	if s.Queue > 0.5 {
		found = append(found, Finding{"listen", Warning, fmt.Sprintf("PostgreSQL's notification queue is %.0f %% full; when it is full, commits fail", 100*s.Queue),
			"end the session that listens and is idle in a transaction (pg_stat_activity)"})
	}
	return found, nil
}

func checkClock(ctx context.Context, l *inspection) ([]Finding, error) {
	var there time.Time
	before := time.Now()
	if err := l.tx.GetContext(ctx, &there, `SELECT pg_catalog.clock_timestamp()`); err != nil {
		return nil, fmt.Errorf("ask for the time: %w", err)
	}
	took := time.Since(before)
	differs := there.Sub(before.Add(took / 2)).Round(time.Millisecond)
	if differs.Abs() > clockTolerance {
		return []Finding{{"clock", Warning, fmt.Sprintf("the database's clock differs from this machine's by %v: hours come early or late", differs),
			"let both follow a time server"}}, nil
	}
	return []Finding{{"clock", Fine, fmt.Sprintf("differs by %v", differs), ""}}, nil
}

// checkRole looks at who we are, and whether there is room for us.
func checkRole(ctx context.Context, l *inspection) ([]Finding, error) {
	var r struct {
		Name      string `db:"name"`
		Database  string `db:"database"`
		Installed bool   `db:"installed"`
		Create    bool   `db:"may_create"`
		Owns      bool   `db:"owns"`
		Places    int    `db:"places"`
	}
	err := l.tx.GetContext(ctx, &r, `
		SELECT current_user::text AS name, current_database()::text AS database, n.oid IS NOT NULL AS installed,
			pg_catalog.has_database_privilege(current_database(), 'CREATE') AS may_create,
			coalesce(pg_catalog.pg_has_role(n.nspowner, 'USAGE'), false) AS owns,
			least(CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN r.rolconnlimit END,
				CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN d.datconnlimit END,
				current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int) AS places
		FROM pg_catalog.pg_roles r CROSS JOIN pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'realtime'
		WHERE r.rolname = session_user AND d.datname = current_database()`)
	if err != nil {
		return nil, fmt.Errorf("look at the role: %w", err)
	}
	found := []Finding{{"role", Fine, fmt.Sprintf("%s in database %s", r.Name, r.Database), ""}}
	switch {
	case r.Owns:
		found = append(found, Finding{"role", Fine, "may migrate", ""})
	case r.Installed:
		found = append(found, Finding{"role", Note, "may not migrate: another role owns the schema " + l.schema, "run `hangarshare migrate` with that role after each upgrade"})
	case !r.Create:
		found = append(found, Finding{"role", Obstacle, "may not create the schema " + l.schema + " in database " + r.Database,
			fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s, or run `hangarshare migrate` with a role that may", pq.QuoteIdentifier(r.Database), pq.QuoteIdentifier(r.Name))})
	}
	if r.Places < LeastConnections {
		found = append(found, Finding{"connections", Obstacle, fmt.Sprintf("%d are allowed at once, and a server needs %d", r.Places, LeastConnections),
			"raise the CONNECTION LIMIT of the role or the database"})
	} else {
		found = append(found, Finding{"connections", Fine, fmt.Sprintf("up to %d at once", r.Places), ""})
	}
	return found, nil
}

// checkVersionOfOurs compares what is installed with this program.
func checkVersionOfOurs(ctx context.Context, pool *sqlx.DB) []Finding {
	current, err := IsMigrated(ctx, pool)
	switch {
	case err != nil:
		return []Finding{{"installation", Obstacle, err.Error(), ""}}
	case !current:
		return []Finding{{"installation", Obstacle, "what is installed is of an older version than this program", "run `hangarshare migrate`; `serve` does so if its role may"}}
	}
	return []Finding{{"installation", Fine, "everything of ours is installed, of this version or a newer one", ""}}
}

// checkIdentity asks for what tells a restored copy from its original.
func checkIdentity(ctx context.Context, pool *sqlx.DB) []Finding {
	_, missing, err := ReadIdentity(ctx, pool)
	switch {
	case err != nil:
		return []Finding{{"identity", Obstacle, err.Error(), ""}}
	case len(missing) == 0:
		return nil
	}
	return []Finding{{"identity", Warning, "this server does not say which cluster and timeline it is (" + strings.Join(missing, ", ") + ")",
		"none needed in daily work; after a restore run `hangarshare epoch --renew`, so that browsers load again"}}
}

// checkListen proves that a notification sent by ordinary connections reaches a listening one.
func checkListen(ctx context.Context, direct string, ordinary *sqlx.DB) Finding {
	ctx, cancel := context.WithTimeout(ctx, 3*proofTimeout)
	defer cancel()
	failed := func(err error) Finding {
		return Finding{"listen", Obstacle, "LISTEN does not work: " + Explain(err).Error(), "set LISTEN_DATABASE_URL to a direct connection"}
	}
	a, err := parseAddress(direct, nil)
	if err != nil {
		return failed(err)
	}
	var dialer Dialer
	defer dialer.cutAtEnd(ctx)()
	listener := pq.NewDialListener(&dialer, a.dsn(nil), minReconnect, maxReconnect, nil)
	defer func() { dialer.Close(); listener.Close() }()
	own := a.schema() + "_check_" + strings.ToLower(rand.Text()[:12])
	listening := make(chan error, 1)
	go func() {
		defer crash.Report("check of notifications")
		listening <- listener.Listen(own)
	}()
	select {
	case err := <-listening:
		if err != nil {
			return failed(err)
		}
	case <-ctx.Done():
		return failed(errors.New("there was no answer in time"))
	}
	asked := time.Now()
	if _, err := ordinary.ExecContext(ctx, `SELECT pg_catalog.pg_notify($1, '')`, own); err != nil {
		return failed(err)
	}
	select {
	case <-listener.NotificationChannel():
		return Finding{"listen", Fine, fmt.Sprintf("a notification arrived after %v", time.Since(asked).Round(time.Microsecond)), ""}
	case <-ctx.Done():
		return Finding{"listen", Obstacle, "a notification did not arrive: DATABASE_URL and LISTEN_DATABASE_URL lead to two databases, or a pooler swallows it",
			"set LISTEN_DATABASE_URL to a direct connection to the same database"}
	}
}

// Stands reports whether a finding keeps a server from working.
func Stands(found []Finding) bool {
	return slices.ContainsFunc(found, func(f Finding) bool { return f.Level == Obstacle })
}

// Reached reports whether a check found a database with everything of ours in it, that
// can be asked more.
func Reached(found []Finding) bool {
	return slices.ContainsFunc(found, func(f Finding) bool { return f.Area == "installation" && f.Level == Fine })
}

// preflight refuses, before anything is made, what could not work afterwards, and warns
// of what would hurt.
func preflight(ctx context.Context, pool *sqlx.DB, log *slog.Logger) error {
	var obstacles []string
	for _, f := range inspectAll(ctx, pool, checkTables, checkHidden, checkColumns, checkName, checkReplication) {
		switch {
		case f.Area == "rights": // PostgreSQL says so itself, and another role may have migrated
		case f.Level == Obstacle && f.Cure != "":
			obstacles = append(obstacles, f.Text+" ("+f.Cure+")")
		case f.Level == Obstacle:
			obstacles = append(obstacles, f.Text)
		case f.Level == Warning:
			log.Warn(f.Text, "do", f.Cure)
		}
	}
	if len(obstacles) > 0 {
		return misconfigured{text: strings.Join(obstacles, "; ") + ". `hangarshare check` lists all that it finds"}
	}
	return nil
}
