package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// AccessLifetime is how long an access token lasts, and RefreshLifetime a refresh token.
	AccessLifetime  = 15 * time.Minute
	RefreshLifetime = 30 * 24 * time.Hour
	// DeviceLifetime is how long a browser is remembered as one on which a user has signed in.
	DeviceLifetime = 180 * 24 * time.Hour
	// freeHere is how many sign-ins of one account from one network, or from one device, may fail
	// in a row before the next must wait. freePerAccount is the same of an account from everywhere.
	// freePerNetwork is that of all accounts from an IPv4 address or an IPv6 /64, and freePerSite
	// from an IPv6 /48, which is what a site has (RFC 6177).
	freeHere       = 5
	freePerAccount = 100
	freePerNetwork = 20
	freePerSite    = 60
	// maxEmail is the longest e-mail address (RFC 5321, section 4.5.3.1.3) and maxPassword the
	// longest password, in bytes.
	maxEmail    = 254
	maxPassword = 1024
)

// Cookies keep a session's tokens in a browser, where its scripts cannot read them.
type Cookies interface {
	// Permit returns why a request may not use cookies, or ask for them.
	Permit(w http.ResponseWriter, r *http.Request) error
	// RefreshToken returns the refresh token in a request's cookies, or "".
	RefreshToken(r *http.Request) string
	// Set gives a browser its tokens; two that are empty take them away again.
	Set(w http.ResponseWriter, r *http.Request, access, refresh string)
}

// Devices remember in a browser that a user has signed in there, beyond the session.
type Devices interface {
	// Device returns what a browser was given by Remember, or "".
	Device(r *http.Request) string
	Remember(w http.ResponseWriter, r *http.Request, device string)
}

// Network is where a request comes from: an IPv4 address or an IPv6 /64, and the /48 that
// it lies in, "" for IPv4.
type Network struct{ Narrow, Site string }

// SignIn begins sessions with a password, carries them on and ends them.
type SignIn struct {
	Account
	Passwords *Passwords
	Cookies   Cookies
	Devices   Devices
	MAC       MAC
	// Recognise returns who an access token of the request says is asking, if it has one.
	Recognise func(r *http.Request) (viewer Viewer, found bool, err error)
	// Network returns where a request comes from.
	Network func(r *http.Request) Network
	// Limit counts a request of a user, or says that there were too many.
	Limit func(r *http.Request, userID string) *LimitError
	// Noted is called when a user signed in, or with "" when a password was wrong. May be nil.
	Noted   func(r *http.Request, userID string)
	Refused RefusedFunc
}

func (s *SignIn) note(r *http.Request, userID string) {
	if s.Noted != nil {
		s.Noted(r, userID)
	}
}

// Login signs a user in by e-mail address and password. Whatever is wrong, the answer and
// the work for it are the same.
func (s *SignIn) Login(w http.ResponseWriter, r *http.Request) {
	if err := s.login(w, r); err != nil {
		RespondError(w, r, s.Log, err)
	}
}

func (s *SignIn) login(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Email, Password string
		Cookie          bool
	}
	if err := readBody(r, &body, `{"email":"…","password":"…"}`); err != nil {
		return err
	}
	email := strings.TrimSpace(body.Email)
	switch {
	case email == "" || len(email) > maxEmail || strings.ContainsRune(email, 0):
		return Invalid("email", "email must be an e-mail address")
	case body.Password == "" || len(body.Password) > maxPassword:
		return Invalid("password", "password must have between 1 and 1024 bytes")
	}
	if body.Cookie {
		if err := s.Cookies.Permit(w, r); err != nil {
			return err
		}
	}
	device, returning := s.device(r, email)
	user, err := s.authenticate(r.Context(), email, body.Password, s.counts(r, email, device, returning))
	if errors.Is(err, errBusy) {
		s.Refused.count(LimitSignIns)
	}
	if errors.Is(err, errWrongPassword) {
		s.Log.Info("sign-in failed", "network", s.Network(r).Narrow)
		s.note(r, "")
	}
	if err != nil {
		return err
	}
	session, err := s.Sessions.Open(r.Context(), user.ID, RefreshLifetime, !returning)
	if err != nil {
		return err
	}
	s.Log.Info("signed in", "user", user.ID)
	s.note(r, user.ID)
	if body.Cookie {
		s.Devices.Remember(w, r, s.MAC.sign(devicePurpose, device, accountKey(email)))
	}
	return s.welcome(w, r, session, body.Cookie)
}

