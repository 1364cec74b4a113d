package handlers

import (
	"errors"
	"net/http"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// invitation is an invitation as clients get it. Times are Unix milliseconds.
type invitation struct {
	ID            string  `json:"id"`
	OwnerID       string  `json:"ownerId"`
	CompanyName   string  `json:"companyName"`
	Email         string  `json:"email"`
	Role          db.Role `json:"role"`
	InvitedBy     string  `json:"invitedBy"` // a user's id
	InvitedByName string  `json:"invitedByName"`
	CreatedAt     int64   `json:"createdAt"`
	ExpiresAt     int64   `json:"expiresAt"`
}

func invitationsOf(list []db.Invitation) []invitation {
	out := make([]invitation, 0, len(list))
	for _, i := range list {
		out = append(out, invitation{i.ID, i.OwnerID, i.CompanyName, i.Email, i.Role, i.InvitedBy, i.InvitedByName,
			i.CreatedAt.UnixMilli(), i.ExpiresAt.UnixMilli()})
	}
	return out
}

// invited is the answer to every invitation: it does not tell who is registered.
var invited = map[string]string{"status": "invited"}

// Invite asks whose e-mail address it is to see the account. The answer is the same for every
// address, also for a member's.
func (m *Members) Invite(w http.ResponseWriter, r *http.Request) {
	if err := m.invite(r); err != nil {
		RespondError(w, r, m.Log, err)
		return
	}
	RespondJSON(w, http.StatusAccepted, invited)
}

func (m *Members) invite(r *http.Request) error {
	g, err := authorize(r, m.Directory)
	if err != nil {
		return err
	}
	var body struct {
		Email string
		Role  db.Role
	}
	if err := readBody(r, &body, `{"email":"…","role":"viewer"}`); err != nil {
		return err
	}
	email := strings.TrimSpace(body.Email)
	if !isAddress(email) {
		return Invalid("email", "email must be an e-mail address")
	}
	if err := g.check(body.Role); err != nil {
		return err
	}
	err = m.Register.Invite(r.Context(), g.ownerID, email, body.Role, g.viewer.UserID, g.role == db.RoleOwner)
	switch {
	case errors.Is(err, db.ErrTooMany):
		return conflict("this account has as many open invitations as there may be: withdraw some, or wait for answers")
	case err != nil:
		return RefusalOf(err, "email")
	}
	return nil
}

// isAddress reports whether a text may be an e-mail address. What comes before and after the last @
// is the portal's and the mail servers' to judge.
func isAddress(text string) bool {
	at := strings.LastIndexByte(text, '@')
	return at > 0 && at < len(text)-1 && len(text) <= maxEmail &&
		!strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7F || c == 0xFFFD })
}

// ListInvitations answers with the account's open invitations.
func (m *Members) ListInvitations(w http.ResponseWriter, r *http.Request) {
	g, err := authorizeManager(r, m.Directory, "only owners and managers may see who is invited to this account")
	if err != nil {
		RespondError(w, r, m.Log, err)
		return
	}
	list, err := m.Register.Invitations(r.Context(), g.ownerID)
	if err != nil {
		RespondError(w, r, m.Log, err)
		return
	}
	RespondJSON(w, http.StatusOK, map[string]any{"invitations": invitationsOf(list)})
}

// Withdraw takes an invitation back.
func (m *Members) Withdraw(w http.ResponseWriter, r *http.Request) {
	if err := m.withdraw(r); err != nil {
		RespondError(w, r, m.Log, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (m *Members) withdraw(r *http.Request) error {
	g, err := authorizeManager(r, m.Directory, "only owners and managers may withdraw invitations")
	if err != nil {
		return err
	}
	found, err := m.Register.Invitation(r.Context(), g.ownerID, r.PathValue("invitationId"))
	if err != nil {
		return noInvitation(err)
	}
	if !g.may(found.Role) {
		return Forbidden("only owners may withdraw invitations of owners and managers", "")
	}
	return noInvitation(m.Register.Withdraw(r.Context(), g.ownerID, found.ID, found.Role))
}

// Answer accepts or declines an invitation of the caller.
func (m *Members) Answer(w http.ResponseWriter, r *http.Request) {
	account, err := m.accept(r)
	switch {
	case err != nil:
		RespondError(w, r, m.Log, err)
	case account == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		RespondJSON(w, http.StatusOK, account)
	}
}

// accept returns the account that was accepted, nil where it was declined.
func (m *Members) accept(r *http.Request) (*db.Account, error) {
	viewer, err := signedIn(r.Context(), m.Directory)
	if err != nil {
		return nil, err
	}
	var body struct{ Accept *bool }
	if err := readBody(r, &body, `{"accept":true} or {"accept":false}`); err != nil {
		return nil, err
	}
	if body.Accept == nil {
		return nil, Invalid("accept", "accept must be true or false")
	}
	id := r.PathValue("invitationId")
	if !*body.Accept {
		return nil, noInvitation(m.Register.Decline(r.Context(), viewer.UserID, id))
	}
	account, err := m.Register.Accept(r.Context(), viewer.UserID, id)
	return &account, noInvitation(err)
}

// noInvitation words an error that concerns an invitation which is gone, or never was.
func noInvitation(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, db.ErrNotFound):
		return notFound("there is no such invitation: it was answered or withdrawn, or has expired")
	}
	return RefusalOf(err, "invitationId")
}
