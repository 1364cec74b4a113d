// Package handlers is what each endpoint does: sign-in, accounts, members, and snapshots
// over REST; its room stream serves WebSocket and Server-Sent Events. Errors have one
// vocabulary here, for all of them.
//
// It promises that a snapshot's position lies before what the snapshot shows. It knows nothing of
// paths, JWT, cookies, SQL or the environment.
package handlers

import (
	"context"
	"slices"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Viewer is who is asking, and until when.
type Viewer struct {
	UserID  string
	OwnerID string    // the account that the token wishes for; "" if it does not say
	Expires time.Time // when the token ends
	// SessionID is the session that the token belongs to; "" for a token that was signed elsewhere,
	// of which Issued counts. It is zero where the token does not say.
	SessionID string
	Issued    time.Time
	// Lifetime is how long the token was made to last, exp − iat; 0 where it does not say
	// when it was issued.
	Lifetime time.Duration
	// Early says that the token came in a way whose sender can read an HTTP status: a refusal comes
	// before the upgrade. Others get an open stream that closes with a code.
	Early bool
	// Rejected says, in words for the sender, why a token is no good; there is no user then.
	Rejected string
	// Confirm asks once more who the credential is, where only the portal knows: it may end a
	// session before the time that it said. nil for what tells its end by itself.
	Confirm func(ctx context.Context) (Viewer, error)
	// Later says that the credential can be neither trusted nor rejected at this moment;
	// there is no user then.
	Later *TryLater
}

// TokenLifetime returns how long the token lasts: where it does not say when it was issued, from
// its arrival.
func (v Viewer) TokenLifetime(arrival time.Time) time.Duration {
	if v.Lifetime > 0 {
		return v.Lifetime
	}
	return max(0, v.Expires.Sub(arrival))
}

// Deadline returns when the viewer may no longer be served: as long after Expires as a token
// counts, and at once where the portal says how long its session lasts.
func (v Viewer) Deadline() time.Time {
	if v.Confirm != nil {
		return v.Expires
	}
	return v.Expires.Add(TokenLeeway(v.Lifetime))
}

// maxLeeway is the most time by which two machines' clocks may differ, or a token be
// renewed too late.
const maxLeeway = 60 * time.Second

// leewayShare bounds the leeway of a short token: one of so many parts of its life.
const leewayShare = 6

// TokenLeeway returns how long after its end (the claim exp, RFC 7519, section 4.1.4) a token still
// counts that was made to last for a lifetime: at the door, over REST, and on an open stream, which
// ends with it. A token of a minute has 10 s; one that does not say when it was issued, and comes
// after its end, has as much as any.
func TokenLeeway(lifetime time.Duration) time.Duration {
	if lifetime <= 0 {
		return maxLeeway
	}
	return min(maxLeeway, lifetime/leewayShare)
}

type viewerKey struct{}

// WithViewer returns a context that says who is asking.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

// ViewerFrom returns who is asking, if anybody was recognised.
func ViewerFrom(ctx context.Context) (Viewer, bool) {
	v, ok := ctx.Value(viewerKey{}).(Viewer)
	return v, ok
}

// Authority turns a token into a Viewer. An error that is of this package's vocabulary says why
// not: Unauthorized that the token is no good, a TryLater that it could not be checked, so that it
// may be good, and its sender keeps it. Any other error is a fault of ours.
type Authority interface {
	Verify(ctx context.Context, token string) (Viewer, error)
}

// Accounts knows who may see which owner account.
type Accounts interface {
	CanonicalOwnerID(id string) (string, error)
	// Accounts returns a user's own accounts, then those that were shared with them.
	Accounts(ctx context.Context, userID string) ([]db.Account, error)
	// Access returns what a caller may do in an owner account, nothing in one that does not exist;
	// db.ErrSessionEnded when their session has ended.
	Access(ctx context.Context, c db.Caller, ownerID string) (db.Role, error)
}

// Caller is a viewer as the database knows them.
func (v Viewer) Caller() db.Caller {
	return db.Caller{UserID: v.UserID, SessionID: v.SessionID, Issued: v.Issued}
}

// RequireViewer returns who is asking; its error says why nobody is recognised.
func RequireViewer(ctx context.Context) (Viewer, error) {
	viewer, ok := ViewerFrom(ctx)
	if !ok {
		return viewer, Unauthorized("send an access token: Authorization: Bearer …")
	}
	return viewer, viewer.Refused()
}

// Refused returns why a credential that was sent makes no viewer: it is no good, or cannot be
// checked at this moment. It is nil for a viewer.
func (v Viewer) Refused() error {
	switch {
	case v.Later != nil:
		return v.Later
	case v.Rejected != "":
		return Unauthorized(v.Rejected)
	}
	return nil
}

// ResolveOwner returns the canonical id of the account that a viewer asked for, if they may see it:
// the one they named, else the one of their token, else their default.
func ResolveOwner(ctx context.Context, accounts Accounts, v Viewer, named string) (string, error) {
	if named == "" {
		named = v.OwnerID
	}
	if named == "" {
		list, err := accounts.Accounts(ctx, v.UserID)
		if err != nil {
			return "", err
		}
		if named, err = defaultAccount(list); err != nil {
			return "", err
		}
	}
	id, _, err := resolveRole(ctx, accounts, v, named)
	return id, err
}

// defaultAccount returns the account that a user means who names none: the only one that is their
// own, whatever else was shared with them, or else the only one of all.
func defaultAccount(list []db.Account) (string, error) {
	own := slices.IndexFunc(list, func(a db.Account) bool { return !a.Own })
	switch {
	case len(list) == 0:
		return "", Forbidden("you have no owner account", "")
	case len(list) == 1 || own == 1:
		return list[0].OwnerID, nil
	}
	return "", Invalid("ownerId", "you have several owner accounts: say which one with ownerId")
}

// resolveRole returns the canonical id of an account that a viewer named, and what they may do
// there, if they may see it.
func resolveRole(ctx context.Context, accounts Accounts, v Viewer, named string) (string, db.Role, error) {
	id, err := accounts.CanonicalOwnerID(named)
	if err != nil {
		return "", "", Invalid("ownerId", "ownerId is not an owner's id")
	}
	role, err := accounts.Access(ctx, v.Caller(), id)
	if err != nil {
		return "", "", err
	}
	if role == "" {
		return "", "", Forbidden("this owner account is not yours", "")
	}
	return id, role, nil
}
