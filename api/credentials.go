package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// bearerProtocol is how a browser's WebSocket carries a token: as a sub-protocol of this prefix.
const bearerProtocol = "bearer."

// credentialHeaders are the headers in which a script may say who is asking, which browsers never
// do by themselves. Pages of ALLOWED_ORIGINS may send them. findCredential reads them.
var credentialHeaders = []string{"Authorization"}

// sendsCredential reports whether a request has one of credentialHeaders: its sender can read an
// HTTP status.
func sendsCredential(r *http.Request) bool {
	return slices.ContainsFunc(credentialHeaders, func(name string) bool { return r.Header.Get(name) != "" })
}

// errTicketInvalid is, in words for its sender, that a ticket opens nothing.
var errTicketInvalid = &CredentialError{reasonTicket, "it was used, is too old, or was never given",
	handlers.Unauthorized("the ticket was used or is too old: ask POST /api/auth/ticket for another")}

// errAmbiguous refuses a request that says twice who is asking: a proxy may have looked
// at the other header.
var errAmbiguous = &CredentialError{reasonAmbiguous, "two headers Authorization, or two tokens in one",
	handlers.Unauthorized("send one header Authorization, with one token")}

// maxCandidates is how many cookies of a request are looked at for a token.
const maxCandidates = 8

// credential is what a request brings to say who is asking.
type credential struct {
	found  bool
	tokens []string // in the order in which they count; several in cookies only
	ticket string   // in place of tokens
	// it came as Bearer in the header Authorization, which no browser sends by itself
	fromHeader bool
	// it came in a header Authorization of whatever scheme, whose sender can read an HTTP status
	early      bool
	fromCookie bool
	ambiguous  bool // there are two headers Authorization
}

type credentialKey struct{}

// credentialOf returns what a request brings to say who is asking.
func credentialOf(r *http.Request) credential {
	c, _ := r.Context().Value(credentialKey{}).(credential)
	return c
}

// withCredential looks once for what a request says who is asking by, for all who need to know.
func (s *Server) withCredential(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), credentialKey{}, s.findCredential(r))))
	})
}

// refuseStopping refuses a stream while the server stops, before its ticket is used up:
// it is good for another server.
func (s *Server) refuseStopping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isStream(r) && s.Stream.Stopping() {
			s.Stream.RefuseStopping(w, r, credentialOf(r).early)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate turns a request's credential into a viewer. A bad token in the header is answered
// here; the others reach the handler, which has a way to tell a browser.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		viewer, found, err := s.recognise(r)
		if !found {
			next.ServeHTTP(w, r)
			return
		}
		early := credentialOf(r).early
		if rejected, ok := handlers.Rejected(err); ok && !early {
			viewer, err = rejected, nil
		}
		if err != nil {
			handlers.RespondError(w, r, s.Log, err)
			return
		}
		viewer.Early = early
		next.ServeHTTP(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
	})
}

// recognise turns a request's credential, if it has one, into a viewer, and counts it
// when it is refused.
func (s *Server) recognise(r *http.Request) (viewer handlers.Viewer, found bool, err error) {
	viewer, found, err = s.resolveCredential(r)
	if err != nil && found {
		s.Tokens.refuse(r.Context(), err, credentialOf(r).way())
	}
	return viewer, found, err
}

func (s *Server) resolveCredential(r *http.Request) (viewer handlers.Viewer, found bool, err error) {
	c, ctx := credentialOf(r), r.Context()
	switch {
	case c.ambiguous:
		return viewer, true, errAmbiguous
	case c.ticket != "":
		viewer, err = s.redeem(ctx, c.ticket)
		return viewer, true, err
	}
	hook := s.Tokens.hook
	if hook != nil && !slices.ContainsFunc(c.tokens, isSigned) {
		return s.askHook(r, hook)
	}
	for _, token := range c.tokens {
		if hook != nil && !isSigned(token) {
			continue // another cookie holds a token, and this one is the portal's
		}
		one, failed := s.Tokens.verify(ctx, token)
		if failed == nil {
			return one, true, nil
		}
		var later *handlers.TryLater
		// a token that may be good is worth waiting for
		if err == nil || errors.As(failed, &later) {
			err = failed
		}
	}
	return viewer, c.found, err
}

