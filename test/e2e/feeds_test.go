package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// readFeed reads a feed as another calendar does: without a token.
func readFeed(t *testing.T, s harness.Setup, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	asked := http.Header{"User-Agent": {"Some-Calendar/1.0"}}
	for i := 0; i+1 < len(header); i += 2 {
		asked.Set(header[i], header[i+1])
	}
	return s.Ask(t, method, strings.TrimPrefix(path, "/"), asked)
}

// TestFeeds makes feeds, reads and revokes them, and takes their maker out of the account.
func TestFeeds(t *testing.T) {
	t.Parallel()
	admin := harness.FreeAddress(t)
	s := harness.NewSetup(t, "--log-level", "debug", "--admin-addr", admin)
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	s.Portal.Exec(t, `UPDATE bookings SET status = 'confirmed' WHERE id = `+booking)
	feeds := "owners/" + s.Owner.ID + "/calendar/feeds"
	add := func(token string, body map[string]any, want int) map[string]any {
		t.Helper()
		response, answer := s.Call(t, "POST", feeds, token, body)
		if response.StatusCode != want {
			t.Fatalf("%v: %d %v", body, response.StatusCode, answer)
		}
		return answer
	}
	for field, body := range map[string]map[string]any{
		"detail":   {"detail": "all", "label": "x"},
		"label":    {"detail": "busy", "label": "\r\n"},
		"hangarId": {"detail": "busy", "label": "x", "hangarId": s.Portal.AddOwner(t, 1).Hangars[0]},
	} {
		if answer := add(s.Token, body, 400); answer["field"] != field {
			t.Errorf("%v: field %v", body, answer["field"])
		}
	}
	all := add(s.Token, map[string]any{"detail": "full", "label": "Tudo"}, 201)
	one := add(s.Token, map[string]any{"detail": "busy", "label": "H2", "hangarId": s.Owner.Hangars[1]}, 201)
	address := all["address"].(string)

	response, text := readFeed(t, s, "GET", address)
	h := response.Header
	if response.StatusCode != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/calendar") || h.Get("Content-Disposition") != "" ||
		h.Get("Cache-Control") != "private, max-age=300" || h.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(h.Get("X-Robots-Tag"), "noindex") ||
		!strings.Contains(text, "SUMMARY:Caio Brandão · H1\r\n") || strings.Contains(text, "@guest.example") {
		t.Errorf("%d %v\n%s", response.StatusCode, h, text)
	}
	if response, text := readFeed(t, s, "GET", one["address"].(string)); response.StatusCode != 200 || strings.Contains(text, "VEVENT") {
		t.Errorf("the feed of the other hangar: %d\n%s", response.StatusCode, text)
	}
	if response, text := readFeed(t, s, "HEAD", address); response.StatusCode != 200 || text != "" {
		t.Errorf("HEAD: %d, %d bytes", response.StatusCode, len(text))
	}
	if response, _ := readFeed(t, s, "GET", address, "If-None-Match", h.Get("ETag")); response.StatusCode != 304 {
		t.Errorf("unchanged: %d", response.StatusCode)
	}
	s.Portal.Exec(t, `UPDATE bookings SET check_out = check_out + interval '1 day', updated_at = now() + interval '1 hour' WHERE id = `+booking)
	if response, changed := readFeed(t, s, "GET", address, "If-None-Match", h.Get("ETag")); response.StatusCode != 200 || changed == text ||
		!strings.Contains(changed, "UID:booking-"+booking+"@") || strings.Contains(changed, "SEQUENCE:0\r\n") {
		t.Errorf("changed: %d\n%s", response.StatusCode, changed)
	}
	s.Portal.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id = `+booking)
	if _, text := readFeed(t, s, "GET", address); strings.Contains(text, "VEVENT") {
		t.Errorf("a cancelled booking stays:\n%s", text)
	}
	for _, path := range []string{address[:len(address)-5] + "x.ics", "/calendar/" + strings.Repeat("a", 43) + ".ics", "/calendar/x.ics", "/calendar/.ics"} {
		if response, _ := readFeed(t, s, "GET", path); response.StatusCode != 404 {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}

	// who may, and what they see
	viewer, _, viewerToken := harness.AddUser(t, s.Portal, "Vera")
	manager, _, managerToken := harness.AddUser(t, s.Portal, "Mara")
	s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer'), ($1, $3, 'manager')`, s.Owner.ID, viewer, manager)
	add(viewerToken, map[string]any{"detail": "busy", "label": "x"}, 403)
	hers := add(managerToken, map[string]any{"detail": "full", "label": "Mara's"}, 201)["address"].(string)
	_, list := s.Call(t, "GET", feeds, s.Token, nil)
	told := list["feeds"].([]any)
	first := told[0].(map[string]any)
	if len(told) != 3 || first["agent"] != "Some-Calendar/1.0" || first["readAt"] == nil || first["createdBy"] != "Olga Prado" || first["address"] != nil {
		t.Errorf("the list is %v", list)
	}

	s.Portal.Exec(t, `UPDATE bookings SET status = 'confirmed' WHERE id = `+booking)
	if _, text := readFeed(t, s, "GET", hers); !strings.Contains(text, "VEVENT") {
		t.Errorf("the manager's feed:\n%s", text)
	}
	s.Portal.Exec(t, `DELETE FROM realtime.members WHERE user_id = $1`, manager)
	if response, text := readFeed(t, s, "GET", hers); response.StatusCode != 200 || strings.Contains(text, "VEVENT") {
		t.Errorf("after she left: %d\n%s", response.StatusCode, text)
	}
	if response, _ := s.Call(t, "DELETE", feeds+"/"+first["id"].(string), s.Token, nil); response.StatusCode != 204 {
		t.Errorf("revoked: %d", response.StatusCode)
	}
	if response, _ := s.Call(t, "DELETE", feeds+"/"+first["id"].(string), s.Token, nil); response.StatusCode != 404 {
		t.Errorf("revoked twice: %d", response.StatusCode)
	}
	if response, text := readFeed(t, s, "GET", address); response.StatusCode != 200 || strings.Contains(text, "VEVENT") {
		t.Errorf("a revoked feed: %d\n%s", response.StatusCode, text)
	}
	s.Portal.Exec(t, `UPDATE realtime.calendar_feeds SET revoked_at = now() - interval '8 days' WHERE revoked_at IS NOT NULL`)
	if response, _ := readFeed(t, s, "GET", address); response.StatusCode != 404 {
		t.Errorf("a week later: %d", response.StatusCode)
	}

	for i := 0; ; i++ {
		response, _ := readFeed(t, s, "GET", one["address"].(string))
		if response.StatusCode == 429 && response.Header.Get("Retry-After") != "" {
			break
		}
		if response.StatusCode != 200 || i > 60 {
			t.Fatalf("read %d is %d", i, response.StatusCode)
		}
	}
	if n := series(scrape(admin), `hangarshare_refused_total{limit="feed_reads"}`); n != 1 {
		t.Errorf("%v reads are counted as refused, want 1", n)
	}
	secret := strings.TrimSuffix(strings.TrimPrefix(address, "/calendar/"), ".ics")
	if log := s.Output.String(); strings.Contains(log, secret) {
		t.Error("a secret is in the log")
	}
}

