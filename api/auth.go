package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/jwtauth/v5"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// clockSkew is how far another machine's clock may be off when it signs a token.
	clockSkew = 60 * time.Second
	// bearerProtocol is how a browser's WebSocket carries a token: as a sub-protocol of this prefix.
	bearerProtocol = "bearer."
	// tokenCookie is the cookie that carries a token.
	tokenCookie = "jwt"
)

// Errors of a token, in words for whoever sent it. They do not say more than that: an attacker learns nothing.
var (
	errTokenEnded   = errors.New("the token has ended: sign in again")
	errTokenInvalid = errors.New("the token is not valid here: sign in again")
)

// Tokens signs and verifies access tokens: JWT (RFC 7519) with HMAC SHA-256 under the server's secret.
type Tokens struct {
	auth *jwtauth.JWTAuth
}

// NewTokens returns Tokens under a secret of at least 32 bytes.
func NewTokens(secret []byte) *Tokens {
	return &Tokens{jwtauth.New("HS256", secret, nil,
		jwt.WithAcceptableSkew(clockSkew), jwt.WithRequiredClaim(jwt.ExpirationKey))}
}

// Sign returns an access token for a user that ends after a while, and when that is.
func (t *Tokens) Sign(userID string, lifetime time.Duration) (token string, expires time.Time, err error) {
	expires = time.Now().Add(lifetime).Truncate(time.Second)
	_, token, err = t.auth.Encode(map[string]any{"sub": userID, "iat": time.Now().Unix(), "exp": expires.Unix()})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return token, expires, nil
}

// Verify implements handlers.Authority. The user is the claim sub, else userId, else id.
func (t *Tokens) Verify(_ context.Context, token string) (handlers.Viewer, error) {
	parsed, err := jwtauth.VerifyToken(t.auth, token)
	if errors.Is(err, jwtauth.ErrExpired) {
		return handlers.Viewer{}, errTokenEnded
	}
	if err != nil || parsed == nil {
		return handlers.Viewer{}, errTokenInvalid
	}
	user := parsed.Subject()
	for _, claim := range []string{"userId", "id"} {
		if user != "" {
			break
		}
		value, _ := parsed.Get(claim)
		user = idOf(value)
	}
	if user == "" {
		return handlers.Viewer{}, errTokenInvalid
	}
	wish, _ := parsed.Get("ownerId")
	return handlers.Viewer{UserID: user, OwnerID: idOf(wish), Expires: parsed.Expiration()}, nil
}

// idOf reads an id that a token carries as a number or a text.
func idOf(claim any) string {
	switch v := claim.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// urlTokens are the names under which tokens are put into addresses by mistake.
var urlTokens = []string{"token", "access_token", "jwt", "bearer"}

// authenticate finds the token of a request and says who is asking. The first of header, sub-protocol and cookie
// counts. A bad token in the header is answered here; the others reach the handler, which has a way to tell a browser.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range urlTokens {
			if r.URL.Query().Has(name) {
				handlers.RespondProblem(w, http.StatusUnauthorized,
					"a token does not belong into an address: send it as Authorization: Bearer, or as a WebSocket sub-protocol bearer.<token>", name)
				return
			}
		}
		token, early := s.findToken(r)
		if token == "" && !early {
			next.ServeHTTP(w, r)
			return
		}
		viewer, err := s.Tokens.Verify(r.Context(), token)
		if err != nil {
			if early {
				handlers.RespondProblem(w, http.StatusUnauthorized, err.Error(), "")
				return
			}
			viewer.Rejected = err.Error()
		}
		viewer.Early = early
		next.ServeHTTP(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
	})
}

// findToken returns a request's token; early says that it came in the header, also when it is empty.
func (s *Server) findToken(r *http.Request) (token string, early bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", true
		}
		return strings.TrimSpace(token), true
	}
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(header, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(protocol), bearerProtocol); ok {
				return token, false
			}
		}
	}
	if cookie, err := r.Cookie(tokenCookie); err == nil {
		return cookie.Value, false
	}
	return "", false
}

// checkOrigin refuses a WebSocket, and any request that signs in by cookie, from a page that is not ours. A request
// without an Origin is no browser's.
func (s *Server) checkOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, cookieErr := r.Cookie(tokenCookie)
		byCookie := cookieErr == nil && r.Header.Get("Authorization") == ""
		if (isUpgrade(r) || byCookie) && !s.originAllowed(r) {
			handlers.RespondProblem(w, http.StatusForbidden,
				"this page may not connect: the operator can add its origin to ALLOWED_ORIGINS", "Origin")
			return
		}
		next.ServeHTTP(w, r)
	})
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