// redeem turns a ticket into a viewer.
func (s *Server) redeem(ctx context.Context, ticket string) (handlers.Viewer, error) {
	t, err := s.Sessions.RedeemTicket(ctx, ticket)
	if errors.Is(err, db.ErrNotFound) {
		return handlers.Viewer{}, errTicketInvalid
	}
	viewer := handlers.Viewer{UserID: t.UserID, OwnerID: t.OwnerID, SessionID: t.SessionID, Issued: t.Issued, Expires: t.Expires}
	if !t.Issued.IsZero() { // as the token that the ticket stands for
		viewer.Lifetime = t.Expires.Sub(t.Issued)
	}
	return viewer, err
}

// askHook asks the hook who is asking. Cookies of a page that may not connect are left
// out. A request without any token is one without a credential where the portal sees
// nobody: a WebSocket may still send one.
func (s *Server) askHook(r *http.Request, hook *Hook) (viewer handlers.Viewer, found bool, err error) {
	c := credentialOf(r)
	asked := credentials{authorization: r.Header.Get("Authorization")}
	if s.originAllowed(r) {
		asked.cookie = strings.Join(r.Header.Values("Cookie"), "; ")
	}
	if asked.authorization == "" && len(c.tokens) > 0 && !c.fromCookie {
		asked.authorization = "Bearer " + c.tokens[0] // of a sub-protocol
	}
	if asked == (credentials{}) {
		return viewer, c.found, nil
	}
	viewer, err = hook.viewer(r.Context(), asked)
	if !c.found && errors.Is(err, errUnknownSession) {
		return handlers.Viewer{}, false, nil
	}
	return viewer, true, err
}

// findCredential returns a request's credential: the first of header, sub-protocol, ticket and
// cookies. Nothing else looks for one; credential.way names what it finds for the counts.
func (s *Server) findCredential(r *http.Request) credential {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return credential{found: true, fromHeader: true, early: true, ambiguous: true}
	}
	if len(headers) == 1 {
		if scheme, token, _ := strings.Cut(headers[0], " "); strings.EqualFold(scheme, "Bearer") {
			token = strings.TrimSpace(token)
			return credential{found: true, tokens: []string{token}, fromHeader: true, early: true, ambiguous: strings.ContainsAny(token, ", ")}
		}
	}
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for protocol := range strings.SplitSeq(header, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(protocol), bearerProtocol); ok {
				return credential{found: true, tokens: []string{token}}
			}
		}
	}
	if ticket := r.URL.Query().Get("ticket"); ticket != "" && isStream(r) {
		return credential{found: true, ticket: ticket}
	}
	if tokens := s.cookieTokens(r); len(tokens) > 0 {
		return credential{found: true, tokens: tokens, fromCookie: true}
	}
	if len(headers) == 1 { // of a scheme that says nothing here
		return credential{found: true, tokens: []string{""}, early: true}
	}
	return credential{}
}

// urlTokens are the names under which tokens are put into addresses by mistake.
var urlTokens = []string{"token", "access_token", "jwt", "bearer", "refreshToken", "refresh_token"}

// refuseAddressTokens refuses a request whose address holds a token: addresses are
// logged, kept and passed on.
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

// addressToken returns the name of a parameter that holds a token, by its name or by its
// looks; "" is none.
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

// looksLikeToken reports whether a text has the form of a JWT: three parts, of which the
// first is an object in base64url.
func looksLikeToken(text string) bool {
	return strings.HasPrefix(strings.TrimPrefix(text, "Bearer "), "eyJ") && strings.Count(text, ".") == 2
}
