//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"
)

// behind makes the headers of a request that a proxy on this machine passes on for an address.
func behind(address string, pairs ...string) http.Header {
	h := http.Header{"X-Forwarded-For": {address}}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// refused opens a WebSocket that must be refused before the upgrade with 429, and says after what time to try again.
func (p *program) refused(t *testing.T, what, query string, header http.Header) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.base, "http")+"api/ws"+query, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		conn.CloseNow()
		t.Errorf("%s is let in", what)
		return
	}
	tooMany(t, what, response)
}

func tooMany(t *testing.T, what string, response *http.Response) {
	t.Helper()
	if response == nil {
		t.Fatalf("%s gets no answer", what)
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if response.StatusCode != http.StatusTooManyRequests || err != nil || seconds < 1 ||
		response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s is answered by %s with %v", what, response.Status, response.Header)
	}
}

// ask sends a request.
func (p *program) ask(t *testing.T, method, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := p.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--trusted-proxies", "127.0.0.1", "--max-connections", "8", "--max-connections-per-user", "2",
		"--max-connections-per-address", "3", "--max-unauthenticated-per-address", "1")
	query := "?ownerId=" + s.owner.ID
	other := s.portal.AddOwner(t, 0)
	otherToken, otherQuery := tokenFor(t, other.UserID, time.Hour), "?ownerId="+other.ID
	by := func(token string) string { return "Bearer " + token }
	open := func(address, token, query string) *stream {
		t.Helper()
		ws := s.dial(t, query, &websocket.DialOptions{HTTPHeader: behind(address, "Authorization", by(token))})
		ws.next(of("connection_established"))
		return ws
	}
	first := open("203.0.113.1", s.token, query)
	open("203.0.113.2", s.token, query)
	s.refused(t, "a user's third", query, behind("203.0.113.3", "Authorization", by(s.token)))
	response, text := s.ask(t, "GET", "api/sse"+query, behind("203.0.113.3", "Authorization", by(s.token)))
	tooMany(t, "a user's third, an event stream, "+text, response)

	late := s.dial(t, query, &websocket.DialOptions{HTTPHeader: behind("203.0.113.3"), Subprotocols: []string{"hangarshare.v1", "bearer." + s.token}})
	if code := late.end(); code != 4429 {
		t.Errorf("a browser's WebSocket too many ends with %d", code)
	}
	if response, text = s.ask(t, "GET", "api/sse"+query, behind("203.0.113.3", "Cookie", "jwt="+s.token)); response.StatusCode != 200 || !strings.Contains(text, `"code":4429`) {
		t.Errorf("a browser's event stream too many: %s %s", response.Status, text)
	}

	stranger := s.dial(t, "", &websocket.DialOptions{HTTPHeader: behind("203.0.113.1")})
	s.refused(t, "a second stranger", "", behind("203.0.113.1"))
	stranger.send(`{"type":"auth","ownerId":"` + other.ID + `","token":"` + otherToken + `"}`)
	stranger.next(of("connection_established"))
	eventually(t, "free for a stranger", func() bool {
		conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.base, "http")+"api/ws", &websocket.DialOptions{HTTPHeader: behind("203.0.113.1")})
		if err != nil {
			return false
		}
		conn.CloseNow()
		return true
	})
	open("203.0.113.1", otherToken, otherQuery)
	third := s.portal.AddOwner(t, 0)
	s.refused(t, "an address's fourth", "?ownerId="+third.ID, behind("203.0.113.1", "Authorization", by(tokenFor(t, third.UserID, time.Hour))))

	first.stop() // and somebody else's place is free
	first.conn.Close(websocket.StatusNormalClosure, "")
	eventually(t, "free for another", func() bool {
		conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.base, "http")+"api/ws"+query,
			&websocket.DialOptions{HTTPHeader: behind("203.0.113.4", "Authorization", by(s.token))})
		if err != nil {
			return false
		}
		t.Cleanup(func() { conn.CloseNow() })
		return true
	})
	for i := range 4 { // four are open: others' up to the eighth
		o := s.portal.AddOwner(t, 0)
		open("203.0.113.1"+strconv.Itoa(i), tokenFor(t, o.UserID, time.Hour), "?ownerId="+o.ID)
	}
	s.refused(t, "one more than all may have", "?ownerId="+third.ID, behind("203.0.113.99", "Authorization", by(tokenFor(t, third.UserID, time.Hour))))
}

