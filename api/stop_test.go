package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

// stopping returns the public routes of a server that says goodbye, and a function that
// ends its streams.
func stopping(t *testing.T) (routes http.Handler, shutdown func(context.Context) error) {
	t.Helper()
	streams := &stream.Server{Heartbeat: time.Minute, Stall: time.Second, Location: time.UTC, Log: slog.New(slog.DiscardHandler)}
	streams.Start()
	routes, _ = surface(t, func(s *Server) { s.Stream = streams })
	streams.Drain(t.Context(), 0)
	t.Cleanup(func() { streams.Shutdown(context.Background()) })
	return routes, streams.Shutdown
}

// field returns the number after a text in another, -1 where there is none.
func field(text, before string) int {
	found := regexp.MustCompile(regexp.QuoteMeta(before) + ` ?(\d+)`).FindStringSubmatch(text)
	if found == nil {
		return -1
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		return -1
	}
	return n
}

// TestStreamsThatArriveDuringAStop asks for streams in every way while a server says
// goodbye. A browser's is told to come back shortly, before its ticket is used; a
// program's is answered by 503.
func TestStreamsThatArriveDuringAStop(t *testing.T) {
	t.Parallel()
	routes, _ := stopping(t)
	for name, test := range map[string]struct {
		path    string
		headers []string
		status  int
	}{
		"a plain EventSource":   {"/api/sse", nil, 200},
		"one with a cookie":     {"/api/sse", []string{"Cookie", "jwt=e30.e30.e30"}, 200},
		"one with a ticket":     {"/api/sse?ticket=whose", nil, 200},
		"a program":             {"/api/sse", []string{"Authorization", "Bearer e30.e30.e30"}, 503},
		"a program's WebSocket": {"/api/ws", []string{"Authorization", "Bearer e30.e30.e30", "Connection", "Upgrade", "Upgrade", "websocket"}, 503},
	} {
		answer := ask(routes, http.MethodGet, "localhost", test.path, test.headers...)
		body := answer.Body.String()
		if answer.Code != test.status {
			t.Errorf("%s is answered by %d %s", name, answer.Code, body)
			continue
		}
		if answer.Code == http.StatusServiceUnavailable {
			if answer.Header().Get("Retry-After") == "" {
				t.Errorf("%s is not told when to come back", name)
			}
			continue
		}
		retryMs, retry := field(body, `"retryMs":`), field(body, "retry:")
		if !strings.Contains(body, "event: server_closing\n") || retryMs < 0 || retryMs > 250 || retry < 1 || retry > 250 {
			t.Errorf("%s is told %q", name, body)
		}
	}
}

// TestFewAreToldToComeBackAtOnce has more streams arrive during a stop than another server would
// want: where there is none, they all come back here.
func TestFewAreToldToComeBackAtOnce(t *testing.T) {
	t.Parallel()
	routes, _ := stopping(t)
	later := false
	for range 100_000 {
		if later = field(ask(routes, http.MethodGet, "localhost", "/api/sse").Body.String(), `"retryMs":`) > 1000; later {
			break
		}
	}
	if !later {
		t.Error("everybody comes back at once")
	}
}

// TestWebSocketDuringAStop upgrades while a server says goodbye: the client is told, and then
// closed. One that answers nothing holds the stop up only as long as that may take.
func TestWebSocketDuringAStop(t *testing.T) {
	t.Parallel()
	routes, shutdown := stopping(t)
	server := httptest.NewServer(routes)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	from := bufio.NewReader(conn)
	response, err := http.ReadResponse(from, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", response, err)
	}
	told := make([]byte, 0, 1000)
	for !strings.Contains(string(told), "the server is stopping") {
		b, err := from.ReadByte()
		if err != nil {
			t.Fatalf("after %q: %v", told, err)
		}
		told = append(told, b)
	}
	if retryMs := field(string(told), `"retryMs":`); !strings.Contains(string(told), "server_closing") || retryMs < 0 || retryMs > 250 {
		t.Errorf("told %q", told)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := shutdown(over); err != nil {
		t.Errorf("no session is open: %v", err)
	}
	if _, err := io.Copy(io.Discard, from); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection goes on: %v", err)
	}
}

func TestDrainTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		set         time.Duration
		connections int
		want        time.Duration
	}{
		{time.Second, 100_000, time.Second}, {0, 0, 3 * time.Second}, {0, 6_000, 3 * time.Second}, {0, 20_000, 10 * time.Second},
	} {
		if got := drainTime(test.set, test.connections); got != test.want {
			t.Errorf("%d connections, DRAIN_TIME %s: %s, want %s", test.connections, test.set, got, test.want)
		}
	}
}
