//go:build unix

package devdb

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Variables that turn the test's program into the owner of a server.
const (
	ownerDir       = "DEVDB_TEST_DIR"
	ownerTemporary = "DEVDB_TEST_TEMPORARY"
)

// ownServer starts a server, says where it is, and keeps it until its input ends.
func ownServer(dir string) int {
	o := options(dir)
	o.Temporary = os.Getenv(ownerTemporary) != ""
	s, err := Start(context.Background(), o)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println(s.URL(), s.postgres.cmd.Process.Pid, s.watchdog.cmd.Process.Pid, os.Geteuid())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fmt.Println("error", err)
	}
	if err := s.Stop(context.Background()); err != nil {
		fmt.Println("error", err)
		return 1
	}
	return 0
}

// owner is a process of its own that owns a server.
type owner struct {
	cmd                *exec.Cmd
	input              io.Closer
	url                string
	postgres, watchdog int
	uid                int
}

func startOwner(t *testing.T, program, dir string, attributes *syscall.SysProcAttr, environment ...string) owner {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.Env = append(append(os.Environ(), ownerDir+"="+dir), environment...)
	cmd.SysProcAttr = attributes
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := owner{cmd: cmd, input: input}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("read what the owner says: %v", err)
	}
	if _, err := fmt.Sscan(line, &o.url, &o.postgres, &o.watchdog, &o.uid); err != nil {
		t.Fatalf("the owner says %q: %v", line, err)
	}
	return o
}

// kill ends the owner with signal 9.
func (o owner) kill(t *testing.T) {
	t.Helper()
	if err := o.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = o.cmd.Wait() //nolint:errcheck // it was killed
}

// eventually polls what offers no signal.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		if err := pause(t.Context(), pollInterval); err != nil {
			t.Fatal(err)
		}
	}
}

// gone says that a process that is not our child has ended; one that its new parent
// has not noticed yet counts.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	output, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || strings.HasPrefix(strings.TrimSpace(string(output)), "Z")
}

func TestKilledOwner(t *testing.T) {
	t.Parallel()
	t.Run("leaves no PostgreSQL, and its data survive", func(t *testing.T) {
		t.Parallel()
		dir := passable(t)
		o := startOwner(t, os.Args[0], dir, nil)
		execute(t, o.url, "create table kept as select 7 as number")
		o.kill(t)
		began := time.Now()
		eventually(t, "PostgreSQL ends", func() bool { return gone(o.postgres) })
		t.Logf("PostgreSQL was gone after %s", time.Since(began).Round(time.Millisecond))
		eventually(t, "the watchdog ends", func() bool { return gone(o.watchdog) })
		s := mustStart(t, options(dir))
		expect(t, s.URL(), "select number from kept", "7")
	})
	t.Run("is followed at once by another", func(t *testing.T) {
		t.Parallel()
		dir := passable(t)
		o := startOwner(t, os.Args[0], dir, nil)
		execute(t, o.url, "create table kept as select 7 as number")
		o.kill(t)
		s := mustStart(t, options(dir))
		expect(t, s.URL(), "select number from kept", "7")
	})
	t.Run("together with its watchdog is followed by another", func(t *testing.T) {
		t.Parallel()
		dir := passable(t)
		o := startOwner(t, os.Args[0], dir, nil)
		execute(t, o.url, "create table kept as select 7 as number")
		if err := syscall.Kill(o.watchdog, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		o.kill(t)
		expect(t, o.url, "select number from kept", "7") // it was left behind
		s := mustStart(t, options(dir))
		if !gone(o.postgres) {
			t.Error("the PostgreSQL left behind still runs")
		}
		expect(t, s.URL(), "select number from kept", "7")
	})
	t.Run("leaves nothing of a temporary server", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(passable(t), "postgres")
		o := startOwner(t, os.Args[0], dir, nil, ownerTemporary+"=1")
		o.kill(t)
		eventually(t, "the directory is removed", func() bool {
			_, err := os.Stat(dir)
			return os.IsNotExist(err)
		})
	})
}

// TestRecycledNumber starts after a kill, when another process of PostgreSQL's user
// has got its number.
func TestRecycledNumber(t *testing.T) {
	t.Parallel()
	dir := passable(t)
	s := mustStart(t, options(dir))
	execute(t, s.URL(), "create table kept as select 7 as number")
	if err := s.Halt(t.Context(), Kill); err != nil {
		t.Fatal(err)
	}
	mustStop(t, s)
	other := exec.Command("cat")
	other.SysProcAttr = detached(s.account)
	input, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		if err := other.Wait(); err != nil {
			t.Errorf("the other process: %v", err)
		}
	})
	content, err := os.ReadFile(postmasterPath(s.data()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), "\n")
	content = []byte(strconv.Itoa(other.Process.Pid) + "\n" + rest)
	if err := os.WriteFile(postmasterPath(s.data()), content, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, mustStart(t, options(dir)).URL(), "select number from kept", "7")
}

// TestOrdinaryUser runs a server as an ordinary user: ourselves, or, when we are
// root, another account.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	dir := passable(t)
	program := filepath.Join(dir, "program")
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	writeProgram(t, program, content)
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	a := account{uid: uint32(os.Geteuid())}
	if a.uid == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		if a, err = accountOf(nobody); err != nil {
			t.Fatal(err)
		}
		if err := a.give(home); err != nil {
			t.Fatal(err)
		}
	}
	o := startOwner(t, program, filepath.Join(home, "postgres"), detached(a))
	if o.uid != int(a.uid) || o.uid == 0 {
		t.Errorf("the owner runs as %d, want %d", o.uid, a.uid)
	}
	expect(t, o.url, "select 1", "1")
	o.input.Close()
	if err := o.cmd.Wait(); err != nil {
		t.Errorf("the owner's end: %v", err)
	}
	if !gone(o.postgres) || !gone(o.watchdog) {
		t.Error("something still runs")
	}
	// Root finds the data of an ordinary user, and leaves them to that user.
	s := mustStart(t, options(filepath.Join(home, "postgres")))
	expect(t, s.URL(), "select 1", "1")
	info, err := os.Stat(s.data())
	if err != nil {
		t.Fatal(err)
	}
	if ownerOf(info) != a.uid {
		t.Errorf("the data belong to %d, want %d", ownerOf(info), a.uid)
	}
}
