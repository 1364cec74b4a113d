package eventlog_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"runtime"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// overTCP returns a portal in a cluster of the test's own, and its address by TCP, as portals have
// it: the tests' PostgreSQL is reached by a unix socket otherwise. Its port is every cluster's, its
// address this one's.
func overTCP(t *testing.T) (p *dbtest.Portal, address string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("this system has one loopback address")
	}
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	server := dbtest.PrivateWith(t, map[string]string{"listen_addresses": host})
	p = dbtest.Install(t, server.URL())
	var rules string
	must(t, p.Pool.Get(&rules, `SHOW hba_file`))
	must(t, os.WriteFile(rules, []byte("local all all trust\nhost all all 127.0.0.0/8 trust\n"), 0o600))
	p.Exec(t, `SELECT pg_reload_conf()`)
	u, err := url.Parse(server.URL())
	must(t, err)
	q := u.Query()
	q.Set("host", host)
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return p, u.String()
}

// TestHolderThatIsAloneCannotBeSentTo has the only server freeze while PostgreSQL sends to it.
// Nobody is there to end its session, and PostgreSQL gives it up by itself: the lock is free when
// somebody comes.
func TestHolderThatIsAloneCannotBeSentTo(t *testing.T) {
	t.Parallel()
	p, address := overTCP(t)
	proxy := newPausableProxy(t, address)
	listener, err := db.NewListener(p.URL, p.URL, &db.Dialer{}, slog.New(slog.DiscardHandler))
	must(t, err)
	sequencer := eventlog.NewSequencer(dbtest.Open(t, proxy.url).Pool, listener, slog.New(slog.DiscardHandler))
	defer sequencer.Release()
	eventually(t, "held", func() bool {
		_, err := sequencer.Acquire(t.Context(), eventlog.Published{})
		return err == nil
	})
	defer proxy.close() // or giving the numbering up would wait for it
	p.Exec(t, `INSERT INTO realtime.events (owner_id, type, data) SELECT '1', 'changed', json_build_object('text', repeat(md5(i::text), 60)) FROM generate_series(1, 4000) i`)
	proxy.shut()
	frozen := make(chan error, 1)
	go func() {
		_, err := sequencer.Number(context.Background())
		frozen <- err
	}()
	holder := func() (event sql.NullString, err error) {
		err = p.Pool.Get(&event, `SELECT wait_event FROM pg_stat_activity a JOIN realtime.installation i ON a.pid = i.holder_pid`)
		return event, err
	}
	eventually(t, "stuck", func() bool {
		event, err := holder()
		return err == nil && event.String == "ClientWrite"
	})
	eventually(t, "given up", func() bool {
		_, err := holder()
		return errors.Is(err, sql.ErrNoRows)
	})
	proxy.close()
	if err := <-frozen; err == nil {
		t.Error("who was frozen still numbers")
	}
}
