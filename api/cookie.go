package api

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// tokenCookie is the cookie that carries an access token, and refreshCookie the one that carries a refresh token.
	tokenCookie   = "jwt"
	refreshCookie = "hangarshare_refresh"
	// refreshPath is where a browser sends the refresh token to.
	refreshPath = "/api/auth"
)

// byCookie reports whether a request says by cookie who is asking. What has the header Authorization was sent by a script
// that CORS let through, or by no browser.
func byCookie(r *http.Request) bool {
	if r.Header.Get("Authorization") != "" {
		return false
	}
	for _, name := range []string{tokenCookie, refreshCookie} {
		if _, err := r.Cookie(name); err == nil {
			return true
		}
	}
	return false
}

// checkOrigin refuses a WebSocket, and any request that signs in by cookie, from a page that is not ours. A request
// without an Origin is no browser's.
func (s *Server) checkOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isUpgrade(r) && !s.originAllowed(r) {
			refuseOrigin(w)
			return
		}
		if byCookie(r) && !s.trustCookie(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// trustCookie reports whether a request that uses cookies, or asks for them, was meant by whoever sent it; otherwise it has
// answered. Another site's page can send a post by a form, but not as application/json.
func (s *Server) trustCookie(w http.ResponseWriter, r *http.Request) bool {
	if !s.originAllowed(r) {
		refuseOrigin(w)
		return false
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method == http.MethodPost && (err != nil || kind != "application/json") {
		w.Header().Set("Accept-Post", "application/json")
		handlers.RespondProblem(w, http.StatusUnsupportedMediaType,
			"a post with cookies must be sent as Content-Type: application/json", "Content-Type")
		return false
	}
	return true
}

// setCookies gives a browser its tokens where its scripts cannot read them. Cookies of another site's requests stay away.
func (s *Server) setCookies(w http.ResponseWriter, r *http.Request, token, refresh string) {
	http.SetCookie(w, s.cookie(r, tokenCookie, token, "/", accessLifetime))
	http.SetCookie(w, s.cookie(r, refreshCookie, refresh, refreshPath, refreshLifetime))
}

// clearCookies takes the tokens away again.
func (s *Server) clearCookies(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, s.cookie(r, tokenCookie, "", "/", -time.Second))
	http.SetCookie(w, s.cookie(r, refreshCookie, "", refreshPath, -time.Second))
}

func (s *Server) cookie(r *http.Request, name, value, path string, lifetime time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: int(lifetime.Seconds()),
		HttpOnly: true, Secure: s.secure(r), SameSite: http.SameSiteStrictMode,
	}
}

func refuseOrigin(w http.ResponseWriter) {
	handlers.RespondProblem(w, http.StatusForbidden,
		"this page may not connect: the operator can add its origin to ALLOWED_ORIGINS", "Origin")
}

func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return r.Header.Get("Sec-Fetch-Site") != "cross-site"
	}
	for _, allowed := range s.AllowedOrigins {
		if strings.EqualFold(origin, allowed) {
			return true
		}
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
