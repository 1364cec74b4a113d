package stream

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// pair returns a socket and its peer, which reads nothing by itself.
func pair(t *testing.T, direct bool, patience time.Duration) (*socket, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	peer, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := &socket{}
	s.open(conn, time.Minute, patience)
	if !direct {
		s.fd = -1
	}
	t.Cleanup(func() { s.abort(); peer.Close(); s.flush() })
	return s, peer.(*net.TCPConn)
}

// TestInterjectionsDoNotPileUp interjects for a peer that takes in nothing, and then for one that
// reads again: the newest has not been lost, and nothing came before what was there first.
func TestInterjectionsDoNotPileUp(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{true, false} {
		s, peer := pair(t, direct, time.Minute)
		written := 0
		for done := true; written < 64 && (done || !direct); written++ {
			var err error
			if done, err = s.tryWrite(net.Buffers{bytes.Repeat([]byte("a"), 64<<10)}); err != nil {
				t.Fatal(err)
			}
		}
		for range 10_000 {
			s.writeControl([]byte("b"))
		}
		s.writeControl([]byte("c"))
		s.mu.Lock()
		if len(s.backlog) > written || len(s.controls) > maxControls {
			t.Errorf("direct=%t: %d and %d pieces wait", direct, len(s.backlog), len(s.controls))
		}
		s.mu.Unlock()
		s.writeLast(net.Buffers{[]byte("d")})
		s.writeControl([]byte("e"))
		if done, err := s.tryWrite(net.Buffers{[]byte("f")}); !done || err != nil {
			t.Errorf("direct=%t: after the last bytes: %t, %v", direct, done, err)
		}
		closed := make(chan error, 1)
		go func() {
			err := s.flush()
			s.lingeringClose(false)
			closed <- err
		}()
		all, err := io.ReadAll(peer)
		if err != nil {
			t.Error(err)
		}
		rest := strings.TrimLeft(string(all), "a")
		// what the kernel took meanwhile, and what waited
		if want := written << 16; len(all)-len(rest) != want || !strings.HasSuffix(rest, "cd") || len(rest) > 9_000 {
			t.Errorf("direct=%t: %d bytes came, then %.20q", direct, len(all)-len(rest), rest)
		}
		peer.Close()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
}

// TestFailedWriteEndsTheConnection interjects for a peer that never reads: the connection ends,
// though nobody has a turn.
func TestFailedWriteEndsTheConnection(t *testing.T) {
	t.Parallel()
	s, _ := pair(t, false, 50*time.Millisecond)
	s.mu.Lock()
	s.backlog = net.Buffers{bytes.Repeat([]byte("a"), 8<<20)}
	s.mu.Unlock()
	s.writeControl([]byte("b"))
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
	if err := s.flush(); err == nil {
		t.Error("a flush after that succeeds")
	}
}

// TestSlowClientIsToldOverTLS has a client take in nothing for longer than a turn may wait, and
// then read on: it is told why it was cut, though TLS cannot go on after a write that was given up.
func TestSlowClientIsToldOverTLS(t *testing.T) {
	t.Parallel()
	var cut atomic.Bool
	stream := &Server{Heartbeat: time.Minute, Stall: 10 * time.Millisecond, log: slog.New(slog.DiscardHandler), queue: newRunQueue(1)}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := stream.accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		s := &session{stream: stream, transport: ws}
		ws.tryWrite(net.Buffers{textFrame(&realtime.Event{JSON: bytes.Repeat([]byte("x"), 3<<20)})})
		if err := s.flush(); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		cut.Store(s.disconnect != nil && *s.disconnect == tooSlow)
		s.mu.Unlock()
		ws.close(tooSlow)
	}))
	defer server.Close()
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	for tick := time.NewTicker(time.Millisecond); stream.tooSlow.Load() == 0; {
		<-tick.C
	}
	conn.Write(append([]byte{0x88, 0x80}, 0, 0, 0, 0))
	all, err := io.ReadAll(conn)
	if err != nil || !bytes.HasSuffix(all, closeFrame(tooSlow)) {
		t.Errorf("%d bytes end with %q, %v", len(all), all[max(0, len(all)-40):], err)
	}
	if !cut.Load() {
		t.Error("it was not found to be slow")
	}
}
