package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// DrainTime is over how long goodbyes are spread, and GraceTime how long a stop may take in all.
	DrainTime = 3 * time.Second
	GraceTime = 15 * time.Second
	// partsTime is how long the parts have to end by themselves, after everything else.
	partsTime = 2 * time.Second
	// maxHeader is the most bytes of a request's head.
	maxHeader = 16 << 10
	// pingTimeout is how long an HTTP/2 peer may take to give a sign of life, or to take a single byte.
	pingTimeout = 15 * time.Second
	// maxStreams is how many requests an HTTP/2 connection may have under way (RFC 9113, section 6.5.2). Those that it
	// cancels while they are being served count: the library ends a connection that floods so.
	maxStreams = 100
	// receiveWindow is how much of its requests' bodies an HTTP/2 connection may send before we have read them.
	receiveWindow = 64 << 10
)

// Part is something that runs as long as the server does. It leaves nothing behind when its context ends.
type Part interface {
	Run(ctx context.Context) error
}

// Server is the surface of the program, and the order of its start and stop.
type Server struct {
	Snapshot       *handlers.Snapshot
	Stream         *handlers.Stream
	Site           http.Handler
	Tokens         *Tokens
	Directory      Directory
	Sessions       *db.Sessions
	Members        *handlers.Members
	Demo           Demo // nil: no demo
	AllowedOrigins []string
	OpenAPI        []byte
	TLS            *tls.Config // nil: plain HTTP
	TrustedProxies Proxies
	Gate           *Gate // nil: no limits
	Timeouts       Timeouts
	Log            *slog.Logger

	// Running are started before the first request is served and stopped after the last, in the reverse order.
	Running []Part
	// Parts say whether something that serving needs works.
	Parts map[string]func() bool
	// Health returns what the triggers are up to.
	Health func() db.Health
	// Cut ends whatever still waits for the database: a dead network would have it wait for ever. May be nil.
	Cut func()

	stopping atomic.Bool
	// distrust and undeclared have a badly set up proxy told about now and then.
	distrust, undeclared rate.Sometimes
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

// Serve runs everything until ctx ends or a part fails, and then stops in order: no new connections; goodbyes, spread over
// DrainTime; the sessions; the requests; the parts. admin may be nil.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener) error {
	s.Stream.Start()
	parts, stopParts := context.WithCancel(context.Background())
	defer stopParts()
	var group errgroup.Group
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	run := func(name string, do func() error) {
		group.Go(func() error {
			if err := do(); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				fail(err)
				return err
			}
			return nil
		})
	}
	for _, part := range s.Running {
		run(fmt.Sprintf("%T", part), func() error { return part.Run(parts) })
	}
	servers := []*http.Server{s.httpServer(s.Router())}
	listeners := []net.Listener{public}
	if s.TLS != nil {
		listeners[0] = tls.NewListener(public, s.TLS)
	}
	if admin != nil {
		servers, listeners = append(servers, s.httpServer(s.AdminRouter())), append(listeners, admin)
	}
	for i, server := range servers {
		run("serve "+listeners[i].Addr().String(), func() error {
			if err := server.Serve(listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}

	<-failed.Done()
	s.stopping.Store(true)
	s.Log.Info("stopping")
	grace, cancel := context.WithTimeout(context.Background(), GraceTime)
	defer cancel()
	s.Stream.Drain(grace, DrainTime)
	if err := s.Stream.Shutdown(grace); err != nil {
		s.Log.Warn("some connections did not end in time", "error", err)
	}
	for _, server := range servers {
		if err := server.Shutdown(grace); err != nil {
			server.Close()
		}
	}
	stopParts()
	if s.Cut != nil {
		defer time.AfterFunc(partsTime, s.Cut).Stop()
	}
	err := group.Wait()
	s.Log.Info("stopped")
	return err
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
		// There is no WriteTimeout, which would cut streams: keepPace bounds all other answers.
		ReadHeaderTimeout: timeouts.Header,
		IdleTimeout:       timeouts.Idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	if s.Gate != nil {
		server.ConnState = s.Gate.watch(s.TrustedProxies)
	}
	return server
}

// healthz says that the process lives.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	handlers.RespondJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readyz says whether the server can serve, and what is missing.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	status, word := http.StatusOK, "ready"
	parts := make(map[string]string, len(s.Parts))
	for name, works := range s.Parts {
		parts[name] = "ok"
		if !works() {
			parts[name], status, word = "away", http.StatusServiceUnavailable, "not ready"
		}
	}
	if s.stopping.Load() {
		status, word = http.StatusServiceUnavailable, "stopping"
	}
	if status != http.StatusOK {
		w.Header().Set("Retry-After", "2")
	}
	handlers.RespondJSON(w, status, map[string]any{"status": word, "parts": parts})
}
