//go:build unix

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestHardenedServer serves where the functions are refused that tell which cluster and
// timeline it is.
func TestHardenedServer(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	portal := harness.PrivatePortal(t, server)
	portal.Exec(t, `REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint(), pg_current_wal_lsn(), pg_walfile_name(pg_lsn) FROM PUBLIC;
		CREATE ROLE tenant LOGIN; GRANT USAGE ON SCHEMA realtime TO tenant;
		GRANT SELECT ON users, hangar_owners, hangar_listings, bookings TO tenant;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO tenant;
		GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA realtime TO tenant; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA realtime TO tenant`)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	address := strings.Replace(server.URL(), "//hangarshare@", "//tenant@", 1)
	p := serveURL(t, portal, address)
	serves(t, p, portal, o, guest)
	if said := p.Output.String(); !strings.Contains(said, "epoch --renew") {
		t.Errorf("the start does not say it: %s", said)
	}
	found := db.Check{URL: address, Dialer: &db.Dialer{}}.Run(t.Context())
	if !has(found, db.Warning, "pg_control_system") || db.Stands(found) {
		t.Errorf("check: %v", found)
	}
	// The history is the same whether the whole identity is told, as to the role that
	// migrates, or a part.
	p.Stop()
	epoch := portal.ID(t, `SELECT epoch::text FROM realtime.installation`)
	for _, address := range []string{server.URL(), address} {
		serveURL(t, portal, address).Stop()
		if now := portal.ID(t, `SELECT epoch::text FROM realtime.installation`); now != epoch {
			t.Errorf("another history began: %s, %s", epoch, now)
		}
	}
}

func has(found []db.Finding, level db.Level, part string) bool {
	for _, f := range found {
		if f.Level == level && strings.Contains(f.Area+": "+f.Text+" "+f.Cure, part) {
			return true
		}
	}
	return false
}

