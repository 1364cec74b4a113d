package handlers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// owners is handlers.Accounts, of which registry answers the rest itself.
type owners interface{ handlers.Accounts }

// registry answers as it is told, and counts how often it was asked.
type registry struct {
	owners
	asked int
	role  db.Role
	err   error
	busy  func() // called while it answers
	news  db.Changes
}

// News implements handlers.Changes.
func (r *registry) ChangesSince(context.Context, db.Version) (db.Changes, error) { return r.news, nil }

func (r *registry) Access(context.Context, db.Caller, string) (db.Role, error) {
	r.asked++
	role, err := r.role, r.err
	if r.busy != nil {
		r.busy()
	}
	return role, err
}

func TestAccessCache(t *testing.T) {
	t.Parallel()
	r := &registry{role: db.RoleViewer}
	invalidator := handlers.NewInvalidator(r)
	a := handlers.NewAccessCache(r, invalidator)
	hear := func(n db.Changes) {
		t.Helper()
		r.news = n
		if err := invalidator.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	}
	ana, bia := db.Caller{UserID: "1"}, db.Caller{UserID: "2"}
	ask := func(what string, c db.Caller, owner string, want db.Role, asked int) {
		t.Helper()
		role, err := a.Access(t.Context(), c, owner)
		if role != want || err != nil && r.err == nil || r.asked != asked {
			t.Errorf("%s: %q, %v, asked %d times; want %q, %d", what, role, err, r.asked, want, asked)
		}
	}
	ask("first", ana, "42", db.RoleViewer, 1)
	ask("again", ana, "42", db.RoleViewer, 1)
	ask("somebody else", bia, "42", db.RoleViewer, 2)
	ask("another account", ana, "43", db.RoleViewer, 3)
	ask("another session", db.Caller{UserID: "1", SessionID: "s"}, "42", db.RoleViewer, 4)
	r.role = ""
	hear(db.Changes{Accounts: []string{"42"}, Owners: []string{"43"}})
	ask("removed", ana, "42", "", 5)
	ask("another account stays", ana, "43", db.RoleViewer, 5)
	ask("nothing is not remembered", ana, "42", "", 6)
	hear(db.Changes{Users: []string{"1"}})
	ask("signed out", ana, "43", "", 7)
	r.role = db.RoleManager
	ask("anew", bia, "43", db.RoleManager, 8)
	hear(db.Changes{Everything: true})
	ask("all forgotten", bia, "43", db.RoleManager, 9)
	r.err = errors.New("the database is away")
	hear(db.Changes{Everything: true})
	ask("an error", bia, "43", db.RoleManager, 10)
	ask("an error is not remembered", bia, "43", db.RoleManager, 11)

	r.err, r.asked = nil, 0
	// revoked while the answer is on its way
	r.busy = func() { r.busy, r.role = nil, ""; hear(db.Changes{Accounts: []string{"44"}}) }
	ask("an answer of before", ana, "44", db.RoleManager, 1)
	ask("is not remembered", ana, "44", "", 2)
}
