package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestSnapshotsAreNeverOlderThanTheQuestion has owners change their business and ask one of two servers at once, while others
// ask for the same: the answer has the change, whatever was remembered, and so has the one after it.
func TestSnapshotsAreNeverOlderThanTheQuestion(t *testing.T) {
	t.Parallel()
	const owners, changes, onlookers = 4, 60, 4
	portal := dbtest.New(t)
	guest := portal.AddGuest(t, "Caio", "Brandão")
	servers := []*program{serve(t, portal), serve(t, portal)}
	eventually(t, "the ledger is there", func() bool {
		return portal.ID(t, `SELECT count(*)::text FROM realtime.ledger_marks`) != "0"
	})
	var writers, group sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for n := range owners {
		o := portal.AddOwner(t, 1)
		token := tokenFor(t, o.UserID, time.Hour)
		for i := range onlookers {
			group.Go(func() {
				for ctx.Err() == nil {
					if status, _, body := servers[i%2].get(t, "owners/"+o.ID+"/metrics", token); status != http.StatusOK {
						t.Errorf("an onlooker got %d %v", status, body)
						return
					}
				}
			})
		}
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			for range changes {
				change := []string{
					`INSERT INTO bookings (` + dbtest.BookingColumns + `, payment_date) SELECT hangar_id, user_id, check_in, check_out, nights,
						subtotal, fees, total_price, 'completed', now() FROM (VALUES ` + dbtest.BookingValues(o.Hangars[0], guest) + `) v (` + dbtest.BookingColumns + `)`,
					`UPDATE bookings SET subtotal = subtotal + 1 WHERE hangar_id = ` + o.Hangars[0],
					`UPDATE bookings SET status = 'cancelled' WHERE id = (SELECT max(id) FROM bookings WHERE hangar_id = ` + o.Hangars[0] + `)`,
					`DELETE FROM bookings WHERE id = (SELECT min(id) FROM bookings WHERE hangar_id = ` + o.Hangars[0] + `)`,
					`INSERT INTO realtime.payouts (booking_id, owner_id, paid_out_at) SELECT max(id)::text, '` + o.ID + `', now()
						FROM bookings WHERE hangar_id = ` + o.Hangars[0] + ` HAVING max(id) IS NOT NULL ON CONFLICT DO NOTHING`,
				}[rng.IntN(5)]
				if _, err := portal.Pool.ExecContext(t.Context(), change); err != nil {
					t.Error(err)
					return
				}
				var want float64
				if err := portal.Pool.GetContext(t.Context(), &want, `SELECT coalesce(sum(subtotal - fees), 0) FROM bookings b
					WHERE hangar_id = $1 AND status = 'completed' AND NOT EXISTS (SELECT FROM realtime.payouts WHERE booking_id = b.id::text)`,
					o.Hangars[0]); err != nil {
					t.Error(err)
					return
				}
				server := servers[rng.IntN(2)]
				for range 2 {
					status, _, body := server.get(t, "owners/"+o.ID+"/metrics", token)
					if status != http.StatusOK || body["pendingPayouts"] != want {
						t.Errorf("after %q owner %s got %d %v, want %v", change, o.ID, status, body, want)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	cancel()
	group.Wait()
}

// TestRemovalCountsOnEveryServerAtOnce lets members in and removes them by one server, and asks another, which remembers what
// it answered before.
func TestRemovalCountsOnEveryServerAtOnce(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	other := serve(t, s.portal)
	ana, mail, token := addUser(t, s.portal, "Ana")
	members := "owners/" + s.owner.ID + "/members"
	for round := range 5 {
		if r, body := s.call(t, "POST", members, s.token, map[string]any{"email": mail, "role": "viewer"}); r.StatusCode != http.StatusCreated {
			t.Fatalf("add a member: %s %v", r.Status, body)
		}
		for range 2 {
			if status, _, body := other.get(t, "owners/"+s.owner.ID+"/metrics", token); status != http.StatusOK {
				t.Errorf("round %d: a new member got %d %v", round, status, body)
			}
		}
		if r, body := s.call(t, "DELETE", members+"/"+ana, s.token, nil); r.StatusCode != http.StatusNoContent {
			t.Fatalf("remove a member: %s %v", r.Status, body)
		}
		if status, _, body := other.get(t, "owners/"+s.owner.ID+"/metrics", token); status != http.StatusForbidden {
			t.Errorf("round %d: a member who was removed got %d %v", round, status, body)
		}
	}
}
