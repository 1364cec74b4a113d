//go:build unix

package dbtest

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Pooler runs a real PgBouncer before a database of a test, and returns the
// database's address through it. mode is session, transaction or statement;
// settings are more lines of its configuration. It ends with the test, which is
// skipped where this machine has no PgBouncer (.ci/need pgbouncer).
func Pooler(t testing.TB, databaseURL, mode string, settings ...string) string {
	t.Helper()
	program, libraries := findPooler()
	if program == "" {
		t.Skip("this machine has no PgBouncer: run .ci/need pgbouncer")
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	info, err := os.Stat(q.Get("host"))
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("the owner of PostgreSQL's socket is not known")
	}
	dir := Dir(t)
	lines := append([]string{"[databases]", fmt.Sprintf("* = host=%s port=%s user=%s", q.Get("host"), q.Get("port"), u.User.Username()),
		"[pgbouncer]", "listen_addr =", "unix_socket_dir = " + dir, "listen_port = 6432", "auth_type = any", "pool_mode = " + mode}, settings...)
	config := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, config)
	command.Env = []string{"LD_LIBRARY_PATH=" + libraries}
	if os.Geteuid() == 0 { // it refuses root; PostgreSQL's user can reach its socket
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	up, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			if strings.Contains(scanner.Text(), "process up") {
				up <- true
			}
		}
		up <- false
		command.Wait() //nolint:errcheck // it was told to end
	}()
	t.Cleanup(func() {
		command.Process.Kill() //nolint:errcheck // it may have ended
		<-ended
	})
	if !<-up {
		t.Fatal("PgBouncer did not start")
	}
	q.Set("host", dir)
	q.Set("port", "6432")
	u.RawQuery = q.Encode()
	return u.String()
}

// findPooler returns the program and the folder of libraries that came with it.
func findPooler() (program, libraries string) {
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path, ""
	}
	candidates := []string{"/usr/sbin/pgbouncer", "/var/cache/hangarshare-realtime/pgbouncer/usr/sbin/pgbouncer"}
	if cache, err := os.UserCacheDir(); err == nil {
		candidates = append(candidates, filepath.Join(cache, "hangarshare-realtime/pgbouncer/usr/sbin/pgbouncer"))
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); err == nil {
			pattern := filepath.Join(filepath.Dir(path), "../lib/*-linux-gnu")
			found, _ := filepath.Glob(pattern) //nolint:errcheck // a constant pattern
			return path, strings.Join(found, ":")
		}
	}
	return "", ""
}
