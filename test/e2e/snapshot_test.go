package e2e

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestSnapshotsAreNeverOlderThanTheQuestion has owners change their business and ask one of two
// servers at once, while others ask for the same: the answer has the change, whatever was
// remembered, and so has the one after it.
func TestSnapshotsAreNeverOlderThanTheQuestion(t *testing.T) {
	t.Parallel()
	const owners, changes, onlookers = 4, 60, 4
	portal := dbtest.New(t)
	guest := portal.AddGuest(t, "Caio", "Brandão")
	servers := []*harness.Program{harness.Serve(t, portal), harness.Serve(t, portal)}
	harness.Eventually(t, "the ledger is there", func() bool {
		return portal.ID(t, `SELECT count(*)::text FROM realtime.ledger_marks`) != "0"
	})
	var writers, group sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for n := range owners {
		o := portal.AddOwner(t, 1)
		token := harness.TokenFor(t, o.UserID, time.Hour)
		for i := range onlookers {
			group.Go(func() {
				for ctx.Err() == nil {
					if status, _, body := servers[i%2].Get(t, "owners/"+o.ID+"/metrics", token); status != http.StatusOK {
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
					status, _, body := server.Get(t, "owners/"+o.ID+"/metrics", token)
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

// TestRemovalCountsOnEveryServerAtOnce lets members in and removes them by one server, and asks
// another, which remembers what it answered before.
func TestRemovalCountsOnEveryServerAtOnce(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	other := harness.Serve(t, s.Portal)
	ana, mail, token := harness.AddUser(t, s.Portal, "Ana")
	members := "owners/" + s.Owner.ID + "/members"
	for round := range 5 {
		shareAccount(t, s.Program, s.Owner.ID, s.Token, mail, "viewer", token)
		for range 2 {
			if status, _, body := other.Get(t, "owners/"+s.Owner.ID+"/metrics", token); status != http.StatusOK {
				t.Errorf("round %d: a new member got %d %v", round, status, body)
			}
		}
		if r, body := s.Call(t, "DELETE", members+"/"+ana, s.Token, nil); r.StatusCode != http.StatusNoContent {
			t.Fatalf("remove a member: %s %v", r.Status, body)
		}
		if status, _, body := other.Get(t, "owners/"+s.Owner.ID+"/metrics", token); status != http.StatusForbidden {
			t.Errorf("round %d: a member who was removed got %d %v", round, status, body)
		}
	}
}

// TestSnapshotsCarryValidators reads each snapshot twice, the second time with what the
// first answer's tag names, and again after a booking: what has not changed is 304 with
// the present position.
func TestSnapshotsCarryValidators(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	s.Portal.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`)
		SELECT hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, CASE WHEN n % 5 = 0 THEN 'cancelled' ELSE status END
		FROM (VALUES `+dbtest.BookingValues(s.Owner.Hangars[0], s.Guest)+`) b (`+dbtest.BookingColumns+`), generate_series(1, 200) n`)
	ask := func(path, tag string) (*http.Response, string) {
		header := http.Header{"Authorization": {"Bearer " + s.Token}, "Accept-Encoding": {"identity"}}
		if tag != "" {
			header.Set("If-None-Match", tag)
		}
		return s.Ask(t, "GET", "api/owners/"+s.Owner.ID+"/"+path, header)
	}
	for _, path := range []string{"metrics", "overview", "bookings?limit=100", "bookings?on=today", "listings", "events?limit=10", "members"} {
		first, body := ask(path, "")
		h := first.Header
		tag := h.Get("ETag")
		if first.StatusCode != 200 || !strings.HasPrefix(tag, `W/"`) || h.Get("Cache-Control") != "private, no-cache" || body == "" ||
			!slices.Contains(h.Values("Vary"), "Accept-Encoding") {
			t.Errorf("%s: %s %v", path, first.Status, h)
		}
		again, rest := ask(path, tag)
		if again.StatusCode != http.StatusNotModified || rest != "" || again.Header.Get("ETag") != tag ||
			again.Header.Get("Last-Event-ID") != h.Get("Last-Event-ID") || again.Header.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("%s again: %s %v %q", path, again.Status, again.Header, rest)
		}
	}

	// Something of another kind happens: the hangars' content stays, their position moves on.
	listings, _ := ask("listings", "")
	bookings, body := ask("bookings", "")
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	harness.Eventually(t, "told in bookings", func() bool { r, _ := ask("bookings", bookings.Header.Get("ETag")); return r.StatusCode == 200 })
	harness.Eventually(t, "at the new position", func() bool {
		r, _ := ask("listings", listings.Header.Get("ETag"))
		return r.StatusCode == http.StatusNotModified && r.Header.Get("Last-Event-ID") != listings.Header.Get("Last-Event-ID")
	})

	packed, bytes := s.Ask(t, "GET", "api/owners/"+s.Owner.ID+"/bookings?limit=200", http.Header{"Authorization": {"Bearer " + s.Token}, "Accept-Encoding": {"gzip"}})
	if packed.Header.Get("Content-Encoding") != "gzip" || len(bytes)*5 > len(body)*4 {
		t.Errorf("200 bookings take %d bytes, 50 of them %d: %v", len(bytes), len(body), packed.Header)
	}
	stream, _ := s.Ask(t, "GET", "api/sse?ownerId=0", http.Header{"Cookie": {"jwt=" + s.Token}, "Accept-Encoding": {"gzip"}})
	if stream.Header.Get("Content-Encoding") != "" {
		t.Errorf("a stream is compressed: %v", stream.Header)
	}

	for _, status := range []string{"cancelled", "pending", "completed"} {
		_, text := ask("bookings?limit=1000&status="+status, "")
		want := map[string]int{"cancelled": 40, "pending": 161, "completed": 0}[status]
		if n := strings.Count(text, `"status":"`+status+`"`); n != want || strings.Count(text, `"bookingId"`) != n {
			t.Errorf("%d bookings are %s, want %d", n, status, want)
		}
	}
	for query, field := range map[string]string{
		"bookings?status=paid": "status", "bookings?status=Pending": "status", "bookings?status=pending,active": "status", "bookings?limit=0": "limit",
		"bookings?limit=1001": "limit", "bookings?limit=ten": "limit", "bookings?on=tomorrow": "on", "events?limit=-1": "limit", "events?after=nowhere": "after",
		"bookings?status=a%00": "status", "events?after=%ff": "after", "bookings?status=pending;limit=1": "query",
	} {
		if response, text := ask(query, ""); response.StatusCode != 400 || !strings.Contains(text, `"field":"`+field+`"`) {
			t.Errorf("%s: %s %s, want 400 for %s", query, response.Status, text, field)
		}
	}
}
