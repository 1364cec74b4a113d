package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/singleflight"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/api/report"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay"
	"github.com/hangarshare/hangarshare-realtime/web"
)

const (
	// stopTimeout bounds how long the private PostgreSQL may take to stop.
	stopTimeout = 10 * time.Second
	// answerTime is what the database has to answer the question whether the server is ready.
	answerTime = time.Second
)

// firstPause and longestPause bound the pauses between attempts to reach a database that
// is away at the start.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
)

// Run runs the server until ctx ends.
func (c *serveCommand) Run(ctx context.Context, s *Settings, log *slog.Logger, out io.Writer) error {
	if c.SentryDSN == "" {
		return c.serve(ctx, s, log, out)
	}
	reporter, err := report.New(report.Options{DSN: c.SentryDSN, Environment: c.SentryEnvironment, Release: release()})
	if err != nil {
		return err
	}
	defer reporter.Close()
	c.flush = reporter.Flush
	reporting := slog.New(reporter.Handler(log.Handler()))
	keepCrashes(filepath.Join(s.DataDir, "crash"), reporting)
	err = c.serve(ctx, s, reporting, out)
	if err != nil && !errors.Is(err, context.Canceled) {
		slog.New(reporter.Handler(slog.DiscardHandler)).Error("the server ended", "error", err)
	}
	return err
}

// keepCrashes has whatever ends this process kept in a file, and tells what ended one before it.
func keepCrashes(file string, log *slog.Logger) {
	earlier, err := crash.Keep(file)
	if err != nil {
		log.Warn("what this process may die of is told by its log alone: let DATA_DIR be a folder that it may write", "error", err)
	}
	if earlier != "" {
		cause, functions := crash.Summary(earlier)
		log.Error("an earlier run of this server crashed", "cause", cause, "functions", functions)
	}
}

// serve runs the server.
func (c *serveCommand) serve(ctx context.Context, s *Settings, log *slog.Logger, out io.Writer) error {
	loc, secret, err := c.read(s)
	if err != nil {
		return err
	}
	s.logStart(log)
	ctx, stop := context.WithCancel(ctx)
	running := make(chan *live, 1)
	hangups := c.hangups(ctx, s, running, stop, log)
	defer func() { stop(); <-hangups }()
	limitMemory(log)
	outside, err := c.outside(s, log)
	if err != nil {
		return err
	}
	public, admin, err := c.listen()
	if err != nil {
		return err
	}
	defer public.Close()
	if admin != nil {
		defer admin.Close()
	}
	address, private, err := s.database(ctx, log)
	if err != nil {
		return err
	}
	if private != nil {
		defer stopPrivate(ctx, private, log)
	}
	withDemo := private != nil
	if c.Demo != nil {
		withDemo = *c.Demo
	}
	base, err := c.open(ctx, address, log, public, admin)
	if err != nil {
		return err
	}
	defer base.close()
	if err := c.prepareDatabase(ctx, base, withDemo, loc, log); err != nil {
		return err
	}
	server, err := c.wire(ctx, s, base, secret, loc, outside, log)
	if err != nil {
		return err
	}
	server.Site = web.New(web.Options{Dev: c.Dev, Demo: withDemo, NoPasswords: len(secret) == 0, Links: outside.links})
	running <- outside.network.protect(server, public.Addr(), withDemo)
	if withDemo {
		server.Demo = demoOwners(base.pool)
		server.Services = append(server.Services, &demo.Payouts{Pool: base.pool, Log: log}, demo.NewSimulator(base.pool,
			demo.SimulatorOptions{Interval: c.DemoInterval, Location: loc, Random: uint64(time.Now().UnixNano()), Log: log}))
	}
	scheme := "http"
	if server.TLS != nil {
		scheme = "https"
	}
	fmt.Fprintf(out, "HangarShare Realtime is at %s://%s/\n", scheme, public.Addr())
	if private != nil {
		fmt.Fprintf(out, "Its PostgreSQL: psql '%s'\n", private.URL())
		ctx = untilDone(ctx, private, log)
	}
	base.dialer.Expect(0) // from now on the listener finds out what does not answer
	return server.Serve(ctx, public, admin)
}

// read refuses settings that cannot work, and returns the zone of days and the key of tokens.
func (c *serveCommand) read(s *Settings) (loc *time.Location, secret []byte, err error) {
	if err := cmp.Or(c.serverSettings.check(), s.check()); err != nil {
		return nil, nil, err
	}
	if loc, err = s.location(); err != nil {
		return nil, nil, err
	}
	if secret, err = s.secret(); err != nil {
		return nil, nil, err
	}
	return loc, secret, cmp.Or(c.checkDrain(), c.checkAdmin(c.AdminAddr))
}

