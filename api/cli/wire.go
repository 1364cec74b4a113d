package cli

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/seal"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/web"
)

// pipeline is the way of a change from the database to the streams, with what is computed and kept
// up to date on it.
type pipeline struct {
	store     *db.Store
	listener  *db.Listener
	history   *eventlog.Log
	exchange  *realtime.Exchange
	bus       *realtime.Bus
	feed      *realtime.Feed
	streams   *stream.Server
	notifier  *realtime.Notifier
	triggers  *realtime.Triggers
	occupancy *realtime.Occupancy
	measures  *realtime.Measures
	dbClock   *db.Clock
	services  []api.Service
}

// pipeline puts it together, in the direction in which a change goes. What goes against it are the
// calls of OnDemand and Ring, and Access of the feed.
func (c *serveCommand) pipeline(ctx context.Context, base *database, store *db.Store, tokens *api.Tokens, loc *time.Location, channels channels, log *slog.Logger) (*pipeline, error) {
	clock := realtime.SystemClock{}
	p := &pipeline{store: store, history: eventlog.NewLog(base.pool, db.Consumers()...), dbClock: db.NewClock(base.pool)}
	p.measures = realtime.NewMeasures(p.dbClock.Age)
	var err error
	if p.listener, err = db.NewListener(base.direct, base.url, base.dialer, log); err != nil {
		return nil, err
	}
	if p.exchange, err = newExchange(ctx, p.history, p.listener, base, log); err != nil {
		return nil, err
	}
	if base.direct == base.url {
		if err := p.history.Prepare(ctx); err != nil {
			log.Warn("the log is followed by a statement that is planned each time", "error", err)
		}
	}
	p.bus = realtime.NewBus(p.history)
	metrics := realtime.NewMetrics(store, p.bus, loc, clock, log)
	p.bus.OnDemand(metrics.Demanded)
	notifications := realtime.NewNotifications(store, p.bus, loc, log)
	p.bus.OnPersonalDemand(notifications.Changed)
	notices := db.NewNotices(store, channels.inUse()...)
	p.notifier = &realtime.Notifier{Source: p.history, Maker: notices, Location: loc, Clock: clock, Ring: p.listener.Ring, Log: log}
	p.occupancy = realtime.NewOccupancy(db.NewOccupancy(store), clock, p.listener.Ring, log)
	p.streams = &stream.Server{
		Bus: p.bus, Accounts: store, Authority: tokens, Heartbeat: c.HeartbeatInterval,
		Stall: stream.DefaultStall, Location: loc, Log: log, Measures: p.measures,
	}
	p.feed = &realtime.Feed{
		Source: p.history, Sequencer: eventlog.NewSequencer(base.alone, p.listener, log, db.Consumers()...), Bus: p.bus, Metrics: metrics, Occupancy: p.occupancy,
		Location: loc, Wakes: p.listener.Wakes(), Access: p.streams.Recheck, Exchange: p.exchange, Skips: realtime.NewSkips(log), Log: log, Measures: p.measures,
		Notifier: p.notifier, Notifications: notifications, Disconnect: p.streams.Disconnect,
	}
	p.triggers = &realtime.Triggers{Source: db.NewTriggerWatch(base.alone), Log: log, Reshaped: func(ctx context.Context) error {
		_, err := store.Reshape(ctx)
		if err == nil { // whatever was computed by the former shape
			metrics.ChangedAll()
			p.occupancy.ChangedAll()
		}
		return err
	}, Hidden: store.CheckRowSecurity}
	leading := p.feed.Leading
	p.services = []api.Service{p.listener, p.exchange, p.feed, metrics, p.occupancy, p.notifier, notifications,
		&realtime.ProjectionMaintainer{Projection: db.NewProjection(store), Clock: clock, Leading: leading, Log: log},
		&realtime.TrendMaintainer{Keeper: db.NewTrendKeeper(store), Clock: clock, Leading: leading, Log: log},
		&realtime.CountsMaintainer{Counts: notices, Leading: leading, Log: log},
		p.triggers, p.dbClock, &realtime.Prober{Leading: leading, Probe: p.history.Probe, Log: log},
		&realtime.Retention{Log: p.history, Keep: c.EventRetention, Errors: log}}
	return p, nil
}

