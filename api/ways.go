package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// bearerProtocol is how a browser's WebSocket carries a token: as a sub-protocol of this prefix.
const bearerProtocol = "bearer."

// errTicketInvalid is, in words for whoever sent it, that a ticket opens nothing.
var errTicketInvalid = errors.New("the ticket was used or is too old: ask POST /api/auth/ticket for another")

// credential is what a request brings to say who is asking.
type credential struct {
	token, ticket string // one of the two
	early         bool   // it came in the header Authorization, whose sender can read an HTTP status
}

// authenticate finds what a request says who is asking by: the first of header, sub-protocol, ticket and cookie counts. A
// bad token in the header is answered here; the others reach the handler, which has a way to tell a browser.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, found := findCredential(r)
		if !found {
			next.ServeHTTP(w, r)
			return
		}
		viewer, err := s.recognise(r.Context(), c)
		switch {
		case rejected(err) && c.early:
			handlers.RespondProblem(w, http.StatusUnauthorized, err.Error(), "")
			return
		case rejected(err):
			viewer = handlers.Viewer{Rejected: err.Error()}
		case errors.Is(err, errIssuerUnknown):
			handlers.RespondProblem(w, http.StatusServiceUnavailable, err.Error(), "")
			return
		case err != nil:
			s.unavailable(w, r, err)
			return
		}
		viewer.Early = c.early
		next.ServeHTTP(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
	})
}

// rejected reports whether an error says that a credential is no good.
func rejected(err error) bool {
	return errors.Is(err, errTokenEnded) || errors.Is(err, errTokenInvalid) || errors.Is(err, errTicketInvalid)
}

// recognise turns a credential into a viewer.
func (s *Server) recognise(ctx context.Context, c credential) (handlers.Viewer, error) {
	if c.ticket == "" {
		return s.Tokens.Verify(ctx, c.token)
	}
	t, err := s.Sessions.RedeemTicket(ctx, c.ticket)
	if errors.Is(err, db.ErrNotFound) {
		return handlers.Viewer{}, errTicketInvalid
	}
	return handlers.Viewer{UserID: t.UserID, OwnerID: t.OwnerID, SessionID: t.SessionID, Issued: t.Issued, Expires: t.Expires}, err
}

// findCredential returns a request's credential, if it has one; one in the header counts also when it is empty.
func findCredential(r *http.Request) (c credential, found bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			token = ""
		}
		return credential{token: strings.TrimSpace(token), early: true}, true
	}
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(header, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(protocol), bearerProtocol); ok {
				return credential{token: token}, true
			}
		}
	}
	if ticket := r.URL.Query().Get("ticket"); ticket != "" && isStream(r) {
		return credential{ticket: ticket}, true
	}
	if cookie, err := r.Cookie(tokenCookie); err == nil {
		return credential{token: cookie.Value}, true
	}
	return credential{}, false
}

// urlTokens are the names under which tokens are put into addresses by mistake.
var urlTokens = []string{"token", "access_token", "jwt", "bearer", "refreshToken", "refresh_token"}

// refuseAddressTokens refuses a request whose address holds a token: addresses are logged, kept and passed on.
func refuseAddressTokens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := addressToken(r.URL.Query()); name != "" {
			handlers.RespondProblem(w, http.StatusUnauthorized,
				"a token does not belong into an address: send it as Authorization: Bearer, or as a WebSocket sub-protocol bearer.<token>", name)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// addressToken returns the name of a parameter that holds a token, by its name or by its looks; "" is none.
func addressToken(query url.Values) string {
	for _, name := range urlTokens {
		if query.Has(name) {
			return name
		}
	}
	for name, values := range query {
		for _, value := range values {
			if looksLikeToken(value) {
				return name
			}
		}
	}
	return ""
}

// looksLikeToken reports whether a text has the form of a JWT: three parts, of which the first is an object in base64url.
func looksLikeToken(text string) bool {
	return strings.HasPrefix(strings.TrimPrefix(text, "Bearer "), "eyJ") && strings.Count(text, ".") == 2
}