// accountKey names an account in counts, also one that does not exist.
func accountKey(email string) string { return strings.ToLower(email) }

// device returns the device that a browser is, and whether the account has been signed in to on it.
// It is a new one where nobody has.
func (s *SignIn) device(r *http.Request, email string) (id string, returning bool) {
	parts, ok := s.MAC.verify(devicePurpose, s.Devices.Device(r))
	if ok && len(parts) == 2 && parts[1] == accountKey(email) {
		return parts[0], true
	}
	return rand.Text(), false
}

// counts are what a sign-in counts under. A device on which the account has been signed in to has a
// count of its own, so that no stranger's failures hold it back, wherever they come from.
func (s *SignIn) counts(r *http.Request, email, device string, returning bool) []db.Count {
	account, network := accountKey(email), s.Network(r)
	if returning {
		return []db.Count{{Key: "device " + device, Free: freeHere, Forget: true}}
	}
	counts := []db.Count{
		{Key: "here " + network.Narrow + " " + account, Free: freeHere, Forget: true},
		{Key: "account " + account, Free: freePerAccount},
		{Key: "network " + network.Narrow, Free: freePerNetwork},
	}
	if network.Site != "" {
		counts = append(counts, db.Count{Key: "network " + network.Site, Free: freePerSite})
	}
	return counts
}

// Purposes of what is signed.
const (
	devicePurpose  = "device"
	refreshPurpose = "refresh"
)

// Refusals of a sign-in.
var (
	errWrongPassword = Unauthorized("the e-mail address or the password is wrong")
	errBusy          = &LimitError{Detail: "too many sign in at the moment: try again shortly", RetryAfter: RetryAfter}
)

// authenticate returns the user with an e-mail address, if the password is theirs and the
// counts let them try.
func (s *SignIn) authenticate(ctx context.Context, email, password string, counts []db.Count) (db.User, error) {
	wait, err := s.Sessions.Attempt(ctx, counts...)
	if err != nil {
		return db.User{}, err
	}
	if wait > 0 {
		s.Refused.count(LimitFailedSignIns)
		return db.User{}, &LimitError{Detail: "too many sign-ins failed: wait before the next", RetryAfter: wait}
	}
	user, err := s.Passwords.check(ctx, email, password)
	if err != nil {
		return user, err
	}
	return user, s.Sessions.Succeeded(ctx, counts...)
}

// Refresh gives a session its next access and refresh token. A refresh token comes in the body or
// in its cookie, and the next one goes the same way.
func (s *SignIn) Refresh(w http.ResponseWriter, r *http.Request) {
	if err := s.refresh(w, r); err != nil {
		RespondError(w, r, s.Log, err)
	}
}

func (s *SignIn) refresh(w http.ResponseWriter, r *http.Request) error {
	sent, err := s.refreshToken(r)
	if err != nil {
		return err
	}
	if sent.token == "" {
		return Unauthorized(`send {"refreshToken":"…"}, or sign in again`)
	}
	old, err := s.openRefresh(sent.token)
	if err == nil {
		if over := s.Limit(r, old.UserID); over != nil {
			return over
		}
		old, err = s.Sessions.Rotate(r.Context(), old.ID, old.Generation, RefreshLifetime)
	}
	if errors.Is(err, db.ErrSessionEnded) && sent.byCookie {
		s.Cookies.Set(w, r, "", "")
	}
	if err != nil {
		return err
	}
	return s.welcome(w, r, old, sent.byCookie)
}

// signRefresh returns the refresh token of a session's present generation.
func (s *SignIn) signRefresh(session db.Session) string {
	return s.MAC.sign(refreshPurpose, session.ID, strconv.FormatInt(session.Generation, 10), session.UserID)
}

