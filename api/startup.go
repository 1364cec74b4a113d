package api

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

// ServeNotReady answers on listeners while the server cannot begin yet: it is alive, and not ready.
// The returned function ends that and leaves the listeners open for Serve.
func ServeNotReady(listeners ...net.Listener) (end func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	const why = "the server waits for its database: try again shortly"
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// an EventSource never returns after a 503
		if r.URL.Path == "/api/sse" && !sendsCredential(r) {
			stream.Postpone(w, why)
			return
		}
		handlers.RespondProblem(w, http.StatusServiceUnavailable, why, "")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: Timeouts{}.orDefaults().Header, MaxHeaderBytes: maxHeader}
	server.SetKeepAlivesEnabled(false) // the next request is the real server's
	newConnTable(adminConnections, slog.New(slog.DiscardHandler)).guard(server)
	done := make(chan struct{}, len(listeners))
	for _, l := range listeners {
		go func() {
			defer crash.Report("answers before the start")
			server.Serve(borrowed{l})
			done <- struct{}{}
		}()
	}
	return func() {
		server.Close()
		for range listeners {
			<-done
		}
		for _, l := range listeners {
			interrupt(l, time.Time{})
		}
	}
}

// borrowed is a listener that stays open when it is closed: what waits in Accept is interrupted.
type borrowed struct{ net.Listener }

// Close implements net.Listener.
func (b borrowed) Close() error {
	interrupt(b.Listener, time.Now())
	return nil
}

func interrupt(l net.Listener, at time.Time) {
	if tcp, ok := l.(*net.TCPListener); ok {
		tcp.SetDeadline(at)
	}
}
