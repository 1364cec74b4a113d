package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Build makes the program's binary once, one for each package of tests: packages run side by side.
var Build = sync.OnceValues(func() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	binary := Path("bin/hangarshare-" + filepath.Base(folder))
	command := PlainBuild("-ldflags=-s -w", "-o", binary, ".")
	command.Dir = Path(".")
	if text, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, text)
	}
	return binary, nil
})

// PlainBuild returns a go build with further arguments. Its cgo and paths are those of make build
// and of a release, so that Go compiles each package once for all of them.
func PlainBuild(args ...string) *exec.Cmd {
	command := exec.Command("go", append([]string{"build", "-trimpath"}, args...)...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	return command
}

// OwnBinary returns a copy of the built program that nobody replaces while it is in use.
func OwnBinary(t testing.TB) string {
	t.Helper()
	binary, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "hangarshare")
	syscall.ForkLock.RLock() // a process begun now would hold the file open: "text file busy"
	err = os.WriteFile(own, program, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// ServeFlags are the arguments by which a process of the program serves a database, with a token
// key that is Secret. The last value of a flag counts.
func ServeFlags(databaseURL string, more ...string) []string {
	return append([]string{"serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "",
		"--database-url", databaseURL, "--jwt-secret", Secret, "--log-level", "warn", "--drain-time", drainTime}, more...)
}

// Process is a program in a process of its own.
type Process struct {
	Output *Output

	process *os.Process
	ended   chan struct{}
}

// Launch starts a program. It is stopped when the test ends, and where that has failed, what the
// program wrote is shown. env adds to the environment, as NAME=value.
func Launch(t testing.TB, env []string, program string, args ...string) *Process {
	t.Helper()
	p := &Process{Output: NewOutput(), ended: make(chan struct{})}
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr, command.Env = p.Output, p.Output, append(os.Environ(), env...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p.process = command.Process
	go func() {
		defer close(p.ended)
		command.Wait()
	}()
	t.Cleanup(func() {
		p.process.Signal(syscall.SIGCONT) // a test that failed may have left it stopped
		p.End(syscall.SIGTERM)
		if t.Failed() {
			text := p.Output.String()
			t.Logf("%s said:\n%s", filepath.Base(program), text[max(0, len(text)-8000):])
		}
	})
	return p
}

// PID is the number of the process.
func (p *Process) PID() int { return p.process.Pid }

// End sends a signal and waits until the process has ended, by whatever cause.
func (p *Process) End(by os.Signal) {
	p.process.Signal(by) // an error says that it has ended already
	<-p.ended
}
