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
	MayView(ctx context.Context, userID, ownerID string) (bool, error)
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
		return list[0].OwnerID, nil
	}
	id, err := accounts.CanonicalOwnerID(named)
	if err != nil {
		return "", invalid("ownerId", "ownerId is not an owner's id")
	}
	may, err := accounts.MayView(ctx, v.UserID, id)
	if err != nil {
		return "", refuse(err, "")
	}
	if !may {
		return "", forbidden("this owner account is not yours")
	}
	return id, nil
}
