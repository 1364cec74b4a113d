package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// demoLifetime is how long a demo visitor's token lasts.
	demoLifetime = time.Hour
	// maxBody is the most bytes of a request's body that are read.
	maxBody = 4 << 10
)

// Directory knows users, their passwords and their accounts.
type Directory interface {
	User(ctx context.Context, userID string) (db.User, error)
	Accounts(ctx context.Context, userID string) ([]db.Account, error)
	Credentials(ctx context.Context, email string) (db.Credentials, error)
	SignedIn(ctx context.Context, c db.Caller) error
	Access(ctx context.Context, c db.Caller, ownerID string) (db.Role, error)
	CanonicalOwnerID(id string) (string, error)
}

// DemoOwner is an owner whom any visitor of a demo may be.
type DemoOwner struct {
	OwnerID     string `json:"ownerId"`
	CompanyName string `json:"companyName"`
	UserID      string `json:"-"`
}

// Demo lists the owners of a demo.
type Demo func(ctx context.Context) ([]DemoOwner, error)

// me answers who is asking and which accounts he may see.
func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	viewer, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	user, accounts, ok := s.profile(w, r, viewer.UserID)
	if !ok {
		return
	}
	handlers.RespondJSON(w, http.StatusOK, map[string]any{
		"user": user, "accounts": accounts, "expiresAt": viewer.Expires.UnixMilli(),
	})
}

// signedIn returns who is asking; false when nobody is recognised, or his session has ended, which it has answered.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request) (handlers.Viewer, bool) {
	viewer, ok := handlers.ViewerFrom(r.Context())
	switch {
	case !ok:
		handlers.RespondProblem(w, http.StatusUnauthorized, "send an access token: Authorization: Bearer …", "")
		return viewer, false
	case viewer.Rejected != "":
		handlers.RespondProblem(w, http.StatusUnauthorized, viewer.Rejected, "")
		return viewer, false
	}
	return viewer, s.settle(w, r, s.Directory.SignedIn(r.Context(), viewer.Caller()))
}

// profile returns a user and his accounts; false when there is no such user any more, which it has answered.
func (s *Server) profile(w http.ResponseWriter, r *http.Request, userID string) (user db.User, accounts []db.Account, ok bool) {
	user, err := s.Directory.User(r.Context(), userID)
	if errors.Is(err, db.ErrNotFound) {
		handlers.RespondProblem(w, http.StatusUnauthorized, "the token's user does not exist here", "")
		return user, nil, false
	}
	if err == nil {
		accounts, err = s.Directory.Accounts(r.Context(), userID)
	}
	return user, accounts, s.settle(w, r, err)
}

// settle reports whether there is no error; otherwise it has answered.
func (s *Server) settle(w http.ResponseWriter, r *http.Request, err error) bool {
	switch {
	case errors.Is(err, db.ErrSessionEnded):
		handlers.RespondProblem(w, http.StatusUnauthorized, "the session has ended: sign in again", "")
	case err != nil:
		s.unavailable(w, r, err)
	}
	return err == nil
}

// readBody reads a request's body as JSON into value, unless it is empty; wanted says what it should look like. It is
// false when the body is something else, which it has answered.
func readBody(w http.ResponseWriter, r *http.Request, value any, wanted string) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(value)
	if err != nil && !errors.Is(err, io.EOF) {
		handlers.RespondProblem(w, http.StatusBadRequest, "the body must be "+wanted, "body")
		return false
	}
	return true
}

// demo signs a visitor in as one of the demo's owners: the one he names, else the first.
func (s *Server) demo(w http.ResponseWriter, r *http.Request) {
	var wish struct {
		OwnerID string `json:"ownerId"`
	}
	if !readBody(w, r, &wish, `empty or {"ownerId":"…"}`) {
		return
	}
	owners, err := s.Demo(r.Context())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	for _, o := range owners {
		if wish.OwnerID != "" && wish.OwnerID != o.OwnerID {
			continue
		}
		token, expires, err := s.Tokens.Sign(o.UserID, "", demoLifetime)
		if err != nil {
			s.unavailable(w, r, err)
			return
		}
		handlers.RespondJSON(w, http.StatusOK, map[string]any{
			"token": token, "expiresAt": expires.UnixMilli(), "ownerId": o.OwnerID, "accounts": owners,
		})
		return
	}
	handlers.RespondProblem(w, http.StatusBadRequest, "ownerId is none of the demo's owners", "ownerId")
}

// unavailable answers for the database.
func (s *Server) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		s.Log.Error("request not served", "path", r.URL.Path, "error", err)
	}
	handlers.RespondProblem(w, http.StatusServiceUnavailable, "the database is away for a moment: try again shortly", "")
}
