package e2e

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/api/loadtest"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func TestLoadtestCommand(t *testing.T) {
	t.Parallel()
	newer := func(t *testing.T) *dbtest.Portal {
		return dbtest.Open(t, dbtest.Clone(t, "load test of the newer shape", func(url string) error {
			pool, err := sqlx.Connect("postgres", url)
			if err != nil {
				return err
			}
			defer pool.Close()
			if err := demo.CreateViewSchema(t.Context(), pool); err != nil {
				return err
			}
			return db.Migrate(t.Context(), url, slog.New(slog.DiscardHandler))
		}))
	}
	for _, c := range []struct {
		name, transport string
		portal          func(t *testing.T) *dbtest.Portal
	}{
		{"bookings as a table", "ws", func(t *testing.T) *dbtest.Portal { return dbtest.New(t) }},
		{"bookings as a view", "sse", newer},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			portal := c.portal(t)
			owner, other := portal.AddOwner(t, 1), portal.AddOwner(t, 1)
			p := harness.Serve(t, portal)
			var out, errs bytes.Buffer
			code := harness.Run(t.Context(), []string{"loadtest", "--url", p.Base, "--transport", c.transport, "--connections", "8", "--duration", "500ms",
				"--ramp", "50ms", "--jwt-secret", harness.Secret, "--user", owner.UserID, "--user", other.UserID,
				"--database-url", portal.URL, "--rate", "40", "--json"}, &out, &errs)
			var report loadtest.Report
			if err := json.Unmarshal(out.Bytes(), &report); err != nil || code != 0 {
				t.Fatalf("exit code %d, %v:\n%s%s", code, err, &out, &errs)
			}
			if report.Connections != 8 || report.Compared != 8 || report.Owners != 2 || report.Bookings == 0 || report.Server == nil ||
				report.CommitLatency == nil || report.CommitLatency.Count != 4*report.Bookings || report.Latency == nil {
				t.Errorf("the report is %s", &out)
			}
			if left := portal.ID(t, `SELECT count(*)::text FROM bookings WHERE payment_method = $1`, demo.BookingMark); left != "0" {
				t.Errorf("%s of its bookings are left", left)
			}
		})
	}
}

func TestLoadtestCommandForPeople(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	owner := portal.AddOwner(t, 1)
	p := harness.Serve(t, portal)
	var out, errs bytes.Buffer
	code := harness.Run(t.Context(), []string{"loadtest", "--url", p.Base, "--connections", "2", "--duration", "2500ms", "--jwt-secret", harness.Secret,
		"--user", owner.UserID, "--database-url", portal.URL, "--rate", "40"}, &out, &errs)
	if code != 0 {
		t.Fatalf("exit code %d:\n%s%s", code, &out, &errs)
	}
	for _, line := range []string{
		// while it ran
		`\d+s  2 open, 0 failed, [1-9]\d* deliveries, [1-9][\d.]*/s, p50 [\d.]+ ms, p99 [\d.]+ ms`,
		`connections +2 opened in [\d.]+ s, 0 failed`, `commit → receive +p50 [\d.]+ ms, .*`, `lost +0`, `doubled +0`,
		`server memory +[\d.]+ MiB before, .*`, `server CPU +[\d.]+ s in .*`,
	} {
		if !regexp.MustCompile(`(?m)^ *` + line + `$`).Match(out.Bytes()) {
			t.Errorf("no line like %q in\n%s", line, &out)
		}
	}
}

func TestLoadtestCommandRefuses(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	token := harness.TokenFor(t, portal.AddOwner(t, 1).UserID, harness.Timeout)
	p := harness.Serve(t, portal)
	for want, args := range map[string][]string{
		"is not on this machine":         {"--url", "https://hangars.example"},
		"DATABASE_URL is on another":     {"--token", token, "--rate", "1", "--database-url", "postgres://portal.example/portal"},
		"--rate needs DATABASE_URL":      {"--token", token, "--rate", "1"},
		"JWT_SECRET has 5 bytes":         {"--user", "1", "--jwt-secret", "short"},
		"needs --token or --user":        {},
		`must be one of "ws","sse"`:      {"--transport", "fax"},
		"connections must be 1 to 25000": {"--token", token, "--connections", "25001"},
	} {
		var out, errs bytes.Buffer
		code := harness.Run(t.Context(), append([]string{"loadtest", "--url", p.Base, "--duration", "1ms"}, args...), &out, &errs)
		if code == 0 || !strings.Contains(errs.String(), want) {
			t.Errorf("exit code %d, without %q:\n%s", code, want, &errs)
		}
	}
}
