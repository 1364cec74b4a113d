//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package harness

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"nhooyr.io/websocket"
)

// Upgrade tries to open a WebSocket and returns the status of a refusal.
func (p *Program) Upgrade(t *testing.T, query string, header http.Header) int {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.Base, "http")+"api/ws"+query, &websocket.DialOptions{HTTPHeader: header, HTTPClient: p.Client})
	if err == nil {
		conn.CloseNow()
		return http.StatusSwitchingProtocols
	}
	if response == nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// Bearer makes the header that carries an access token.
func Bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// Behind makes the headers of a request that a proxy on this machine passes on for an address.
func Behind(address string, pairs ...string) http.Header {
	h := http.Header{"X-Forwarded-For": {address}}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// WantTooMany reports an answer that is not 429 with a time after which to try again.
func WantTooMany(t *testing.T, what string, response *http.Response) {
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

// Ask sends a request.
func (p *Program) Ask(t *testing.T, method, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := p.Client.Do(request)
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

// Metrics returns all of /metrics.
func (p *Program) Metrics(t *testing.T, admin string) string {
	t.Helper()
	response, err := p.Client.Get("http://" + admin + "/metrics")
	Must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	Must(t, err)
	return string(text)
}

// Metric returns the value of a line of /metrics.
func (p *Program) Metric(t *testing.T, admin, name string) string {
	t.Helper()
	text := p.Metrics(t, admin)
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no metric %s in\n%s", name, text)
	return ""
}

// requestID finds the id of a request in a problem.
var requestID = regexp.MustCompile(`,?"request":"[^"]*"`)

// WithoutRequestID removes from an answer what no two answers have alike: the time and the
// request's id, in the header and in the body. Ids differ in length, and so do answers.
func WithoutRequestID(header http.Header, body string) string {
	header.Del("Date")
	header.Del("X-Request-ID")
	if requestID.MatchString(body) {
		header.Del("Content-Length")
	}
	return requestID.ReplaceAllString(body, "")
}
