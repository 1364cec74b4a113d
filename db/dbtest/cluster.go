// Package dbtest gives tests a real PostgreSQL: one private cluster for a test process, started
// when the first test asks for it, and in it a database of its own for each test.
//
// It promises that nothing is left behind, also when the test process is killed. It
// knows nothing of our schema.
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"
	"go.uber.org/goleak"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/leaktest"
)

// limit bounds every single thing that is done to a cluster.
const limit = time.Minute

// careless are settings for data that need not survive a failure of the machine.
var careless = map[string]string{
	"fsync":            "off",
	"full_page_writes": "off",
	"max_connections":  "300",
}

// cluster is the one that all tests of this process share.
type cluster struct {
	once   sync.Once
	server *devdb.Server
	copied string // what CREATE DATABASE says about how to copy
	err    error
}

// template is a prepared database that tests get copies of.
type template struct {
	once sync.Once
	name string
	err  error
}

var (
	shared cluster
	// number tells the databases of this process apart.
	number atomic.Int64

	templatesMu sync.Mutex
	templates   = map[string]*template{}
)

// Main runs a package's tests from its TestMain: it stops the shared cluster after them, fails when
// a goroutine survived, and exits. Without it the shared cluster ends when the process does.
func Main(m *testing.M, options ...goleak.Option) {
	for _, line := range os.Environ() { // what leads elsewhere is for nobody's tests
		if name, _, _ := strings.Cut(line, "="); db.IsVariable(name) {
			os.Unsetenv(name)
		}
	}
	code := m.Run()
	if shared.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		err := shared.server.Stop(ctx)
		cancel()
		if err != nil {
			fmt.Fprintln(os.Stderr, "stop the tests' PostgreSQL:", err)
			code = max(code, 1)
		}
	}
	if code == 0 {
		if err := leaktest.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines survived the tests:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// copying has PostgreSQL 15 and later copy a database as older ones do, by its files: through the
// log, their default, takes more than twice the processor's time where nothing waits for a disk.
const copying = `SELECT CASE WHEN current_setting('server_version_num')::int >= 150000 THEN ' strategy file_copy' ELSE '' END`

// Server returns the cluster that all tests of this process share. Its commits do not wait for the
// disk, so tests that crash PostgreSQL use Private.
func Server(t testing.TB) *devdb.Server {
	t.Helper()
	shared.once.Do(func() {
		settings := maps.Clone(careless)
		settings["synchronous_commit"] = "off"
		var dir string
		if dir, shared.err = newDirectory(); shared.err == nil {
			shared.server, shared.err = start(dir, settings)
		}
		if shared.err == nil {
			shared.copied, shared.err = read(shared.server, copying)
		}
	})
	if shared.err != nil {
		t.Fatalf("start the tests' PostgreSQL: %v", shared.err)
	}
	return shared.server
}

// Private starts a cluster for one test, which may halt, restart and kill it: what was committed
// survives that. It stops when the test ends.
func Private(t testing.TB) *devdb.Server {
	t.Helper()
	return private(t, Dir(t), careless)
}

func private(t testing.TB, dir string, settings map[string]string) *devdb.Server {
	t.Helper()
	server, err := start(dir, settings)
	if err != nil {
		t.Fatalf("start a PostgreSQL for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Errorf("stop the test's PostgreSQL: %v", err)
		}
	})
	return server
}

// Dir returns a new directory that is removed when the test ends. Unlike the
// testing package's, PostgreSQL's user can get to what is in it, which a server
// that runs as root needs of its data directory.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := newDirectory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the test's directory: %v", err)
		}
	})
	return dir
}

func newDirectory() (string, error) {
	dir, err := os.MkdirTemp("", "hangarshare-test-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the tests: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("open the tests' directory: %w", err)
	}
	return dir, nil
}

func start(dir string, settings map[string]string) (*devdb.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	options := devdb.Options{Dir: dir, Log: slog.New(slog.DiscardHandler), Settings: settings, Temporary: true,
		Programs: os.Getenv("TEST_POSTGRES_BIN")} // make test-versions says which
	return devdb.Start(ctx, options)
}

// Empty returns the address of a new, empty database in the shared cluster, which
// is dropped when the test ends.
func Empty(t testing.TB) (databaseURL string) {
	t.Helper()
	return create(t, Server(t), "template0")
}

// Clone returns the address of a new copy of the database that prepare made, which
// is dropped when the test ends. prepare runs once in a process for each name, on
// an empty database, and leaves no connection open.
func Clone(t testing.TB, name string, prepare func(databaseURL string) error) (databaseURL string) {
	t.Helper()
	server := Server(t)
	templatesMu.Lock()
	original, known := templates[name]
	if !known {
		original = &template{name: fmt.Sprintf("template_%d", number.Add(1))}
		templates[name] = original
	}
	templatesMu.Unlock()
	original.once.Do(func() {
		if original.err = execute(server, "create database "+original.name+" template template0"+shared.copied); original.err == nil {
			original.err = prepare(addressOf(server, original.name))
		}
	})
	if original.err != nil {
		t.Fatalf("prepare the database %q: %v", name, original.err)
	}
	return create(t, server, original.name)
}

// create copies a database under a new name.
func create(t testing.TB, server *devdb.Server, original string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", number.Add(1))
	if err := execute(server, "create database "+name+" template "+original+shared.copied); err != nil {
		t.Fatalf("create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(server, "drop database if exists "+name+" with (force)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return addressOf(server, name)
}

// execute runs a statement in the cluster, outside the tests' databases.
func execute(server *devdb.Server, statement string) error {
	return connected(server, func(ctx context.Context, pool *sql.DB) error {
		if _, err := pool.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		return nil
	})
}

func connected(server *devdb.Server, do func(context.Context, *sql.DB) error) error {
	connector, err := pq.NewConnector(addressOf(server, "postgres"))
	if err != nil {
		return fmt.Errorf("read the cluster's address: %w", err)
	}
	pool := sql.OpenDB(connector)
	defer pool.Close() //nolint:errcheck // nothing is left to lose on this connection
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return do(ctx, pool)
}

// addressOf returns the address of another database of the server.
func addressOf(server *devdb.Server, name string) string {
	address, parameters, _ := strings.Cut(server.URL(), "?")
	return address[:strings.LastIndex(address, "/")+1] + url.PathEscape(name) + "?" + parameters
}

// PrivateWith is Private with settings of its own.
func PrivateWith(t testing.TB, more map[string]string) *devdb.Server {
	t.Helper()
	settings := maps.Clone(careless)
	maps.Copy(settings, more)
	return private(t, Dir(t), settings)
}

// read returns the one value that a query in the cluster gives.
func read(server *devdb.Server, query string) (value string, err error) {
	err = connected(server, func(ctx context.Context, pool *sql.DB) error { return pool.QueryRowContext(ctx, query).Scan(&value) })
	return value, err
}
