//go:build unix

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// refused runs a command line that must end by itself with exit code 1, and returns what it said.
func refused(t *testing.T, arguments ...string) string {
	t.Helper()
	// A server that is not refused would run for ever.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	if code := harness.Run(ctx, arguments, &out, &errs); code != 1 {
		t.Errorf("%v: exit code %d, %s%s", arguments, code, out.String(), errs.String())
	}
	return errs.String()
}

// serveURL runs a server on an address that need not be the portal's own.
func serveURL(t *testing.T, portal *dbtest.Portal, address string, more ...string) *harness.Program {
	t.Helper()
	return harness.Serve(t, &dbtest.Portal{URL: address, Pool: portal.Pool}, append(harness.AtNoon(), more...)...)
}

// TestPoolers runs the program behind a real PgBouncer.
func TestPoolers(t *testing.T) {
	t.Parallel()
	t.Run("transaction mode alone is refused, and the setting named", func(t *testing.T) {
		t.Parallel()
		portal := dbtest.New(t)
		through := dbtest.Pooler(t, portal.URL, "transaction")
		for _, command := range [][]string{
			{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--jwt-secret", harness.Secret}, {"migrate"}, {"migrate", "--down"},
		} {
			if said := refused(t, append(command, "--database-url", through)...); !strings.Contains(said, "LISTEN_DATABASE_URL") {
				t.Errorf("%v: %s", command, said)
			}
		}
	})
	t.Run("another database for LISTEN is refused, and nothing is made in it", func(t *testing.T) {
		t.Parallel()
		portal, other := dbtest.New(t), dbtest.Open(t, dbtest.Empty(t))
		harness.Must(t, demo.CreateSchema(t.Context(), other.Pool))
		through := dbtest.Pooler(t, portal.URL, "transaction")
		for _, address := range []string{portal.URL, through} {
			said := refused(t, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--jwt-secret", harness.Secret,
				"--database-url", address, "--listen-database-url", other.URL)
			if !strings.Contains(said, "LISTEN_DATABASE_URL: it leads to another database") {
				t.Errorf("at %s: %s", address, said)
			}
		}
		if made := other.ID(t, `SELECT count(*) FROM pg_namespace WHERE nspname = 'realtime'`); made != "0" {
			t.Error("the other database was installed into")
		}
	})
	t.Run("transaction mode for LISTEN is refused", func(t *testing.T) {
		t.Parallel()
		portal := dbtest.New(t)
		through := dbtest.Pooler(t, portal.URL, "transaction", "server_round_robin = 1")
		said := refused(t, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--jwt-secret", harness.Secret,
			"--database-url", portal.URL, "--listen-database-url", through)
		if !strings.Contains(said, "LISTEN_DATABASE_URL") || !strings.Contains(said, "direct") {
			t.Error(said)
		}
	})
	for name, test := range map[string]struct {
		mode     string
		settings []string
		direct   bool
	}{
		"transaction mode beside a direct connection":  {"transaction", nil, true},
		"transaction mode with few server connections": {"transaction", []string{"default_pool_size = 2"}, true},
		"session mode":                           {"session", nil, false},
		"session mode beside a direct one":       {"session", nil, true},
		"session mode that forgets what was set": {"session", []string{"server_reset_query = DISCARD ALL", "server_lifetime = 1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			portal := dbtest.New(t)
			o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
			through := dbtest.Pooler(t, portal.URL, test.mode, test.settings...)
			var more []string
			if test.direct {
				more = []string{"--listen-database-url", portal.URL}
			}
			serves(t, serveURL(t, portal, through, more...), portal, o, guest)
		})
	}
}

// TestHiddenRows switches row-level security on beside a server that runs, also behind a
// transaction pooler, where PostgreSQL would answer with less: nothing is answered, /readyz and the
// log say why, until it is off again.
func TestHiddenRows(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"direct", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			portal := dbtest.New(t)
			role := fmt.Sprintf("hidden_%s_%d", mode, time.Now().UnixNano())
			portal.Exec(t, fmt.Sprintf(`CREATE ROLE %s LOGIN; GRANT USAGE ON SCHEMA realtime TO %[1]s;
				GRANT SELECT ON users, hangar_owners, hangar_listings, bookings TO %[1]s;
				GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO %[1]s;
				GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA realtime TO %[1]s;
				GRANT EXECUTE ON ALL ROUTINES IN SCHEMA realtime TO %[1]s`, role))
			t.Cleanup(func() {
				if _, err := portal.Pool.Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role); err != nil {
					t.Error(err)
				}
			})
			u, err := url.Parse(portal.URL)
			harness.Must(t, err)
			u.User = url.User(role)
			address, more := u.String(), []string(nil)
			if mode == "transaction" {
				address, more = dbtest.Pooler(t, address, mode), []string{"--listen-database-url", address}
			}
			o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
			p := serveURL(t, portal, address, more...)
			serves(t, p, portal, o, guest)
			changes, token := readiness(t, p), harness.TokenFor(t, o.UserID, time.Hour)
			portal.Exec(t, `ALTER TABLE bookings ENABLE ROW LEVEL SECURITY`)
			awaitStatus(t, changes, http.StatusServiceUnavailable)
			portal.Book(t, o.Hangars[0], guest) // or what is remembered would be the answer
			for _, path := range []string{"metrics", "bookings", "listings", "overview"} {
				if status, _, body := p.Get(t, "owners/"+o.ID+"/"+path, token); status < 500 {
					t.Errorf("%s: %d %v", path, status, body)
				}
			}
			if said := p.Output.String(); !strings.Contains(said, "BYPASSRLS") {
				t.Errorf("the log does not say what to do: %s", said)
			}
			portal.Exec(t, `ALTER TABLE bookings DISABLE ROW LEVEL SECURITY`)
			awaitStatus(t, changes, http.StatusOK)
			if status, _, body := p.Get(t, "owners/"+o.ID+"/metrics", token); status != http.StatusOK || body["bookingsToday"] != 2.0 {
				t.Errorf("metrics: %d %v", status, body)
			}
		})
	}
}

