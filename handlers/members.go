package handlers

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Members serves an account's members and invitations. An owner decides about everybody, a manager
// about viewers, and everybody may leave.
type Members struct {
	Directory Directory
	Register  *db.Store
	Log       *slog.Logger
}

// member is a member as clients get them.
type member struct {
	UserID string  `json:"userId"`
	Name   string  `json:"name"`
	Email  string  `json:"email"`
	Role   db.Role `json:"role"`
	Since  int64   `json:"since,omitempty"` // Unix milliseconds; absent for the account's own user
}

func memberOf(m db.Member) member {
	out := member{UserID: m.UserID, Name: m.Name, Email: m.Email, Role: m.Role}
	if !m.Since.IsZero() {
		out.Since = m.Since.UnixMilli()
	}
	return out
}

// List answers with all members, the account's own user first.
func (m *Members) List(w http.ResponseWriter, r *http.Request) {
	g, err := authorizeManager(r, m.Directory, "only owners and managers may see who else sees this account")
	if err != nil {
		RespondError(w, r, m.Log, err)
		return
	}
	members, err := m.Register.Members(r.Context(), g.ownerID)
	if err != nil {
		RespondError(w, r, m.Log, err)
		return
	}
	list := make([]member, 0, len(members))
	for _, one := range members {
		list = append(list, memberOf(one))
	}
	respondPrivate(w, r, m.Log, map[string]any{"members": list})
}

// Change gives a member another role.
func (m *Members) Change(w http.ResponseWriter, r *http.Request) {
	changed, err := m.change(r)
	if err != nil {
		RespondError(w, r, m.Log, err)
		return
	}
	RespondJSON(w, http.StatusOK, memberOf(changed))
}

func (m *Members) change(r *http.Request) (db.Member, error) {
	g, err := authorize(r, m.Directory)
	if err != nil {
		return db.Member{}, err
	}
	var body struct{ Role db.Role }
	if err := readBody(r, &body, `{"role":"viewer"}`); err != nil {
		return db.Member{}, err
	}
	if err := g.check(body.Role); err != nil {
		return db.Member{}, err
	}
	found, err := m.find(r, g)
	switch {
	case err != nil:
		return found, err
	case !g.may(found.Role):
		return found, Forbidden("only owners may change owners and managers", "")
	case found.Role == body.Role:
		return found, nil
	}
	changed, err := m.Register.ChangeMember(r.Context(), g.ownerID, found.UserID, found.Role, body.Role, g.viewer.UserID)
	return changed, missing(err)
}

// Remove takes a member out of the account. Their streams of it end.
func (m *Members) Remove(w http.ResponseWriter, r *http.Request) {
	if err := m.remove(r); err != nil {
		RespondError(w, r, m.Log, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (m *Members) remove(r *http.Request) error {
	g, err := authorize(r, m.Directory)
	if err != nil {
		return err
	}
	if g.role == db.RoleViewer && r.PathValue("userId") != g.viewer.UserID {
		return Forbidden("only owners and managers may remove others", "")
	}
	found, err := m.find(r, g)
	if err != nil {
		return err
	}
	if !g.may(found.Role) && found.UserID != g.viewer.UserID {
		return Forbidden("only owners may remove owners and managers", "")
	}
	return missing(m.Register.RemoveMember(r.Context(), g.ownerID, found.UserID, found.Role, g.viewer.UserID))
}

// find returns the member in the path. The account's own user is none that could be changed.
func (m *Members) find(r *http.Request, g grant) (db.Member, error) {
	found, err := m.Register.Member(r.Context(), g.ownerID, r.PathValue("userId"))
	if err != nil {
		return found, missing(err)
	}
	if found.Since.IsZero() {
		return found, conflict("the account belongs to this user: the portal decides about that")
	}
	return found, nil
}

// missing words an error that concerns a member who is gone, or has changed a moment ago.
func missing(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return notFound("this user is no member of the account, or was changed by somebody else just now")
	}
	return err
}
