// Package handlers is what each endpoint does: snapshots over REST, and streams over WebSocket and Server-Sent Events,
// which share one session.
//
// It promises that a snapshot's position lies before what the snapshot shows, that a session sends each event once and in
// order, and that a slow connection costs bounded memory and delays nobody else. It knows nothing of paths, JWT, cookies,
// SQL or the environment.
package handlers

import (
	"context"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Viewer is who is asking, and until when.
type Viewer struct {
	UserID  string
	OwnerID string    // the account that the token wishes for; "" if it does not say
	Expires time.Time // when the token ends
	// SessionID is the session that the token belongs to; "" for a token that was signed elsewhere, of which Issued counts.
	SessionID string
	Issued    time.Time
	// Early says that the token came in a way whose sender can read an HTTP status: a refusal comes before the upgrade.
	// Others get an open stream that closes with a code.
	Early bool
	// Rejected says, in words for the sender, why a token is no good; there is no user then.
	Rejected string
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

// Authority turns a token into a Viewer. The error's text may be shown to whoever sent the token.
type Authority interface {
	Verify(ctx context.Context, token string) (Viewer, error)
}

// Accounts knows who may see which owner account.
type Accounts interface {
	CanonicalOwnerID(id string) (string, error)
	Accounts(ctx context.Context, userID string) ([]db.Account, error)
	// Access returns what a caller may do in an owner account, nothing in one that does not exist; db.ErrSessionEnded when
	// his session has ended.
	Access(ctx context.Context, c db.Caller, ownerID string) (db.Role, error)
}

// Caller is a viewer as the database knows him.
func (v Viewer) Caller() db.Caller {
	return db.Caller{UserID: v.UserID, SessionID: v.SessionID, Issued: v.Issued}
}

// known returns who is asking, or why nobody is recognised.
func known(ctx context.Context) (Viewer, *refusal) {
	viewer, ok := ViewerFrom(ctx)
	switch {
	case !ok:
		return viewer, unauthorized("send an access token: Authorization: Bearer …")
	case viewer.Rejected != "":
		return viewer, unauthorized(viewer.Rejected)
	}
	return viewer, nil
}

// owner returns the canonical id of the account that a viewer asked for, if he may see it: the one he named, else the one
// of his token, else his only one.
func owner(ctx context.Context, accounts Accounts, v Viewer, named string) (string, *refusal) {
	if named == "" {
		named = v.OwnerID
	}
	if named == "" {
		list, err := accounts.Accounts(ctx, v.UserID)
		switch {
		case err != nil:
			return "", refuse(err, "")
		case len(list) == 0:
			return "", forbidden("you have no owner account")
		case len(list) > 1:
			return "", invalid("ownerId", "you have several owner accounts: say which one with ownerId")
		}
		named = list[0].OwnerID
	}
	id, _, refused := access(ctx, accounts, v, named)
	return id, refused
}

// access returns the canonical id of an account that a viewer named, and what he may do there, if he may see it.
func access(ctx context.Context, accounts Accounts, v Viewer, named string) (string, db.Role, *refusal) {
	id, err := accounts.CanonicalOwnerID(named)
	if err != nil {
		return "", "", invalid("ownerId", "ownerId is not an owner's id")
	}
	role, err := accounts.Access(ctx, v.Caller(), id)
	if err != nil {
		return "", "", refuse(err, "")
	}
	if role == "" {
		return "", "", forbidden("this owner account is not yours")
	}
	return id, role, nil
}
