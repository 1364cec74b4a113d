package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// demoLifetime is how long a demo visitor's token lasts, and ticketLifetime a ticket.
	demoLifetime   = time.Hour
	ticketLifetime = 30 * time.Second
)

// Directory knows users and their accounts.
type Directory interface {
	Accounts
	Users
}

// Users knows users.
type Users interface {
	// User returns a user, or db.ErrNotFound.
	User(ctx context.Context, userID string) (db.User, error)
	// SignedIn returns db.ErrSessionEnded when a caller's session has ended.
	SignedIn(ctx context.Context, c db.Caller) error
	// Addressed returns the invitations that a user may accept.
	Addressed(ctx context.Context, userID string) ([]db.Invitation, error)
}

// Signer signs access tokens.
type Signer interface {
	// Sign returns a token for a user that ends after a lifetime, and when that is.
	// sessionID is "" for no session.
	Sign(userID, sessionID string, lifetime time.Duration) (token string, expires time.Time, err error)
}

// DemoOwner is an owner as whom any visitor of a demo may sign in.
type DemoOwner struct {
	OwnerID     string `json:"ownerId"`
	CompanyName string `json:"companyName"`
	UserID      string `json:"-"`
}

// Demo lists the owners of a demo.
type Demo func(ctx context.Context) ([]DemoOwner, error)

// Account serves who is asking, and gives tickets to them.
type Account struct {
	Directory Directory
	Sessions  *db.Sessions
	Tokens    Signer
	Demo      Demo // nil: no demo
	Log       *slog.Logger
}

// Me answers who is asking, which accounts they may see, and to which they are invited.
func (a *Account) Me(w http.ResponseWriter, r *http.Request) {
	p, err := a.me(r.Context())
	if err != nil {
		RespondError(w, r, a.Log, err)
		return
	}
	RespondJSON(w, http.StatusOK, p)
}

func (a *Account) me(ctx context.Context) (profile, error) {
	viewer, err := signedIn(ctx, a.Directory)
	if err != nil {
		return nil, err
	}
	p, err := a.profile(ctx, viewer.UserID)
	if err != nil {
		return nil, err
	}
	addressed, err := a.Directory.Addressed(ctx, viewer.UserID)
	if err != nil {
		return nil, err
	}
	p["invitations"] = invitationsOf(addressed)
	p["expiresAt"] = viewer.Expires.UnixMilli()
	return p, nil
}

// profile is what an answer says about a user.
type profile map[string]any

// profile returns a user and their accounts. The portal may name as an account's user one who has
// no row in its table of users: its word is enough.
func (a *Account) profile(ctx context.Context, userID string) (profile, error) {
	user, err := a.Directory.User(ctx, userID)
	missing := errors.Is(err, db.ErrNotFound)
	if err != nil && !missing {
		return nil, err
	}
	accounts, err := a.Directory.Accounts(ctx, userID)
	switch {
	case err != nil:
		return nil, err
	case missing && len(accounts) == 0:
		return nil, Unauthorized("the token's user does not exist here")
	case missing:
		user.ID = userID
	}
	return profile{"user": user, "accounts": accounts}, nil
}

// Ticket gives a user who has an access token a ticket for one stream.
func (a *Account) Ticket(w http.ResponseWriter, r *http.Request) {
	ticket, expires, err := a.ticket(r)
	if err != nil {
		RespondError(w, r, a.Log, err)
		return
	}
	RespondJSON(w, http.StatusOK, map[string]any{"ticket": ticket, "expiresAt": expires.UnixMilli()})
}

func (a *Account) ticket(r *http.Request) (ticket string, expires time.Time, err error) {
	viewer, err := signedIn(r.Context(), a.Directory)
	if err != nil {
		return "", expires, err
	}
	var wish struct{ OwnerID string }
	if err := readBody(r, &wish, `empty or {"ownerId":"…"}`); err != nil {
		return "", expires, err
	}
	ownerID := viewer.OwnerID
	if wish.OwnerID != "" {
		if ownerID, _, err = resolveRole(r.Context(), a.Directory, viewer, wish.OwnerID); err != nil {
			return "", expires, err
		}
	}
	return a.Sessions.IssueTicket(r.Context(), db.Ticket{
		UserID: viewer.UserID, OwnerID: ownerID, SessionID: viewer.SessionID, Issued: viewer.Issued, Expires: viewer.Expires,
	}, ticketLifetime)
}

// SignInToDemo signs a visitor in as one of the demo's owners: the one they name, else the first.
func (a *Account) SignInToDemo(w http.ResponseWriter, r *http.Request) {
	answer, err := a.signInToDemo(r)
	if err != nil {
		RespondError(w, r, a.Log, err)
		return
	}
	RespondJSON(w, http.StatusOK, answer)
}

func (a *Account) signInToDemo(r *http.Request) (map[string]any, error) {
	var wish struct{ OwnerID string }
	if err := readBody(r, &wish, `empty or {"ownerId":"…"}`); err != nil {
		return nil, err
	}
	owners, err := a.Demo(r.Context())
	if err != nil {
		return nil, err
	}
	for _, o := range owners {
		if wish.OwnerID != "" && wish.OwnerID != o.OwnerID {
			continue
		}
		token, expires, err := a.Tokens.Sign(o.UserID, "", demoLifetime)
		if err != nil {
			return nil, err
		}
		return map[string]any{
			"token": token, "expiresAt": expires.UnixMilli(), "ownerId": o.OwnerID, "accounts": owners,
		}, nil
	}
	return nil, Invalid("ownerId", "ownerId is none of the demo's owners")
}