// serves finds that a server tells an owner's booking, is ready, and answers many
// questions at once.
func serves(t *testing.T, p *harness.Program, portal *dbtest.Portal, o dbtest.Owner, guest string) {
	t.Helper()
	token := harness.TokenFor(t, o.UserID, time.Hour)
	ws := p.Connect(t, token, o.ID, "")
	ws.Next(harness.OfType("connection_established"))
	booking := portal.Book(t, o.Hangars[0], guest)
	if m := ws.Next(harness.OfType("booking_created")); m.Field("bookingId") != booking {
		t.Errorf("got %s", m.Data)
	}
	p.Ready(t)
	var asking sync.WaitGroup
	var failures sync.Map
	for i := range 60 {
		asking.Go(func() {
			for _, path := range []string{"metrics", "bookings", "listings", "events"} {
				if status, _, body := p.Get(t, "owners/"+o.ID+"/"+path+"?n="+strconv.Itoa(i), token); status != 200 {
					failures.Store(fmt.Sprint(path, " ", status, " ", body), true)
				}
			}
		})
	}
	asking.Wait()
	failures.Range(func(failure, _ any) bool { t.Errorf("%v; the server said %s", failure, p.Output); return true })
}

// TestFewConnections serves with a role that may have few connections, and on a server
// that has no place at times.
func TestFewConnections(t *testing.T) {
	t.Parallel()
	limited := func(t *testing.T, limit int) (portal *dbtest.Portal, address string) {
		portal = dbtest.New(t)
		role := fmt.Sprintf("few_%d_%d", limit, time.Now().UnixNano())
		// Superusers are held to no limit. The role may all that the portal's own may,
		// and migrates nothing.
		portal.Exec(t, fmt.Sprintf(`CREATE ROLE %s LOGIN CONNECTION LIMIT %d;
			GRANT USAGE, CREATE ON SCHEMA public TO %[1]s; GRANT USAGE ON SCHEMA realtime TO %[1]s;
			GRANT SELECT ON users, hangar_owners, hangar_listings, bookings TO %[1]s;
			GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA realtime TO %[1]s;
			GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA realtime TO %[1]s;
			GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA realtime TO %[1]s;
			GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA realtime TO %[1]s`, role, limit))
		t.Cleanup(func() {
			if _, err := portal.Pool.Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role); err != nil {
				t.Error(err)
			}
		})
		u, err := url.Parse(portal.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.User(role)
		return portal, u.String()
	}
	t.Run("too few are refused, and the least said", func(t *testing.T) {
		t.Parallel()
		_, address := limited(t, 5)
		said := refused(t, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--jwt-secret", harness.Secret, "--database-url", address)
		if !strings.Contains(said, "needs 6") || !strings.Contains(said, "CONNECTION LIMIT") {
			t.Error(said)
		}
		said = refused(t, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--jwt-secret", harness.Secret, "--database-url", address,
			"--max-database-connections", "4")
		if !strings.Contains(said, "MAX_DATABASE_CONNECTIONS") || !strings.Contains(said, "at least 6") {
			t.Error(said)
		}
	})
	t.Run("the role may have six", func(t *testing.T) {
		t.Parallel()
		portal, address := limited(t, 6)
		o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
		serves(t, serveURL(t, portal, address), portal, o, guest)
	})
	t.Run("the setting counts all of them", func(t *testing.T) {
		t.Parallel()
		portal, address := limited(t, 30)
		o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
		p := serveURL(t, portal, address, "--max-database-connections", "6")
		serves(t, p, portal, o, guest)
		if n := portal.ID(t, `SELECT count(*)::text FROM pg_stat_activity WHERE usename LIKE 'few\_30\_%' AND datname = current_database()`); n > "6" || len(n) > 1 {
			t.Errorf("%s connections", n)
		}
	})
	t.Run("others take the role's places for a while", func(t *testing.T) {
		t.Parallel()
		portal, address := limited(t, 12)
		o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Ana", "Reis")
		other := dbtest.Open(t, address)
		for range 5 {
			conn, err := other.Pool.Connx(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		serves(t, serveURL(t, portal, address), portal, o, guest)
	})
}
