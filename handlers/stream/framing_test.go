package stream_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers/frametest"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// transports are the ways on which a socket writes: straight to its descriptor, through its
// connection as on systems where it has no such way, and over TLS.
var transports = []string{"plain", "without direct writes", "TLS"}

// hiddenTCP hides from the server that its connections are TCP.
type hiddenTCP struct{ net.Listener }

type indirectConn struct{ *net.TCPConn }

// Accept implements net.Listener.
func (l hiddenTCP) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return indirectConn{tcp}, nil
	}
	return conn, err
}

// testServer is a server of the streams on one transport.
type testServer struct {
	*httptest.Server
	kind string
}

// newTestServer starts a server that ends with the test.
func newTestServer(t testing.TB, kind string, routes http.Handler) testServer {
	server := httptest.NewUnstartedServer(routes)
	switch kind {
	case "TLS":
		server.StartTLS()
	case "without direct writes":
		server.Listener = hiddenTCP{server.Listener}
		server.Start()
	default:
		server.Start()
	}
	t.Cleanup(server.Close)
	return testServer{server, kind}
}

// dial connects to it.
func (s testServer) dial(t testing.TB) net.Conn {
	t.Helper()
	return s.dialAt(t, s.Listener.Addr().String())
}

// dialAt connects to it by another address, which leads there.
func (s testServer) dialAt(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err == nil && s.kind == "TLS" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// join opens an established stream.
func (s testServer) join(t testing.TB) *frametest.Client {
	t.Helper()
	return s.joinAt(t, s.Listener.Addr().String())
}

// joinAt is join by another address.
func (s testServer) joinAt(t testing.TB, address string) *frametest.Client {
	t.Helper()
	c, err := frametest.Open(s.dialAt(t, address), "/ws?ownerId=42")
	if err == nil {
		err = c.Await("connection_established")
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFraming plays every case of frametest on every way of writing.
func TestFraming(t *testing.T) {
	t.Parallel()
	cases := frametest.Cases()
	if len(cases) < 95 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, kind := range transports {
		s := newTestServer(t, kind, fakeStore{realtime.NewEpoch("frames")}.open(t))
		for _, test := range cases {
			t.Run(kind+"/"+test.Name, func(t *testing.T) {
				t.Parallel()
				if err := s.join(t).Run(test); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestFloods sends what costs the server something and is no message, before a token and
// after it: it ends with 4429.
func TestFloods(t *testing.T) {
	t.Parallel()
	floods := map[string][]byte{
		"pings": frametest.Frame(0x89, nil), "large pings": frametest.Frame(0x89, make([]byte, 125)),
		"pongs": frametest.Frame(0x8A, nil), "messages": frametest.Frame(0x81, []byte(`{"type":"ping"}`)),
		"large messages": frametest.Frame(0x81, []byte(`{"type":"ping"`+strings.Repeat(" ", 16000)+`}`)),
	}
	for _, kind := range transports {
		s := newTestServer(t, kind, fakeStore{realtime.NewEpoch("floods")}.open(t))
		for name, frame := range floods {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				flood(t, s.join(t), nil, frame)
			})
		}
		t.Run(kind+"/empty continuations", func(t *testing.T) {
			t.Parallel()
			flood(t, s.join(t), frametest.Frame(0x01, nil), frametest.Frame(0x00, nil))
		})
	}
	for name, frame := range floods {
		if strings.Contains(name, "messages") {
			continue // the first must be a token
		}
		t.Run("without a token/"+name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, "plain", anonymousHandler(t))
			c, err := frametest.Open(s.dial(t), "/ws")
			if err != nil {
				t.Fatal(err)
			}
			flood(t, c, nil, frame)
		})
	}
}

// flood sends a frame as fast as it can until the connection ends, and wants 4429.
func flood(t *testing.T, c *frametest.Client, first, frame []byte) {
	t.Helper()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.Write(first)
		for range 20_000 {
			if _, err := c.Write(frame); err != nil {
				return
			}
		}
	}()
	answers := 0
	for {
		got, err := c.Next()
		if err != nil {
			t.Fatalf("after %d answers: %v", answers, err)
		}
		if got == "close 4429" {
			break
		}
		if answers++; answers > 200 {
			t.Fatalf("%d answers, and no end", answers)
		}
	}
	c.Close()
	<-sent
}

// anonymousHandler is the routes of a fakeStore for requests that do not say who asks.
func anonymousHandler(t testing.TB) http.Handler {
	streams := fakeStore{realtime.NewEpoch("strangers")}.streams(t, nil)
	return http.HandlerFunc(streams.ServeWebSocket)
}

// TestPongComesAtOnce waits for pongs on a quiet stream, over which nothing else carries them. One
// that a client's own close must wait for comes before it.
func TestPongComesAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range transports {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newTestServer(t, kind, fakeStore{realtime.NewEpoch("pongs")}.open(t)).join(t)
			for _, payload := range []string{"one", "two", "three"} {
				c.Write(frametest.Frame(0x89, []byte(payload)))
				for {
					got, err := c.Next() // its patience is shorter than the heartbeat
					if err != nil {
						t.Fatalf("%s: %v", payload, err)
					}
					if got == "pong "+payload {
						break
					}
				}
			}
		})
	}
}

