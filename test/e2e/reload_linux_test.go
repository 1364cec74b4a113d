//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestReload has SIGHUP replace limits, origins, proxies and the certificate of a server that
// serves, and a file with a bad value replace nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	owner := portal.AddOwner(t, 1)
	token := harness.TokenFor(t, owner.UserID, time.Hour)
	file := filepath.Join(t.TempDir(), "env")
	certFile, keyFile, _ := harness.NewCertificate(t)
	settings := func(lines ...string) {
		t.Helper()
		lines = append([]string{"DATABASE_URL=" + portal.URL, "JWT_SECRET=" + harness.Secret}, lines...)
		harness.Must(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	}
	pairOf := func(certFile, keyFile string) []string {
		return []string{"TLS_CERT_FILE=" + certFile, "TLS_KEY_FILE=" + keyFile}
	}
	settings(pairOf(certFile, keyFile)...)
	process := harness.Launch(t, nil, harness.OwnBinary(t), "serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "", "--env-file", file)
	// a connection for each request, so that each sees the certificate of its moment
	trusting := &tls.Config{InsecureSkipVerify: true} // whose the certificate is, is the question
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: trusting}}
	p := &harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: client, Portal: portal, Output: process.Output}
	p.Ready(t)
	told := 0
	// reload has the process read new settings, and waits until it tells what came of that.
	reload := func(says string, lines ...string) {
		t.Helper()
		settings(lines...)
		harness.Must(t, syscall.Kill(process.PID(), syscall.SIGHUP))
		harness.Eventually(t, "told "+says, func() bool { return strings.Contains(process.Output.String()[told:], says) })
		told = len(process.Output.String())
	}
	// now tells what the settings have come to.
	type state struct {
		origin      bool // the portal's page may read
		proxy       bool // the proxy is believed
		limit       bool // requests are limited
		certificate string
	}
	now := func() (is state) {
		t.Helper()
		header := harness.Behind("203.0.113.7", "Origin", "https://portal.example", "X-Request-ID", "of-the-proxy", "Authorization", "Bearer "+token)
		for range 4 {
			response, _ := p.Ask(t, http.MethodGet, "api/owners/"+owner.ID+"/listings", header)
			is.origin = response.Header.Get("Access-Control-Allow-Origin") == "https://portal.example"
			is.proxy = response.Header.Get("X-Request-ID") == "of-the-proxy"
			is.limit = is.limit || response.StatusCode == http.StatusTooManyRequests
			is.certificate = fmt.Sprintf("%x", response.TLS.PeerCertificates[0].Raw)
		}
		return is
	}
	first := now()
	if first.origin || first.proxy || first.limit {
		t.Fatalf("at the start %v", first)
	}
	otherCert, otherKey, _ := harness.NewCertificate(t)
	all := append(pairOf(otherCert, otherKey), "ALLOWED_ORIGINS=https://portal.example", "TRUSTED_PROXIES=127.0.0.1", "REQUESTS_PER_MINUTE_PER_USER=2")
	for _, bad := range []string{
		"TRUSTED_PROXIES=proxy.example", "LIMIT_EXEMPT=everybody", "MAX_CONNECTIONS=-1", "ALLOWED_ORIGINS=portal.example",
		"TLS_KEY_FILE=" + keyFile, "TIMEZONE=Nowhere", "LOG_LEVEL=loud", "JWT_SECRET=short", "NO_SETTING=1",
		"VAPID_SUBJECT=mailto:ops@localhost", "PUSH_HOSTS=*", "SMTP_URL=mail.example", "MAIL_FROM=a@portal.example", "NOTIFY_WEBHOOK_SECRET=short",
		"MAX_DATABASE_CONNECTIONS=2", "SENTRY_DSN=x",
	} {
		reload("ENV_FILE was not taken over", append(all, bad)...) // the last line of a name counts
		if is := now(); is != first {
			t.Errorf("with %s came %v", bad, is)
		}
	}
	reload("ENV_FILE was read again", all...)
	second := now()
	if !second.origin || !second.proxy || !second.limit || second.certificate == first.certificate {
		t.Errorf("after the settings of all came %v", second)
	}
	reload("settings=[TIMEZONE]", append(all, "LIMIT_EXEMPT=203.0.113.0/24", "TIMEZONE=Europe/Lisbon")...)
	if is := now(); is.limit || !is.proxy {
		t.Errorf("with LIMIT_EXEMPT came %v", is)
	}
	reload("changed=", pairOf(certFile, keyFile)...)
	if is := now(); is != first {
		t.Errorf("with the former settings came %v", is)
	}
}

