//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"crypto"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api/issuertest"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// metricName is a name of ours, and seriesSuffix what a histogram's series add to it.
var (
	metricName   = regexp.MustCompile(`\bhangarshare_[a-z0-9_]+`)
	seriesSuffix = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// families returns the names of our metrics in what a server exposes, sorted.
func families(text string) (names []string) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok && strings.HasPrefix(rest, "hangarshare_") {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestDashboardAndAlertsKnowTheMetrics has a server with everything that has metrics: each name in
// the dashboard and the alerts is there, and each that is there is in one of them.
func TestDashboardAndAlertsKnowTheMetrics(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	certificate, key, pool := harness.NewCertificate(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(client.CloseIdleConnections)
	_, signer, _ := issuertest.Signers(t)
	issuer := &issuertest.Issuer{T: t}
	issuer.Publish(map[string]crypto.Signer{"e": signer})
	web := httptest.NewServer(issuer)
	t.Cleanup(web.Close)
	admin := harness.FreeAddress(t)
	harness.ServeTo(t, dbtest.New(t), client, "--admin-addr", admin, "--redis-url", "redis://"+redis.Addr, "--jwks-url", web.URL,
		"--tls-cert-file", certificate, "--tls-key-file", key)

	var used []string
	for _, file := range []string{"deploy/prometheus/alerts.yml", "deploy/grafana/hangarshare.json"} {
		text, err := os.ReadFile(harness.Path(file))
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, metricName.FindAllString(string(text), -1)...)
	}
	var missing, unused []string
	harness.Eventually(t, "exposed", func() bool {
		exposed := families(scrape(admin))
		missing, unused = nil, nil
		base := map[string]bool{}
		for _, name := range used {
			if !slices.Contains(exposed, name) {
				name = seriesSuffix.ReplaceAllString(name, "")
			}
			base[name] = true
			if !slices.Contains(exposed, name) {
				missing = append(missing, name)
			}
		}
		for _, name := range exposed {
			if !base[name] {
				unused = append(unused, name)
			}
		}
		if len(unused) > 0 {
			t.Fatalf("neither the dashboard nor an alert has %v", unused)
		}
		return len(missing) == 0 // some are counted only after a while
	})
	command := exec.Command(promtool(t), "check", "metrics")
	command.Stdin = strings.NewReader(oursOnly(scrape(admin)))
	if text, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v: %s", err, text)
	}
}

// oursOnly leaves out what the libraries expose.
func oursOnly(text string) string {
	var ours strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "hangarshare_") {
			ours.WriteString(line)
		}
	}
	return ours.String()
}

// promtool returns the program, which comes with Prometheus.
func promtool(t *testing.T) string {
	t.Helper()
	prometheus, _ := harness.Installed(t, "prometheus")
	return filepath.Join(filepath.Dir(prometheus), "promtool")
}

// TestAlerts runs the alerts' own tests by the real promtool.
func TestAlerts(t *testing.T) {
	t.Parallel()
	program := promtool(t)
	for _, arguments := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "tests.yml"}} {
		command := exec.Command(program, arguments...)
		command.Dir = harness.Path("deploy/prometheus")
		if text, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v: %s", arguments, err, text)
		}
	}
}

// series returns the value of a series with its labels, 0 where there is none.
func series(text, name string) float64 { return sample(text, name) }

