// Package api is the surface of the server: routes, who may enter, headers, and the order of start and stop.
//
// It promises that every error is application/problem+json, that no token reaches a log, and that a stop says goodbye to
// everybody. It knows nothing of SQL, of what events contain, or of frames.
package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/cors"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// Router returns the public routes.
func (s *Server) Router() chi.Router {
	r := chi.NewRouter()
	r.Use(s.identify, s.recoverer, s.securityHeaders, s.keepPace, middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		handlers.RespondProblem(w, http.StatusNotFound, "there is nothing at this address: see /docs", "")
	})
	r.MethodNotAllowed(methodNotAllowed(r))

	r.Group(func(r chi.Router) {
		r.Use(s.limitAddresses)
		r.Method(http.MethodGet, "/", s.Site)
		r.Method(http.MethodGet, "/client/*", s.Site)
		r.Method(http.MethodGet, "/docs", s.Site)
		r.Method(http.MethodGet, "/docs/client", s.Site)
		r.Get("/openapi.yaml", s.openAPI)
		r.Get("/openapi.json", s.openAPIJSON())
		r.Get("/healthz", s.healthz)
		r.Get("/readyz", s.readyz)
	})

	r.Route("/api", func(r chi.Router) {
		r.Use(s.cors(), privateResource, refuseAddressTokens, s.checkOrigin, s.limitAddresses)
		if s.Tokens.signs() {
			r.Post("/auth/login", s.login)
			r.Post("/auth/refresh", s.refresh)
		}
		r.Post("/auth/logout", s.logout)
		if s.Demo != nil {
			r.Post("/auth/demo", s.demo)
		}
		r = r.With(s.authenticate, s.limitUsers)
		r.Get("/ws", s.Stream.ServeWebSocket)
		r.Get("/sse", s.Stream.ServeEvents)
		r.Route("/owners/{ownerId}", func(r chi.Router) {
			r.Get("/metrics", s.Snapshot.Metrics)
			r.Get("/events", s.Snapshot.Events)
			r.Get("/bookings", s.Snapshot.Bookings)
			r.Get("/listings", s.Snapshot.Listings)
			r.Get("/members", s.Members.List)
			r.Post("/members", s.Members.Add)
			r.Patch("/members/{userId}", s.Members.Change)
			r.Delete("/members/{userId}", s.Members.Remove)
		})
		r.Get("/auth/me", s.me)
		r.Post("/auth/ticket", s.ticket)
	})
	return r
}

// cors lets the pages of ALLOWED_ORIGINS read answers (Fetch Standard, section 3.2).
func (s *Server) cors() func(http.Handler) http.Handler {
	if len(s.AllowedOrigins) == 0 {
		return func(next http.Handler) http.Handler { return next }
	}
	return cors.Handler(cors.Options{
		AllowedOrigins:   s.AllowedOrigins,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:   []string{"Authorization", "Content-Type", "Last-Event-ID"},
		ExposedHeaders:   []string{"Last-Event-ID", "Retry-After"},
		AllowCredentials: true,
		MaxAge:           600,
	})
}
