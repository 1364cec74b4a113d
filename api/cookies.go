package api

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

const (
	// tokenCookie is the cookie that carries an access token, and refreshCookie the one that
	// carries a refresh token.
	tokenCookie   = "jwt"
	refreshCookie = "hangarshare_refresh"
	// deviceCookie remembers that a user has signed in with this browser, beyond the session.
	deviceCookie = "hangarshare_device"
	// hostPrefix begins the names of ours where the request came by HTTPS: browsers take such a
	// cookie from nobody but this host, and only by HTTPS (RFC 6265bis, section 4.1.3.2).
	hostPrefix = "__Host-"
	// refreshPath is where a browser sends the refresh token to over plain HTTP. A cookie with
	// hostPrefix goes everywhere.
	refreshPath = "/api/auth"
	// maxChunks is in how many cookies a token may be split.
	maxChunks = 8
)

// tokenCookies returns the names of the cookies that may carry a token, in the order in which they
// count: ours, the portal's, and ours as it is named over plain HTTP.
func (s *Server) tokenCookies() []string {
	names := append([]string{hostPrefix + tokenCookie}, s.TokenCookies...)
	if !slices.Contains(names, tokenCookie) {
		names = append(names, tokenCookie)
	}
	return names
}

// cookieTokens returns the tokens in a request's cookies, in the order in which they count. A
// browser may hold several of one name, for different paths.
func (s *Server) cookieTokens(r *http.Request) (tokens []string) {
	if r.Header.Get("Cookie") == "" {
		return nil
	}
	for _, name := range s.tokenCookies() {
		found := r.CookiesNamed(name)
		for _, cookie := range found {
			tokens = append(tokens, cookie.Value)
		}
		if len(found) == 0 {
			if whole := joinChunks(r, name); whole != "" {
				tokens = append(tokens, whole)
			}
		}
	}
	return tokens[:min(len(tokens), maxCandidates)]
}

// joinChunks returns what was split over cookies name.0, name.1 and so on, as session libraries do
// with what is too large for one; "" is nothing.
func joinChunks(r *http.Request, name string) string {
	var whole strings.Builder
	for n := range maxChunks {
		chunk, err := r.Cookie(name + "." + strconv.Itoa(n))
		if err != nil {
			break
		}
		whole.WriteString(chunk.Value)
	}
	return whole.String()
}

// byCookie reports whether a request says by cookie who is asking, or may do so. What has a token
// in the header Authorization was sent by a script that CORS let through, or by no browser; other
// schemes browsers send by themselves. Where the portal is asked, any cookie may be its session.
func (s *Server) byCookie(r *http.Request) bool {
	if r.Header.Get("Cookie") == "" || credentialOf(r).fromHeader {
		return false
	}
	if s.Tokens.hook != nil {
		return true
	}
	for _, name := range append(s.tokenCookies(), refreshCookie, hostPrefix+refreshCookie) {
		for _, named := range []string{name, name + ".0"} {
			if _, err := r.Cookie(named); err == nil {
				return true
			}
		}
	}
	return false
}

// checkOrigin refuses a WebSocket, and any request that signs in by cookie, from a page that is not
// ours. A request without an Origin is no browser's.
func (s *Server) checkOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		switch {
		case stream.IsUpgrade(r) && !s.originAllowed(r):
			err = errOrigin
		case s.byCookie(r):
			err = cookies{s}.Permit(w, r)
		}
		if err != nil {
			handlers.RespondError(w, r, s.Log, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// errOrigin refuses a page of another site.
var errOrigin = handlers.Forbidden("this page may not connect: the operator can add its origin to ALLOWED_ORIGINS", "Origin")

// cookies implements handlers.Cookies.
type cookies struct{ *Server }

// Permit implements handlers.Cookies. Another site's page can send a post by a form, but
// not as application/json.
func (s cookies) Permit(w http.ResponseWriter, r *http.Request) error {
	if !s.originAllowed(r) {
		return errOrigin
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method == http.MethodPost && (err != nil || kind != "application/json") {
		w.Header().Set("Accept-Post", "application/json")
		return handlers.Unsupported("a post with cookies must be sent as Content-Type: application/json", "Content-Type")
	}
	return nil
}

// RefreshToken implements handlers.Cookies.
func (s cookies) RefreshToken(r *http.Request) string {
	cookie, err := r.Cookie(s.own(r, refreshCookie))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// own returns the name of a cookie of ours.
func (s *Server) own(r *http.Request, name string) string {
	if s.secure(r) {
		return hostPrefix + name
	}
	return name
}

// Set implements handlers.Cookies. Cookies of another site's requests stay away, and so
// does a page of another site whose form would take them: what a browser goes to by a
// form may set cookies that it did not send.
func (s cookies) Set(w http.ResponseWriter, r *http.Request, access, refresh string) {
	if !s.originAllowed(r) {
		return
	}
	accessLifetime, refreshLifetime := handlers.AccessLifetime, handlers.RefreshLifetime
	if access == "" && refresh == "" {
		accessLifetime, refreshLifetime = -time.Second, -time.Second
	}
	http.SetCookie(w, s.cookie(r, tokenCookie, access, "/", accessLifetime))
	http.SetCookie(w, s.cookie(r, refreshCookie, refresh, s.refreshPath(r), refreshLifetime))
}

// Device implements handlers.Devices.
func (s cookies) Device(r *http.Request) string {
	cookie, err := r.Cookie(s.own(r, deviceCookie))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// Remember implements handlers.Devices.
func (s cookies) Remember(w http.ResponseWriter, r *http.Request, device string) {
	http.SetCookie(w, s.cookie(r, deviceCookie, device, s.refreshPath(r), handlers.DeviceLifetime))
}

// refreshPath returns where a browser sends cookies to that only sign-in reads.
func (s *Server) refreshPath(r *http.Request) string {
	if s.secure(r) {
		return "/"
	}
	return refreshPath
}

func (s *Server) cookie(r *http.Request, name, value, path string, lifetime time.Duration) *http.Cookie {
	return &http.Cookie{
		Name: s.own(r, name), Value: value, Path: path, MaxAge: int(lifetime.Seconds()),
		HttpOnly: true, Secure: s.secure(r), SameSite: http.SameSiteStrictMode,
	}
}
