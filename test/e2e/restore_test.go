package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestOlderDumpOverThePresent restores an older dump of our schema in the same database, as
// docs/operating.md says: clients of what it does not know load again, what is data is as it was
// then, and the stream goes on.
func TestOlderDumpOverThePresent(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	token := harness.TokenFor(t, o.UserID, time.Hour)
	file := filepath.Join(dbtest.Dir(t), "dump.sql")
	p := harness.Serve(t, portal)
	stream := p.Connect(t, token, o.ID, "")
	stream.Next(harness.OfType("connection_established"))
	portal.Book(t, o.Hangars[0], guest)
	stream.Next(harness.IsEvent)
	portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, o.ID, guest)
	client(t, "pg_dump", "--dbname="+portal.URL, "--schema=realtime", "--file="+file)
	portal.Exec(t, `DELETE FROM realtime.members`)
	portal.Book(t, o.Hangars[0], guest)
	lost := stream.Next(harness.IsEvent).ID
	p.Stop()

	portal.Exec(t, `DROP SCHEMA realtime CASCADE`)
	client(t, "psql", "--dbname="+portal.URL, "--quiet", "--file="+file)
	for _, command := range [][]string{{"migrate"}, {"epoch", "--renew"}} {
		out := harness.NewOutput()
		if code := harness.Run(t.Context(), append(command, "--database-url", portal.URL), out, out); code != 0 {
			t.Fatalf("%v: %d: %s", command, code, out)
		}
	}
	again := harness.Serve(t, portal)
	back := again.Connect(t, token, o.ID, lost)
	if m := back.Next(harness.OfType("connection_established")); m.Field("recovered") != "false" {
		t.Errorf("a position that the dump does not know is told %s", m.Data)
	}
	back.Next(harness.OfType("resync"))
	if n := portal.ID(t, `SELECT count(*)::text FROM realtime.members`); n != "1" {
		t.Errorf("%s members were restored", n)
	}
	booking := portal.Book(t, o.Hangars[0], guest)
	if m := back.Next(harness.OfType("booking_created")); m.Field("bookingId") != booking {
		t.Errorf("after the restore %s is told", m.Data)
	}
}
