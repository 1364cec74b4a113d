// Package api is the surface of the server: routes, who may enter, headers, and the order
// of start and stop.
//
// It promises that every error is application/problem+json, that no token reaches a log, and that a
// stop says goodbye to everybody. It knows nothing of SQL, of what events contain, or of frames.
package api

import (
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/cors"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// Router returns the public routes.
func (s *Server) Router() chi.Router {
	r := chi.NewRouter()
	r.Use(s.identify, s.identifyRequests, s.recoverer, s.securityHeaders)
	if s.CheckHost {
		r.Use(s.checkHost)
	}
	r.Use(s.requestDeadlines, refuseMalformed, serving, middleware.GetHead)
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
		for _, path := range s.SitePaths {
			r.Method(http.MethodGet, path, s.Site)
		}
		r.Get("/unsubscribe", s.Unsubscribe.Page)
		r.Post("/unsubscribe", s.Unsubscribe.End)
		r.With(compress).Get("/openapi.yaml", s.openAPI())
		r.With(compress).Get("/openapi.json", s.openAPIJSON())
		r.With(compress).Get(handlers.FeedPath+"{token}.ics", s.Feeds.Serve)
		r.Get("/healthz", healthz)
		r.Get("/readyz", s.readyz)
	})

	r.Route("/api", func(r chi.Router) {
		r.Use(s.cors(), privateResource, refuseAddressTokens, s.withCredential, s.checkOrigin, s.limitAddresses)
		signIn := s.signIn()
		if s.Tokens.signs() {
			r.Post("/auth/login", signIn.Login)
			r.Post("/auth/refresh", signIn.Refresh)
		}
		r.Post("/auth/logout", signIn.Logout)
		if s.Demo != nil {
			r.Post("/auth/demo", signIn.SignInToDemo)
		}
		r = r.With(s.refuseStopping, s.authenticate, s.limitUsers)
		r.Get("/ws", s.Stream.ServeWebSocket)
		r.Get("/sse", s.Stream.ServeEvents)
		r.Route("/owners/{ownerId}", s.ownerRoutes)
		r.Get("/auth/me", signIn.Me)
		r.With(s.journaled).Post("/me/invitations/{invitationId}", s.Members.Answer)
		r.Get("/me/notifications", s.Notifications.Settings)
		r.Patch("/me/notifications", s.Notifications.ChangeSettings)
		r.Get("/me/notifications/counts", s.Notifications.Counts)
		r.Post("/auth/ticket", signIn.Ticket)
		r.Get("/me/notifications/deliveries", s.Sent.List)
		r.Patch("/me/notifications/deliveries/{deliveryId}", s.Sent.Open)
		r.Get("/push/key", s.Push.Key)
		r.Get("/push/subscriptions", s.Push.List)
		r.Post("/push/subscriptions", s.Push.Add)
		r.Delete("/push/subscriptions/{subscriptionId}", s.Push.Remove)
		r.Post("/push/test", s.Push.Test)
	})
	return r
}

// ownerRoutes are those of an owner account.
func (s *Server) ownerRoutes(r chi.Router) {
	r.Use(compress)
	r.Get("/metrics", s.Snapshot.Metrics)
	r.Get("/overview", s.Snapshot.Overview)
	r.Get("/events", s.Snapshot.Events)
	r.Get("/bookings", s.Snapshot.Bookings)
	r.Get("/bookings/{bookingId}", s.Snapshot.Booking)
	r.Get("/listings", s.Snapshot.Listings)
	r.Get("/calendar", s.Snapshot.Calendar)
	r.Get("/trends", s.Snapshot.Trends)
	r.Get("/calendar/feeds", s.Feeds.List)
	r.Post("/calendar/feeds", s.Feeds.Add)
	r.Delete("/calendar/feeds/{feedId}", s.Feeds.Revoke)
	r.Get("/notifications", s.Notifications.List)
	r.Patch("/notifications/{notificationId}", s.Notifications.Patch)
	r.Post("/notifications/read", s.Notifications.Read)
	r.Post("/notifications/seen", s.Notifications.See)
	r.Post("/notifications/cleared", s.Notifications.Clear)
	r.Get("/notifications/preferences", s.Notifications.Preferences)
	r.Patch("/notifications/preferences", s.Notifications.ChangePreferences)
	r.Get("/notifications/rules", s.Notifications.Rules)
	r.Patch("/notifications/rules", s.Notifications.ChangeRules)
	r.Get("/members", s.Members.List)
	r.With(s.journaled).Post("/members", s.Members.Invite)
	r.Get("/invitations", s.Members.ListInvitations)
	r.With(s.journaled).Delete("/invitations/{invitationId}", s.Members.Withdraw)
	r.With(s.journaled).Patch("/members/{userId}", s.Members.Change)
	r.With(s.journaled).Delete("/members/{userId}", s.Members.Remove)
}

// cors lets the pages of ALLOWED_ORIGINS read answers (Fetch Standard, section 3.2). Where there
// are none it does nothing.
func (s *Server) cors() func(http.Handler) http.Handler {
	share := cors.Handler(cors.Options{
		AllowOriginFunc:  func(_ *http.Request, page string) bool { return s.policy().allows(page) },
		AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:   slices.Concat(credentialHeaders, []string{"Content-Type", "If-None-Match", "Last-Event-ID"}),
		ExposedHeaders:   []string{"ETag", "Last-Event-ID", "Retry-After"},
		AllowCredentials: true,
		MaxAge:           600,
	})
	return func(next http.Handler) http.Handler {
		shared := share(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(s.policy().AllowedOrigins) == 0 {
				next.ServeHTTP(w, r)
				return
			}
			shared.ServeHTTP(w, r)
		})
	}
}

// signIn puts together what serves sessions.
func (s *Server) signIn() *handlers.SignIn {
	return &handlers.SignIn{
		Account:   handlers.Account{Directory: s.Directory, Sessions: s.Sessions, Tokens: s.Tokens, Demo: s.Demo, Log: s.Log},
		Passwords: handlers.NewPasswords(s.Sessions),
		Cookies:   cookies{s},
		Devices:   cookies{s},
		MAC:       handlers.NewMAC(s.Tokens.secret),
		Recognise: s.recognise,
		Network: func(r *http.Request) handlers.Network {
			key := clientOf(r.Context()).key
			return handlers.Network{Narrow: key, Site: siteKey(key)}
		},
		Limit:   s.limitUser,
		Refused: s.Limiter.CountRefused,
		Noted: func(r *http.Request, userID string) {
			kind := db.JournalSignIn
			if userID == "" {
				kind = db.JournalFailed
			}
			c := clientOf(r.Context())
			s.Journal.Note(db.Entry{Kind: kind, UserID: userID, Network: c.address, Port: c.port})
		},
	}
}
