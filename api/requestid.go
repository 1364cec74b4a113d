package api

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// givenID is an id of a request that a trusted proxy may give.
var givenID = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// Ids of requests are a part drawn for the process, and a number.
var (
	processID = rand.Text()[:8]
	requests  atomic.Uint64
)

type requestIDKey struct{}

// identifyRequests gives each request an id, which stands in its answer, in a problem and in what
// is logged of it. X-Request-ID counts only from TRUSTED_PROXIES. At the level debug each request
// is logged.
func (s *Server) identifyRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(handlers.RequestIDHeader)
		if !givenID.MatchString(id) || !s.policy().TrustedProxies.contain(peerOf(r.RemoteAddr)) {
			id = processID + "-" + strconv.FormatUint(requests.Add(1), 36)
		}
		w.Header().Set(handlers.RequestIDHeader, id)
		ctx := context.WithValue(r.Context(), requestIDKey{}, id)
		r = r.WithContext(ctx)
		if !s.Log.Enabled(ctx, slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		begun := time.Now()
		if isStream(r) { // taken over from the library; how it goes on the stream logs
			next.ServeHTTP(w, r)
			s.Log.DebugContext(ctx, "request", "method", r.Method, "path", handlers.LoggedPath(r.URL.Path), "duration", time.Since(begun))
			return
		}
		wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(wrapped, r)
		s.Log.DebugContext(ctx, "request", "method", r.Method, "path", handlers.LoggedPath(r.URL.Path), "route", routeOf(r), "status", wrapped.Status(),
			"bytes", wrapped.BytesWritten(), "duration", time.Since(begun))
	})
}

// WithRequestIDs returns a handler that adds the id of the request that a record is about.
func WithRequestIDs(next slog.Handler) slog.Handler { return requestIDs{next} }

type requestIDs struct{ slog.Handler }

// Handle implements slog.Handler.
func (h requestIDs) Handle(ctx context.Context, record slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		record = record.Clone()
		record.AddAttrs(slog.String("request", id))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h requestIDs) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestIDs{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h requestIDs) WithGroup(name string) slog.Handler { return requestIDs{h.Handler.WithGroup(name)} }
