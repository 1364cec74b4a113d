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

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// DrainTime is over how long goodbyes are spread, and GraceTime how long a stop may take in all.
	DrainTime = 3 * time.Second
	GraceTime = 15 * time.Second
	// headerTimeout bounds how long a client may take to send a request's head, and maxHeader its size.
	headerTimeout = 10 * time.Second
	maxHeader     = 16 << 10
	idleTimeout   = 2 * time.Minute
	// pingAfter is how long an HTTP/2 connection may be silent before it is asked for a sign of life, and pingTimeout how
	// long that may take.
	pingAfter   = 20 * time.Second
	pingTimeout = 15 * time.Second
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
	Demo           Demo // nil: no demo
	AllowedOrigins []string
	OpenAPI        []byte
	TLS            *tls.Config // nil: plain HTTP
	Log            *slog.Logger

	// Running are started before the first request is served and stopped after the last, in the reverse order.
	Running []Part
	// Parts say whether something that serving needs works.
	Parts map[string]func() bool
	// Health returns what the triggers are up to.
	Health func() db.Health

	stopping atomic.Bool
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
	err := group.Wait()
	s.Log.Info("stopped")
	return err
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:   h,
		Protocols: protocols,
		// A client that is gone without a word shows by a ping that it does not answer.
		HTTP2:             &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
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