// TestHangupWithoutSettings has SIGHUP neither end a server nor change it, unless the terminal is
// gone that it was started from.
func TestHangupWithoutSettings(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	process := harness.Launch(t, nil, harness.OwnBinary(t), append(harness.ServeFlags(portal.URL), "--log-level", "info")...)
	p := &harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: harness.Client, Portal: portal, Output: process.Output}
	p.Ready(t)
	harness.Must(t, syscall.Kill(process.PID(), syscall.SIGHUP))
	harness.Eventually(t, "told", func() bool { return strings.Contains(process.Output.String(), "ENV_FILE is not set") })
	p.Ready(t)

	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine gives no terminal: %v", err)
	}
	defer terminal.Close()
	harness.Must(t, unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN)
	harness.Must(t, err)
	inside, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	harness.Must(t, err)
	out := harness.NewOutput()
	command := exec.Command(harness.OwnBinary(t), append(harness.ServeFlags("postgres://u:p@127.0.0.1:1/none?sslmode=disable"), "--database-wait", "10m")...)
	command.Stdin, command.Stdout, command.Stderr = inside, out, out
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	harness.Must(t, command.Start())
	t.Cleanup(func() { command.Process.Kill() })
	inside.Close()
	harness.Eventually(t, "waiting", func() bool { return strings.Contains(out.String(), "waiting for the database") })
	harness.Must(t, terminal.Close())
	if err := command.Wait(); err != nil {
		t.Errorf("without its terminal it ends with %v: %s", err, out)
	}
}

// TestReloadedLimits has SIGHUP lower and raise each limit of connections under streams that are
// open: it counts at once for those that come, and ends none.
func TestReloadedLimits(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	owner, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	token := harness.TokenFor(t, owner.UserID, time.Hour)
	file := filepath.Join(t.TempDir(), "env")
	settings := func(lines ...string) {
		t.Helper()
		lines = append([]string{"DATABASE_URL=" + portal.URL, "JWT_SECRET=" + harness.Secret, "TRUSTED_PROXIES=127.0.0.1"}, lines...)
		harness.Must(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	}
	settings()
	process := harness.Launch(t, nil, harness.OwnBinary(t), "serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "", "--env-file", file)
	p := &harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: harness.Client, Portal: portal, Output: process.Output}
	p.Ready(t)
	told := 0
	reload := func(lines ...string) {
		t.Helper()
		settings(lines...)
		harness.Must(t, syscall.Kill(process.PID(), syscall.SIGHUP))
		harness.Eventually(t, "read again", func() bool { return strings.Contains(process.Output.String()[told:], "ENV_FILE was read again") })
		told = len(process.Output.String())
	}
	query := "?ownerId=" + owner.ID
	header := harness.Behind("203.0.113.1", "Authorization", "Bearer "+token)
	var open []*harness.Stream
	dial := func(what string) {
		t.Helper()
		stream := p.Dial(t, query, &websocket.DialOptions{HTTPHeader: header})
		if m, ok, seen := stream.Await(harness.OfType("connection_established")); !ok {
			t.Fatalf("%s is not let in: %v %v", what, m, seen)
		}
		open = append(open, stream)
	}
	allHear := func(when string) {
		t.Helper()
		booking := portal.Book(t, owner.Hangars[0], guest)
		for i, stream := range open {
			heard := func(m harness.Message) bool { return m.Field("bookingId") == booking }
			if _, ok, seen := stream.Await(heard); !ok {
				t.Fatalf("%s stream %d ends: %v", when, i, seen)
			}
		}
	}
	for range 3 {
		dial("a stream without limits that bind")
	}
	for _, name := range []string{"MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_USER", "MAX_CONNECTIONS_PER_ADDRESS"} {
		below, next := len(open)-1, len(open)+1
		reload(fmt.Sprintf("%s=%d", name, below))
		refusesStream(t, p, fmt.Sprintf("a stream beyond %s=%d", name, below), query, header)
		allHear("with a lower " + name)
		reload(fmt.Sprintf("%s=%d", name, next))
		dial(fmt.Sprintf("the one more of %s=%d", name, next))
		refusesStream(t, p, fmt.Sprintf("a stream beyond %s=%d", name, next), query, header)
		reload(name + "=0")
		dial("a stream with " + name + "=0")
		allHear("without " + name)
	}
	// a file without the limits brings their defaults back
	reload()
	dial("a stream with the defaults")
	allHear("with the defaults")
}
