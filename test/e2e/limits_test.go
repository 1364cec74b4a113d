//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// refusesStream opens a WebSocket that must be refused before the upgrade with 429, and
// says after what time to try again.
func refusesStream(t *testing.T, p *harness.Program, what, query string, header http.Header) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.Base, "http")+"api/ws"+query, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		conn.CloseNow()
		t.Errorf("%s is let in", what)
		return
	}
	harness.WantTooMany(t, what, response)
}

// dialWithoutToken opens a WebSocket from an address as soon as it may: who leaves, or is told why
// it must, holds a place until then.
func dialWithoutToken(t *testing.T, p *harness.Program, address string) (conn *websocket.Conn) {
	t.Helper()
	harness.Eventually(t, "free for a socket without a token", func() (free bool) {
		var err error
		conn, _, err = websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.Base, "http")+"api/ws", &websocket.DialOptions{HTTPHeader: harness.Behind(address)})
		return err == nil
	})
	return conn
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.1", "--max-connections", "8", "--max-connections-per-user", "2",
		"--max-connections-per-address", "3", "--max-unauthenticated-per-address", "1")
	query := "?ownerId=" + s.Owner.ID
	other := s.Portal.AddOwner(t, 0)
	otherToken, otherQuery := harness.TokenFor(t, other.UserID, time.Hour), "?ownerId="+other.ID
	by := func(token string) string { return "Bearer " + token }
	open := func(address, token, query string) *harness.Stream {
		t.Helper()
		ws := s.Dial(t, query, &websocket.DialOptions{HTTPHeader: harness.Behind(address, "Authorization", by(token))})
		ws.Next(harness.OfType("connection_established"))
		return ws
	}
	first := open("203.0.113.1", s.Token, query)
	open("203.0.113.2", s.Token, query)
	refusesStream(t, s.Program, "a user's third", query, harness.Behind("203.0.113.3", "Authorization", by(s.Token)))
	response, text := s.Ask(t, "GET", "api/sse"+query, harness.Behind("203.0.113.3", "Authorization", by(s.Token)))
	harness.WantTooMany(t, "a user's third, an event stream, "+text, response)

	late := s.Dial(t, query, &websocket.DialOptions{HTTPHeader: harness.Behind("203.0.113.3"), Subprotocols: []string{"hangarshare.v1", "bearer." + s.Token}})
	if code := late.End(); code != 4429 {
		t.Errorf("a browser's WebSocket too many ends with %d", code)
	}
	if response, text = s.Ask(t, "GET", "api/sse"+query, harness.Behind("203.0.113.3", "Cookie", "jwt="+s.Token)); response.StatusCode != 200 || !strings.Contains(text, `"code":4429`) {
		t.Errorf("a browser's event stream too many: %s %s", response.Status, text)
	}

	stranger := harness.Follow(t, dialWithoutToken(t, s.Program, "203.0.113.1"))
	refusesStream(t, s.Program, "a second stranger", "", harness.Behind("203.0.113.1"))
	stranger.Send(`{"type":"auth","ownerId":"` + other.ID + `","token":"` + otherToken + `"}`)
	stranger.Next(harness.OfType("connection_established"))
	dialWithoutToken(t, s.Program, "203.0.113.1").CloseNow()
	open("203.0.113.1", otherToken, otherQuery)
	third := s.Portal.AddOwner(t, 0)
	refusesStream(t, s.Program, "an address's fourth", "?ownerId="+third.ID, harness.Behind("203.0.113.1", "Authorization", by(harness.TokenFor(t, third.UserID, time.Hour))))

	first.Stop() // and another's place is free
	first.Conn.Close(websocket.StatusNormalClosure, "")
	harness.Eventually(t, "free for another", func() bool {
		conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.Base, "http")+"api/ws"+query,
			&websocket.DialOptions{HTTPHeader: harness.Behind("203.0.113.4", "Authorization", by(s.Token))})
		if err != nil {
			return false
		}
		t.Cleanup(func() { conn.CloseNow() })
		return true
	})
	for i := range 4 { // four are open: others' up to the eighth
		o := s.Portal.AddOwner(t, 0)
		open("203.0.113.1"+strconv.Itoa(i), harness.TokenFor(t, o.UserID, time.Hour), "?ownerId="+o.ID)
	}
	refusesStream(t, s.Program, "one more than all may have", "?ownerId="+third.ID, harness.Behind("203.0.113.99", "Authorization", by(harness.TokenFor(t, third.UserID, time.Hour))))
}

