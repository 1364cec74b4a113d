package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// fixtures is where the messages and answers lie that the server sends, and those that the browser
// client sends: the tests of each side read what the other side wrote, so that neither can drift.
var fixtures = harness.Path("web/test/fixtures")

// update has the tests write the server's fixtures anew: go test -run Described ./test/e2e -update
var update = flag.Bool("update", false, "write the fixtures that the browser client's tests read")

// volatile are the values that differ from run to run, and what a fixture has in their place.
var volatile = map[string]any{
	"id": "mZQ3lqYb3aJ1kRQ2BQIA", "lastEventId": "mZQ3lqYb3aJ1kRQ2BQIA", "connectionId": "3VJ5Q2KX7RAZ6WDOYB4TMLCNEH",
	"bookingId": "1201", "hangarId": "7", "ownerId": "42", "hangarNumber": "A-12",
	"timestamp": json.Number("1768977456006"), "serverTime": json.Number("1768977456006"), "expiresAt": json.Number("1768977516006"),
	"revenueToday": json.Number("4350.00"), "bookingsToday": json.Number("3"), "occupancyRate": json.Number("66.7"),
	"listingsRevision": "kV0Xc3yq1nF2b8aT", "growthBasis": "compared", "occupied": json.Number("2"), "offered": json.Number("3"),
	"growthPercentage": json.Number("-12.5"), "pendingPayouts": json.Number("980.10"), "activeListings": json.Number("2"),
}

// date is how dates are written; all fixtures have the same one.
var date = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-03:00$`)

const fixtureDate = "2026-01-21T00:00:00-03:00"

// day is how days are written; all fixtures have the same one.
var day = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)

const fixtureDay = "2026-01-21"

// normalize replaces what differs from run to run by a value of the same kind.
func normalize(t *testing.T, name string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Collect(maps.Keys(v)) {
			v[key] = normalize(t, key, v[key])
		}
		return v
	case []any:
		for i := range v {
			v[i] = normalize(t, name, v[i])
		}
		return v[:min(len(v), 1)]
	case string:
		if date.MatchString(v) {
			return fixtureDate
		}
		if day.MatchString(v) {
			return fixtureDay
		}
		if with, ok := volatile[name].(string); ok && v != "" {
			return with
		}
	case json.Number:
		if with, ok := volatile[name].(json.Number); ok {
			return with
		}
	}
	return value
}

// fixture compares a message or an answer with the one that the browser client's tests read.
func fixture(t *testing.T, name string, text []byte) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	got, err := json.MarshalIndent(normalize(t, "", value), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join(fixtures, "server", name+".json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test -run Described ./test/e2e -update writes it", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nand the browser client's tests read\n%s\nIf that is meant: go test -run Described ./test/e2e -update", name, got, want)
	}
}

// clientFixture is a message as the browser client writes it, with values that this server knows.
func clientFixture(t *testing.T, typ, ownerID, token string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fixtures, "client", typ+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`"42"`, `"`+ownerID+`"`, `"header.payload.signature"`, `"`+token+`"`).Replace(string(text))
}

// TestSnapshotsAreAsDescribed compares the answers that the page begins with.
func TestSnapshotsAreAsDescribed(t *testing.T) {
	t.Parallel()
	s, d := harness.NewSetup(t), readDescription(t)
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	s.Portal.Exec(t, `UPDATE bookings SET status = 'confirmed', check_in = now() AT TIME ZONE 'utc', payment_method = 'pix' WHERE id = `+booking)
	harness.Eventually(t, "numbered", func() bool {
		_, _, page := s.Get(t, "owners/"+s.Owner.ID+"/events", s.Token)
		events, _ := page["events"].([]any)
		return len(events) >= 2
	})
	fixture(t, "booking", []byte(d.ask(t, s.Program, question{want: http.StatusOK, method: http.MethodGet,
		path: "/api/owners/" + s.Owner.ID + "/bookings/" + booking, header: harness.Bearer(s.Token)})))
	for _, name := range []string{"metrics", "overview", "bookings", "listings", "events"} {
		fixture(t, name, []byte(d.ask(t, s.Program, question{want: http.StatusOK, method: http.MethodGet,
			path: "/api/owners/" + s.Owner.ID + "/" + name, header: harness.Bearer(s.Token)})))
	}
}
