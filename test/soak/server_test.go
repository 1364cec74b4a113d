package soak

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// soakServer is a process of the built program that starts again whenever it ends. It reaches its
// database, and some of its clients reach it, through proxies that can misbehave.
type soakServer struct {
	name, address string
	binary        string
	arguments     []string
	database      *harness.Proxy // between it and PostgreSQL
	public        *harness.Proxy // between clients and it
	output        *harness.Output

	mu      sync.Mutex // guards process
	process *os.Process
}

func newSoakServer(t testing.TB, name, binary, databaseURL string, heartbeat time.Duration) *soakServer {
	t.Helper()
	before, through := harness.BeforeDatabase(t, databaseURL)
	s := &soakServer{name: name, address: harness.FreeAddress(t), binary: binary, database: before, output: harness.NewOutput()}
	s.public = harness.NewProxy(t, "tcp", s.address)
	s.arguments = []string{"serve", "--no-demo", "--addr", s.address, "--admin-addr=", "--limit-exempt", "127.0.0.0/8", "--log-level", "warn", "--heartbeat-interval",
		heartbeat.String(), "--database-url", through + "&application_name=" + strings.ReplaceAll(harness.ApplicationName, " ", "+"), "--jwt-secret", harness.Secret}
	return s
}

// startLimit is after what time a process is killed that does not serve yet, as what supervises
// it does: a network that swallowed its migration keeps it for minutes otherwise.
const startLimit = 15 * time.Second

// run keeps a process running until ctx ends, and then stops it in order.
func (s *soakServer) run(ctx context.Context, t testing.TB) {
	for ctx.Err() == nil {
		before := len(s.output.String())
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
		late := time.AfterFunc(startLimit, func() {
			if !strings.Contains(s.output.String()[before:], "HangarShare Realtime is at ") {
				command.Process.Kill() // an error says that it has ended already
			}
		})
		select {
		case <-ended:
		case <-ctx.Done():
			s.stop(ended, t)
		}
		late.Stop()
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
	s.signal(syscall.SIGCONT) // a fault that did not end may have left it stopped
	s.signal(syscall.SIGTERM)
	late := time.NewTimer(api.DefaultDrainTime + api.StopTime + harness.Timeout)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		s.signal(syscall.SIGQUIT)
		<-ended
		t.Errorf("%s does not stop:\n%s", s.name, s.said())
	}
}

// said is what the process said, without the many words about clients that it cannot
// serve at present.
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
		s.signal(syscall.SIGQUIT) // it has to say where it hangs
		within(5*time.Second, func() bool { return strings.Contains(s.output.String(), "goroutine 1 ") })
		t.Fatalf("%s is not ready after %s; it said:\n%s", s.name, settling, s.said())
	}
}
