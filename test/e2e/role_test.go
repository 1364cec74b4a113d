package e2e

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestServerWithFewRights serves with a role that may not migrate, on a database that another role
// has migrated, and whose writers have a role without any right on what is ours.
func TestServerWithFewRights(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	role := fmt.Sprintf("server_%d", time.Now().UnixNano())
	// What the README tells operators to grant.
	portal.Exec(t, `CREATE ROLE `+role+`;
		GRANT USAGE ON SCHEMA realtime TO `+role+`;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO `+role+`;
		GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA realtime TO `+role+`;
		GRANT EXECUTE ON ALL ROUTINES IN SCHEMA realtime TO `+role+`;
		GRANT SELECT ON users, hangar_owners, hangar_listings, bookings TO `+role)
	t.Cleanup(func() {
		if _, err := portal.Pool.Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role); err != nil {
			t.Error(err)
		}
	})
	as, err := url.Parse(portal.URL)
	if err != nil {
		t.Fatal(err)
	}
	query := as.Query()
	query.Set("role", role) // every session of the server becomes this role
	as.RawQuery = query.Encode()
	p := harness.Serve(t, &dbtest.Portal{URL: as.String(), Pool: portal.Pool})
	ws := p.Connect(t, harness.TokenFor(t, o.UserID, time.Hour), o.ID, "")
	ws.Next(harness.OfType("connection_established"))
	booking := portal.Book(t, o.Hangars[0], guest)
	if m := ws.Next(harness.IsEvent); m.Field("bookingId") != booking {
		t.Errorf("got %s", m.Data)
	}
	portal.Exec(t, `UPDATE bookings SET status = 'confirmed'`)
	ws.Next(harness.OfType("occupancy_changed"))
	portal.Exec(t, `TRUNCATE bookings`)
	ws.Next(harness.OfType("resync"))
	p.Stop()
}
