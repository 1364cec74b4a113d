//go:build unix

package devdb

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/test/leaktest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerDir); dir != "" {
		os.Exit(ownServer(dir))
	}
	// The library that downloads leaves a file among the temporary ones at each try.
	temporary, err := os.MkdirTemp("/tmp", "devdb-")
	if err != nil {
		panic(err)
	}
	if err := errors.Join(os.Chmod(temporary, 0o711), os.Setenv("TMPDIR", temporary)); err != nil {
		panic(err)
	}
	code := leaktest.Run(m)
	if err := os.RemoveAll(temporary); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// quick are settings for data that nobody will miss.
var quick = map[string]string{"fsync": "off", "full_page_writes": "off"}

// passable returns a new directory that other users can pass through, unlike the
// testing package's own.
func passable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devdb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func options(dir string) Options {
	return Options{Dir: dir, Log: slog.New(slog.DiscardHandler), Settings: quick}
}

func mustStart(t *testing.T, o Options) *Server {
	t.Helper()
	began := time.Now()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() { mustStop(t, s) })
	return s
}

func mustStop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	connector, err := pq.NewConnector(url)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { pool.Close() })
	return pool
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	pool := open(t, url)
	defer pool.Close()
	if _, err := pool.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, url, statement string) (answer string) {
	t.Helper()
	pool := open(t, url)
	defer pool.Close()
	if err := pool.QueryRowContext(t.Context(), statement).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func expect(t *testing.T, url, statement, want string) {
	t.Helper()
	if got := query(t, url, statement); got != want {
		t.Errorf("%s: got %q, want %q", statement, got, want)
	}
}

// oneLine checks an error that a person will read.
func oneLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	t.Log(err)
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not contain %q", err, part)
		}
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(passable(t), "postgres")
	first := mustStart(t, options(dir))
	expect(t, first.URL(), "select current_database()", "hangarshare")
	expect(t, first.URL(), "show server_encoding", "UTF8")
	expect(t, first.URL(), "show timezone", "UTC")
	expect(t, first.URL(), "show listen_addresses", "")
	if !strings.Contains(first.URL(), "sslmode=disable") {
		t.Errorf("no explicit sslmode in %q", first.URL())
	}
	info, err := os.Stat(first.sockets)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's directory has mode %v", info.Mode())
	}

	t.Run("a second server on the directory is refused", func(t *testing.T) {
		_, err := Start(t.Context(), options(dir))
		if !errors.Is(err, ErrInUse) {
			t.Fatalf("got %v", err)
		}
		oneLine(t, err, dir)
	})

	execute(t, first.URL(), "create table kept as select 7 as number")
	mustStop(t, first)
	select {
	case <-first.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if first.Err() != nil {
		t.Errorf("an orderly stop left the error %v", first.Err())
	}
	if err := first.Resume(t.Context()); !errors.Is(err, errStopped) {
		t.Errorf("Resume after Stop: %v", err)
	}

	t.Run("the second start has the data", func(t *testing.T) {
		second := mustStart(t, options(dir))
		expect(t, second.URL(), "select number from kept", "7")
	})
}

func TestRestart(t *testing.T) {
	t.Parallel()
	s := mustStart(t, options(passable(t)))
	url := s.URL()
	execute(t, url, "create table kept (number integer)")
	for mode, name := range map[Mode]string{Fast: "fast", Immediate: "immediate", Kill: "kill"} {
		t.Run(name, func(t *testing.T) {
			session := open(t, url) // a session that is open meanwhile
			if _, err := session.ExecContext(t.Context(), "insert into kept values ($1)", int(mode)); err != nil {
				t.Fatal(err)
			}
			if err := s.Halt(t.Context(), mode); err != nil {
				t.Fatal(err)
			}
			if err := session.PingContext(t.Context()); err == nil {
				t.Error("PostgreSQL answers while halted")
			}
			if err := s.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s.URL() != url {
				t.Errorf("the address changed from %s to %s", url, s.URL())
			}
			var rows int
			if err := session.QueryRowContext(t.Context(), "select count(*) from kept where number = $1", int(mode)).Scan(&rows); err != nil {
				t.Fatal(err)
			}
			if rows != 1 {
				t.Errorf("%d rows survived, want 1", rows)
			}
		})
	}
	if err := s.Restart(t.Context(), Immediate); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
		t.Error("Done is closed after a restart")
	default:
	}
}

func TestEndsByItself(t *testing.T) {
	t.Parallel()
	s := mustStart(t, options(passable(t)))
	if err := s.postgres.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	oneLine(t, s.Err(), "ended by itself", "killed")
	if err := s.Resume(t.Context()); !errors.Is(err, errStopped) {
		t.Errorf("Resume after the end: %v", err)
	}
}

func TestBadSetting(t *testing.T) {
	t.Parallel()
	o := options(passable(t))
	o.Settings = map[string]string{"fsync": "perhaps"}
	_, err := Start(t.Context(), o)
	oneLine(t, err, `parameter "fsync" requires a Boolean value`)
}

func TestTemporary(t *testing.T) {
	t.Parallel()
	o := options(filepath.Join(passable(t), "postgres"))
	o.Temporary = true
	mustStop(t, mustStart(t, o))
	if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestStopInAHurry(t *testing.T) {
	t.Parallel()
	o := options(passable(t))
	s := mustStart(t, o)
	execute(t, s.URL(), "create table kept as select 7 as number")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	expect(t, mustStart(t, o).URL(), "select number from kept", "7")
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	s := mustStart(t, options(filepath.Join(passable(t), strings.Repeat("long", 30))))
	expect(t, s.URL(), "select 1", "1")
	mustStop(t, s)
	if _, err := os.Stat(s.sockets); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's directory is still there: %v", err)
	}
}

// TestClosedParents uses a directory that only we can get to.
func TestClosedParents(t *testing.T) {
	t.Parallel()
	parent := passable(t)
	if err := os.Chmod(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	o := options(filepath.Join(parent, "postgres"))
	s := mustStart(t, o)
	execute(t, s.URL(), "create table kept as select 7 as number")
	mustStop(t, s)
	elsewhere := filepath.Dir(s.cluster) != o.Dir
	if asRoot := os.Geteuid() == 0; elsewhere != asRoot {
		t.Errorf("as root %v, data elsewhere %v: %s", asRoot, elsewhere, s.cluster)
	}
	o.Temporary = true
	again := mustStart(t, o)
	expect(t, again.URL(), "select number from kept", "7")
	mustStop(t, again)
	for _, path := range []string{o.Dir, again.cluster} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgres.log")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 5 * logLimit / len(line) {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() == 0 || info.Size() > logLimit {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
}