// outside is what a server has to do with others: those that carry its messages, the servers beside
// it, the portal's pages, and its clients.
type outside struct {
	channels channels
	redis    *relay.Address // nil: servers meet in PostgreSQL alone
	links    web.Links
	network  *network
}

// outside reads the settings of all that. Nothing is begun yet.
func (c *serveCommand) outside(s *Settings, log *slog.Logger) (o outside, err error) {
	if o.channels, err = c.channels(s); err != nil {
		return o, err
	}
	if o.redis, err = c.address(); err != nil {
		return o, err
	}
	if o.links, err = c.links(); err != nil {
		return o, err
	}
	o.network, err = c.network(s, log)
	return o, err
}

// stopPrivate stops a private PostgreSQL, also when ctx has ended.
func stopPrivate(ctx context.Context, private *devdb.Server, log *slog.Logger) {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := private.Stop(stopping); err != nil {
		log.Error("the private PostgreSQL did not stop", "error", err)
	}
}

// prepareDatabase gives the server its connections, the demo its tables, and the database what this
// version needs.
func (c *serveCommand) prepareDatabase(ctx context.Context, base *database, withDemo bool, loc *time.Location, log *slog.Logger) error {
	if err := db.Allot(ctx, c.MaxDatabaseConnections, base.dialer, base.pool, base.alone, log); err != nil {
		return err
	}
	if withDemo {
		if err := prepareDemo(ctx, base.pool, loc); err != nil {
			return err
		}
	}
	return migrate(ctx, base.direct, base.pool, log)
}

// listen opens both addresses before anything else is started: a taken port is known at once. A
// public socket that the service manager holds takes the place of ADDR.
func (s *serverSettings) listen() (public, admin net.Listener, err error) {
	if public, err = inherited(); err != nil {
		return nil, nil, err
	}
	if public == nil {
		public, err = api.Listen(s.Addr, "ADDR")
	}
	if err != nil {
		return nil, nil, err
	}
	if s.AdminAddr == "" {
		return public, nil, nil
	}
	if admin, err = api.Listen(s.AdminAddr, "ADMIN_ADDR"); err != nil {
		public.Close()
		return nil, nil, err
	}
	return public, admin, nil
}

// database is the database that the server works on, and how it is reached.
type database struct {
	url    string // of ordinary connections, perhaps through a transaction pooler
	direct string // of connections that are one session from beginning to end
	dialer *db.Dialer
	pool   *sqlx.DB
	alone  *sqlx.DB // of direct connections; the pool where there is no pooler
}

// close ends every connection, also one that a dead network holds.
func (d *database) close() {
	d.alone.Close()
	d.pool.Close()
	d.dialer.Close()
}

// database returns the address of the database, of a private one if none is given.
func (s *Settings) database(ctx context.Context, log *slog.Logger) (*database, *devdb.Server, error) {
	if err := s.completeURLs(); err != nil {
		return nil, nil, err
	}
	switch {
	case s.DatabaseURL != "" && s.ListenDatabaseURL != "":
		pooled, err := db.Pooled(s.DatabaseURL)
		return &database{url: pooled, direct: s.ListenDatabaseURL}, nil, err
	case s.DatabaseURL != "":
		return &database{url: s.DatabaseURL, direct: s.DatabaseURL}, nil, nil
	}
	private, err := devdb.Start(ctx, devdb.Options{Dir: filepath.Join(s.DataDir, "postgres"), Log: log})
	if err != nil {
		return nil, nil, err
	}
	inSchema, err := db.InSchema(private.URL(), s.Schema)
	return &database{url: inSchema, direct: inSchema}, private, err
}

// open connects to the database.
func (s *serverSettings) open(ctx context.Context, base *database, log *slog.Logger, listeners ...net.Listener) (*database, error) {
	base.dialer = &db.Dialer{}
	base.dialer.Expect(db.AnswerTime)
	open := db.OpenThrough
	if base.direct == base.url {
		open = db.OpenDirect
	}
	pool, err := s.await(ctx, open, base.url, base.dialer, log, listeners...)
	if err != nil {
		return nil, err
	}
	base.pool, base.alone = pool, pool
	if base.direct == base.url {
		return base, nil
	}
	if base.alone, err = s.await(ctx, db.OpenDirect, base.direct, base.dialer, log, listeners...); err != nil {
		pool.Close()
		return nil, fmt.Errorf("LISTEN_DATABASE_URL: %w", err)
	}
	if err := db.ProveSame(ctx, pool, base.alone); err != nil {
		base.close()
		return nil, fmt.Errorf("LISTEN_DATABASE_URL: %w", err)
	}
	return base, nil
}

