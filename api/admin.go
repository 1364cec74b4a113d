package api

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// maxProfileSeconds is the longest profile or trace that may be asked for.
const maxProfileSeconds = 60

// AdminRouter returns the routes for operators: Prometheus, pprof and health. A browser's page of
// another site gets nothing here. The command line is not shown: it may hold secrets.
func (s *Server) AdminRouter() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), exporter{s})
	r := chi.NewRouter()
	r.Use(s.identify, s.identifyRequests, s.recoverer, s.securityHeaders, s.checkHost, refuseOtherSites, serving, middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		handlers.RespondProblem(w, http.StatusNotFound, "there is nothing at this address: see /metrics and /debug/pprof/", "")
	})
	r.MethodNotAllowed(methodNotAllowed(r))
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	r.Get("/healthz", healthz)
	r.Get("/readyz", s.readyz)
	r.Route("/debug/pprof", func(r chi.Router) {
		r.Use(s.requireAdminToken, boundSeconds)
		r.Get("/", pprof.Index)
		r.Get("/*", pprof.Index)
		r.Get("/profile", pprof.Profile)
		r.Get("/symbol", pprof.Symbol)
		r.Post("/symbol", pprof.Symbol)
		r.Get("/trace", pprof.Trace)
	})
	if s.Operations != nil {
		r.Get("/admin", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/admin/", http.StatusPermanentRedirect)
		})
		r.Route("/admin", s.operators)
	}
	return r
}

// refuseOtherSites refuses what a browser sends for a page of another site (W3C Fetch Metadata).
func refuseOtherSites(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		switch site := r.Header.Get("Sec-Fetch-Site"); {
		case isHealth(r):
		case site != "" && site != "same-origin" && site != "none", origin != "" && !strings.HasSuffix(origin, "://"+r.Host):
			handlers.RespondProblem(w, http.StatusForbidden, "this is for operators: open it by its own address, not from another page", "Sec-Fetch-Site")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// boundSeconds refuses profiles and traces that would go on for longer than maxProfileSeconds. What
// else pprof would read the number from is taken away.
func boundSeconds(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, text := range r.URL.Query()["seconds"] {
			seconds, err := strconv.ParseFloat(text, 64)
			if err != nil || !(seconds >= 0 && seconds <= maxProfileSeconds) { // NaN is neither
				handlers.RespondProblem(w, http.StatusBadRequest,
					"seconds may be a number up to "+strconv.Itoa(maxProfileSeconds), "seconds")
				return
			}
		}
		if r.Method == http.MethodGet {
			r.Body = http.NoBody
			r.Header.Del("Content-Type")
		}
		next.ServeHTTP(w, r)
	})
}
