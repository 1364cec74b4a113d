package api

import (
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// recoverer answers a request whose handler panicked, and logs where.
func (s *Server) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler {
				panic(cause)
			}
			s.Log.ErrorContext(r.Context(), "handler panicked", "route", routeOf(r), "path", handlers.LoggedPath(r.URL.Path), "cause", cause, "stack", string(debug.Stack()))
			if !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
				handlers.RespondProblem(w, http.StatusInternalServerError, "something went wrong on our side", "")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// routeOf returns the pattern of the route that a request came to, which names nobody.
func routeOf(r *http.Request) string {
	if routing := chi.RouteContext(r.Context()); routing != nil {
		return r.Method + " " + routing.RoutePattern()
	}
	return r.Method
}

// permissionsPolicy takes from the page what it never asks for (W3C Permissions Policy).
const permissionsPolicy = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), midi=(), payment=(), usb=()"

// dataHeaders go with every answer. They are those of data, which loads and runs nothing; the page
// sets its own Content-Security-Policy instead. All answers share the values: who wants others sets
// them, and adds none.
var dataHeaders = http.Header{
	"Content-Security-Policy":      {"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
	"Permissions-Policy":           {permissionsPolicy},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"X-Content-Type-Options":       {"nosniff"},
	"Referrer-Policy":              {"no-referrer"},
	"X-Frame-Options":              {"DENY"},
	"Cross-Origin-Resource-Policy": {"cross-origin"},
}

// securityHeaders sets dataHeaders, and has browsers stay with HTTPS where they use it.
func (s *Server) securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), dataHeaders)
		if s.secure(r) {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// privateResource keeps pages of others from embedding an answer (Fetch Standard, section 3.7):
// what they may read they ask for by CORS.
func privateResource(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// methods are those that a path may have, beside HEAD where there is GET.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete}

// methodNotAllowed says which methods a path has (RFC 9110, section 15.5.6), also to who asks by
// OPTIONS (section 9.3.7).
func methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range methods {
			if !routes.Match(chi.NewRouteContext(), method, routePath(r)) {
				continue
			}
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
		allowed = append(allowed, http.MethodOptions)
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		detail := "this address does not take this method: use " + strings.Join(allowed, " or ")
		handlers.RespondProblem(w, http.StatusMethodNotAllowed, detail, "")
	}
}

// routePath is the path that requests are routed by: as it was sent, where that is not
// its usual form.
func routePath(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.Path
}

// refuseMalformed refuses addresses that are no text, or not what they seem: a query that
// cannot be read, NUL, and what is not UTF-8 (RFC 3629). No parameter of ours has them,
// and no database holds them.
func refuseMalformed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isText(r.URL.Path) {
			handlers.RespondProblem(w, http.StatusBadRequest, "the path must be UTF-8 without control characters", "path")
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			handlers.RespondProblem(w, http.StatusBadRequest, "the query cannot be read: write it like ?limit=10&after=ID", "query")
			return
		}
		for name, values := range query {
			switch {
			case !isText(name):
				name = "query"
			case !slices.ContainsFunc(values, func(value string) bool { return !isText(value) }):
				continue
			}
			handlers.RespondProblem(w, http.StatusBadRequest, "the query must be UTF-8 without control characters", name)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
