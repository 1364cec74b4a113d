package e2e

import (
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestAnotherHistoryReachesEveryServer has the server that numbers find itself in a copy of the
// database, as after a failover, while another server has no error of its own: both begin the new
// history, at once and not with the next heartbeat.
func TestAnotherHistoryReachesEveryServer(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	token := harness.TokenFor(t, o.UserID, time.Hour)
	var streams []*harness.Stream
	for range 2 {
		s := harness.Serve(t, portal, "--heartbeat-interval", "10m")
		streams = append(streams, s.Connect(t, token, o.ID, ""))
		streams[len(streams)-1].Next(harness.OfType("connection_established"))
	}
	for range 5 { // the old history is longer than the new one at first
		portal.Book(t, o.Hangars[0], guest)
		for _, s := range streams {
			s.Next(harness.OfType("booking_created"))
		}
	}
	portal.Exec(t, `UPDATE realtime.installation SET identity = 'another cluster'`)
	portal.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid::bigint = x'48520002'::bigint
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	for _, s := range streams {
		s.Next(harness.OfType("resync"))
	}
	for range 9 {
		id := portal.Book(t, o.Hangars[0], guest)
		for i, s := range streams {
			if told := s.Next(harness.OfType("booking_created")).Field("bookingId"); told != id {
				t.Fatalf("server %d tells booking %s, want %s", i, told, id)
			}
		}
	}
}

// TestCrashOfAsynchronousPortal kills PostgreSQL just after a booking was told, in a
// database that commits without waiting for the disk: what is booked next is told too,
// and not taken for what was told before.
func TestCrashOfAsynchronousPortal(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	portal := harness.PrivatePortal(t, server)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	portal.Exec(t, `ALTER SYSTEM SET synchronous_commit = 'off'`)
	// what is not flushed stays so for a while
	portal.Exec(t, `ALTER SYSTEM SET wal_writer_delay = '10s'`)
	portal.Exec(t, `SELECT pg_reload_conf()`)
	s := harness.Serve(t, portal)
	stream := s.Connect(t, harness.TokenFor(t, o.UserID, time.Hour), o.ID, "")
	stream.Next(harness.OfType("connection_established"))
	portal.Exec(t, `CHECKPOINT`)
	portal.Book(t, o.Hangars[0], guest)
	stream.Next(harness.OfType("booking_created"))
	if err := server.Restart(t.Context(), devdb.Kill); err != nil {
		t.Fatal(err)
	}
	var id string
	harness.Eventually(t, "booked again", func() bool {
		return portal.Pool.Get(&id, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+dbtest.BookingValues(o.Hangars[0], guest)+` RETURNING id::text`) == nil
	})
	stream.Next(func(m harness.Message) bool {
		return m.Type == "resync" || m.Type == "booking_created" && m.Field("bookingId") == id
	})
}

// TestRememberedAnswersEndWithACrash kills one process of PostgreSQL, which recovers by itself and
// gives transaction ids again that were not on disk: what is committed under them is news.
func TestRememberedAnswersEndWithACrash(t *testing.T) {
	t.Parallel()
	portal := harness.PrivatePortal(t, dbtest.Private(t))
	o, viewer := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, o.ID, viewer)
	portal.Exec(t, `ALTER SYSTEM SET wal_writer_delay = '10s'`)
	portal.Exec(t, `SELECT pg_reload_conf()`)
	s := harness.Serve(t, portal)
	harness.Eventually(t, "keeping the ledger", func() bool { return portal.ID(t, `SELECT count(*)::text FROM realtime.ledger_marks`) != "0" })
	portal.Exec(t, `CHECKPOINT`)
	for range 12 { // ids that are given and leave no trace
		tx := portal.Pool.MustBegin()
		tx.MustExec(`SELECT pg_current_xact_id()`)
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	owner, member := harness.TokenFor(t, o.UserID, time.Hour), harness.TokenFor(t, viewer, time.Hour)
	ask := func(token string) (int, any) {
		status, _, body := s.Get(t, "owners/"+o.ID+"/metrics", token)
		return status, body["activeListings"]
	}
	for range 2 {
		for _, token := range []string{owner, member} {
			if status, listings := ask(token); status != http.StatusOK || listings != 1.0 {
				t.Fatalf("before: %d, %v listings", status, listings)
			}
		}
	}
	writer := `SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'walwriter'`
	victim := portal.ID(t, writer)
	pid, err := strconv.Atoi(victim)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "recovered", func() bool {
		var now string
		return portal.Pool.Get(&now, writer) == nil && now != victim
	})
	s.Ready(t)
	portal.Exec(t, `UPDATE hangar_listings SET is_available = false`)
	portal.Exec(t, `DELETE FROM realtime.members`)
	if status, listings := ask(owner); status != http.StatusOK || listings != 0.0 {
		t.Errorf("the only listing was taken off: %d, %v listings", status, listings)
	}
	if status, _ := ask(member); status != http.StatusForbidden {
		t.Errorf("a member who was removed gets %d", status)
	}
}
