package db_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		if !slices.Contains([]string{"a table", "uuid ids", "another schema"}, v.name) {
			continue // users are alike in the others
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			portal := v.migrated(t)
			store, err := db.NewStore(t.Context(), portal.Pool, time.UTC)
			must(t, err)
			hash, err := bcrypt.GenerateFromPassword([]byte("x"), 5)
			must(t, err)
			add := func(email, hash string) string {
				return portal.ID(t, `INSERT INTO users (first_name, last_name, email, password_hash) VALUES ('A', 'B', $1, $2) RETURNING id::text`, email, hash)
			}
			kelvin := add("mi\u212Ae@a.example", "!")
			mixed := add("Mike@A.example", string(hash))
			upper, lower := add("ANA@a.example", "!"), add("ana@a.example", "!")
			if id, err := store.CanonicalUserID(strings.ToUpper(lower)); id != lower {
				t.Errorf("the id %s in upper case is %q, %v", lower, id, err)
			}
			sessions := db.NewSessions(store)
			for email, want := range map[string]string{
				"MIKE@a.example": mixed, "mike@a.example": mixed, "ANA@a.example": upper, "ana@a.example": lower, "Ana@a.example": lower, "mi\u212Ae@a.example": kelvin, "nobody@a.example": "", "' OR true --": "",
			} {
				c, err := sessions.Credentials(t.Context(), email)
				must(t, err)
				if c.ID != want || c.Cost != 5 {
					t.Errorf("%q is user %q with cost %d, want %q", email, c.ID, c.Cost, want)
				}
			}
		})
	}
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	store, err := db.NewStore(t.Context(), portal.Pool, time.UTC)
	must(t, err)
	sessions := db.NewSessions(store)
	one, many := db.Count{Key: "one", Free: 2, Forget: true}, db.Count{Key: "many", Free: 50}
	other := db.Count{Key: "other", Free: 2}
	attempt := func(want bool, counts ...db.Count) {
		t.Helper()
		wait, err := sessions.Attempt(t.Context(), counts...)
		must(t, err)
		if (wait > 0) != want {
			t.Errorf("the attempt must wait for %s", wait)
		}
	}
	counted := func() string {
		return portal.ID(t, `SELECT string_agg(count::text, ' ' ORDER BY count) FROM realtime.failures`)
	}
	attempt(false, one, many)
	attempt(false, one, many)
	attempt(false, one, many) // the first that makes the next wait
	// The wait of a second would be over before a slow machine has made ten attempts.
	portal.Exec(t, `UPDATE realtime.failures SET until = until + interval '1 hour' WHERE until = (SELECT max(until) FROM realtime.failures)`)
	for range 5 {
		attempt(true, one, many)
		attempt(true, many, one)
	}
	if got := counted(); got != "3 3" {
		t.Errorf("counted %s, want 3 of each: what waits counts nowhere", got)
	}
	attempt(false, other, many)
	must(t, sessions.Succeeded(t.Context(), one, many))
	if got := counted(); got != "0 1 3" {
		t.Errorf("counted %s after a success", got)
	}
	attempt(false, one, many)
	portal.Exec(t, `UPDATE realtime.failures SET count = 40, until = now() - interval '61 minutes'`)
	attempt(false, one, many)
	if got := counted(); got != "1 1 40" {
		t.Errorf("counted %s an hour later", got)
	}
	// Nobody passes by coming at the same time.
	passed, began := make(chan bool), time.Now()
	for range 20 {
		go func() {
			wait, err := sessions.Attempt(t.Context(), db.Count{Key: "crowd", Free: 3}, many)
			passed <- err == nil && wait == 0
		}()
	}
	n := 0
	for range 20 {
		if <-passed {
			n++
		}
	}
	// On a machine that is slow the wait of a second is over before all have come.
	if most := 4 + int(time.Since(began)/time.Second); n == 0 || n > most {
		t.Errorf("%d of a crowd pass, want 1 to %d", n, most)
	}
}