// TestStrayBytesEndAnEventStream sends on a stream that is only read.
func TestStrayBytesEndAnEventStream(t *testing.T) {
	t.Parallel()
	for _, kind := range transports {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			conn := newTestServer(t, kind, fakeStore{realtime.NewEpoch("stray")}.open(t)).dial(t)
			conn.SetDeadline(time.Now().Add(time.Minute))
			conn.Write([]byte("GET /sse?ownerId=42 HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			go conn.Write(make([]byte, 6<<10))
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body := new(strings.Builder)
			if _, err := bufio.NewReader(response.Body).WriteTo(body); err != nil {
				t.Errorf("the stream breaks off: %v", err)
			}
			if !strings.Contains(body.String(), `"code":4429`) {
				t.Errorf("the stream ends with %q", body)
			}
		})
	}
}

// newHastyProxy starts a proxy in front of a server that ends both sides as soon as the server ends
// its own, as most do.
func newHastyProxy(t *testing.T, server string) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		far, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer far.Close()
		go io.Copy(far, near)
		io.Copy(near, far)
	}()
	return listener.Addr().String()
}

// TestSlowClientIsToldWhy breaks a rule, and goes on sending for a while before it reads, as a
// browser on a busy machine does: nothing of it fails, and it reads why, and the end.
func TestSlowClientIsToldWhy(t *testing.T) {
	t.Parallel()
	ping := frametest.Frame(0x81, []byte(`{"type":"ping"}`))
	for name, test := range map[string]struct {
		sends []byte
		code  int
		proxy bool // where what follows is followed to the client's own close
	}{
		"a flood":                           {bytes.Repeat(ping, 200), 4429, false},
		"a flood through a proxy":           {bytes.Repeat(ping, 200), 4429, true},
		"a flood of frames through a proxy": {bytes.Repeat(frametest.Frame(0x8A, nil), 200), 4429, true},
		"a long message through a proxy":    {frametest.Frame(0x81, make([]byte, 20_000)), 1009, true},
		"an unknown opcode":                 {frametest.Frame(0x83, nil), 1002, false},
	} {
		for _, kind := range transports {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				s := newTestServer(t, kind, fakeStore{realtime.NewEpoch("slow client")}.open(t))
				address := s.Listener.Addr().String()
				if test.proxy {
					address = newHastyProxy(t, address)
				}
				c := s.joinAt(t, address)
				c.Write(test.sends)
				for range 12 {
					time.Sleep(200 * time.Millisecond) // is what it is about: a slow client
					if _, err := c.Write(ping); err != nil {
						t.Fatalf("it is reset before it has read why: %v", err)
					}
				}
				for got := ""; got != fmt.Sprint("close ", test.code); {
					var err error
					if got, err = c.Next(); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := c.Write(frametest.CloseFrame(uint16(test.code), "")); err != nil {
					t.Error(err)
				}
				if err := c.End(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