// TestFeedSecrets guesses addresses until it is refused, and looks for the one that there is in log
// and metrics. No answer lets a page that it leads to know where the reader came from.
func TestFeedSecrets(t *testing.T) {
	t.Parallel()
	admin := harness.FreeAddress(t)
	s := harness.NewSetup(t, "--log-level", "debug", "--admin-addr", admin, "--limit-exempt", "", "--requests-per-minute-per-address", "60")
	_, made := s.Call(t, "POST", "owners/"+s.Owner.ID+"/calendar/feeds", s.Token, map[string]any{"detail": "busy", "label": "x"})
	address := made["address"].(string)
	secret := strings.TrimSuffix(strings.TrimPrefix(address, "/calendar/"), ".ics")
	if response, _ := readFeed(t, s, "GET", address); response.StatusCode != http.StatusOK {
		t.Fatalf("the feed: %d", response.StatusCode)
	}
	guess := func(n int) int {
		response, _ := readFeed(t, s, "GET", fmt.Sprintf("/calendar/%043d.ics", n))
		if policy := response.Header.Get("Referrer-Policy"); policy != "no-referrer" {
			t.Errorf("guess %d: %d with referrer policy %q", n, response.StatusCode, policy)
		}
		return response.StatusCode
	}
	refused := 0
	for n := 1; refused == 0; n++ {
		switch status := guess(n); {
		case status == http.StatusTooManyRequests:
			refused = n
		case status != http.StatusNotFound || n > 200:
			t.Fatalf("guess %d: %d", n, status)
		}
	}
	t.Logf("guess %d was refused", refused)
	if log := s.Output.String(); strings.Contains(log, secret) || !strings.Contains(log, "/calendar/…") {
		t.Error("the log has the secret, or no line about its path")
	}
	if metrics := s.Metrics(t, admin); strings.Contains(metrics, secret) || !strings.Contains(metrics, "hangarshare_") {
		t.Error("the metrics have the secret, or are none")
	}
}
