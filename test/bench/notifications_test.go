package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// storedNotifications is how many notifications an account has at most.
const storedNotifications = 10_000

// BenchmarkNotificationList asks for a page of 10,000 notifications over HTTP, in turn with the
// floor: the answer who is signed in, which the same server gives with one small query. BEFORE
// names a program of another version, which then serves the same database and takes part in the
// turns.
func BenchmarkNotificationList(b *testing.B) {
	portal := dbtest.New(b)
	owner, guest := portal.AddOwner(b, 2), portal.AddGuest(b, "Caio", "Brandão")
	booking := portal.Book(b, owner.Hangars[0], guest)
	for range 20 {
		other := portal.AddOwner(b, 0)
		store(b, portal, other.ID, booking, 200)
	}
	program := harness.Serve(b, portal, "--log-level", "error")
	store(b, portal, owner.ID, booking, storedNotifications)
	token := harness.TokenFor(b, owner.UserID, time.Hour)
	list := "api/owners/" + owner.ID + "/notifications?limit=50"
	turns := []struct{ name, url string }{{"page", program.Base + list}, {"floor", program.Base + "api/auth/me"}}
	if before := os.Getenv("BEFORE"); before != "" {
		process := harness.Launch(b, nil, before, harness.ServeFlags(portal.URL)...)
		turns = append(turns, struct{ name, url string }{"before", process.Output.Await(b, "HangarShare Realtime is at ") + list})
	}
	for _, state := range []struct{ name, change string }{
		{"unread=10000", `ANALYZE realtime.notifications`},
		{"unread=200", `UPDATE realtime.notifications SET read_at = now() WHERE id % 50 <> 0; ANALYZE realtime.notifications`},
	} {
		portal.Exec(b, state.change)
		for _, only := range []string{"", "&state=unread"} {
			b.Run(state.name+only, func(b *testing.B) {
				took := make([][]time.Duration, len(turns))
				for range 20 { // plans are made
					for _, turn := range turns {
						fetch(b, turn.url, token)
					}
				}
				for b.Loop() {
					for range 300 {
						for i, turn := range turns {
							url := turn.url
							if i != 1 {
								url += only
							}
							begun := time.Now()
							fetch(b, url, token)
							took[i] = append(took[i], time.Since(begun))
						}
					}
				}
				for i, turn := range turns {
					slices.Sort(took[i])
					b.ReportMetric(milliseconds(took[i], 50), turn.name+"-p50-ms")
					b.ReportMetric(milliseconds(took[i], 99), turn.name+"-p99-ms")
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// store writes n notifications of an account, about a booking.
func store(b *testing.B, portal *dbtest.Portal, ownerID, booking string, n int) {
	b.Helper()
	portal.Exec(b, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, facts, revision, news, happened_at)
		SELECT $1, 'booking_created', 'x' || n, 'x' || n, json_build_object('bookingId', $2::text, 'amount', 100.5), 1, 1, now() FROM generate_series(1, $3::int) n`, ownerID, booking, n)
	portal.Exec(b, `INSERT INTO realtime.notification_accounts (owner_id, revision) VALUES ($1, 1) ON CONFLICT DO NOTHING`, ownerID)
}

// fetch reads an answer to its end.
func fetch(b *testing.B, url, token string) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		b.Fatal(url, response.Status, err)
	}
}

func milliseconds(sorted []time.Duration, percent int) float64 {
	return float64(sorted[len(sorted)*percent/100].Microseconds()) / 1000
}

// BenchmarkReadElsewhere marks a notification as read or unread on one server, and takes the time
// until a screen of another user shows it at another server. The floor, in turn with it, is a
// commit that notifies a bare listener. One turn has 50 users with 4 screens each, half of them at
// each server.
func BenchmarkReadElsewhere(b *testing.B) {
	portal := dbtest.New(b)
	owner := portal.AddOwner(b, 2)
	here := harness.Serve(b, portal, "--log-level", "error")
	there := harness.Serve(b, portal, "--log-level", "error")
	booking := portal.Book(b, owner.Hangars[0], portal.AddGuest(b, "Caio", "Brandão"))
	token := harness.TokenFor(b, owner.UserID, time.Hour)
	harness.Eventually(b, "the booking is told", func() bool {
		_, body := here.Call(b, "GET", "owners/"+owner.ID+"/notifications", token, nil)
		items, _ := body["items"].([]any)
		return len(items) == 1
	})
	_, body := here.Call(b, "GET", "owners/"+owner.ID+"/notifications", token, nil)
	path := fmt.Sprint("owners/", owner.ID, "/notifications/", body["items"].([]any)[0].(map[string]any)["id"])
	listener := pq.NewListener(portal.URL, time.Second, time.Second, nil)
	b.Cleanup(func() { listener.Close() })
	if err := listener.Listen(benchChannel); err != nil {
		b.Fatal(err)
	}
	var screens []*harness.Stream
	open := func(server *harness.Program, token string) {
		stream := server.Connect(b, token, owner.ID, "")
		unread(stream, -1)
		screens = append(screens, stream)
	}
	_, _, other := addMember(b, portal, owner.ID, "B")
	open(there, other)
	read := false
	measure := func(b *testing.B, booking string) {
		var ours, floor []time.Duration
		for b.Loop() {
			for range 100 {
				begun := time.Now()
				portal.Exec(b, `SELECT pg_notify($1, '')`, benchChannel)
				<-listener.Notify
				floor = append(floor, time.Since(begun))
				read = !read
				begun = time.Now()
				if response, body := here.Call(b, "PATCH", path, token, map[string]any{"read": read}); response.StatusCode != http.StatusOK {
					b.Fatal(response.Status, body)
				}
				want := map[bool]int64{true: 0, false: 1}[read]
				for _, screen := range screens {
					unread(screen, want)
					ours = append(ours, time.Since(begun))
				}
			}
		}
		slices.Sort(ours)
		slices.Sort(floor)
		b.ReportMetric(milliseconds(ours, 50), "seen-p50-ms")
		b.ReportMetric(milliseconds(ours, 99), "seen-p99-ms")
		b.ReportMetric(milliseconds(floor, 50), "notify-p50-ms")
		b.ReportMetric(milliseconds(floor, 99), "notify-p99-ms")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("screens=1", func(b *testing.B) { measure(b, booking) })
	for i := range 49 {
		_, _, member := addMember(b, portal, owner.ID, fmt.Sprint("M", i))
		for tab := range 4 {
			open([]*harness.Program{here, there}[(i+tab)%2], member)
		}
	}
	b.Run("screens=197", func(b *testing.B) { measure(b, booking) })
}

// addMember adds a user who manages an account.
func addMember(b *testing.B, portal *dbtest.Portal, ownerID, name string) (id, email, token string) {
	b.Helper()
	id, email, token = harness.AddUser(b, portal, name)
	portal.Exec(b, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, ownerID, id)
	return id, email, token
}

// unread waits until a screen is told that so many are unread of those of the account; -1 is any
// number.
func unread(screen *harness.Stream, want int64) {
	screen.Next(func(m harness.Message) bool {
		var state struct{ Unread int64 }
		return m.Type == "notifications_updated" && json.Unmarshal(m.Data, &state) == nil && (want < 0 || state.Unread == want)
	})
}