// opener connects to a database, like db.OpenThrough.
type opener = func(ctx context.Context, databaseURL string, dialer *db.Dialer) (*sqlx.DB, error)

// await connects to a database. While it is away it is waited for, up to DATABASE_WAIT, with
// growing pauses; meanwhile the server says that it is alive and not ready.
func (s *serverSettings) await(ctx context.Context, open opener, databaseURL string, dialer *db.Dialer, log *slog.Logger, listeners ...net.Listener) (*sqlx.DB, error) {
	pool, err := open(ctx, databaseURL, dialer)
	if !db.Unavailable(err) || s.DatabaseWait <= 0 {
		return pool, err
	}
	end := api.ServeNotReady(slices.DeleteFunc(listeners, func(l net.Listener) bool { return l == nil })...)
	defer end()
	log.Warn("waiting for the database", "for", s.DatabaseWait, "error", err)
	deadline := time.Now().Add(s.DatabaseWait)
	for pause := firstPause; db.Unavailable(err) && time.Now().Before(deadline); pause = min(2*pause, longestPause) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(pause, time.Until(deadline))):
		}
		pool, err = open(ctx, databaseURL, dialer)
	}
	if err == nil {
		log.Info("the database is there")
	}
	return pool, err
}

// migrate brings the database up to date; a role that may not is enough where another one
// did so before.
func migrate(ctx context.Context, databaseURL string, pool *sqlx.DB, log *slog.Logger) error {
	err := db.Migrate(ctx, databaseURL, log)
	if !errors.Is(err, db.ErrNotPermitted) {
		return err
	}
	if migrated, checkErr := db.IsMigrated(ctx, pool); checkErr != nil || !migrated {
		return err
	}
	log.Info("the role in DATABASE_URL may not migrate; the database is up to date already")
	return nil
}

// untilDone returns a context that ends also when the private PostgreSQL does: nothing
// works without it.
func untilDone(ctx context.Context, private *devdb.Server, log *slog.Logger) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer crash.Report("watch over the private PostgreSQL")
		defer cancel()
		select {
		case <-ctx.Done():
		case <-private.Done():
			log.Error("the private PostgreSQL ended by itself; its log is in DATA_DIR", "error", private.Err())
		}
	}()
	return ctx
}

// answers returns a check whether the database answers soon. In a network that swallows
// the question lib/pq waits on, so all who check share one that is under way, and go when
// their time is over.
func answers(pool *sqlx.DB) func() bool {
	var asking singleflight.Group
	return func() bool {
		answer := asking.DoChan("", func() (any, error) {
			ctx, cancel := context.WithTimeout(context.Background(), answerTime)
			defer cancel()
			return nil, pool.PingContext(ctx)
		})
		select {
		case a := <-answer:
			return a.Err == nil
		case <-time.After(answerTime):
			return false
		}
	}
}

// prepareDemo makes the portal's tables and fills them, or brings those of an earlier day
// up to date.
func prepareDemo(ctx context.Context, pool *sqlx.DB, loc *time.Location) error {
	if err := demo.CreateSchema(ctx, pool); err != nil {
		return err
	}
	options := demo.SeedOptions{Location: loc, Random: 1}
	owners, err := demo.Owners(ctx, pool)
	if err != nil {
		return err
	}
	if len(owners) == 0 {
		return demo.Seed(ctx, pool, options)
	}
	return demo.Refresh(ctx, pool, options)
}

// demoOwners lists the owners whom a visitor may be.
func demoOwners(pool *sqlx.DB) handlers.Demo {
	return func(ctx context.Context) ([]handlers.DemoOwner, error) {
		owners, err := demo.Owners(ctx, pool)
		if err != nil {
			return nil, err
		}
		list := make([]handlers.DemoOwner, 0, len(owners))
		for _, o := range owners {
			list = append(list, handlers.DemoOwner{OwnerID: o.ID, CompanyName: o.CompanyName, UserID: o.UserID})
		}
		return list, nil
	}
}