// TestNothingIsExemptByItself: a proxy on this machine that sends no header of its own is
// an address like others.
func TestNothingIsExemptByItself(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--limit-exempt", "192.0.2.0/24", "--requests-per-minute-per-address", "2", "--max-connections-per-address", "2")
	var last *http.Response
	harness.Eventually(t, "limited", func() bool {
		last, _ = s.Ask(t, "GET", "api/auth/me", http.Header{"Authorization": {"Bearer " + s.Token}})
		return last.StatusCode != http.StatusOK
	})
	harness.WantTooMany(t, "a request too many from this machine", last)

	s = harness.NewSetup(t, "--limit-exempt", "192.0.2.0/24", "--max-connections-per-address", "2")
	query := "?ownerId=" + s.Owner.ID
	for range 2 {
		s.Connect(t, s.Token, s.Owner.ID, "").Next(harness.OfType("connection_established"))
	}
	s.Client.CloseIdleConnections() // what carries no stream is counted by itself
	refusesStream(t, s.Program, "a third stream from this machine", query, http.Header{"Authorization": {"Bearer " + s.Token}})
}

// TestExemptAddressesAreNotLimited: no user's and no address's limit binds them; totals do, and the
// one on sockets without a token.
func TestExemptAddressesAreNotLimited(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--limit-exempt", "127.0.0.0/8", "--max-connections", "4", "--max-connections-per-user", "1", "--max-connections-per-address", "1",
		"--max-unauthenticated-per-address", "1", "--requests-per-minute-per-user", "1", "--requests-per-minute-per-address", "1")
	query := "?ownerId=" + s.Owner.ID
	for range 4 {
		s.Connect(t, s.Token, s.Owner.ID, "").Next(harness.OfType("connection_established"))
	}
	s.Dial(t, "", nil) // says nothing, and is counted apart
	refusesStream(t, s.Program, "a second stranger", "", nil)
	refusesStream(t, s.Program, "one more than all may have", query, http.Header{"Authorization": {"Bearer " + s.Token}})
	if status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/metrics", s.Token); status != 200 {
		t.Errorf("a request: %d %v", status, body)
	}
	response, text := s.Ask(t, "GET", "api/auth/me", harness.Behind("203.0.113.1", "Authorization", "Bearer "+s.Token))
	if response.StatusCode != 200 {
		t.Errorf("the first request of an undeclared proxy: %s %s", response.Status, text)
	}
	response, text = s.Ask(t, "GET", "api/auth/me", harness.Behind("203.0.113.2", "Authorization", "Bearer "+s.Token))
	harness.WantTooMany(t, "its second, "+text, response)
	if !strings.Contains(text, "REQUESTS_PER_MINUTE_PER_") {
		t.Errorf("it does not name the setting: %s", text)
	}
	s.Output.Await(t, "level=WARN msg=\"requests come through a proxy")
}

func TestRequestLimits(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.0/8", "--requests-per-minute-per-user", "3", "--requests-per-minute-per-address", "5",
		"--allowed-origins", "https://portal.example")
	bearer := []string{"Authorization", "Bearer " + s.Token}
	path, query := "api/owners/"+s.Owner.ID+"/metrics", "?ownerId="+s.Owner.ID
	for i := range 3 {
		if response, text := s.Ask(t, "GET", path, harness.Behind("203.0.113."+strconv.Itoa(i+1), bearer...)); response.StatusCode != 200 {
			t.Fatalf("request %d: %s %s", i+1, response.Status, text)
		}
	}
	response, text := s.Ask(t, "GET", path, harness.Behind("203.0.113.4", bearer...))
	harness.WantTooMany(t, "a user's fourth", response)
	var problem struct {
		Status int
		Detail string
	}
	if err := json.Unmarshal([]byte(text), &problem); err != nil || problem.Status != 429 || problem.Detail == "" {
		t.Errorf("the answer says %s", text)
	}
	refusesStream(t, s.Program, "a user's WebSocket", query, harness.Behind("203.0.113.4", bearer...))
	late := s.Dial(t, query, &websocket.DialOptions{HTTPHeader: harness.Behind("203.0.113.4"), Subprotocols: []string{"hangarshare.v1", "bearer." + s.Token}})
	if code := late.End(); code != 4429 {
		t.Errorf("a browser's WebSocket ends with %d", code)
	}
	if response, text = s.Ask(t, "GET", "api/sse"+query, harness.Behind("203.0.113.4", "Cookie", "jwt="+s.Token, "Accept", "text/event-stream")); response.StatusCode != 200 || !strings.Contains(text, `"code":4429`) {
		t.Errorf("a browser's event stream: %s %s", response.Status, text)
	}

	for range 5 {
		if response, text = s.Ask(t, "GET", "api/auth/me", harness.Behind("198.51.100.1")); response.StatusCode != 401 {
			t.Fatalf("an address's request: %s %s", response.Status, text)
		}
	}
	response, _ = s.Ask(t, "GET", "api/auth/me", harness.Behind("198.51.100.1, 203.0.113.8", "Origin", "https://portal.example"))
	if response.StatusCode != 401 {
		t.Errorf("somebody who names the other's address is answered by %s", response.Status)
	}
	response, _ = s.Ask(t, "GET", "api/auth/me", harness.Behind("198.51.100.1", "Origin", "https://portal.example"))
	harness.WantTooMany(t, "an address's sixth", response)
	if response.Header.Get("Access-Control-Allow-Origin") != "https://portal.example" ||
		!strings.Contains(response.Header.Get("Access-Control-Expose-Headers"), "Retry-After") {
		t.Errorf("the portal's page cannot read why: %v", response.Header)
	}
	late = s.Dial(t, query, &websocket.DialOptions{HTTPHeader: harness.Behind("198.51.100.1"), Subprotocols: []string{"hangarshare.v1", "bearer." + s.Token}})
	if code := late.End(); code != 4429 {
		t.Errorf("a browser's WebSocket from there ends with %d", code)
	}
	for range 6 {
		response, _ = s.Ask(t, "GET", "healthz", harness.Behind("198.51.100.2"))
	}
	harness.WantTooMany(t, "a sixth request for health", response)
}