// TestOwnProgramsAreNotLimited: no user's and no address's limit binds a program of this machine.
func TestOwnProgramsAreNotLimited(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--max-connections", "4", "--max-connections-per-user", "1", "--max-connections-per-address", "1",
		"--max-unauthenticated-per-address", "1", "--requests-per-minute-per-user", "1", "--requests-per-minute-per-address", "1")
	query := "?ownerId=" + s.owner.ID
	for range 3 {
		s.connect(t, s.token, s.owner.ID, "").next(of("connection_established"))
	}
	s.dial(t, "", nil) // says nothing, and takes the last place
	s.refused(t, "a second stranger", "", nil)
	s.refused(t, "one more than all may have", query, http.Header{"Authorization": {"Bearer " + s.token}})
	if status, _, body := s.get(t, "owners/"+s.owner.ID+"/metrics", s.token); status != 200 {
		t.Errorf("a request: %d %v", status, body)
	}
	response, text := s.ask(t, "GET", "api/auth/me", behind("203.0.113.1", "Authorization", "Bearer "+s.token))
	if response.StatusCode != 200 {
		t.Errorf("the first request of an undeclared proxy: %s %s", response.Status, text)
	}
	response, text = s.ask(t, "GET", "api/auth/me", behind("203.0.113.2", "Authorization", "Bearer "+s.token))
	tooMany(t, "its second, "+text, response)
	s.output.await(t, "level=WARN msg=\"requests come through a proxy")
}

func TestRequestLimits(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--trusted-proxies", "127.0.0.0/8", "--requests-per-minute-per-user", "3", "--requests-per-minute-per-address", "5",
		"--allowed-origins", "https://portal.example")
	bearer := []string{"Authorization", "Bearer " + s.token}
	path, query := "api/owners/"+s.owner.ID+"/metrics", "?ownerId="+s.owner.ID
	for i := range 3 {
		if response, text := s.ask(t, "GET", path, behind("203.0.113."+strconv.Itoa(i+1), bearer...)); response.StatusCode != 200 {
			t.Fatalf("request %d: %s %s", i+1, response.Status, text)
		}
	}
	response, text := s.ask(t, "GET", path, behind("203.0.113.4", bearer...))
	tooMany(t, "a user's fourth", response)
	var problem struct {
		Status int
		Detail string
	}
	if err := json.Unmarshal([]byte(text), &problem); err != nil || problem.Status != 429 || problem.Detail == "" {
		t.Errorf("the answer says %s", text)
	}
	s.refused(t, "a user's WebSocket", query, behind("203.0.113.4", bearer...))
	late := s.dial(t, query, &websocket.DialOptions{HTTPHeader: behind("203.0.113.4"), Subprotocols: []string{"hangarshare.v1", "bearer." + s.token}})
	if code := late.end(); code != 4429 {
		t.Errorf("a browser's WebSocket ends with %d", code)
	}
	if response, text = s.ask(t, "GET", "api/sse"+query, behind("203.0.113.4", "Cookie", "jwt="+s.token, "Accept", "text/event-stream")); response.StatusCode != 200 || !strings.Contains(text, `"code":4429`) {
		t.Errorf("a browser's event stream: %s %s", response.Status, text)
	}

	for range 5 {
		if response, text = s.ask(t, "GET", "api/auth/me", behind("198.51.100.1")); response.StatusCode != 401 {
			t.Fatalf("an address's request: %s %s", response.Status, text)
		}
	}
	response, _ = s.ask(t, "GET", "api/auth/me", behind("198.51.100.1, 203.0.113.8", "Origin", "https://portal.example"))
	if response.StatusCode != 401 {
		t.Errorf("somebody who names the other's address is answered by %s", response.Status)
	}
	response, _ = s.ask(t, "GET", "api/auth/me", behind("198.51.100.1", "Origin", "https://portal.example"))
	tooMany(t, "an address's sixth", response)
	if response.Header.Get("Access-Control-Allow-Origin") != "https://portal.example" ||
		!strings.Contains(response.Header.Get("Access-Control-Expose-Headers"), "Retry-After") {
		t.Errorf("the portal's page cannot read why: %v", response.Header)
	}
	late = s.dial(t, query, &websocket.DialOptions{HTTPHeader: behind("198.51.100.1"), Subprotocols: []string{"hangarshare.v1", "bearer." + s.token}})
	if code := late.end(); code != 4429 {
		t.Errorf("a browser's WebSocket from there ends with %d", code)
	}
	for range 6 {
		response, _ = s.ask(t, "GET", "healthz", behind("198.51.100.2"))
	}
	tooMany(t, "a sixth request for health", response)
}

