//go:build unix

package e2e

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestFailoverLacksBatches loses a primary whose asynchronous standby lacks the last three batches,
// and promotes that. Two servers that told them, and one that starts afterwards, let nobody believe
// that nothing is missing: who knows of them loads its numbers again, and what is booked at the
// promoted one is told from there on.
func TestFailoverLacksBatches(t *testing.T) {
	t.Parallel()
	r := newRollback(t)
	standby := dbtest.Standby(t, r.server)
	both := fmt.Sprintf("host=%s,%s port=5432 user=hangarshare dbname=hangarshare", socketOf(t, r.server.URL()), socketOf(t, standby.URL()))
	servers := []*harness.Program{serveURL(t, r.portal, both), serveURL(t, r.portal, both)}
	kept := r.book(t, servers[0], 2)
	onStandby := openStandby(t, standby)
	harness.Eventually(t, "the standby has what was told", func() bool {
		lsn := r.portal.ID(t, `SELECT pg_current_wal_lsn()::text`)
		var replayed bool
		return onStandby.QueryRowContext(t.Context(), `SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn`, lsn).Scan(&replayed) == nil && replayed
	})
	harness.Must(t, standby.Halt(t.Context(), devdb.Fast)) // it falls behind
	lost := r.book(t, servers[0], 3)
	var open []*harness.Stream
	for _, p := range servers {
		s := p.Connect(t, r.token, r.owner.ID, lost)
		s.Next(harness.OfType("connection_established"))
		open = append(open, s)
	}
	harness.Must(t, r.server.Halt(t.Context(), devdb.Kill))
	harness.Must(t, standby.Resume(t.Context()))
	began := time.Now()
	harness.Eventually(t, "promoted", func() bool {
		var promoted bool
		return onStandby.QueryRowContext(t.Context(), `SELECT pg_promote()`).Scan(&promoted) == nil && promoted
	})
	r.portal = dbtest.Open(t, standby.URL())
	for i, p := range servers {
		r.resync(t, p, open[i], lost)
		p.Ready(t)
	}
	t.Logf("all are told to load again %v after the promotion was asked for", time.Since(began).Round(10*time.Millisecond))
	servers = append(servers, serveURL(t, r.portal, standby.URL()))
	for _, p := range servers {
		r.isRefused(t, p, lost)
		r.isRefused(t, p, kept) // another history, though it has the event
	}
	after := r.book(t, servers[1], 4) // more than was lost: the numbers of batches are passed again
	for _, p := range servers {
		r.isRefused(t, p, lost)
		s := p.Connect(t, r.token, r.owner.ID, after)
		if hello := s.Next(harness.OfType("connection_established")); hello.Field("recovered") != "true" {
			t.Error("what was told after the promotion does not resume")
		}
	}
	if n := r.portal.ID(t, `SELECT count(*)::text FROM bookings`); n != "6" {
		t.Errorf("the promoted one has %s bookings, want the 2 that it had and 4", n)
	}
}

// openStandby returns a pool of a standby, which ours would refuse.
func openStandby(t *testing.T, standby *devdb.Server) *sql.DB {
	t.Helper()
	connector, err := pq.NewConnector(standby.URL())
	harness.Must(t, err)
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { pool.Close() })
	return pool
}
