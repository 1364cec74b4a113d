package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

const (
	// DefaultDrainTime is over how long goodbyes are spread where no setting says so, and at least
	// where it is found by the number of connections: drainRate of them a second.
	DefaultDrainTime = 3 * time.Second
	drainRate        = 2000
	// StopTime is how long a stop may take after DrainDelay and DrainTime. Sessions and requests
	// have endTime of it, the services servicesTime.
	StopTime = 12 * time.Second
	endTime  = 8 * time.Second
	// servicesTime is how long the parts have to end by themselves, after everything else.
	servicesTime = 2 * time.Second
	// maxHeader is the most bytes of a request's head: a token of maxToken, perhaps twice (a stale
	// cookie beside the header), and what else browsers send.
	maxHeader = 40 << 10
	// pingTimeout is how long an HTTP/2 peer may take to give a sign of life, or to take
	// a single byte.
	pingTimeout = 15 * time.Second
	// maxStreams is how many requests an HTTP/2 connection may have under way (RFC 9113, section
	// 6.5.2). Those that it cancels while they are being served count: the library ends a
	// connection that floods so.
	maxStreams = 100
	// receiveWindow is how much of its requests' bodies an HTTP/2 connection may send
	// before we have read them.
	receiveWindow = 64 << 10
)

// Service is something that runs as long as the server does. It leaves nothing behind
// when its context ends.
type Service interface {
	Run(ctx context.Context) error
}

// Server is the surface of the program, and the order of its start and stop.
type Server struct {
	Snapshot *handlers.Snapshot
	Stream   *stream.Server
	Site     http.Handler
	// SitePaths are those of Site beside / and what lies below /client/ and /docs.
	SitePaths     []string
	Tokens        *Tokens
	Directory     handlers.Directory
	Sessions      *db.Sessions
	Members       *handlers.Members
	Feeds         *handlers.Feeds
	Notifications *handlers.Notifications
	Push          *handlers.Push
	Sent          *handlers.Sent
	Unsubscribe   *handlers.Unsubscribe
	Demo          handlers.Demo // nil: no demo
	// AllowedOrigins, TrustedProxies and LimitExempt are the policy until Replace.
	AllowedOrigins []string
	// names of cookies of the portal that may carry a token, in the order in which they count
	TokenCookies   []string
	OpenAPI        []byte
	TLS            *tls.Config // nil: plain HTTP
	TrustedProxies Networks
	LimitExempt    Networks // no limit per user or address counts them
	// beside addresses and localhost; of the public port where CheckHost says so
	AllowedHosts Hosts
	CheckHost    bool     // on the public port; the admin port always does
	PublicURL    string   // this server as its users reach it; empty where nobody said
	Limiter      *Limiter // nil: no limits
	Timeouts     Timeouts
	Memory       *Memory
	Operations   *Operations // nil: none but metrics, pprof and health
	Journal      *db.Journal // nil: nothing is kept
	Supervisor   *Supervisor // nil: nobody is told
	Log          *slog.Logger

	// DrainDelay is for how long a stop only makes /readyz say so, while everything goes on: until
	// balancers have noticed. DrainTime is over how long goodbyes are spread then; 0 finds it by
	// the number of connections.
	DrainDelay, DrainTime time.Duration

	// Services are started before the first request is served and stopped after the last,
	// in the reverse order. Those that are stats.Collectors stand among the server's metrics.
	Services []Service
	// Collectors stand among the server's metrics without being services.
	Collectors []stats.Collector
	// Checks say whether something that serving needs works.
	Checks map[string]func() bool
	// Hints say the same of what a server can do without: it is degraded then, and serves.
	Hints map[string]func() bool
	// Details say more of a part that works; empty where there is nothing to say.
	Details map[string]func() string
	// Flush sends what is to be reported before a crash. May be nil.
	Flush func()
	// Cut ends whatever still waits for the database: a dead network would have it wait
	// for ever. May be nil.
	Cut func()

	replaced atomic.Pointer[Policy]
	stopping atomic.Bool
	table    *connTable // of the public port, once it serves
	// untrusted and undeclared have a badly set up proxy told about now and then.
	untrusted, undeclared rate.Sometimes
}

