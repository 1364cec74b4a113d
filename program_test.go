package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestNewcomersFirstStart starts the built program on an empty directory, commits a booking by SQL in its own PostgreSQL,
// and reads it from a WebSocket, an event stream and REST; kills it, and finds everything again.
func TestNewcomersFirstStart(t *testing.T) {
	t.Parallel()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := dbtest.Dir(t)
	p, kill := start(t, binary, dir)
	owner, token := p.demoOwner(t)
	ws, sse := p.connect(t, token, owner, ""), p.listen(t, token, "?ownerId="+owner)
	ws.next(of("connection_established"))
	sse.next(of("connection_established"))
	portal := dbtest.Open(t, p.dbURL)
	hangar := portal.ID(t, `SELECT min(id)::text FROM hangar_listings WHERE owner_id = `+owner)
	guest := portal.AddGuest(t, "Dona", "Ângela")
	booking := portal.Book(t, hangar, guest)
	mine := func(m message) bool { return m.Type == "booking_created" && m.field("bookingId") == booking }
	event := ws.next(mine)
	if other := sse.next(mine); other.ID != event.ID || event.field("guestName") != "Dona Ângela" {
		t.Errorf("WebSocket: %s, event stream: %s", event.Data, other.Data)
	}
	_, _, page := p.get(t, "owners/"+owner+"/bookings?limit=5", token)
	if list, _ := page["bookings"].([]any); len(list) == 0 || !strings.Contains(asJSON(t, list), `"bookingId":"`+booking+`"`) {
		t.Errorf("REST does not list booking %s: %v", booking, page)
	}
	portal.Pool.Close()

	kill()
	again, _ := start(t, binary, dir)
	owner, token = again.demoOwner(t)
	late := again.connect(t, token, owner, event.ID)
	if hello := late.next(nil); hello.field("recovered") != "true" {
		t.Errorf("after kill -9 and a new start: %s", hello.Data)
	}
	response, err := http.Get(again.base)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		t.Errorf("the page: %s %s", response.Status, response.Header.Get("Content-Type"))
	}
}

// start runs the binary in a process of its own, with a private PostgreSQL in dir. It is stopped, by force if need be,
// at the end of the test; kill ends it at once.
func start(t *testing.T, binary, dir string) (p *program, kill func()) {
	t.Helper()
	out := newOutput()
	command := exec.Command(binary, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", dir, "--demo-interval", "200ms")
	command.Stdout, command.Stderr = out, out
	command.Env = append(os.Environ(), "DATABASE_URL=", "JWT_SECRET=")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { command.Wait(); close(ended) }()
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("the program said:\n%s", out)
		}
	})
	p = &program{client: http.DefaultClient, output: out, base: out.await(t, "HangarShare Realtime is at ")}
	p.dbURL = strings.Trim(out.await(t, "Its PostgreSQL: psql "), "'")
	p.ready(t)
	return p, func() { command.Process.Kill(); <-ended }
}

// demoOwner signs in as the first demo owner.
func (p *program) demoOwner(t *testing.T) (ownerID, token string) {
	t.Helper()
	response, err := http.Post(p.base+"api/auth/demo", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ OwnerID, Token string }
	fromJSON(t, response.Body, &answer)
	return answer.OwnerID, answer.Token
}

// TestWhatCannotStartSaysWhy checks one clear line, the exit code, and that no password is shown.
func TestWhatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the parallel subtests
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	database := []string{"--database-url", "postgres://u:hidden@" + nobody + "/d?sslmode=disable", "--jwt-secret", testSecret}
	anywhere := []string{"serve", "--database-wait", "300ms", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}
	with := func(flags ...string) []string { return append(append([]string{}, anywhere...), flags...) }
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":            {[]string{"serve", "--nonsense"}, 2, "nonsense"},
		"unknown command":         {[]string{"nonsense"}, 2, "nonsense"},
		"no command":              {nil, 2, "expected one of"},
		"taken port":              {[]string{"serve", "--addr", taken.Addr().String()}, 1, "in use"},
		"taken admin port":        {[]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", taken.Addr().String()}, 1, "ADMIN_ADDR"},
		"unreachable database":    {with(database...), 1, "cannot be reached"},
		"not a database URL":      {with("--database-url", "mysql://u:hidden@h/d", "--jwt-secret", testSecret), 1, "postgres://"},
		"no secret":               {with(database[:2]...), 1, "JWT_SECRET is missing"},
		"short secret":            {with("--jwt-secret", "short"), 1, "at least 32"},
		"no zone":                 {with("--timezone", "Mars/Olympus"), 1, "TIMEZONE"},
		"no duration":             {with("--heartbeat-interval", "often"), 2, "heartbeat-interval"},
		"half of TLS":             {with("--tls-cert-file", file), 1, "TLS_KEY_FILE"},
		"no certificate":          {with(append(database, "--tls-cert-file", file, "--tls-key-file", file)...), 1, "TLS_CERT_FILE"},
		"origin with a path":      {with("--allowed-origins", "https://a.example/x"), 1, "ALLOWED_ORIGINS"},
		"origins with a wildcard": {with("--allowed-origins", "https://*.example"), 1, "ALLOWED_ORIGINS"},
		"no proxy":                {with("--trusted-proxies", "10.0.0.1,proxy.example"), 1, "TRUSTED_PROXIES"},
		"limit below nothing":     {with("--max-connections-per-user=-1"), 1, "MAX_CONNECTIONS_PER_USER"},
		"two kinds of TLS":        {with("--acme-hosts", "a.example", "--tls-cert-file", file, "--tls-key-file", file), 1, "exclude each other"},
		"ACME for no host":        {with("--acme-email", "ops@a.example"), 1, "ACME_HOSTS"},
		"ACME for an address":     {with("--acme-hosts", "192.0.2.1"), 1, "ACME_HOSTS"},
		"ACME without HTTPS":      {with("--acme-hosts", "a.example", "--acme-directory-url", "http://a.example"), 1, "ACME_DIRECTORY_URL"},
		"data directory is file":  {with("--data-dir", file), 1, "directory"},
		"migrate without URL":     {[]string{"migrate"}, 1, "DATABASE_URL"},
		"migrate, unreachable":    {append([]string{"migrate"}, database...), 1, "cannot be reached"},
		"token without user":      {[]string{"token"}, 2, "--user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			code := run(ctx, test.args, &out, &out)
			text := out.String()
			if code != test.code || !strings.Contains(text, test.says) {
				t.Errorf("exit code %d, want %d, and %q in: %s", code, test.code, test.says, text)
			}
			if strings.Contains(text, "goroutine ") || strings.Contains(text, "hidden") {
				t.Errorf("a stack trace or a password: %s", text)
			}
		})
	}
}

func TestCommandsThatOnlyPrint(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := run(context.Background(), []string{"version"}, &out, &out); code != 0 || !strings.Contains(out.String(), "go1.") {
		t.Errorf("version: %d %s", code, out.String())
	}
	out.Reset()
	if code := run(context.Background(), []string{"--help"}, &out, &out); code != 0 || !strings.Contains(out.String(), "migrate") {
		t.Errorf("help: %d %s", code, out.String())
	}
	out.Reset()
	args := []string{"token", "--user", "7", "--jwt-secret", testSecret}
	if code := run(context.Background(), args, &out, &out); code != 0 || strings.Count(out.String(), ".") != 2 {
		t.Errorf("token: %d %s", code, out.String())
	}
}
