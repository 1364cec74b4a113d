//go:build unix

package e2e

import (
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestServiceManager has the program tell a service manager's socket what it is up to, as systemd's
// would be told: not ready while a trigger is disabled, ready when readyz is 200, alive, stopping.
// Its settings are in ENV_FILE, which SIGHUP has it read again.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	out := harness.NewOutput()
	migrate := []string{"migrate", "--database-url", portal.URL}
	if code := harness.Run(t.Context(), migrate, out, out); code != 0 {
		t.Fatalf("migrate ended with %d: %s", code, out)
	}
	portal.Exec(t, `ALTER TABLE bookings DISABLE TRIGGER USER`)

	socket, err := net.ListenUnixgram("unixgram",
		&net.UnixAddr{Net: "unixgram", Name: filepath.Join(dbtest.Dir(t), "notify")})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	// next returns the first message that holds a text, and fails for what must not come before it.
	next := func(wanted string, never ...string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for {
			socket.SetReadDeadline(time.Now().Add(harness.Timeout))
			n, err := socket.Read(buffer)
			if err != nil {
				t.Fatalf("waiting for %q: %v", wanted, err)
			}
			state := string(buffer[:n])
			if strings.Contains(state, wanted) {
				return
			}
			for _, early := range never {
				if strings.Contains(state, early) {
					t.Fatalf("told %q before %q", state, wanted)
				}
			}
		}
	}

	file := filepath.Join(t.TempDir(), "env")
	settings := func(lines string) {
		t.Helper()
		text := "DATABASE_URL=" + portal.URL + "\nJWT_SECRET='" + harness.Secret + "'\n" + lines
		harness.Must(t, os.WriteFile(file, []byte(text), 0o600))
	}
	settings("")
	command := exec.Command(harness.OwnBinary(t), "serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "")
	command.Env = append(slices.DeleteFunc(os.Environ(), func(line string) bool {
		return strings.HasPrefix(line, "DATABASE_URL=") || strings.HasPrefix(line, "JWT_SECRET=")
	}), "ENV_FILE="+file, "NOTIFY_SOCKET="+socket.LocalAddr().String(), "WATCHDOG_USEC=600000")
	command.Stdout, command.Stderr = out, out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		command.Process.Kill()
		if t.Failed() {
			t.Logf("the program said:\n%s", out)
		}
	})

	next("STATUS=not ready: triggers", "READY=1")
	portal.Exec(t, `ALTER TABLE bookings ENABLE TRIGGER USER`)
	next("READY=1", "WATCHDOG=1", "STOPPING=1")
	response, err := http.Get(out.Await(t, "HangarShare Realtime is at ") + "readyz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("readyz is %s after READY=1", response.Status)
	}
	next("WATCHDOG=1", "STOPPING=1")
	next("WATCHDOG=1", "STOPPING=1")

	reload := func(lines, says string) {
		t.Helper()
		settings(lines)
		harness.Must(t, command.Process.Signal(syscall.SIGHUP))
		harness.Eventually(t, "told "+says, func() bool { return strings.Contains(out.String(), says) })
	}
	reload("LOG_LEVEL=debug\nTIMEZONE=Europe/Lisbon\n", "settings=[TIMEZONE]")
	reload("LOG_LEVEL=loud\n", "ENV_FILE was not taken over")
	reload("TIMEZONE=Nowhere\nHEARTBEAT_INTERVAL=1ms\n", "HEARTBEAT_INTERVAL must be at least 100ms")
	harness.Eventually(t, "told what LOG_LEVEL=debug tells", func() bool { return strings.Contains(out.String(), "level=DEBUG") })
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	next("STOPPING=1")
	if err := <-ended; err != nil {
		t.Errorf("the program ended with %v", err)
	}
}

// TestSocketOfTheServiceManager has servers take over, one after the other, a socket that outlives
// them: a request that is sent while none runs is answered by the next.
func TestSocketOfTheServiceManager(t *testing.T) {
	t.Parallel()
	portal, program := dbtest.New(t), harness.OwnBinary(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	harness.Must(t, err)
	defer file.Close()
	base := "http://" + listener.Addr().String()
	serve := func() (stop func()) {
		t.Helper()
		out := harness.NewOutput()
		arguments := append([]string{"-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, program}, harness.ServeFlags(portal.URL)...)
		command := exec.Command("sh", arguments...)
		command.ExtraFiles = []*os.File{file}
		command.Stdout, command.Stderr = out, out
		harness.Must(t, command.Start())
		t.Cleanup(func() { command.Process.Kill() })
		if at := out.Await(t, "HangarShare Realtime is at "); at != base+"/" {
			t.Errorf("the server is at %s, not at its manager's socket %s", at, base)
		}
		return func() {
			harness.Must(t, command.Process.Signal(syscall.SIGTERM))
			if err := command.Wait(); err != nil {
				t.Errorf("the server ended with %v:\n%s", err, out)
			}
		}
	}
	serve()()
	answer := make(chan error, 1)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/healthz", http.NoBody)
	harness.Must(t, err)
	sent := make(chan struct{})
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }}
	go func() {
		response, err := http.DefaultClient.Do(request.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
		if err == nil {
			response.Body.Close()
		}
		answer <- err
	}()
	select {
	case <-sent: // and no server is there to take it
	case err := <-answer:
		t.Fatalf("a request between two servers: %v", err)
	}
	stop := serve()
	if err := <-answer; err != nil {
		t.Errorf("a request that waited for its server: %v", err)
	}
	stop()
}