// TestStandby points the program at a real streaming standby, alone and beside its primary.
func TestStandby(t *testing.T) {
	t.Parallel()
	primary := dbtest.Private(t)
	portal := harness.PrivatePortal(t, primary)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	standby := dbtest.Standby(t, primary)
	said := refused(t, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--jwt-secret", harness.Secret, "--database-wait", "0s", "--database-url", standby.URL())
	if !strings.Contains(said, "standby") || !strings.Contains(said, "DATABASE_URL") {
		t.Errorf("serve: %s", said)
	}
	if said := refused(t, "migrate", "--database-url", standby.URL()); !strings.Contains(said, "standby") {
		t.Errorf("migrate: %s", said)
	}
	if found := (db.Check{URL: standby.URL(), Dialer: &db.Dialer{}}).Run(t.Context()); !has(found, db.Obstacle, "standby") {
		t.Errorf("check: %v", found)
	}
	both := fmt.Sprintf("host=%s,%s port=5432 user=hangarshare dbname=hangarshare", socketOf(t, standby.URL()), socketOf(t, primary.URL()))
	serves(t, serveURL(t, portal, both), portal, o, guest)
}

func socketOf(t *testing.T, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("host")
}

// TestLogicalReplication has a portal that publishes all its tables, as change capture
// does, with a real subscriber.
func TestLogicalReplication(t *testing.T) {
	t.Parallel()
	publisher := dbtest.PrivateWith(t, map[string]string{"wal_level": "logical"})
	portal := harness.PrivatePortal(t, publisher)
	portal.Exec(t, `CREATE PUBLICATION cdc FOR ALL TABLES`)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	p := serveURL(t, portal, publisher.URL(), "--event-retention", "1s")
	serves(t, p, portal, o, guest)

	subscriber := dbtest.Private(t)
	copied := harness.PrivatePortal(t, subscriber)
	copied.Exec(t, fmt.Sprintf(`CREATE SUBSCRIPTION copy CONNECTION 'host=%s port=5432 user=hangarshare dbname=hangarshare' PUBLICATION cdc WITH (copy_data = false)`,
		socketOf(t, publisher.URL())))
	booking := portal.Book(t, o.Hangars[0], guest)
	harness.Eventually(t, "the subscriber has the booking", func() bool {
		var n int
		return copied.Pool.Get(&n, `SELECT count(*) FROM bookings WHERE id = $1`, booking) == nil && n == 1
	})
	t.Run("a subscriber is refused", func(t *testing.T) {
		said := refused(t, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--jwt-secret", harness.Secret, "--database-url", subscriber.URL())
		if !strings.Contains(said, "subscription copy") || !strings.Contains(said, "publisher") {
			t.Error(said)
		}
	})
	t.Run("the log is trimmed while its deletes are published", func(t *testing.T) {
		harness.Eventually(t, "the log is trimmed", func() bool {
			portal.Book(t, o.Hangars[0], guest)
			var n int
			return portal.Pool.Get(&n, `SELECT count(*) FROM realtime.events e WHERE e.data->>'bookingId' = $1`, booking) == nil && n == 0
		})
	})
	t.Run("a restored copy becomes ready", func(t *testing.T) {
		p.Stop()
		portal.Exec(t, `UPDATE realtime.installation SET identity = '1/1/00000001'`)
		serves(t, serveURL(t, portal, publisher.URL()), portal, o, guest)
	})
	t.Run("migrate warns before it makes anything", func(t *testing.T) {
		if found := (db.Check{URL: publisher.URL(), Dialer: &db.Dialer{}}).Run(t.Context()); !has(found, db.Warning, "cdc") || has(found, db.Obstacle, "cannot be removed") {
			t.Errorf("check: %v", found)
		}
	})
	t.Run("a subscriber is told of its subscription, whether that has a worker now or not", func(t *testing.T) {
		copied.Exec(t, `ALTER SUBSCRIPTION copy CONNECTION 'host=/nowhere dbname=hangarshare'`)
		harness.Eventually(t, "the worker has ended", func() bool {
			return copied.ID(t, `SELECT count(pid)::text FROM pg_stat_subscription`) == "0"
		})
		look := db.Check{URL: subscriber.URL(), Dialer: &db.Dialer{}}
		if found := look.Run(t.Context()); !has(found, db.Obstacle, "subscription copy") {
			t.Errorf("enabled: %v", found)
		}
		copied.Exec(t, `ALTER SUBSCRIPTION copy DISABLE`)
		if found := look.Run(t.Context()); !has(found, db.Warning, "subscription copy") || has(found, db.Obstacle, "subscription copy") {
			t.Errorf("disabled: %v", found)
		}
	})
	copied.Exec(t, `ALTER SUBSCRIPTION copy SET (slot_name = NONE); DROP SUBSCRIPTION copy`)
}

// TestDatabaseGoneForAMoment has the database away by name: every connection is refused
// with 3D000 until it is back.
func TestDatabaseGoneForAMoment(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	portal := harness.PrivatePortal(t, server)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	p := serveURL(t, portal, server.URL())
	token := harness.TokenFor(t, o.UserID, 3600e9)
	admin := dbtest.Open(t, strings.Replace(server.URL(), "/hangarshare?", "/postgres?", 1))
	harness.Eventually(t, "the database is renamed", func() bool {
		admin.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'hangarshare'`)
		_, err := admin.Pool.ExecContext(t.Context(), `ALTER DATABASE hangarshare RENAME TO away`)
		return err == nil
	})
	harness.Eventually(t, "REST says 503", func() bool {
		status, _, _ := p.WithoutRetries().Get(t, "owners/"+o.ID+"/bookings", token)
		return status == 503
	})
	admin.Exec(t, `ALTER DATABASE away RENAME TO hangarshare`)
	p.Ready(t)
	serves(t, p, portal, o, guest)
}

// TestRoleTimeouts serves with a role whose sessions, statements and transactions are
// ended quickly.
func TestRoleTimeouts(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	portal := harness.PrivatePortal(t, server)
	portal.Exec(t, `ALTER ROLE hangarshare SET idle_in_transaction_session_timeout = '200ms';
		ALTER ROLE hangarshare SET statement_timeout = '200ms'; ALTER ROLE hangarshare SET lock_timeout = '1ms';
		ALTER ROLE hangarshare SET default_transaction_read_only = on; ALTER ROLE hangarshare SET default_transaction_isolation = 'serializable'`)
	if portal.ID(t, `SELECT (current_setting('server_version_num')::int >= 140000)::text`) == "true" {
		portal.Exec(t, `ALTER ROLE hangarshare SET idle_session_timeout = '300ms'`)
	}
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	p := serveURL(t, portal, server.URL(), "--heartbeat-interval", "500ms")
	serves(t, p, portal, o, guest)
	// Longer than any of them, and nothing was lost: the server says so where it loses a
	// connection.
	ws := p.Connect(t, harness.TokenFor(t, o.UserID, 3600e9), o.ID, "")
	for range 3 {
		ws.Next(harness.OfType("heartbeat"))
	}
	if said := p.Output.String(); strings.Contains(said, "lost") {
		t.Error(said)
	}
}

// TestDumpsOfOneSchema restores dumps of the portal's schema alone and of ours alone elsewhere.
func TestDumpsOfOneSchema(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
	portal.Book(t, o.Hangars[0], guest)
	for _, schema := range []string{"public", "realtime"} {
		t.Run(schema, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dbtest.Dir(t), "dump.sql")
			client(t, "pg_dump", "--dbname="+portal.URL, "--schema="+schema, "--file="+file)
			elsewhere := dbtest.Open(t, dbtest.Empty(t))
			if schema == "realtime" { // beside the portal's tables, which a dump of all would bring
				public := file + ".public"
				client(t, "pg_dump", "--dbname="+portal.URL, "--schema=public", "--file="+public)
				client(t, "psql", "--dbname="+elsewhere.URL, "--quiet", "--file="+file)
				file = public
			}
			client(t, "psql", "--dbname="+elsewhere.URL, "--quiet", "--file="+file)
			if n := elsewhere.ID(t, `SELECT count(*)::text FROM bookings`); n != "1" {
				t.Errorf("%s bookings were restored", n)
			}
			serves(t, serveURL(t, elsewhere, elsewhere.URL), elsewhere, o, guest)
		})
	}
}

// client runs a client program of PostgreSQL; the test is skipped where there is none, or
// one older than the server.
func client(t *testing.T, name string, arguments ...string) {
	t.Helper()
	program := dbtest.Server(t).Program(name)
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath(name); err != nil {
			t.Skip("this machine has no " + name)
		}
	}
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Env = append(os.Environ(), "LC_ALL=C")
	if text, err := command.CombinedOutput(); err != nil {
		if strings.Contains(string(text), "server version mismatch") {
			t.Skip("this machine's " + name + " is older than the PostgreSQL that is tested")
		}
		t.Fatalf("%s: %v: %s", name, err, text)
	}
}
