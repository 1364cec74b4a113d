package main

import (
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
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/web"
)

const (
	// stopTimeout bounds how long the private PostgreSQL may take to stop.
	stopTimeout = 10 * time.Second
	// answerTime is what the database has to answer when somebody asks whether the server is ready.
	answerTime = time.Second
)

// firstPause and longestPause bound the pauses between attempts to reach a database that is away at the start.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
)

// Run runs the server until ctx ends.
func (c *serveCommand) Run(ctx context.Context, s *Settings, log *slog.Logger, out io.Writer) error {
	if err := s.check(); err != nil {
		return err
	}
	loc, err := s.location()
	if err != nil {
		return err
	}
	secret, err := s.secret()
	if err != nil {
		return err
	}
	entrance, err := c.entrance(s, log)
	if err != nil {
		return err
	}
	public, admin, err := s.listen()
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
		defer func() {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			if err := private.Stop(stopping); err != nil {
				log.Error("the private PostgreSQL did not stop", "error", err)
			}
		}()
	}
	withDemo := private != nil
	if c.Demo != nil {
		withDemo = *c.Demo
	}
	base, err := s.open(ctx, address, log, public, admin)
	if err != nil {
		return err
	}
	defer base.close()
	pool := base.pool
	if withDemo {
		if err := prepareDemo(ctx, pool, loc); err != nil {
			return err
		}
	}
	if err := migrate(ctx, base.direct, pool, log); err != nil {
		return err
	}
	server, err := s.wire(ctx, base, secret, loc, log)
	if err != nil {
		return err
	}
	server.Site = web.New(web.Options{Dev: c.Dev, Demo: withDemo})
	entrance.guard(server)
	if withDemo {
		server.Demo = demoOwners(pool)
		server.Running = append(server.Running, &demo.Payouts{Pool: pool, Log: log}, demo.NewSimulator(pool,
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
	return server.Serve(ctx, public, admin)
}

// listen opens both addresses before anything else is started: a taken port is known at once.
func (s *Settings) listen() (public, admin net.Listener, err error) {
	if public, err = api.Listen(s.Addr, "ADDR"); err != nil {
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
	return &database{url: private.URL(), direct: private.URL()}, private, nil
}

// open connects to the database.
func (s *Settings) open(ctx context.Context, base *database, log *slog.Logger, listeners ...net.Listener) (*database, error) {
	base.dialer = &db.Dialer{}
	pool, err := s.await(ctx, base.url, base.dialer, log, listeners...)
	if err != nil {
		return nil, err
	}
	base.pool, base.alone = pool, pool
	if base.direct == base.url {
		return base, nil
	}
	if base.alone, err = s.await(ctx, base.direct, base.dialer, log, listeners...); err != nil {
		pool.Close()
		return nil, fmt.Errorf("LISTEN_DATABASE_URL: %w", err)
	}
	return base, nil
}

// await connects to a database. While it is away it is waited for, up to DATABASE_WAIT, with growing pauses; meanwhile the
// server says that it is alive and not ready.
func (s *Settings) await(ctx context.Context, databaseURL string, dialer *db.Dialer, log *slog.Logger, listeners ...net.Listener) (*sqlx.DB, error) {
	pool, err := db.OpenThrough(ctx, databaseURL, dialer)
	if !db.Unavailable(err) || s.DatabaseWait <= 0 {
		return pool, err
	}
	end := api.Wait(slices.DeleteFunc(listeners, func(l net.Listener) bool { return l == nil })...)
	defer end()
	log.Warn("waiting for the database", "for", s.DatabaseWait, "error", err)
	deadline := time.Now().Add(s.DatabaseWait)
	for pause := firstPause; db.Unavailable(err) && time.Now().Before(deadline); pause = min(2*pause, longestPause) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(pause, time.Until(deadline))):
		}
		pool, err = db.OpenThrough(ctx, databaseURL, dialer)
	}
	if err == nil {
		log.Info("the database is there")
	}
	return pool, err
}

