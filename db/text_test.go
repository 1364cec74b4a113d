package db_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

// TestTextsThatTheDatabaseCannotHold asks with a NUL, with bytes that are no UTF-8, and with what
// is beyond a LATIN1 database: each is nobody's, or refused as a text, and never an outage.
func TestTextsThatTheDatabaseCannotHold(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	address, err := url.Parse(portal.URL)
	must(t, err)
	name := address.Path[1:] + "_latin1"
	portal.Exec(t, `CREATE DATABASE "`+name+`" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
	t.Cleanup(func() { portal.Pool.Exec(`DROP DATABASE "` + name + `" WITH (FORCE)`) })
	address.Path = "/" + name
	must(t, demo.CreateSchema(t.Context(), connect(t, address.String())))
	must(t, db.Migrate(t.Context(), address.String(), quiet))
	latin := dbtest.Open(t, address.String())
	owner := latin.AddOwner(t, 0)
	store, err := db.NewStore(t.Context(), latin.Pool, time.UTC)
	must(t, err)
	sessions := db.NewSessions(store)
	for _, text := range []string{"漢字@a.example", "a\x00@a.example", "\xff@a.example"} {
		caller := db.Caller{UserID: text, Issued: time.Now()}
		for what, ask := range map[string]func() error{
			"a user":       func() error { _, err := store.User(t.Context(), text); return err },
			"accounts":     func() error { _, err := store.Accounts(t.Context(), text); return err },
			"access":       func() error { _, err := store.Access(t.Context(), caller, owner.ID); return err },
			"a session":    func() error { return store.SignedIn(t.Context(), caller) },
			"a member":     func() error { _, err := store.Member(t.Context(), owner.ID, text); return err },
			"credentials":  func() error { _, err := sessions.Credentials(t.Context(), text); return err },
			"an invitee":   func() error { return store.Invite(t.Context(), owner.ID, text, db.RoleViewer, owner.UserID, true) },
			"an answer":    func() error { return store.Decline(t.Context(), owner.UserID, text) },
			"a withdrawal": func() error { return store.Withdraw(t.Context(), owner.ID, text, db.RoleViewer) },
			"a sign-out":   func() error { return sessions.EndAll(t.Context(), text) },
		} {
			if err := ask(); err != nil && !errors.Is(err, db.ErrInvalidText) && !errors.Is(err, db.ErrNotFound) {
				t.Errorf("%s by %q: %v", what, text, err)
			}
		}
	}
	if _, err := sessions.Credentials(t.Context(), "é@a.example"); err != nil {
		t.Errorf("a text that LATIN1 has: %v", err)
	}
}

func connect(t *testing.T, databaseURL string) *sqlx.DB {
	t.Helper()
	pool, err := sqlx.Connect("postgres", databaseURL)
	must(t, err)
	t.Cleanup(func() { pool.Close() })
	return pool
}
