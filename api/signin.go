package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// accessLifetime is how long an access token lasts, refreshLifetime a refresh token, and ticketLifetime a ticket.
	accessLifetime  = 15 * time.Minute
	refreshLifetime = 30 * 24 * time.Hour
	ticketLifetime  = 30 * time.Second
	// freePerAccount and freePerNetwork are how many sign-ins in a row may fail before the next must wait: of an e-mail
	// address, and of all that come from one network address.
	freePerAccount = 5
	freePerNetwork = 20
	// maxEmail is the longest e-mail address (RFC 5321, section 4.5.3.1.3) and maxPassword the longest password, in bytes.
	maxEmail    = 254
	maxPassword = 1024
	// passwordWait is how long a sign-in waits for its turn to have the password checked.
	passwordWait = 3 * time.Second
	// sweepPause is how often what has served its time is looked for.
	sweepPause = time.Minute
)

// passwords bounds how many passwords are checked at once: bcrypt is slow on purpose, and the streams need the processors too.
var passwords = semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)-1)))

// noHash is what passwords are compared with where no user has one.
var noHash = sync.OnceValues(func() ([]byte, error) {
	return bcrypt.GenerateFromPassword([]byte("no user's password"), bcrypt.DefaultCost)
})

// login signs a user in by e-mail address and password. Whatever is wrong, the answer and the work for it are the same.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Email, Password string
		Cookie          bool
	}
	if !readBody(w, r, &body, `{"email":"…","password":"…"}`) {
		return
	}
	email := strings.ToLower(strings.TrimSpace(body.Email))
	switch {
	case email == "" || len(email) > maxEmail || strings.ContainsRune(email, 0):
		handlers.RespondProblem(w, http.StatusBadRequest, "email must be an e-mail address", "email")
		return
	case body.Password == "" || len(body.Password) > maxPassword:
		handlers.RespondProblem(w, http.StatusBadRequest, "password must have between 1 and 1024 bytes", "password")
		return
	case body.Cookie && !s.trustCookie(w, r):
		return
	}
	account, network := "account "+email, "network "+clientAddress(r)
	for _, attempt := range []struct {
		key  string
		free int
	}{{network, freePerNetwork}, {account, freePerAccount}} {
		wait, err := s.Sessions.Attempt(r.Context(), attempt.key, attempt.free)
		if err != nil {
			s.unavailable(w, r, err)
			return
		}
		if wait > 0 {
			(&handlers.TooMany{Detail: "too many sign-ins failed: wait before the next", RetryAfter: wait}).Respond(w)
			return
		}
	}
	user, good, err := s.checkPassword(r.Context(), email, body.Password)
	if err == nil && good {
		err = errors.Join(s.Sessions.Succeeded(r.Context(), account, true), s.Sessions.Succeeded(r.Context(), network, false))
	}
	switch {
	case err != nil:
		s.unavailable(w, r, err)
	case !good:
		s.Log.Info("sign-in failed", "network", clientAddress(r))
		handlers.RespondProblem(w, http.StatusUnauthorized, "the e-mail address or the password is wrong", "")
	default:
		session, refresh, err := s.Sessions.Open(r.Context(), user.ID, refreshLifetime)
		if s.settle(w, r, err) {
			s.Log.Info("signed in", "user", user.ID)
			s.welcome(w, r, session, refresh, body.Cookie)
		}
	}
}

// errBusy says that too many passwords are being checked.
var errBusy = errors.New("too many sign-ins at once")

// checkPassword returns the user with an e-mail address, and whether the password is his.
func (s *Server) checkPassword(ctx context.Context, email, password string) (db.User, bool, error) {
	c, err := s.Directory.Credentials(ctx, email)
	if err != nil {
		return db.User{}, false, err
	}
	hash, exists := []byte(c.Hash), true
	if _, err := bcrypt.Cost(hash); err != nil { // nobody has the address, or he has no password
		hash, exists = []byte(c.Sample), false
	}
	if _, err := bcrypt.Cost(hash); err != nil {
		if hash, err = noHash(); err != nil {
			return db.User{}, false, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, passwordWait)
	defer cancel()
	if passwords.Acquire(ctx, 1) != nil {
		return db.User{}, false, errBusy
	}
	defer passwords.Release(1)
	same := bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
	return c.User, same && exists, nil
}

// refresh gives a session its next access and refresh token. A refresh token comes in the body or in its cookie, and the
// next one goes the same way.
func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	token, byCookie, ok := refreshToken(w, r, nil)
	if !ok {
		return
	}
	if token == "" {
		handlers.RespondProblem(w, http.StatusUnauthorized, `send {"refreshToken":"…"}, or sign in again`, "")
		return
	}
	session, next, err := s.Sessions.Rotate(r.Context(), token, refreshLifetime)
	if errors.Is(err, db.ErrSessionEnded) && byCookie {
		s.clearCookies(w, r)
	}
	if s.settle(w, r, err) {
		s.welcome(w, r, session, next, byCookie)
	}
}