// openRefresh returns the session and generation that a refresh token names, or
// db.ErrSessionEnded where we did not sign it.
func (s *SignIn) openRefresh(token string) (db.Session, error) {
	parts, ok := s.MAC.verify(refreshPurpose, token)
	if !ok || len(parts) != 3 {
		return db.Session{}, db.ErrSessionEnded
	}
	generation, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return db.Session{}, fmt.Errorf("read a refresh token of ours: %w", err)
	}
	return db.Session{ID: parts[0], Generation: generation, UserID: parts[2]}, nil
}

// sentRefresh is what a request to refresh or to sign out brings.
type sentRefresh struct {
	token         string // "" for none
	byCookie, all bool
}

// refreshToken returns what a request to refresh or to sign out brings, in body or cookie.
func (s *SignIn) refreshToken(r *http.Request) (sentRefresh, error) {
	var body struct {
		RefreshToken string
		All          bool
	}
	if err := readBody(r, &body, `{"refreshToken":"…"}, or empty with the cookie that sign-in set`); err != nil {
		return sentRefresh{}, err
	}
	sent := sentRefresh{token: body.RefreshToken, all: body.All}
	if sent.token == "" {
		sent.token = s.Cookies.RefreshToken(r)
		sent.byCookie = sent.token != ""
	}
	return sent, nil
}

// welcome answers with a session's new tokens, its user and their accounts.
func (s *SignIn) welcome(w http.ResponseWriter, r *http.Request, session db.Session, byCookie bool) error {
	answer, err := s.profile(r.Context(), session.UserID)
	if err != nil {
		return err
	}
	token, expires, err := s.Tokens.Sign(session.UserID, session.ID, AccessLifetime)
	if err != nil {
		return err
	}
	answer["token"], answer["expiresAt"], answer["refreshExpiresAt"] = token, expires.UnixMilli(), session.Expires.UnixMilli()
	if byCookie {
		s.Cookies.Set(w, r, token, s.signRefresh(session))
	} else {
		answer["refreshToken"] = s.signRefresh(session)
	}
	RespondJSON(w, http.StatusOK, answer)
	return nil
}

// Logout ends a session: that of the refresh token in body or cookie, else that of the access
// token. With all it ends every session of the user, and refuses all tokens that were signed for
// them until now, wherever.
func (s *SignIn) Logout(w http.ResponseWriter, r *http.Request) {
	if err := s.logout(w, r); err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	s.Cookies.Set(w, r, "", "")
	w.WriteHeader(http.StatusNoContent)
}

func (s *SignIn) logout(w http.ResponseWriter, r *http.Request) error {
	sent, err := s.refreshToken(r)
	if err != nil {
		return err
	}
	session, err := db.Session{}, error(db.ErrSessionEnded)
	if sent.token != "" {
		if session, err = s.openRefresh(sent.token); err == nil {
			session, err = s.Sessions.Find(r.Context(), session.ID)
		}
	}
	if errors.Is(err, db.ErrSessionEnded) {
		session, err = s.accessSession(r)
	}
	switch {
	case errors.Is(err, db.ErrSessionEnded) && sent.token != "": // it has ended already
		return nil
	case err != nil:
		return err
	case sent.all:
		return s.Sessions.EndAll(r.Context(), session.UserID)
	case session.ID == "":
		return Invalid("all", `this token belongs to no session of this server: let it end, or send {"all":true} to refuse all tokens that you have`)
	}
	return s.Sessions.End(r.Context(), session.ID)
}

// accessSession returns the session of a request's access token, without an id where it belongs to
// none of ours. It is db.ErrSessionEnded where there is no good token.
func (s *SignIn) accessSession(r *http.Request) (db.Session, error) {
	viewer, found, err := s.Recognise(r)
	if rejected, _ := Rejected(err); rejected.Rejected != "" || !found {
		return db.Session{}, db.ErrSessionEnded
	}
	if err == nil {
		err = s.Directory.SignedIn(r.Context(), viewer.Caller())
	}
	return db.Session{ID: viewer.SessionID, UserID: viewer.UserID}, err
}
