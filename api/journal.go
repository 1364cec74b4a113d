package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// journaled keeps what was changed about who sees an account: the route and its ids, nothing of the
// body.
func (s *Server) journaled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(wrapped, r)
		if status := wrapped.Status(); status >= http.StatusMultipleChoices {
			return
		}
		viewer, _ := handlers.ViewerFrom(r.Context())
		route := chi.RouteContext(r.Context())
		detail := r.Method + " " + route.RoutePattern()
		for i, key := range route.URLParams.Keys {
			if key != "*" && key != "ownerId" {
				detail = strings.ReplaceAll(detail, "{"+key+"}", route.URLParams.Values[i])
			}
		}
		c := clientOf(r.Context())
		s.Journal.Note(db.Entry{Kind: db.JournalMembers, UserID: viewer.UserID, OwnerID: chi.URLParam(r, "ownerId"), Network: c.address, Port: c.port, Detail: detail})
	})
}

// NoteStream keeps that a user has opened a stream.
func (s *Server) NoteStream(ctx context.Context, userID, ownerID string) {
	c := clientOf(ctx)
	s.Journal.NoteStream(db.Entry{UserID: userID, OwnerID: ownerID, Network: c.address, Port: c.port})
}
