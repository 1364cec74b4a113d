package e2e

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// blackhole makes a socket drop every packet that comes for it, before the kernel's TCP sees it:
// nothing is acknowledged any more, as if the machine had lost its network without a word
// (socket(7), SO_ATTACH_FILTER).
func blackhole(t testing.TB, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	dropAll := &unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	var failure error
	if err := raw.Control(func(fd uintptr) {
		failure = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, dropAll)
	}); err != nil || failure != nil {
		t.Fatal("attach a filter to a socket:", err, failure)
	}
}

// TestHalfOpenClients has clients vanish without a word: the server finds out within two
// heartbeats.
func TestHalfOpenClients(t *testing.T) {
	t.Parallel()
	// long, so that a busy machine's delays are a small part of it
	const heartbeat = 4 * time.Second
	for name, test := range map[string]struct {
		webSocket bool
		vanish    func(*testing.T, *harness.Wire, *harness.Proxy)
	}{
		"WebSocket, its machine gone":             {true, func(t *testing.T, w *harness.Wire, _ *harness.Proxy) { blackhole(t, w.Conn) }},
		"WebSocket, behind a proxy that swallows": {true, func(_ *testing.T, _ *harness.Wire, p *harness.Proxy) { p.Set(harness.Blackhole) }},
		"event stream, its machine gone":          {false, func(t *testing.T, w *harness.Wire, _ *harness.Proxy) { blackhole(t, w.Conn) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.NewSetup(t, "--heartbeat-interval", heartbeat.String())
			server, behind := s.Program, (*harness.Proxy)(nil)
			if strings.Contains(name, "proxy") {
				behind, server = harness.BeforeServer(t, s.Program)
			}
			w := server.DialWire(t, s.Token, harness.WireOptions{WebSocket: test.webSocket, OwnerID: s.Owner.ID})
			for beats := 0; beats < 2; { // it lives for a while
				text, err := w.Next()
				if err != nil {
					t.Fatal(err)
				}
				if harness.IsOf(text, "heartbeat") {
					beats++
				}
			}
			if strings.Contains(s.Output.String(), "connection closed") {
				t.Fatalf("closed while it lived:\n%s", s.Output)
			}
			vanished := time.Now()
			test.vanish(t, w, behind)
			// By itself the system would notice after a quarter of an hour.
			s.Output.Await(t, "connection closed")
			took := time.Since(vanished)
			t.Logf("noticed after %s, %.2f heartbeats", took.Round(time.Millisecond), float64(took)/float64(heartbeat))
			w.Conn.Close()
			io.Copy(io.Discard, w.Reader)
		})
	}
}
