package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestReadyByProgress watches /readyz while there is something to tell and nothing gets
// on: it turns to 503, and back.
func TestReadyByProgress(t *testing.T) {
	t.Parallel()
	t.Run("a stranger holds the lock of the numbering", func(t *testing.T) {
		t.Parallel()
		portal := dbtest.New(t)
		o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
		former := harness.Serve(t, portal, harness.AtNoon()...) // tells all that there is
		former.Ready(t)
		former.Stop()
		stranger, err := portal.Pool.Connx(t.Context())
		harness.Must(t, err)
		defer stranger.Close()
		_, err = stranger.ExecContext(t.Context(), `SELECT pg_advisory_lock(x'48520002'::bigint)`)
		harness.Must(t, err)
		p := harness.Serve(t, portal, harness.AtNoon()...)
		p.Ready(t) // nothing is to be told
		changes := readiness(t, p)
		ws := p.Connect(t, harness.TokenFor(t, o.UserID, time.Hour), o.ID, "")
		ws.Next(harness.OfType("connection_established"))
		id := portal.Book(t, o.Hangars[0], guest)
		awaitStatus(t, changes, http.StatusServiceUnavailable)
		_, err = stranger.ExecContext(t.Context(), `SELECT pg_advisory_unlock(x'48520002'::bigint)`)
		harness.Must(t, err)
		if m := ws.Next(harness.IsEvent); m.Field("bookingId") != id {
			t.Errorf("got %s", m.Data)
		}
		awaitStatus(t, changes, http.StatusOK)
	})
	t.Run("the log cannot be read", func(t *testing.T) {
		t.Parallel()
		portal := dbtest.New(t)
		p := harness.Serve(t, portal, harness.AtNoon()...)
		p.Ready(t)
		changes := readiness(t, p)
		portal.Exec(t, `ALTER TABLE realtime.batches RENAME TO batches_away`)
		awaitStatus(t, changes, http.StatusServiceUnavailable)
		portal.Exec(t, `ALTER TABLE realtime.batches_away RENAME TO batches`)
		awaitStatus(t, changes, http.StatusOK)
	})
}

// TestProjectionDifferenceIsTold makes the projection wrong for one owner: when that is found,
// their browsers load their numbers again, nobody else's do, and the numbers are right.
func TestProjectionDifferenceIsTold(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	wronged, other, guest := portal.AddOwner(t, 1), portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	p := harness.Serve(t, portal, harness.AtNoon()...)
	p.Ready(t)
	token, otherToken := harness.TokenFor(t, wronged.UserID, time.Hour), harness.TokenFor(t, other.UserID, time.Hour)
	id := portal.Book(t, wronged.Hangars[0], guest)
	portal.Exec(t, `UPDATE bookings SET status = 'confirmed', payment_date = now() AT TIME ZONE 'UTC' WHERE id = $1`, id)
	harness.Eventually(t, "the payment is in the projection", func() bool {
		return portal.ID(t, `SELECT count(*) FROM realtime.ledger WHERE booking_id = $1 AND price IS NOT NULL`, id) == "1"
	})
	own, beside := p.Connect(t, token, wronged.ID, ""), p.Connect(t, otherToken, other.ID, "")
	own.Next(harness.OfType("connection_established"))
	beside.Next(harness.OfType("connection_established"))
	portal.Exec(t, `UPDATE realtime.ledger SET price = price + 1000 WHERE booking_id = $1`, id)
	own.Next(harness.OfType("resync"))
	portal.Book(t, other.Hangars[0], guest)
	if m := beside.Next(func(m harness.Message) bool { return harness.IsEvent(m) || harness.OfType("resync")(m) }); !harness.IsEvent(m) {
		t.Errorf("the other owner is told %s", m.Type)
	}
	harness.Eventually(t, "the numbers are right", func() bool {
		status, _, body := p.Get(t, "owners/"+wronged.ID+"/metrics", token)
		return status == http.StatusOK && body["revenueToday"] == 220.5
	})
	if logged := p.Output.String(); !strings.Contains(logged, "the projection differs from the tables") {
		t.Errorf("the difference is not logged: %s", logged)
	}
}

// TestReadyOnceNotificationsBegin keeps a new installation from beginning to make notifications: a
// server is not ready before it has, since of what is booked until then none would be made.
func TestReadyOnceNotificationsBegin(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	held, err := portal.Pool.Beginx()
	harness.Must(t, err)
	defer held.Rollback()
	_, err = held.Exec(`SELECT FROM realtime.notifier FOR UPDATE`)
	harness.Must(t, err)
	p := harness.ServeUnready(t, portal)
	var parts map[string]any
	harness.Eventually(t, "ready but for notifications", func() bool {
		status, answer := operate(t, "GET", strings.TrimPrefix(p.Base, "http://")+"readyz", "")
		parts, _ = answer["parts"].(map[string]any)
		away := 0
		for _, part := range parts {
			if part != "ok" {
				away++
			}
		}
		return status == http.StatusServiceUnavailable && away == 1 && parts["notifications"] == "away" && parts["feed"] == "ok"
	})
	harness.Must(t, held.Rollback())
	p.Ready(t)
	portal.Book(t, o.Hangars[0], guest)
	harness.Eventually(t, "told of what was booked once it is ready", func() bool {
		return len(listed(t, p, o.ID, harness.TokenFor(t, o.UserID, time.Hour), "").Items) > 0
	})
}
