// Package redistest runs a real redis-server or valkey-server, and sentinels, for tests. Each
// listens on a loopback address only, writes nothing to disk that outlives the test, and ends with
// it.
package redistest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/freeport"
)

// patience bounds the wait for a server to begin or to answer.
const patience = time.Minute

// Server is a redis-server, a valkey-server or a sentinel.
type Server struct {
	// Addr is host:port; with TLS too.
	Addr string
	// Socket is the path of its unix socket.
	Socket string

	t       testing.TB
	dir     string
	program string
	lines   []string
	command *exec.Cmd
	ended   chan struct{}
}

// Start starts a server with more lines of configuration. The test is skipped where this machine
// has no Redis (.ci/need redis).
func Start(t testing.TB, lines ...string) *Server {
	t.Helper()
	s := &Server{t: t, program: "redis-server"}
	s.begin(lines)
	return s
}

// StartValkey is Start with Valkey. The test is skipped where this machine has none (.ci/need
// valkey).
func StartValkey(t testing.TB, lines ...string) *Server {
	t.Helper()
	s := &Server{t: t, program: "valkey-server"}
	s.begin(lines)
	return s
}

// StartSentinel starts a sentinel that watches over a master by a name, quorum 2. It holds a master
// for dead after a time that no slow machine takes to answer: see FailOverSoon.
func StartSentinel(t testing.TB, name string, master *Server) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, program: "redis-sentinel"}
	s.begin([]string{
		fmt.Sprintf("sentinel monitor %s %s %s 2", name, host, port),
		fmt.Sprintf("sentinel down-after-milliseconds %s 60000", name),
		fmt.Sprintf("sentinel failover-timeout %s 3000", name),
	})
	return s
}

// FailOverSoon has a sentinel hold a master for dead after two seconds from now on, until
// FailOverLate.
func (s *Server) FailOverSoon(name string) {
	s.t.Helper()
	s.Do("SENTINEL SET " + name + " down-after-milliseconds 2000")
}

// FailOverLate has a sentinel be as it was begun, so that a slow machine brings about no second
// change.
func (s *Server) FailOverLate(name string) {
	s.t.Helper()
	s.Do("SENTINEL SET " + name + " down-after-milliseconds 60000")
}

func (s *Server) begin(lines []string) {
	s.t.Helper()
	s.Addr = FreeAddress(s.t)
	dir, err := os.MkdirTemp("", "redis") // short: a socket's path is limited
	if err != nil {
		s.t.Fatal(err)
	}
	s.dir, s.Socket = dir, filepath.Join(dir, "redis.sock")
	_, port, _ := net.SplitHostPort(s.Addr)
	s.lines = []string{"bind 127.0.0.1", "dir " + dir, "logfile " + filepath.Join(dir, "log"), "daemonize no", "protected-mode no"}
	if !s.isSentinel() {
		s.lines = append(s.lines, `save ""`, "unixsocket "+s.Socket)
	}
	if secure := strings.HasPrefix(strings.Join(lines, "\n"), "tls-"); secure {
		s.lines = append(s.lines, "port 0", "tls-port "+port)
	} else {
		s.lines = append(s.lines, "port "+port)
	}
	s.lines = append(s.lines, lines...)
	s.t.Cleanup(func() {
		s.Kill()
		if s.t.Failed() {
			if text, err := os.ReadFile(filepath.Join(dir, "log")); err == nil {
				s.t.Logf("%s at %s:\n%s", s.program, s.Addr, text[max(0, len(text)-4000):])
			}
		}
		os.RemoveAll(dir)
	})
	s.Start()
}

// Start starts the server again, empty, after Kill.
func (s *Server) Start() {
	s.t.Helper()
	program, libraries := find(s.program)
	if program == "" {
		s.t.Skip("this machine has no " + s.program + ": run .ci/need " + product(s.program))
	}
	config := filepath.Join(s.dir, "redis.conf")
	if err := os.WriteFile(config, []byte(strings.Join(s.lines, "\n")+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.command = exec.Command(program, config)
	if libraries != "" {
		s.command.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries)
	}
	var output bytes.Buffer
	s.command.Stdout, s.command.Stderr = &output, &output
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	command, ended := s.command, make(chan struct{})
	s.ended = ended
	go func() {
		defer close(ended)
		command.Wait() //nolint:errcheck // it is killed
	}()
	for deadline := time.Now().Add(patience); ; {
		err := s.answers()
		if err == nil {
			return
		}
		select {
		case <-ended:
			s.t.Fatalf("%s ended at its start: %s", s.program, output.String())
		default:
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not answer at %s: %v", s.program, s.Addr, err)
		}
		time.Sleep(5 * time.Millisecond) // nothing tells when it listens
	}
}

// answers reports whether the server listens wherever a test reaches it. Redis listens at its port
// first and at its socket later.
func (s *Server) answers() error {
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		return err
	}
	conn.Close()
	_, err = s.ask("PING")
	return err
}

// Kill ends the server at once, by SIGKILL.
func (s *Server) Kill() {
	if s.command == nil {
		return
	}
	s.command.Process.Kill() //nolint:errcheck // it may have ended
	<-s.ended
	s.command = nil
}

// Freeze stops the server's process by SIGSTOP, and Thaw lets it go on.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.command.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Do has the server run a command, by its unix socket, and returns the answer as it came. Words
// hold no spaces.
func (s *Server) Do(command string) string {
	s.t.Helper()
	answer, err := s.ask(command)
	if err != nil {
		s.t.Fatalf("%s: %v", command, err)
	}
	if strings.HasPrefix(answer, "-") {
		s.t.Fatalf("%s: %s", command, answer)
	}
	return answer
}

// Ask is Do without an opinion: it returns errors of Redis too, and nothing where the server does
// not answer.
func (s *Server) Ask(command string) string {
	answer, err := s.ask(command)
	if err != nil {
		return ""
	}
	return answer
}

func (s *Server) ask(command string) (string, error) {
	var dialer net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	network, address := "unix", s.Socket
	if s.isSentinel() {
		network, address = "tcp", s.Addr
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // a net.Conn that was just made
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	var length int
	if n, _ := fmt.Sscanf(line, "$%d", &length); n == 1 && length >= 0 {
		content := make([]byte, length)
		_, err = io.ReadFull(in, content)
		return string(content), err
	}
	return strings.TrimSpace(line), nil
}

// FreeAddress returns an address of this machine at which nobody listens now, and which no other
// test is given, so it stays free until a server starts there again.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return freeport.Address(t)
}

func (s *Server) isSentinel() bool { return strings.HasSuffix(s.program, "-sentinel") }

// product names what a program is a part of.
func product(program string) string {
	name, _, _ := strings.Cut(program, "-")
	return name
}

// find returns a program and the folder of libraries that came with it.
func find(name string) (program, libraries string) {
	for _, candidate := range []string{name, strings.ReplaceAll(name, "redis", "valkey"), "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, ""
		}
	}
	caches := []string{"/var/cache/hangarshare-realtime"}
	if dir, err := os.UserCacheDir(); err == nil {
		caches = append(caches, filepath.Join(dir, "hangarshare-realtime"))
	}
	for _, cache := range caches {
		path := filepath.Join(cache, product(name), "usr/bin", name)
		if _, err := os.Stat(path); err == nil {
			found, _ := filepath.Glob(filepath.Join(cache, product(name), "usr/lib/*-linux-gnu"))
			return path, strings.Join(found, ":")
		}
	}
	return "", ""
}