// TestSecurityHeaders reads them from answers of each kind, as a proxy's clients by HTTPS get them.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.1", "--allowed-origins", "https://portal.example")
	for path, policy := range map[string]string{
		"api/owners/" + s.Owner.ID + "/metrics": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"api/nothing":                           "default-src 'none'", "api/auth/me": "default-src 'none'", "nothing": "default-src 'none'", "healthz": "default-src 'none'",
		"": "script-src 'self'", "docs": "script-src 'self'", "client/page.js": "script-src 'self'",
	} {
		response, _ := s.Ask(t, "GET", path, harness.Behind("203.0.113.1", "X-Forwarded-Proto", "https", "Authorization", "Bearer "+s.Token))
		h := response.Header
		if !strings.Contains(h.Get("Content-Security-Policy"), policy) || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") == "" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" ||
			!strings.Contains(h.Get("Permissions-Policy"), "camera=()") || h.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s is answered with %v", path, h)
		}
		response, _ = s.Ask(t, "GET", path, harness.Behind("203.0.113.1"))
		if response.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s by plain HTTP promises HTTPS", path)
		}
	}
	own := "https://live.example"
	header := harness.Behind("203.0.113.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "live.example", "Origin", own, "Authorization", "Bearer "+s.Token)
	if status := s.Upgrade(t, "?ownerId="+s.Owner.ID, header); status != 101 {
		t.Errorf("our own page behind a proxy: %d", status)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--allowed-origins", "https://portal.example,https://other.example")
	path := "api/owners/" + s.Owner.ID + "/metrics"
	for _, origin := range []string{"https://portal.example", "https://other.example", "https://evil.example", "null", "https://portal.example.evil.example"} {
		allowed := origin == "https://portal.example" || origin == "https://other.example"
		for _, asked := range []string{"authorization", "content-type", "last-event-id"} {
			response, _ := s.Ask(t, "OPTIONS", path, http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"DELETE"}, "Access-Control-Request-Headers": {asked}})
			h := response.Header
			if got := h.Get("Access-Control-Allow-Origin") == origin && h.Get("Access-Control-Allow-Credentials") == "true" &&
				strings.EqualFold(h.Get("Access-Control-Allow-Headers"), asked) && h.Get("Access-Control-Allow-Methods") == "DELETE"; got != allowed {
				t.Errorf("a preflight of %s for %s: %s %v", origin, asked, response.Status, h)
			}
			if !allowed && h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s may read: %v", origin, h)
			}
		}
		response, _ := s.Ask(t, "GET", path, http.Header{"Origin": {origin}, "Authorization": {"Bearer " + s.Token}})
		h := response.Header
		if got := h.Get("Access-Control-Allow-Origin") == origin && h.Get("Access-Control-Allow-Credentials") == "true"; got != allowed {
			t.Errorf("%s reads: %v", origin, h)
		}
		exposed := strings.ToLower(h.Get("Access-Control-Expose-Headers"))
		if allowed && (!strings.Contains(exposed, "last-event-id") || !strings.Contains(exposed, "retry-after")) {
			t.Errorf("%s may read the headers %q", origin, exposed)
		}
		if !strings.Contains(h.Get("Vary"), "Origin") {
			t.Errorf("a cache may give the answer for %s to others: %v", origin, h)
		}
	}
	response, _ := s.Ask(t, "OPTIONS", path, http.Header{"Origin": {"https://portal.example"}, "Access-Control-Request-Method": {"TRACE"}})
	if response.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight for TRACE: %v", response.Header)
	}
}
