package handlers

import (
	"context"
	"net/http"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// grant is who asks about which account, and what they may do there.
type grant struct {
	viewer  Viewer
	ownerID string
	role    db.Role
}

// authorize returns what the caller may do in the account in a request's path.
func authorize(r *http.Request, accounts Accounts) (grant, error) {
	viewer, err := RequireViewer(r.Context())
	if err != nil {
		return grant{}, err
	}
	id, role, err := resolveRole(r.Context(), accounts, viewer, r.PathValue("ownerId"))
	return grant{viewer, id, role}, err
}

// authorizeManager is authorize for what viewers may not do; forbidden says so to them.
func authorizeManager(r *http.Request, accounts Accounts, forbidden string) (grant, error) {
	g, err := authorize(r, accounts)
	if err == nil && g.role == db.RoleViewer {
		err = Forbidden(forbidden, "")
	}
	return g, err
}

// signedIn returns who asks about themselves, if their session has not ended.
func signedIn(ctx context.Context, users Users) (Viewer, error) {
	viewer, err := RequireViewer(ctx)
	if err == nil {
		err = users.SignedIn(ctx, viewer.Caller())
	}
	return viewer, err
}

// may reports whether they may give a role to another user, or take it away.
func (g grant) may(role db.Role) bool {
	return g.role == db.RoleOwner || g.role == db.RoleManager && role == db.RoleViewer
}

// check refuses a role that does not exist, or that the caller may not give.
func (g grant) check(role db.Role) error {
	switch role {
	case db.RoleOwner, db.RoleManager, db.RoleViewer:
	default:
		return Invalid("role", "role must be owner, manager or viewer")
	}
	switch {
	case g.role == db.RoleViewer:
		return Forbidden("only owners and managers may change who sees this account", "")
	case !g.may(role):
		return Forbidden("only owners may make others owners or managers", "")
	}
	return nil
}
