package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
)

// soakServer is a process of the built program that starts again whenever it ends. It reaches its database, and some of
// its clients reach it, through proxies that can misbehave.
type soakServer struct {
	name, address string
	binary        string
	arguments     []string
	database      *proxy // between it and PostgreSQL
	public        *proxy // between clients and it
	output        *output

	mu      sync.Mutex // guards process
	process *os.Process
}

// ownBinary returns a copy of the built program that nobody replaces while it is in use.
func ownBinary(t testing.TB) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "hangarshare")
	if err := os.WriteFile(own, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return own
}

func newSoakServer(t testing.TB, name, binary, databaseURL string, heartbeat time.Duration) *soakServer {
	t.Helper()
	before, through := beforeDatabase(t, databaseURL)
	s := &soakServer{name: name, address: fixedAddress(t), binary: binary, database: before, output: newOutput()}
	s.public = newProxy(t, "tcp", s.address)
	s.arguments = []string{"serve", "--no-demo", "--addr", s.address, "--admin-addr=", "--log-level", "warn", "--heartbeat-interval",
		heartbeat.String(), "--database-url", through + "&application_name=" + strings.ReplaceAll(underTest, " ", "+"), "--jwt-secret", testSecret}
	return s
}

// fixedAddress returns a free address whose port no outgoing connection can get: it must be free again after each restart.
func fixedAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20000+rand.IntN(10000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// run keeps a process running until ctx ends, and then stops it in order.
func (s *soakServer) run(ctx context.Context, t testing.TB) {
	for ctx.Err() == nil {
		command := exec.Command(s.binary, s.arguments...)
		command.Stdout, command.Stderr = s.output, s.output
		if err := command.Start(); err != nil {
			t.Errorf("start %s: %v", s.name, err)
			return
		}
		s.mu.Lock()
		s.process = command.Process
		s.mu.Unlock()
		ended := make(chan struct{})
		go func() { command.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-ctx.Done():
			s.stop(ended, t)
		}
		rest(50*time.Millisecond, ctx.Done())
	}
	for _, mark := range []string{"panic:", "fatal error:"} {
		if _, rest, found := strings.Cut(s.output.String(), mark); found {
			t.Errorf("%s: %s %s", s.name, mark, rest[:min(len(rest), 4000)])
		}
	}
}

// stop ends the process in order. One that takes longer than it may has to say where it hangs.
func (s *soakServer) stop(ended <-chan struct{}, t testing.TB) {
	s.signal(syscall.SIGTERM)
	late := time.NewTimer(api.GraceTime + patience)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		s.signal(syscall.SIGQUIT)
		<-ended
		t.Errorf("%s does not stop:\n%s", s.name, s.said())
	}
}

// said is what the process said, without the many words about clients that it cannot serve at present.
func (s *soakServer) said() string {
	var b strings.Builder
	for line := range strings.Lines(s.output.String()) {
		if !strings.Contains(line, "request not served") {
			b.WriteString(line)
		}
	}
	return b.String()[max(0, b.Len()-20000):]
}

func (s *soakServer) signal(signal os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.Signal(signal) // an error says that it has ended already
}

func (s *soakServer) awaitReady(t testing.TB) {
	t.Helper()
	ready := within(settling, func() bool {
		r, err := http.Get("http://" + s.address + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	if !ready {
		t.Fatalf("%s is not ready after %s; it said:\n%s", s.name, settling, s.said())
	}
}
