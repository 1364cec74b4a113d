package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// maxBody is the most bytes of a request's body that are read.
const maxBody = 4 << 10

// Register keeps who may see an account besides its own user. ErrNotFound and ErrConflict are db's.
type Register interface {
	Members(ctx context.Context, ownerID string) ([]db.Member, error)
	Member(ctx context.Context, ownerID, userID string) (db.Member, error)
	AddMember(ctx context.Context, ownerID, email string, role db.Role) (db.Member, error)
	ChangeMember(ctx context.Context, ownerID, userID string, was, role db.Role) (db.Member, error)
	RemoveMember(ctx context.Context, ownerID, userID string, was db.Role) error
}

// Members serves an account's members. An owner decides about everybody, a manager about viewers, and everybody may leave.
type Members struct {
	Accounts Accounts
	Register Register
	Log      *slog.Logger
}

// member is a member as clients get him.
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

// position is who asks about which account, and what he may do there.
type position struct {
	viewer  Viewer
	ownerID string
	role    db.Role
}

// may reports whether he may give a role to somebody, or take it away.
func (p position) may(role db.Role) bool {
	return p.role == db.RoleOwner || p.role == db.RoleManager && role == db.RoleViewer
}

func (m *Members) admit(r *http.Request) (position, *refusal) {
	viewer, refused := known(r.Context())
	if refused != nil {
		return position{}, refused
	}
	id, role, refused := access(r.Context(), m.Accounts, viewer, r.PathValue("ownerId"))
	return position{viewer, id, role}, refused
}

// List answers with all members, the account's own user first.
func (m *Members) List(w http.ResponseWriter, r *http.Request) {
	p, refused := m.admit(r)
	if refused == nil && p.role == db.RoleViewer {
		refused = forbidden("only owners and managers may see who else sees this account")
	}
	if refused != nil {
		respondRefusal(r.Context(), w, m.Log, refused)
		return
	}
	members, err := m.Register.Members(r.Context(), p.ownerID)
	if err != nil {
		respondRefusal(r.Context(), w, m.Log, refuse(err, ""))
		return
	}
	list := make([]member, 0, len(members))
	for _, one := range members {
		list = append(list, memberOf(one))
	}
	RespondJSON(w, http.StatusOK, map[string]any{"members": list})
}

// Add makes the user with an e-mail address a member.
func (m *Members) Add(w http.ResponseWriter, r *http.Request) {
	p, refused := m.admit(r)
	var body struct {
		Email string
		Role  db.Role
	}
	if refused == nil {
		refused = readMember(w, r, &body)
	}
	email := strings.TrimSpace(body.Email)
	switch {
	case refused != nil:
	case email == "" || strings.ContainsRune(email, 0):
		refused = invalid("email", "email must be the e-mail address of a user")
	default:
		refused = p.check(body.Role)
	}
	if refused != nil {
		respondRefusal(r.Context(), w, m.Log, refused)
		return
	}
	added, err := m.Register.AddMember(r.Context(), p.ownerID, email, body.Role)
	switch {
	case errors.Is(err, db.ErrNotFound):
		refused = &refusal{status: http.StatusNotFound, detail: "no user has this e-mail address: he must register first", field: "email"}
	case errors.Is(err, db.ErrConflict):
		refused = &refusal{status: http.StatusConflict, detail: "this user is a member already: change his role instead", field: "email"}
	case err != nil:
		refused = refuse(err, "")
	}
	m.answer(w, r, refused, http.StatusCreated, added)
}

// Change gives a member another role.
func (m *Members) Change(w http.ResponseWriter, r *http.Request) {
	p, refused := m.admit(r)
	var body struct{ Role db.Role }
	if refused == nil {
		refused = readMember(w, r, &body)
	}
	if refused == nil {
		refused = p.check(body.Role)
	}
	var found db.Member
	if refused == nil {
		found, refused = m.find(r, p)
	}
	if refused == nil && !p.may(found.Role) {
		refused = forbidden("only owners may change owners and managers")
	}
	if refused == nil && found.Role != body.Role {
		var err error
		if found, err = m.Register.ChangeMember(r.Context(), p.ownerID, found.UserID, found.Role, body.Role); err != nil {
			refused = missing(err)
		}
	}
	m.answer(w, r, refused, http.StatusOK, found)
}

// Remove takes a member out of the account. His streams of it end.
func (m *Members) Remove(w http.ResponseWriter, r *http.Request) {
	p, refused := m.admit(r)
	if refused == nil && p.role == db.RoleViewer && r.PathValue("userId") != p.viewer.UserID {
		refused = forbidden("only owners and managers may remove others")
	}
	var found db.Member
	if refused == nil {
		found, refused = m.find(r, p)
	}
	if refused == nil && !p.may(found.Role) && found.UserID != p.viewer.UserID {
		refused = forbidden("only owners may remove owners and managers")
	}
	if refused == nil {
		if err := m.Register.RemoveMember(r.Context(), p.ownerID, found.UserID, found.Role); err != nil {
			refused = missing(err)
		}
	}
	if refused != nil {
		respondRefusal(r.Context(), w, m.Log, refused)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// check refuses a role that does not exist, or that he may not give.
func (p position) check(role db.Role) *refusal {
	switch role {
	case db.RoleOwner, db.RoleManager, db.RoleViewer:
	default:
		return invalid("role", "role must be owner, manager or viewer")
	}
	switch {
	case p.role == db.RoleViewer:
		return forbidden("only owners and managers may change who sees this account")
	case !p.may(role):
		return forbidden("only owners may make others owners or managers")
	}
	return nil
}

// find returns the member in the path. The account's own user is none whom one could change.
func (m *Members) find(r *http.Request, p position) (db.Member, *refusal) {
	found, err := m.Register.Member(r.Context(), p.ownerID, r.PathValue("userId"))
	if err != nil {
		return found, missing(err)
	}
	if found.Since.IsZero() {
		return found, &refusal{status: http.StatusConflict, detail: "the account belongs to this user: the portal decides about that"}
	}
	return found, nil
}

// missing refuses what concerns a member who is not there, or not as he was a moment ago.
func missing(err error) *refusal {
	if errors.Is(err, db.ErrNotFound) {
		return &refusal{status: http.StatusNotFound, detail: "this user is no member of the account, or was changed by somebody else just now"}
	}
	return refuse(err, "")
}

func readMember(w http.ResponseWriter, r *http.Request, body any) *refusal {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(body); err != nil {
		return invalid("body", `the body must be {"email":"…","role":"viewer"}, or {"role":"viewer"} for one who is a member`)
	}
	return nil
}

func (m *Members) answer(w http.ResponseWriter, r *http.Request, refused *refusal, status int, one db.Member) {
	if refused != nil {
		respondRefusal(r.Context(), w, m.Log, refused)
		return
	}
	RespondJSON(w, status, memberOf(one))
}
