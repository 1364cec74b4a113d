package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/devdb"
)

func TestMain(m *testing.M) { Main(m) }

// with runs work on a connection that is closed afterwards.
func with(ctx context.Context, databaseURL string, work func(*sql.DB) error) error {
	connector, err := pq.NewConnector(databaseURL)
	if err != nil {
		return err
	}
	pool := sql.OpenDB(connector)
	return errors.Join(work(pool), pool.Close())
}

func must(t *testing.T, databaseURL, statement string) {
	t.Helper()
	err := with(t.Context(), databaseURL, func(pool *sql.DB) error {
		_, err := pool.ExecContext(t.Context(), statement)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t *testing.T, databaseURL, query string) (n int) {
	t.Helper()
	err := with(t.Context(), databaseURL, func(pool *sql.DB) error {
		return pool.QueryRowContext(t.Context(), query).Scan(&n)
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	var dropped []string
	t.Run("each has its own", func(t *testing.T) {
		for range 2 {
			databaseURL := Empty(t)
			must(t, databaseURL, "create table mine (number integer)")
			dropped = append(dropped, databaseURL)
		}
	})
	for _, databaseURL := range dropped {
		err := with(t.Context(), databaseURL, func(pool *sql.DB) error { return pool.PingContext(t.Context()) })
		var refused *pq.Error
		if !errors.As(err, &refused) || refused.Code != "3D000" {
			t.Errorf("the database is still there: %v", err)
		}
	}
}

func TestClone(t *testing.T) {
	t.Parallel()
	var prepared atomic.Int32
	name := fmt.Sprint("numbers ", number.Add(1)) // a new one each time the test runs
	prepare := func(databaseURL string) error {
		prepared.Add(1)
		return with(context.Background(), databaseURL, func(pool *sql.DB) error {
			_, err := pool.Exec("create table original as select generate_series(1, 10) as number")
			return err
		})
	}
	t.Run("copies", func(t *testing.T) {
		for i := range 6 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				databaseURL := Clone(t, name, prepare)
				must(t, databaseURL, "insert into original values (11)")
				if got := count(t, databaseURL, "select count(*) from original"); got != 11 {
					t.Errorf("%d rows, want 11", got)
				}
			})
		}
	})
	if got := prepared.Load(); got != 1 {
		t.Errorf("prepared %d times", got)
	}
}

func TestServerSettings(t *testing.T) {
	t.Parallel()
	if first := Server(t); Server(t) != first {
		t.Error("two shared clusters")
	}
	if got := count(t, Server(t).URL(), "select setting::integer from pg_settings where name = 'max_connections'"); got < 200 {
		t.Errorf("%d connections", got)
	}
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	var databaseURL, dir string
	t.Run("what was committed survives a kill", func(t *testing.T) {
		server := Private(t)
		databaseURL = server.URL()
		must(t, databaseURL, "create table kept as select 7 as number")
		if err := server.Restart(t.Context(), devdb.Kill); err != nil {
			t.Fatal(err)
		}
		if got := count(t, databaseURL, "select number from kept"); got != 7 {
			t.Errorf("got %d", got)
		}
		dir = Dir(t)
	})
	if err := with(t.Context(), databaseURL, func(pool *sql.DB) error { return pool.PingContext(t.Context()) }); err == nil {
		t.Error("the cluster outlived its test")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory outlived its test: %v", err)
	}
}

func BenchmarkClone(b *testing.B) {
	for b.Loop() {
		Clone(b, "benchmark", func(string) error { return nil })
	}
}