// migrate brings the database up to date; a role that may not is enough where another one did so before.
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

// untilDone returns a context that ends also when the private PostgreSQL does: nothing works without it.
func untilDone(ctx context.Context, private *devdb.Server, log *slog.Logger) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-ctx.Done():
		case <-private.Done():
			log.Error("the private PostgreSQL ended by itself; its log is in DATA_DIR", "error", private.Err())
		}
	}()
	return ctx
}

// wire puts the parts together, from the log on the left to the routes on the right.
func (s *Settings) wire(ctx context.Context, base *database, secret []byte, loc *time.Location, log *slog.Logger) (*api.Server, error) {
	pool := base.pool
	store, err := db.NewStore(ctx, pool, loc)
	if err != nil {
		return nil, err
	}
	if base.direct == base.url {
		if err := store.Prepare(ctx); err != nil {
			log.Warn("queries are planned each time they are asked", "error", err)
		}
	}
	listener, err := db.NewListener(base.direct, base.url, base.dialer, log)
	if err != nil {
		return nil, err
	}
	history, sessions, clock := db.NewLog(pool), db.NewSessions(store), realtime.SystemClock{}
	bus := realtime.NewBus(history)
	metrics := realtime.NewMetrics(store, bus, loc, clock, log)
	bus.OnDemand(metrics.Changed)
	timetable := realtime.NewTimetable(db.NewOccupancy(store), clock, listener.Ring, log)
	tokens := api.NewTokens(secret)
	lookout := handlers.NewLookout(store)
	stream := &handlers.Stream{
		Bus: bus, Accounts: store, Authority: tokens, Heartbeat: s.HeartbeatInterval,
		Stall: handlers.DefaultStall, Location: loc, Log: log,
	}
	feed := &realtime.Feed{
		Source: history, Numbering: db.NewNumbering(base.alone, listener, log), Bus: bus, Metrics: metrics, Timetable: timetable,
		Location: loc, Wakes: listener.Wakes(), Access: stream.Recheck, Log: log,
	}
	server := &api.Server{
		Snapshot: &handlers.Snapshot{
			Present: store, Accounts: handlers.NewRememberedAccess(store, lookout), Lookout: lookout, Known: handlers.NewKnownMetrics(lookout),
			History: history, Bus: bus, Now: clock.Now, Log: log,
		},
		Stream: stream, Tokens: tokens, Directory: store, Sessions: sessions, Members: &handlers.Members{Accounts: store, Register: store, Log: log},
		AllowedOrigins: s.AllowedOrigins, OpenAPI: openAPI, Log: log,
		Running: []api.Part{listener, feed, metrics, timetable,
			&realtime.Bookkeeping{Books: db.NewLedger(store), Clock: clock, Log: log},
			&realtime.Retention{Log: history, Keep: s.EventRetention, Errors: log}, &api.Sweeper{Sessions: sessions, Log: log}},
		Parts:  map[string]func() bool{"database": answers(pool), "listener": listener.Proven, "feed": feed.Ready},
		Health: feed.Health,
		Cut:    base.dialer.Close,
	}
	if s.JWKSURL != "" {
		issuer := api.NewIssuer(s.JWKSURL, nil, log)
		tokens.Trust(issuer)
		server.Running = append(server.Running, issuer)
	}
	return server, nil
}

// answers returns a check whether the database answers soon. In a network that swallows the question lib/pq waits on, so all who
// check share one that is under way, and go when their time is over.
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

// prepareDemo makes the portal's tables and fills them, or brings those of an earlier day up to date.
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
func demoOwners(pool *sqlx.DB) api.Demo {
	return func(ctx context.Context) ([]api.DemoOwner, error) {
		owners, err := demo.Owners(ctx, pool)
		if err != nil {
			return nil, err
		}
		list := make([]api.DemoOwner, 0, len(owners))
		for _, o := range owners {
			list = append(list, api.DemoOwner{OwnerID: o.ID, CompanyName: o.CompanyName, UserID: o.UserID})
		}
		return list, nil
	}
}
