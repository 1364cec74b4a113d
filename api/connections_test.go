package api

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// crowded serves on a port that has room for few connections. A request for /wait is answered once
// the returned channel is closed.
func crowded(t *testing.T, limit int) (table *connTable, address string, answer chan struct{}) {
	t.Helper()
	answer = make(chan struct{})
	s := &Server{Log: slog.New(slog.DiscardHandler), Limiter: NewLimiter(Limits{MaxConnectionsWithoutStream: limit})}
	server := s.httpServer(s.requestDeadlines(serving(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			w.WriteHeader(http.StatusOK)
			http.NewResponseController(w).Flush()
			<-answer
		}
	}))))
	table = s.connections()
	table.guard(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { server.Serve(l); close(done) }()
	t.Cleanup(func() { server.Close(); <-done })
	return table, l.Addr().String(), answer
}

// begin sends a text on a connection of its own.
func begin(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn := knock(t, address)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answered reads the head of an answer.
func answered(t *testing.T, conn net.Conn) (*http.Response, error) {
	t.Helper()
	return http.ReadResponse(bufio.NewReader(conn), nil)
}

func TestSilentConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	for name, silence := range map[string]string{
		"no word":         "",
		"half a head":     "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
		"half a body":     "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
		"after an answer": "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const limit = 8
			table, address, release := crowded(t, limit)
			served := begin(t, address, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, err := answered(t, served); err != nil {
				t.Fatal(err)
			}
			var silent []net.Conn
			for range 5 * limit {
				silent = append(silent, begin(t, address, silence))
				conn := begin(t, address, "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				if response, err := answered(t, conn); err != nil || response.StatusCode != http.StatusOK {
					t.Fatalf("beside %d silent ones a request gets %v, %v", len(silent), response, err)
				}
				io.Copy(io.Discard, conn) // until it is closed, and counts no more
			}
			if _, err := io.Copy(io.Discard, silent[0]); err != nil && err.(net.Error).Timeout() {
				t.Error("the longest silent one is still open")
			}
			table.mu.Lock()
			if n := table.silent.Len() + table.served.Len(); n > limit || len(table.conns) > n+1 {
				t.Errorf("%d connections are kept, %d known, want up to %d", n, len(table.conns), limit)
			}
			table.mu.Unlock()
			if table.evicted.Load() < 3*limit {
				t.Errorf("%d were closed to make room", table.evicted.Load())
			}
			close(release)
			if _, err := io.WriteString(served, "GET /again HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
				t.Errorf("what was being served is cut: %v", err)
			}
			if text, err := io.ReadAll(served); err != nil || len(text) == 0 {
				t.Errorf("what was being served ends with %q, %v", text, err)
			}
		})
	}
}

// TestServedConnectionsStay fills a port with requests that are being served: a new connection is
// the one that goes, until an answer has been under way for too long.
func TestServedConnectionsStay(t *testing.T) {
	t.Parallel()
	const limit = 4
	table, address, release := crowded(t, limit)
	defer close(release)
	for range limit {
		if _, err := answered(t, begin(t, address, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := answered(t, begin(t, address, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")); err == nil {
		t.Error("one more than there is room for is served")
	}
	table.mu.Lock()
	table.served.Front().Value.(*tracked).since = time.Now().Add(-2 * longAnswer)
	table.mu.Unlock()
	if _, err := answered(t, begin(t, address, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
		t.Errorf("nothing makes room: %v", err)
	}
}

// TestStreamsAreNotSilent: what carries a stream over HTTP/2 is counted as a stream alone.
func TestStreamsAreNotSilent(t *testing.T) {
	t.Parallel()
	table := newConnTable(func() int { return 2 }, slog.New(slog.DiscardHandler))
	conn := &remote{address: "203.0.113.9:1"}
	c := table.find(conn)
	table.observe(conn, http.StateNew)
	c.change(1, 0)
	c.change(0, 1)
	for port := range 5 {
		table.observe(&remote{address: fmt.Sprint("203.0.113.9:", port+2)}, http.StateNew)
	}
	if conn.closed || table.silent.Len() != 2 || table.served.Len() != 0 {
		t.Errorf("closed: %t; %d silent, %d served", conn.closed, table.silent.Len(), table.served.Len())
	}
	c.change(0, -1)
	if table.served.Len() != 1 {
		t.Error("its request is served no more")
	}
	c.change(-1, 0)
	table.observe(conn, http.StateClosed)
	if len(table.conns) != 2 {
		t.Errorf("%d are known, want the last two", len(table.conns))
	}
}

func TestLimitsKeepWithinTheFilesThereAre(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limits               Limits
		files                int
		streams, withoutThem int
	}{
		"enough":         {Limits{MaxConnections: 1000, MaxConnectionsWithoutStream: 200}, 1200 + reservedFiles, 1000, 200},
		"one too few":    {Limits{MaxConnections: 1000, MaxConnectionsWithoutStream: 200}, 1199 + reservedFiles, 999, 200},
		"many too few":   {Limits{MaxConnections: 20000, MaxConnectionsWithoutStream: 2000}, 400, 180, 60},
		"next to none":   {Limits{MaxConnections: 20000, MaxConnectionsWithoutStream: 2000}, 64, 16, 16},
		"no limit":       {Limits{}, 1000 + reservedFiles, 750, 250},
		"only of others": {Limits{MaxConnectionsWithoutStream: 100}, 1000 + reservedFiles, 900, 100},
		"few others":     {Limits{MaxConnections: 20000, MaxConnectionsWithoutStream: 10}, 400, 230, 10},
	} {
		got := test.limits.within(test.files)
		if got.MaxConnections != test.streams || got.MaxConnectionsWithoutStream != test.withoutThem {
			t.Errorf("%s: %d streams and %d others, want %d and %d", name, got.MaxConnections, got.MaxConnectionsWithoutStream, test.streams, test.withoutThem)
		}
	}
}
