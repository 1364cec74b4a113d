package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestPortalRebuildsTable lets the portal's tools do to its tables what they do, beside a server:
// no trigger of ours sees it, and the stream goes on all the same.
func TestPortalRebuildsTable(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	p := harness.Serve(t, portal)
	ready := readiness(t, p)
	ws := p.Connect(t, harness.TokenFor(t, o.UserID, time.Hour), o.ID, "")
	ws.Next(harness.OfType("connection_established"))
	// What is booked while a resync is on its way is in the snapshots that it asks for,
	// and need not be told.
	books := func(why string) {
		t.Helper()
		booked := map[any]bool{}
		for range 20 {
			booked[portal.Book(t, o.Hangars[0], guest)] = true
			m := ws.Next(func(m harness.Message) bool { return harness.IsEvent(m) || harness.OfType("resync")(m) })
			if harness.IsEvent(m) && booked[m.Field("bookingId")] {
				return
			}
		}
		t.Errorf("%s: no booking was told", why)
	}
	books("at first")
	// Dropping it locks the tables that its keys refer to as well, and may meet readers
	// of both: they give way.
	portal.Exec(t, `CREATE TABLE bookings_new (LIKE bookings INCLUDING ALL); INSERT INTO bookings_new SELECT * FROM bookings;
		SELECT setval(pg_get_serial_sequence('bookings_new', 'id'), 1000);
		DROP TABLE bookings; ALTER TABLE bookings_new RENAME TO bookings`)
	ws.Next(harness.OfType("resync"))
	harness.Eventually(t, "the triggers stand", func() bool {
		return portal.ID(t, `SELECT count(*) FROM pg_trigger WHERE tgrelid = 'bookings'::regclass AND tgname LIKE 'realtime%'`) == "4"
	})
	books("in the new table")
	portal.Exec(t, `ALTER TABLE bookings DISABLE TRIGGER ALL`)
	awaitStatus(t, ready, http.StatusServiceUnavailable)
	portal.Exec(t, `ALTER TABLE bookings ENABLE TRIGGER ALL`)
	awaitStatus(t, ready, http.StatusOK)
	books("with triggers enabled again")
	p.Stop()
}
