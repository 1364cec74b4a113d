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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// patience bounds every wait: it is never reached unless something is broken.
const patience = time.Minute

// hasty are timeouts that a client meets soon. One that is to be answered may meet them too, where
// the machine is slow.
var hasty = Timeouts{Header: 100 * time.Millisecond, Body: 100 * time.Millisecond, Answer: 100 * time.Millisecond, Idle: 100 * time.Millisecond}

// exposed serves the routes with timeouts on a socket of its own.
func exposed(t *testing.T, timeouts Timeouts) (address string) {
	t.Helper()
	s := &Server{
		Site: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler), Limiter: NewLimiter(Limits{}), Tokens: NewTokens(hmacKey),
		Demo: func(context.Context) ([]handlers.DemoOwner, error) {
			return []handlers.DemoOwner{{OwnerID: "7", UserID: "3"}}, nil
		},
		Timeouts: timeouts,
	}
	endless := make([]byte, 1<<20)
	routes := s.Router()
	routes.Get("/endless", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(endless); err != nil {
				return
			}
		}
	})
	server := s.httpServer(routes)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { server.Serve(l); close(done) }()
	t.Cleanup(func() { server.Close(); <-done })
	return l.Addr().String()
}

// knock opens a connection that the test ends if the server does not.
func knock(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// trickle sends a text byte by byte, again and again, until the connection ends.
func trickle(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for i := 0; ; i++ {
		<-pause.C
		if _, err := conn.Write([]byte{text[i%len(text)]}); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Errorf("the server bears it for %s", patience)
			}
			return
		}
	}
}

func TestTricklers(t *testing.T) {
	t.Parallel()
	address := exposed(t, hasty)
	t.Run("a head that never ends", func(t *testing.T) {
		t.Parallel()
		conn := knock(t, address)
		io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n")
		trickle(t, conn, "X-Slow: y\r\n")
	})
	t.Run("a request line that never ends", func(t *testing.T) {
		t.Parallel()
		trickle(t, knock(t, address), "GET")
	})
	t.Run("a body that never ends", func(t *testing.T) {
		t.Parallel()
		conn := knock(t, address)
		io.WriteString(conn, "POST /api/auth/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n")
		trickle(t, conn, "{ ")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return // the connection was reset before its answer was read
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusRequestTimeout {
			t.Errorf("answered by %s", response.Status)
		}
	})
	t.Run("an answer that is not read", func(t *testing.T) {
		t.Parallel()
		conn := knock(t, address)
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		io.WriteString(conn, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
		trickle(t, conn, "\n")
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		if _, err := knock(t, address).Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a silent connection ends with %v", err)
		}
	})
	t.Run("silence after an answer", func(t *testing.T) {
		t.Parallel()
		conn := knock(t, exposed(t, Timeouts{Header: patience, Body: patience, Answer: patience, Idle: hasty.Idle}))
		io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
		if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200") {
			t.Errorf("%q, then %v", text, err)
		}
	})
}

func TestSizes(t *testing.T) {
	t.Parallel()
	address := exposed(t, Timeouts{Header: patience, Body: patience, Answer: patience, Idle: patience})
	for name, test := range map[string]struct {
		request string
		want    int
	}{
		"a long address":      {"GET /healthz?" + strings.Repeat("a", maxTarget) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		"one that is allowed": {"GET /healthz?" + strings.Repeat("a", maxTarget-20) + " HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"a long head":         {"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n", 431},
		"many headers":        {"GET /healthz HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-Many: abcdefgh\r\n", 2*maxHeader/18) + "\r\n", 431},
		"a long body":         {fmt.Sprintf("POST /api/auth/demo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", handlers.MaxBody+1, strings.Repeat("a", handlers.MaxBody+1)), 413},
		"a long chunked body": {fmt.Sprintf("POST /api/auth/demo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", handlers.MaxBody+1, strings.Repeat("a", handlers.MaxBody+1)), 413},
		"as long as may be":   {fmt.Sprintf("POST /api/auth/demo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n{%*s", handlers.MaxBody, handlers.MaxBody-1, `"ownerId":"7"}`), 200},
		"a broken body":       {"POST /api/auth/demo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		"a short one":         {"POST /api/auth/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n{", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := knock(t, address)
			io.WriteString(conn, test.request)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if errors.Is(err, syscall.ECONNRESET) && test.want == http.StatusRequestHeaderFieldsTooLarge {
				// what was not read of the head takes the answer with it, where the reader is late
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("answered by %s, want %d", response.Status, test.want)
			}
			if own := test.want != 431; own && test.want >= 400 && response.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d is a %s", test.want, response.Header.Get("Content-Type"))
			}
		})
	}
}