// Listen opens an address, or says what to do about it.
func Listen(address, setting string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program: stop that, or give %s another address", address, setting)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// Serve runs everything until ctx ends or a service fails, and then stops in order: /readyz says so
// for DrainDelay; goodbyes are spread over DrainTime; the sessions, the requests and the services
// end. That takes DrainDelay, DrainTime and StopTime at most. admin may be nil.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener) error {
	s.tellPanics()
	s.Stream.Start()
	parts, stopParts := context.WithCancel(context.Background())
	defer stopParts()
	var group errgroup.Group
	broken, fail := context.WithCancelCause(context.Background()) // by a service that failed
	defer fail(nil)
	running, stop := context.WithCancel(ctx)
	defer context.AfterFunc(broken, stop)()
	defer stop()
	run := func(name string, do func() error) {
		group.Go(func() error {
			defer crash.Report(name)
			if err := do(); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				fail(err)
				return err
			}
			return nil
		})
	}
	for _, part := range s.Services {
		run(fmt.Sprintf("%T", part), func() error { return part.Run(parts) })
	}
	servers := []*http.Server{s.httpServer(s.Router())}
	s.connections().guard(servers[0])
	listeners := []net.Listener{public}
	if s.TLS != nil {
		listeners[0] = tls.NewListener(public, s.TLS)
	}
	if admin != nil {
		servers, listeners = append(servers, s.httpServer(s.AdminRouter())), append(listeners, admin)
		newConnTable(adminConnections, s.Log).guard(servers[1])
	}
	for i, server := range servers {
		run("serve "+listeners[i].Addr().String(), func() error {
			if err := server.Serve(listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}

	s.supervise(running)
	<-running.Done()
	s.stop(broken, servers)
	stopParts()
	if s.Cut != nil {
		defer time.AfterFunc(servicesTime, s.Cut).Stop()
	}
	err := group.Wait()
	s.Log.Info("stopped")
	return err
}

// stop ends everything but the services. broken is done where one of them has failed.
func (s *Server) stop(broken context.Context, servers []*http.Server) {
	s.stopping.Store(true)
	s.announceStop()
	s.Log.Info("stopping")
	select {
	case <-time.After(s.DrainDelay):
	case <-broken.Done(): // there is nothing left to go on with
	}
	drain := drainTime(s.DrainTime, s.Stream.Connections())
	grace, cancel := context.WithTimeout(context.Background(), drain+endTime)
	defer cancel()
	s.Stream.Drain(grace, drain)
	if err := s.Stream.Shutdown(grace); err != nil {
		s.Log.Warn("some connections did not end in time", "error", err)
	}
	for _, server := range servers {
		if err := server.Shutdown(grace); err != nil {
			server.Close()
		}
	}
}

// drainTime returns over how long the goodbyes of so many connections are spread.
func drainTime(set time.Duration, connections int) time.Duration {
	if set > 0 {
		return set
	}
	return max(DefaultDrainTime, time.Duration(connections)*time.Second/drainRate)
}

// announceStop tells the supervisor that a stop has begun, and how long it may take (sd_notify(3)).
func (s *Server) announceStop() {
	if s.Supervisor == nil {
		return
	}
	most := s.DrainDelay + drainTime(s.DrainTime, s.Stream.Connections()) + StopTime
	s.Supervisor.Tell(fmt.Sprintf("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%d", most.Microseconds()))
}

// tellPanics has a panic of any part told before the process ends by it.
func (s *Server) tellPanics() {
	crash.Tell(func(part string, cause any, stack []byte) {
		s.Log.Error("a part of the server panicked", "part", part, "cause", cause, "stack", string(stack))
		if s.Flush != nil {
			s.Flush()
		}
	})
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	timeouts := s.Timeouts.orDefaults()
	server := &http.Server{
		Handler:   h,
		Protocols: protocols,
		// A client that is gone without a word shows by a ping that it does not answer.
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: timeouts.HTTP2Ping, PingTimeout: pingTimeout, WriteByteTimeout: pingTimeout,
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: receiveWindow, MaxReceiveBufferPerStream: receiveWindow,
		},
		// There is no WriteTimeout, which would cut streams: requestDeadlines bounds all
		// other answers.
		ReadHeaderTimeout: timeouts.Header,
		IdleTimeout:       timeouts.Idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	if s.Limiter != nil {
		server.ConnState = s.Limiter.countPeers(func(peer netip.Addr) bool {
			policy := s.policy()
			return policy.TrustedProxies.contain(peer) || policy.LimitExempt.contain(peer)
		})
	}
	return server
}

// connections returns what bounds the public port's connections.
func (s *Server) connections() *connTable {
	s.table = newConnTable(func() int {
		if s.Limiter == nil {
			return 0
		}
		return s.Limiter.limits.Load().MaxConnectionsWithoutStream
	}, s.Log)
	return s.table
}

// healthz says that the process lives.
func healthz(w http.ResponseWriter, _ *http.Request) {
	handlers.RespondJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readyz says whether the server can serve, and what is missing.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	status, word, parts := s.readiness()
	if status != http.StatusOK {
		w.Header().Set("Retry-After", "2")
	}
	handlers.RespondJSON(w, status, map[string]any{"status": word, "parts": parts})
}

// readiness returns what readyz answers: the status, its word, and how each part is.
func (s *Server) readiness() (status int, word string, parts map[string]string) {
	status, word = http.StatusOK, "ready"
	parts = make(map[string]string, len(s.Checks))
	for name, works := range s.Checks {
		parts[name] = "ok"
		if !works() {
			parts[name], status, word = "away", http.StatusServiceUnavailable, "not ready"
		}
	}
	for name, works := range s.Hints {
		parts[name] = "ok"
		if !works() {
			parts[name] = "away"
			if status == http.StatusOK {
				word = "degraded"
			}
		}
	}
	for name, detail := range s.Details {
		if parts[name] != "away" {
			parts[name] = cmp.Or(detail(), "ok")
		}
	}
	if status == http.StatusOK && s.Stream.Full() {
		word = "full"
	}
	if s.stopping.Load() {
		status, word = http.StatusServiceUnavailable, "stopping"
	}
	return status, word, parts
}