// TestSecurityHeaders reads them from answers of each kind, as a proxy's clients by HTTPS get them.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--trusted-proxies", "127.0.0.1", "--allowed-origins", "https://portal.example")
	for path, policy := range map[string]string{
		"api/owners/" + s.owner.ID + "/metrics": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"api/nothing":                           "default-src 'none'", "api/auth/me": "default-src 'none'", "nothing": "default-src 'none'", "healthz": "default-src 'none'",
		"": "script-src 'self'", "docs": "script-src 'self'", "client/page.js": "script-src 'self'",
	} {
		response, _ := s.ask(t, "GET", path, behind("203.0.113.1", "X-Forwarded-Proto", "https", "Authorization", "Bearer "+s.token))
		h := response.Header
		if !strings.Contains(h.Get("Content-Security-Policy"), policy) || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") == "" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" ||
			!strings.Contains(h.Get("Permissions-Policy"), "camera=()") || h.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s is answered with %v", path, h)
		}
		response, _ = s.ask(t, "GET", path, behind("203.0.113.1"))
		if response.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s by plain HTTP promises HTTPS", path)
		}
	}
	own := "https://live.example"
	header := behind("203.0.113.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "live.example", "Origin", own, "Authorization", "Bearer "+s.token)
	if status := s.upgrade(t, "?ownerId="+s.owner.ID, header); status != 101 {
		t.Errorf("our own page behind a proxy: %d", status)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--allowed-origins", "https://portal.example,https://other.example")
	path := "api/owners/" + s.owner.ID + "/metrics"
	for _, origin := range []string{"https://portal.example", "https://other.example", "https://evil.example", "null", "https://portal.example.evil.example"} {
		allowed := origin == "https://portal.example" || origin == "https://other.example"
		for _, asked := range []string{"authorization", "content-type", "last-event-id"} {
			response, _ := s.ask(t, "OPTIONS", path, http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"DELETE"}, "Access-Control-Request-Headers": {asked}})
			h := response.Header
			if got := h.Get("Access-Control-Allow-Origin") == origin && h.Get("Access-Control-Allow-Credentials") == "true" &&
				strings.EqualFold(h.Get("Access-Control-Allow-Headers"), asked) && h.Get("Access-Control-Allow-Methods") == "DELETE"; got != allowed {
				t.Errorf("a preflight of %s for %s: %s %v", origin, asked, response.Status, h)
			}
			if !allowed && h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s may read: %v", origin, h)
			}
		}
		response, _ := s.ask(t, "GET", path, http.Header{"Origin": {origin}, "Authorization": {"Bearer " + s.token}})
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
	response, _ := s.ask(t, "OPTIONS", path, http.Header{"Origin": {"https://portal.example"}, "Access-Control-Request-Method": {"TRACE"}})
	if response.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight for TRACE: %v", response.Header)
	}
}
