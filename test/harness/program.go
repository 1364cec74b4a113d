// Package harness starts the program for tests of the whole: in this process, so that the
// race detector and goleak see the server, or as a process of its own. It promises that
// what it starts ends with its test, and that each server has its own database, port and
// folder. It does not know what is tested.
package harness

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/api/cli"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

const (
	// Secret signs the access tokens of tests.
	Secret = "a secret of the tests, long enough to sign"
	// drainTime is over how long servers of tests spread their goodbyes, unless a test says another
	// time: they have few clients, and each test waits for its server's end.
	drainTime = "100ms"
	// Timeout bounds every wait for a signal: it is never reached unless something is broken.
	Timeout = time.Minute
)

// root is the folder of the module, above the folder in which the package's tests run.
var root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "main.go")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("no folder above the test's holds main.go: run tests inside the module")
		}
	}
})

// Path returns the path of a file of the module, named from its root.
func Path(name string) string { return filepath.Join(root(), filepath.FromSlash(name)) }

// OpenAPI returns openapi.yaml, which the program has embedded.
var OpenAPI = sync.OnceValue(func() []byte {
	text, err := os.ReadFile(Path("openapi.yaml"))
	if err != nil {
		panic(err)
	}
	return text
})

// Run executes one command line of the program in this process and returns its exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Run(ctx, OpenAPI(), args, stdout, stderr)
}

// Program is a running server and its database.
type Program struct {
	Base        string // http://127.0.0.1:port/
	Client      *http.Client
	DatabaseURL string
	Portal      *dbtest.Portal
	Stop        func() int // stops it and returns the exit code
	Output      *Output
}

// AtNoon are flags by which a server's day does not end while a test speaks of today.
func AtNoon() []string { return []string{"--timezone", dbtest.Noon().String()} }

// Serve starts the program in this process on the portal's database.
func Serve(t testing.TB, portal *dbtest.Portal, flags ...string) *Program {
	t.Helper()
	return ServeTo(t, portal, Client, flags...)
}

// ServeTo is serve for a client of the test's own.
func ServeTo(t testing.TB, portal *dbtest.Portal, client *http.Client, flags ...string) *Program {
	t.Helper()
	p := serve(t, portal, client, flags)
	p.Ready(t)
	return p
}

// ServeUnready is Serve without waiting until the program is ready.
func ServeUnready(t testing.TB, portal *dbtest.Portal, flags ...string) *Program {
	t.Helper()
	return serve(t, portal, Client, flags)
}

func serve(t testing.TB, portal *dbtest.Portal, client *http.Client, flags []string) *Program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out := NewOutput()
	args := append([]string{"serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		"--database-url", portal.URL, "--jwt-secret", Secret, "--drain-time", drainTime}, flags...)
	if !slices.Contains(flags, "--limit-exempt") {
		args = append(args, "--limit-exempt", "127.0.0.0/8")
	}
	code := make(chan int, 1)
	go func() { code <- Run(ctx, args, out, out) }()
	p := &Program{Client: client, Portal: portal, DatabaseURL: portal.URL, Output: out}
	p.Stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { p.Stop() })
	p.Base = out.Await(t, "HangarShare Realtime is at ")
	return p
}

// Ready waits until the server says that it is.
func (p *Program) Ready(t testing.TB) {
	t.Helper()
	Eventually(t, "ready", func() bool {
		r, err := p.Client.Get(p.Base + "readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// Eventually waits for what has no signal of its own.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(Timeout)
	for tick := time.NewTicker(10 * time.Millisecond); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not %s after %s", what, Timeout)
		}
	}
}

// TokenFor signs an access token of a user with Secret.
func TokenFor(t testing.TB, userID string, lifetime time.Duration) string {
	t.Helper()
	token, _, err := api.NewTokens([]byte(Secret)).Sign(userID, "", lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Get asks for a path under /api/ with a token, if there is one.
func (p *Program) Get(t testing.TB, path, token string) (status int, header http.Header, body map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base+"api/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := p.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return response.StatusCode, response.Header, body
}

// EncodeJSON returns a value as JSON.
func EncodeJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// DecodeJSON reads a value from JSON.
func DecodeJSON(t *testing.T, from io.Reader, value any) {
	t.Helper()
	if err := json.NewDecoder(from).Decode(value); err != nil {
		t.Fatal(err)
	}
}