// wire puts the parts together, from the log on the left to the routes on the right.
func (c *serveCommand) wire(ctx context.Context, s *Settings, base *database, secret []byte, loc *time.Location, outside outside, log *slog.Logger) (*api.Server, error) {
	store, err := db.NewStore(ctx, base.pool, loc)
	if err != nil {
		return nil, err
	}
	if base.direct == base.url {
		if err := store.Prepare(ctx); err != nil {
			log.Warn("queries are planned each time they are asked", "error", err)
		}
	}
	tokens, issuers, err := s.tokens(ctx, secret, store, log)
	if err != nil {
		return nil, err
	}
	p, err := c.pipeline(ctx, base, store, tokens, loc, outside.channels, log)
	if err != nil {
		return nil, err
	}
	server := c.surface(s, p, base, tokens, outside.network.limiter, log)
	outside.channels.serve(server, store, log)
	server.Memory = &api.Memory{Shedder: shedder{p.streams, p.bus}, Log: log}
	server.Services = append(append(server.Services, server.Memory), issuers...)
	if outside.redis == nil {
		return server, nil
	}
	others := cluster{outside.redis, outside.network.limiter}
	return server, others.join(ctx, server, p.listener, p.feed, p.exchange, s.Schema, log)
}

// surface puts together what clients and operators get of a pipeline.
func (c *serveCommand) surface(s *Settings, p *pipeline, base *database, tokens *api.Tokens, limiter *api.Limiter, log *slog.Logger) *api.Server {
	store, sessions, now := p.store, db.NewSessions(p.store), realtime.SystemClock{}.Now
	invalidator := handlers.NewInvalidator(store)
	accesses := handlers.NewAccessCache(store, invalidator)
	snapshot := &handlers.Snapshot{
		Present: store, Accounts: accesses, Invalidator: invalidator,
		MetricsCache: handlers.NewMetricsCache(invalidator), Calendars: store, CalendarCache: handlers.NewCalendarCache(invalidator),
		Rollups: store, TrendsCache: handlers.NewTrendsCache(invalidator), History: p.history, Bus: p.bus, Now: now, Log: log,
	}
	revision, _ := built()
	build := api.Build{Version: version, Commit: revision, GoVersion: runtime.Version()}
	server := &api.Server{
		Snapshot:      snapshot,
		Notifications: &handlers.Notifications{Directory: store, Register: store, Snapshot: snapshot, Log: log},
		Feeds:         &handlers.Feeds{Accounts: store, Register: store, Reader: store, Link: c.BookingURL, Now: now, Refused: limiter.CountRefused, Log: log},
		Stream:        p.streams, Tokens: tokens, Directory: store, Sessions: sessions, Members: &handlers.Members{Directory: store, Register: store, Log: log},
		TokenCookies: named(s.JWTCookie), OpenAPI: s.openAPI, Log: log, Journal: db.NewJournal(base.pool, log),
		Services: append(p.services, &realtime.Sweeper{Sessions: sessions, Log: log}),
		Checks: map[string]func() bool{"database": answers(base.pool), "listener": p.listener.Proven, "feed": p.feed.Ready, "triggers": p.triggers.Ready,
			"occupancy": p.occupancy.Ready, "notifications": p.notifier.Ready},
		Details: map[string]func() string{"notifications": p.notifier.Detail},
		Cut:     base.dialer.Close, Supervisor: supervisor(log, p.feed.Rounds, p.streams.Ticks),
		Collectors: []stats.Collector{p.measures, p.bus, store, sessions, p.history, accesses, snapshot.MetricsCache,
			snapshot.CalendarCache, snapshot.TrendsCache, db.Pools{base.pool, base.alone}, build},
		Operations: &api.Operations{
			Token: c.AdminToken, Progress: func() (int64, bool) { return p.bus.Head(), p.feed.Leading() }, Offset: p.dbClock.Offset,
			Disconnect: p.history.Disconnect, EndSessions: sessions.EndAll, Build: build,
		},
		Flush: c.flush, DrainDelay: c.DrainDelay, DrainTime: c.DrainTime, SitePaths: web.RootPaths(),
	}
	p.streams.OnOpen = server.NoteStream
	server.Services = append(server.Services, server.Journal, api.PartsWatch{Server: server})
	return server
}

// newExchange returns what tells the other servers of numbered batches, and hears what they tell.
func newExchange(ctx context.Context, history *eventlog.Log, listener *db.Listener, base *database, log *slog.Logger) (*realtime.Exchange, error) {
	state, err := history.State(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := seal.New(state.Secret)
	if err != nil {
		return nil, err
	}
	exchange := realtime.NewExchange(keys, realtime.Notify{Send: db.NewNotifier(base.pool, listener).Notify, Limit: db.MaxNotified}, log)
	listener.Received, listener.Announced = exchange.Receive, exchange.Announced
	return exchange, nil
}
