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

// Directory knows users and their accounts.
type Directory interface {
	User(ctx context.Context, userID string) (db.User, error)
	Accounts(ctx context.Context, userID string) ([]db.Account, error)
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
	viewer, ok := handlers.ViewerFrom(r.Context())
	if !ok || viewer.Rejected != "" {
		detail := viewer.Rejected
		if detail == "" {
			detail = "send an access token: Authorization: Bearer …"
		}
		handlers.RespondProblem(w, http.StatusUnauthorized, detail, "")
		return
	}
	user, err := s.Directory.User(r.Context(), viewer.UserID)
	if errors.Is(err, db.ErrNotFound) {
		handlers.RespondProblem(w, http.StatusUnauthorized, "the token's user does not exist here", "")
		return
	}
	var accounts []db.Account
	if err == nil {
		accounts, err = s.Directory.Accounts(r.Context(), viewer.UserID)
	}
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	handlers.RespondJSON(w, http.StatusOK, map[string]any{
		"user": user, "accounts": accounts, "expiresAt": viewer.Expires.UnixMilli(),
	})
}

// demo signs a visitor in as one of the demo's owners: the one he names, else the first.
func (s *Server) demo(w http.ResponseWriter, r *http.Request) {
	var wish struct {
		OwnerID string `json:"ownerId"`
	}
	body := http.MaxBytesReader(w, r.Body, maxBody)
	if err := json.NewDecoder(body).Decode(&wish); err != nil && !errors.Is(err, io.EOF) {
		handlers.RespondProblem(w, http.StatusBadRequest, `the body must be empty or {"ownerId":"…"}`, "body")
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
		token, expires, err := s.Tokens.Sign(o.UserID, demoLifetime)
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
