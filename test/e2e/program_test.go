package e2e

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestNewcomersFirstStart starts the built program on an empty directory, commits a
// booking by SQL in its own PostgreSQL, and reads it from a WebSocket, an event stream
// and REST; kills it, and finds everything again.
func TestNewcomersFirstStart(t *testing.T) {
	t.Parallel()
	binary, err := harness.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir := dbtest.Dir(t)
	p, kill := start(t, binary, dir)
	owner, token := demoOwner(t, p)
	ws, sse := p.Connect(t, token, owner, ""), p.Listen(t, token, "?ownerId="+owner)
	ws.Next(harness.OfType("connection_established"))
	sse.Next(harness.OfType("connection_established"))
	portal := dbtest.Open(t, p.DatabaseURL)
	hangar := portal.ID(t, `SELECT min(id)::text FROM hangar_listings WHERE owner_id = `+owner)
	guest := portal.AddGuest(t, "Dona", "Ângela")
	booking := portal.Book(t, hangar, guest)
	mine := func(m harness.Message) bool { return m.Type == "booking_created" && m.Field("bookingId") == booking }
	event := ws.Next(mine)
	if other := sse.Next(mine); other.ID != event.ID || event.Field("guestName") != "Dona Ângela" {
		t.Errorf("WebSocket: %s, event stream: %s", event.Data, other.Data)
	}
	_, _, page := p.Get(t, "owners/"+owner+"/bookings?limit=5", token)
	if list, _ := page["bookings"].([]any); len(list) == 0 || !strings.Contains(harness.EncodeJSON(t, list), `"bookingId":"`+booking+`"`) {
		t.Errorf("REST does not list booking %s: %v", booking, page)
	}
	portal.Pool.Close()

	kill()
	again, _ := start(t, binary, dir)
	owner, token = demoOwner(t, again)
	late := again.Connect(t, token, owner, event.ID)
	if hello := late.Next(nil); hello.Field("recovered") != "true" {
		t.Errorf("after kill -9 and a new start: %s", hello.Data)
	}
	response, err := http.Get(again.Base)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		t.Errorf("the page: %s %s", response.Status, response.Header.Get("Content-Type"))
	}
}

