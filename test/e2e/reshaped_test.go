package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// revenue returns what REST says was earned today.
func revenue(t *testing.T, p *harness.Program, owner, token string) any {
	t.Helper()
	status, _, page := p.Get(t, "owners/"+owner+"/metrics", token)
	if status != http.StatusOK {
		t.Errorf("REST: %d %v", status, page)
	}
	return page["revenueToday"]
}

// TestPortalGetsPaymentDate adds the column that says when a booking was paid, beside two
// servers of which one may not migrate, and migrates: from then on both answer by it, and
// say so to those who are there.
func TestPortalGetsPaymentDate(t *testing.T) {
	t.Parallel()
	portal := dbtest.Open(t, dbtest.Empty(t))
	harness.Must(t, demo.CreateSchema(t.Context(), portal.Pool))
	portal.Exec(t, `ALTER TABLE bookings DROP COLUMN payment_date`)
	if code, printed := command(t, "migrate", "--database-url", portal.URL); code != 0 {
		t.Fatalf("migrate: %s", printed)
	}
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	token := harness.TokenFor(t, o.UserID, time.Hour)
	servers := []*harness.Program{harness.Serve(t, portal, harness.AtNoon()...), harness.Serve(t, &dbtest.Portal{URL: asRole(t, portal, "realtime"), Pool: portal.Pool}, harness.AtNoon()...)}
	var streams []*harness.Stream
	for _, p := range servers {
		streams = append(streams, p.Connect(t, token, o.ID, ""))
	}
	earned := func(what string) func(harness.Message) bool {
		return func(m harness.Message) bool { return m.Type == "metrics_updated" && m.Field("revenueToday") == what }
	}
	booking := portal.Book(t, o.Hangars[0], guest)
	portal.Exec(t, `UPDATE bookings SET status = 'confirmed'`)
	for i, p := range servers {
		p.Output.Await(t, "the projection was built")
		streams[i].Next(earned("220.5"))
		if got := revenue(t, p, o.ID, token); got != 220.5 {
			t.Errorf("paid by its status: %v", got)
		}
		if i == 0 {
			break // one builds the projection for all
		}
	}

	portal.Exec(t, `ALTER TABLE bookings ADD COLUMN payment_date timestamp`)
	if code, printed := command(t, "migrate", "--database-url", portal.URL); code != 0 {
		t.Fatalf("migrate: %s", printed)
	}
	for i, p := range servers {
		if got := revenue(t, p, o.ID, token); got != 0.0 {
			t.Errorf("server %d: no date of payment, and earned are %v", i, got)
		}
		if _, _, page := p.Get(t, "owners/"+o.ID+"/bookings/"+booking, token); page["paid"] != false {
			t.Errorf("server %d: %v", i, page)
		}
		streams[i].Next(harness.OfType("resync"))
		streams[i].Next(earned("0"))
	}
	portal.Exec(t, `UPDATE bookings SET payment_date = now() AT TIME ZONE 'UTC'`)
	for i, p := range servers {
		if m := streams[i].Next(harness.OfType("revenue_received")); m.Field("bookingId") != booking {
			t.Errorf("server %d: %s", i, m.Data)
		}
		streams[i].Next(earned("220.5"))
		if got := revenue(t, p, o.ID, token); got != 220.5 {
			t.Errorf("server %d: paid, and earned are %v", i, got)
		}
	}

	// Away again, without a migration: queries fail until the shape is read again.
	portal.Exec(t, `ALTER TABLE bookings DROP COLUMN payment_date`)
	for i, p := range servers {
		harness.Eventually(t, "the server answers by the status again", func() bool { return revenue(t, p, o.ID, token) == 220.5 })
		streams[i].Next(harness.OfType("resync"))
		p.Stop()
	}
}

// TestPortalGetsLargeIDs makes ids bigint and uses them at once, without a migration:
// nobody's occupancy stops.
func TestPortalGetsLargeIDs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		flag []string
		own  bool // the server's role may put triggers back
	}{{name: "by a server that may migrate", own: true}, {name: "by one that may not"}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			portal := dbtest.New(t)
			a, b, guest := portal.AddOwner(t, 1), portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
			address := portal.URL
			if !test.own {
				address = asRole(t, portal, "realtime")
			}
			p := harness.Serve(t, &dbtest.Portal{URL: address, Pool: portal.Pool}, harness.AtNoon()...)
			tokens := []string{harness.TokenFor(t, a.UserID, time.Hour), harness.TokenFor(t, b.UserID, time.Hour)}
			streams := []*harness.Stream{p.Connect(t, tokens[0], a.ID, ""), p.Connect(t, tokens[1], b.ID, "")}
			for _, s := range streams {
				s.Next(harness.OfType("metrics_updated"))
			}
			portal.Exec(t, `ALTER TABLE hangar_listings ALTER id TYPE bigint; ALTER TABLE hangar_listings ALTER owner_id TYPE bigint;
				ALTER TABLE bookings ALTER hangar_id TYPE bigint; ALTER TABLE bookings ALTER id TYPE bigint; ALTER TABLE hangar_owners ALTER id TYPE bigint;
				UPDATE hangar_listings SET owner_id = `+a.ID+` WHERE owner_id = `+a.ID+`;
				INSERT INTO hangar_listings (id, owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
				OVERRIDING SYSTEM VALUE VALUES (3000000000, `+a.ID+`, 'H9', 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 1)`)
			for i, hangar := range []string{"3000000000", b.Hangars[0]} {
				portal.Book(t, hangar, guest)
				portal.Exec(t, `UPDATE bookings SET status = 'confirmed', check_in = now() AT TIME ZONE 'UTC' - interval '1 hour' WHERE hangar_id = `+hangar)
				if m := streams[i].Next(harness.OfType("occupancy_changed")); m.Field("hangarId") != hangar || m.Field("isNowOccupied") != "true" {
					t.Errorf("told %s", m.Data)
				}
			}
			portal.Exec(t, `INSERT INTO hangar_owners (id, user_id, company_name) OVERRIDING SYSTEM VALUE VALUES (9000000000000000001, `+b.UserID+`, 'X')`)
			harness.Eventually(t, "an owner with an id of 19 digits is served", func() bool {
				status, _, _ := p.Get(t, "owners/9000000000000000001/metrics", tokens[1])
				return status == http.StatusOK
			})
			if status, _, page := p.Get(t, "owners/"+a.ID+"/listings", tokens[0]); status != http.StatusOK || len(page["listings"].([]any)) != 2 {
				t.Errorf("REST: %d %v", status, page)
			}
			p.Stop()
		})
	}
}
