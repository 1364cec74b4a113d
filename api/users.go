package api

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// userTTL is how long it is remembered whom a column names: a column that is changed
	// counts within the time in which a lost account does. maxUsers is how many are
	// remembered, at some 150 bytes each.
	userTTL  = 5 * time.Second
	maxUsers = 1 << 14
)

// errUserUnknown is, in words for its sender, that a token is good and names no user.
var errUserUnknown = handlers.Unauthorized("the token's user is not known here: sign in as another")

// UserColumn finds users by what a column of the portal's users holds.
type UserColumn interface {
	// UserID returns the id of the one user whose column holds a value; db.ErrNotFound when that is
	// nobody, and db.ErrConflict when several have it.
	UserID(ctx context.Context, value string) (string, error)
}

// Users turns what tokens say of their users into the ids that the portal's tables know.
type Users struct {
	canonical   func(id string) string
	column      UserColumn
	foreignOnly bool

	cache ttlCache[string, string]
	group singleflight.Group
}

// NewUsers returns Users. canonical writes an id as the database does. column is nil where what a
// token says is the id; with foreignOnly it counts for tokens of public keys only: the subjects of
// two issuers are not one space.
func NewUsers(canonical func(id string) string, column UserColumn, foreignOnly bool) *Users {
	return &Users{canonical: canonical, column: column, foreignOnly: foreignOnly, cache: newTTLCache[string, string](maxUsers)}
}

// find returns the id of the user whom a token of a signer names by a value.
func (u *Users) find(ctx context.Context, by signer, value string) (string, error) {
	if u.column == nil || by == signerSelf || by == signerPortal && u.foreignOnly {
		return u.canonical(value), nil
	}
	if id, ok := u.cache.get(value); ok {
		return id, nil
	}
	answer := u.group.DoChan(value, func() (any, error) {
		id, err := u.column.UserID(context.WithoutCancel(ctx), value)
		if err == nil {
			u.cache.put(value, id, userTTL)
		}
		return id, err
	})
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-answer:
		switch id, _ := a.Val.(string); {
		case a.Err == nil:
			return id, nil
		case errors.Is(a.Err, db.ErrNotFound):
			return "", &CredentialError{reasonUnknownUser, "nobody has the value of the claim that counts in JWT_USER_COLUMN", errUserUnknown}
		case errors.Is(a.Err, db.ErrConflict):
			return "", &CredentialError{reasonUnknownUser, "several users have the value of the claim that counts in JWT_USER_COLUMN: a unique index keeps them apart", errUserUnknown}
		case !db.Unavailable(a.Err):
			return "", a.Err
		default:
			return "", &handlers.TryLater{Detail: handlers.DatabaseAway, Cause: a.Err}
		}
	}
}
