package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestAccessOfMany asks about owners, members, strangers and those who signed out at once: each
// answer is the one that is given alone. Ids that are none spoil nobody else's answer.
func TestAccessOfMany(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := v.migrated(t)
			store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
			must(t, err)
			var callers []db.Caller
			var owners []string
			stranger := p.AddOwner(t, 0)
			for range 3 {
				o := p.AddOwner(t, 0)
				user := p.ID(t, `SELECT user_id::text FROM hangar_owners WHERE id::text = $1`, o.ID)
				guest := p.AddGuest(t, "Ana", "Reis")
				p.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, o.ID, guest)
				p.Exec(t, `INSERT INTO realtime.revocations (user_id, not_before) VALUES ($1, now())`, guest)
				for _, c := range []db.Caller{{UserID: user}, {UserID: guest, Issued: time.Now().Add(time.Hour)}, {UserID: guest}, {UserID: user, SessionID: "none"}, {UserID: "0"}} {
					callers, owners = append(callers, c, c), append(owners, o.ID, stranger.ID)
				}
			}
			roles, ended, err := store.AccessesAtOnce(t.Context(), callers, owners)
			must(t, err)
			var met []string
			for i, c := range callers {
				role, err := store.Access(t.Context(), c, owners[i])
				if errors.Is(err, db.ErrSessionEnded) != ended[i] || err == nil && role != roles[i] {
					t.Errorf("%+v in %s: %q, %v alone; %q, %t among others", c, owners[i], role, err, roles[i], ended[i])
				}
				met = append(met, fmt.Sprint(role, " ", ended[i]))
			}
			for _, want := range []string{"owner false", "viewer false", " true", " false"} {
				if !slices.Contains(met, want) {
					t.Errorf("nobody was %q", want)
				}
			}
			var group sync.WaitGroup
			for i := range 60 {
				group.Go(func() {
					if _, err := store.Access(context.Background(), callers[0], fmt.Sprint("spoilt", i)); err == nil && v.name == variants()[0].name {
						t.Error("an id that is none has an answer")
					}
				})
				group.Go(func() {
					if role, err := store.Access(context.Background(), callers[0], owners[0]); role != db.RoleOwner || err != nil {
						t.Errorf("beside it: %q, %v", role, err)
					}
				})
			}
			group.Wait()
		})
	}
}