// refreshToken returns the refresh token of a request's body or cookie, "" if it has none, and reads all into the body's
// "all". It is false when the body is no good, which it has answered.
func refreshToken(w http.ResponseWriter, r *http.Request, all *bool) (token string, byCookie, ok bool) {
	var body struct {
		RefreshToken string
		All          bool
	}
	if !readBody(w, r, &body, `{"refreshToken":"…"}, or empty with the cookie that sign-in set`) {
		return "", false, false
	}
	if all != nil {
		*all = body.All
	}
	if body.RefreshToken != "" {
		return body.RefreshToken, false, true
	}
	if cookie, err := r.Cookie(refreshCookie); err == nil {
		return cookie.Value, true, true
	}
	return "", false, true
}

// welcome answers with a session's new tokens, its user and his accounts.
func (s *Server) welcome(w http.ResponseWriter, r *http.Request, session db.Session, refresh string, byCookie bool) {
	user, accounts, ok := s.profile(w, r, session.UserID)
	if !ok {
		return
	}
	token, expires, err := s.Tokens.Sign(user.ID, session.ID, accessLifetime)
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	answer := map[string]any{
		"token": token, "expiresAt": expires.UnixMilli(), "refreshExpiresAt": session.Expires.UnixMilli(),
		"user": user, "accounts": accounts,
	}
	if byCookie {
		s.setCookies(w, r, token, refresh)
	} else {
		answer["refreshToken"] = refresh
	}
	handlers.RespondJSON(w, http.StatusOK, answer)
}

// logout ends a session: that of the refresh token in body or cookie, else that of the access token. With all it ends every
// session of the user, and refuses all tokens that were signed for him until now, wherever.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	var all bool
	token, _, ok := refreshToken(w, r, &all)
	if !ok {
		return
	}
	session, err := db.Session{}, error(db.ErrSessionEnded)
	if token != "" {
		session, err = s.Sessions.Find(r.Context(), token)
	}
	if c, found := findCredential(r); found && errors.Is(err, db.ErrSessionEnded) {
		var viewer handlers.Viewer
		if viewer, err = s.recognise(r.Context(), c); err == nil {
			err = s.Directory.SignedIn(r.Context(), viewer.Caller())
		} else if rejected(err) {
			err = db.ErrSessionEnded
		}
		session = db.Session{ID: viewer.SessionID, UserID: viewer.UserID}
	}
	switch {
	case errors.Is(err, db.ErrSessionEnded) && token != "": // it has ended already
		err = nil
	case err == nil && all:
		err = s.Sessions.EndAll(r.Context(), session.UserID)
	case err == nil && session.ID == "":
		handlers.RespondProblem(w, http.StatusBadRequest,
			`this token belongs to no session of this server: let it end, or send {"all":true} to refuse all tokens that you have`, "all")
		return
	case err == nil:
		err = s.Sessions.End(r.Context(), session.ID)
	}
	if s.settle(w, r, err) {
		s.clearCookies(w, r)
		w.WriteHeader(http.StatusNoContent)
	}
}

// ticket gives whoever has an access token a ticket for one stream.
func (s *Server) ticket(w http.ResponseWriter, r *http.Request) {
	viewer, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	var wish struct{ OwnerID string }
	if !readBody(w, r, &wish, `empty or {"ownerId":"…"}`) {
		return
	}
	ownerID := viewer.OwnerID
	if wish.OwnerID != "" {
		id, err := s.Directory.CanonicalOwnerID(wish.OwnerID)
		if err != nil {
			handlers.RespondProblem(w, http.StatusBadRequest, "ownerId is not an owner's id", "ownerId")
			return
		}
		role, err := s.Directory.Access(r.Context(), viewer.Caller(), id)
		if !s.settle(w, r, err) {
			return
		}
		if role == "" {
			handlers.RespondProblem(w, http.StatusForbidden, "this owner account is not yours", "")
			return
		}
		ownerID = id
	}
	ticket, expires, err := s.Sessions.IssueTicket(r.Context(), db.Ticket{
		UserID: viewer.UserID, OwnerID: ownerID, SessionID: viewer.SessionID, Issued: viewer.Issued, Expires: viewer.Expires,
	}, ticketLifetime)
	if s.settle(w, r, err) {
		handlers.RespondJSON(w, http.StatusOK, map[string]any{"ticket": ticket, "expiresAt": expires.UnixMilli()})
	}
}

// Sweeper removes sessions, refresh tokens, tickets and counts that have served their time.
type Sweeper struct {
	Sessions *db.Sessions
	Log      *slog.Logger
}

// Run implements Part: it sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepPause)
	defer ticker.Stop()
	for {
		for more, err := true, error(nil); more && err == nil && ctx.Err() == nil; {
			if more, err = s.Sessions.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("ended sessions could not be removed; trying again", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