// TestCanaryAndAges has two servers measure how long rows take, while a remembered answer stays
// remembered.
func TestCanaryAndAges(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	owner, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	token := harness.TokenFor(t, owner.UserID, time.Hour)
	admins := []string{harness.FreeAddress(t), harness.FreeAddress(t)}
	var servers []*harness.Program
	for _, admin := range admins {
		servers = append(servers, harness.Serve(t, portal, "--admin-addr", admin))
	}
	stream := servers[1].Connect(t, token, owner.ID, "")
	stream.Next(harness.OfType("connection_established"))
	portal.Book(t, owner.Hangars[0], guest)
	stream.Next(harness.IsEvent)
	for _, admin := range admins {
		harness.Eventually(t, "measured", func() bool {
			text := scrape(admin)
			return series(text, `hangarshare_canary_seconds_count{stage="published"}`) >= 2 && series(text, `hangarshare_canary_seconds_count{stage="handed"}`) >= 2
		})
	}
	if text := scrape(admins[1]); series(text, `hangarshare_event_age_seconds_count{stage="numbered"}`) < 1 ||
		series(text, `hangarshare_event_age_seconds_count{stage="sent"}`) != 1 {
		t.Errorf("no ages were measured: %s", oursOnly(text))
	}
	held := 0.0
	for _, admin := range admins {
		held += series(scrape(admin), "hangarshare_numbering_held")
	}
	if held != 1 {
		t.Errorf("%v servers number the log", held)
	}
	ask := func() (missed float64) {
		servers[0].Get(t, "owners/"+owner.ID+"/metrics", token)
		return series(scrape(admins[0]), `hangarshare_remembered_total{cache="metrics",hit="false"}`)
	}
	canaries := func() float64 {
		return series(scrape(admins[0]), `hangarshare_canary_seconds_count{stage="handed"}`)
	}
	// A checkpoint voids an answer, too, and each test that ends beside this one makes one. The
	// canary is written at once, so that there is hardly time for one between the two questions.
	canary := eventlog.NewLog(portal.Pool)
	harness.Eventually(t, "answered from memory beside a canary", func() bool {
		before, missed := canaries(), ask()
		dbtest.Must(t, canary.Probe(t.Context()))
		harness.Eventually(t, "measured again", func() bool { return canaries() > before })
		return ask() == missed
	})
	if n := portal.ID(t, `SELECT count(*)::text FROM realtime.events WHERE type LIKE '.%' AND type NOT IN ('.probe', '.note')`); n != "0" {
		t.Errorf("%s other notes were written", n)
	}
}

// TestWhatStreamsCount counts comings back, endings, refusals and bad credentials.
func TestWhatStreamsCount(t *testing.T) {
	t.Parallel()
	admin := harness.FreeAddress(t)
	s := harness.NewSetup(t, "--admin-addr", admin, "--max-connections", "1")
	first := s.Connect(t, s.Token, s.Owner.ID, "")
	position := first.Next(nil).Field("lastEventId")
	if code := s.Upgrade(t, "", harness.Bearer(s.Token)); code != http.StatusTooManyRequests {
		t.Errorf("a second stream is answered by %d", code)
	}
	first.Conn.Close(1000, "")
	harness.Eventually(t, "ended", func() bool { return series(scrape(admin), `hangarshare_connections{transport="websocket"}`) == 0 })
	again := s.Connect(t, s.Token, s.Owner.ID, position)
	again.Next(nil)
	s.Get(t, "auth/me", "a.b.c")
	again.Conn.Close(1000, "")
	harness.Eventually(t, "ended", func() bool { return series(scrape(admin), `hangarshare_connections{transport="websocket"}`) == 0 })
	s.Upgrade(t, "?ownerId="+s.Owner.ID+"&lastEventId=x", harness.Bearer(s.Token))
	text := scrape(admin)
	for name, want := range map[string]float64{
		`hangarshare_resume_total{outcome="recovered"}`:                1,
		`hangarshare_resume_total{outcome="garbage"}`:                  1,
		`hangarshare_close_total{code="client",transport="websocket"}`: 2,
		`hangarshare_refused_total{limit="max_connections"}`:           1,
		`hangarshare_auth_failures_total{way="header"}`:                1,
		`hangarshare_connections_opened_total`:                         2,
	} {
		if got := series(text, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if series(text, "hangarshare_sent_bytes_total") < 400 {
		t.Errorf("%v bytes were sent", series(text, "hangarshare_sent_bytes_total"))
	}
	if user := regexp.MustCompile(`"(` + s.Owner.ID + `|` + s.Owner.UserID + `)"`); user.MatchString(oursOnly(text)) && len(s.Owner.ID) > 2 {
		t.Errorf("a series names an owner or a user")
	}
}