// start runs the binary in a process of its own, with a private PostgreSQL in dir. It is stopped,
// by force if need be, at the end of the test; kill ends it at once.
func start(t *testing.T, binary, dir string) (p *harness.Program, kill func()) {
	t.Helper()
	// The variables of another database must not disturb this one.
	process := harness.Launch(t, []string{"DATABASE_URL=", "JWT_SECRET=", "PGHOST=192.0.2.1", "PGHOSTADDR=192.0.2.1", "PGPORT=1",
		"PGSSLMODE=verify-full", "PGGSSENCMODE=require", "PGREQUIREPEER=nobody", "PGSERVICE=nowhere", "PGOPTIONS=-c no=1", "PGTARGETSESSIONATTRS=standby"},
		binary, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", dir, "--demo-interval", "200ms")
	out := process.Output
	p = &harness.Program{Client: harness.Client, Output: out, Base: out.Await(t, "HangarShare Realtime is at ")}
	p.DatabaseURL = strings.Trim(out.Await(t, "Its PostgreSQL: psql "), "'")
	p.Ready(t)
	return p, func() { process.End(syscall.SIGKILL) }
}

// demoOwner signs in as the first demo owner.
func demoOwner(t *testing.T, p *harness.Program) (ownerID, token string) {
	t.Helper()
	response, err := http.Post(p.Base+"api/auth/demo", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ OwnerID, Token string }
	harness.DecodeJSON(t, response.Body, &answer)
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
	nobody := harness.FreeAddress(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	database := []string{"--database-url", "postgres://u:hidden@" + nobody + "/d?sslmode=disable", "--jwt-secret", harness.Secret}
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
		"not a database URL":      {with("--database-url", "mysql://u:hidden@h/d", "--jwt-secret", harness.Secret), 1, "postgres://"},
		"no secret":               {with(database[:2]...), 1, "JWT_SECRET is missing"},
		"short secret":            {with("--jwt-secret", "short"), 1, "at least 32"},
		"no zone":                 {with("--timezone", "Mars/Olympus"), 1, "TIMEZONE"},
		"no duration":             {with("--heartbeat-interval", "often"), 2, "heartbeat-interval"},
		"half of TLS":             {with("--tls-cert-file", file), 1, "TLS_KEY_FILE"},
		"no certificate":          {with(append(database, "--tls-cert-file", file, "--tls-key-file", file)...), 1, "TLS_CERT_FILE"},
		"origin with a path":      {with("--allowed-origins", "https://a.example/x"), 1, "ALLOWED_ORIGINS"},
		"origins with a wildcard": {with("--allowed-origins", "https://*.example"), 1, "ALLOWED_ORIGINS"},
		"no proxy":                {with("--trusted-proxies", "10.0.0.1,proxy.example"), 1, "TRUSTED_PROXIES"},
		"no network":              {with("--limit-exempt", "10.0.0.0/8,all"), 1, "LIMIT_EXEMPT"},
		"no host":                 {with("--allowed-hosts", "https://a.example"), 1, "ALLOWED_HOSTS"},
		"any host":                {with("--allowed-hosts", "*"), 1, "ALLOWED_HOSTS"},
		"address with a path":     {with("--public-url", "https://a.example/live"), 1, "PUBLIC_URL"},
		"address without scheme":  {with("--public-url", "a.example"), 1, "PUBLIC_URL"},
		"limit below nothing":     {with("--max-connections-per-user=-1"), 1, "MAX_CONNECTIONS_PER_USER"},
		"two kinds of TLS":        {with("--acme-hosts", "a.example", "--tls-cert-file", file, "--tls-key-file", file), 1, "exclude each other"},
		"ACME for no host":        {with("--acme-email", "ops@a.example"), 1, "ACME_HOSTS"},
		"ACME for an address":     {with("--acme-hosts", "192.0.2.1"), 1, "ACME_HOSTS"},
		"ACME without HTTPS":      {with("--acme-hosts", "a.example", "--acme-directory-url", "http://a.example"), 1, "ACME_DIRECTORY_URL"},
		"no Redis URL":            {with("--redis-url", "http://:hidden@h"), 1, "REDIS_URL"},
		"Redis without a host":    {with("--redis-url", "redis://"), 1, "names no host"},
		"a parameter of Redis":    {with("--redis-url", "redis://:hidden@h?master=m"), 1, "master_set"},
		"a CA without Redis":      {with("--redis-ca-file", file), 1, "REDIS_URL"},
		"a CA without TLS":        {with("--redis-url", "redis://:hidden@h", "--redis-ca-file", file), 1, "rediss"},
		"a key for Redis alone":   {with("--redis-url", "rediss://:hidden@h", "--redis-key-file", file), 1, "REDIS_CERT_FILE"},
		"no CA in its file":       {with("--redis-url", "rediss://:hidden@h", "--redis-ca-file", file), 1, "REDIS_CA_FILE"},
		"data directory is file":  {with("--data-dir", file), 1, "directory"},
		"migrate without URL":     {[]string{"migrate"}, 1, "DATABASE_URL"},
		"migrate, unreachable":    {append([]string{"migrate"}, database...), 1, "cannot be reached"},
		"token without user":      {[]string{"token"}, 2, "--user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			ctx, cancel := context.WithTimeout(context.Background(), harness.Timeout)
			defer cancel()
			code := harness.Run(ctx, test.args, &out, &out)
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
	if code := harness.Run(context.Background(), []string{"version"}, &out, &out); code != 0 || !strings.Contains(out.String(), "go1.") {
		t.Errorf("version: %d %s", code, out.String())
	}
	out.Reset()
	if code := harness.Run(context.Background(), []string{"--help"}, &out, &out); code != 0 || !strings.Contains(out.String(), "migrate") {
		t.Errorf("help: %d %s", code, out.String())
	}
	out.Reset()
	args := []string{"token", "--user", "7", "--jwt-secret", harness.Secret}
	if code := harness.Run(context.Background(), args, &out, &out); code != 0 || strings.Count(out.String(), ".") != 2 {
		t.Errorf("token: %d %s", code, out.String())
	}
}
