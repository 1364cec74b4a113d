package api

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestWaitingServerAsksEventSourcesToComeBack asks a server that has no database yet: who reads a
// status gets 503, and an EventSource a stream that says when to come back.
func TestWaitingServerAsksEventSourcesToComeBack(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	end := ServeNotReady(listener)
	defer end()
	ask := func(path, authorization string) (*http.Response, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			request.Header.Set("Authorization", authorization)
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		first, _ := bufio.NewReader(response.Body).ReadString('}')
		return response, first
	}
	response, text := ask("/api/sse?ticket=x", "")
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" ||
		!strings.HasPrefix(text, "retry: ") || !strings.Contains(text, `"code":1013`) {
		t.Errorf("an EventSource gets %s %q", response.Status, text)
	}
	for path, authorization := range map[string]string{"/api/sse": "Bearer x", "/api/ws": "", "/": "", "/readyz": ""} {
		if response, _ := ask(path, authorization); response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s %v", path, response.Status, response.Header)
		}
	}
}
