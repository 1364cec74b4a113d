package db_test

import (
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestNotifierWaitsForNoDisk has whatever writes wait for a standby that never comes, as it waits
// for a slow disk: what one server tells the others does not wait with it.
func TestNotifierWaitsForNoDisk(t *testing.T) {
	t.Parallel()
	portal := dbtest.Install(t, dbtest.Private(t).URL())
	heard := make(chan string, 1)
	listener, err := db.NewListener(portal.URL, portal.URL, &db.Dialer{}, quiet)
	must(t, err)
	listener.Received = func(message []byte) { heard <- string(message) }
	runListener(t, listener)
	proven(t, listener, true)
	other, err := db.NewListener(portal.URL, portal.URL, &db.Dialer{}, quiet)
	must(t, err)
	portal.Exec(t, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
	portal.Exec(t, `SELECT pg_reload_conf()`)
	portal.Exec(t, `CHECKPOINT`)
	written, told, over := make(chan error, 1), make(chan error, 1), make(chan struct{})
	go func() { // until one waits: PostgreSQL's processes read their settings each in their time
		for {
			_, err := portal.Pool.Exec(`SELECT pg_logical_emit_message(true, 'a', 'write')`)
			select {
			case <-over:
			default:
				if err == nil {
					continue
				}
			}
			written <- err
			return
		}
	}()
	waiting := func() (n int) {
		must(t, portal.Pool.Get(&n, `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`))
		return n
	}
	eventually(t, "a write that waits", func() bool { return waiting() == 1 })
	go func() { told <- db.NewNotifier(portal.Pool, other).Notify(t.Context(), []byte("a batch")) }()
	eventually(t, "told", func() bool {
		if waiting() > 1 {
			t.Fatal("a notification waits for the standby")
		}
		return len(heard) == 1
	})
	must(t, <-told)
	if message := <-heard; message != "a batch" {
		t.Errorf("heard %q", message)
	}
	close(over)
	portal.Exec(t, `ALTER SYSTEM RESET synchronous_standby_names`)
	portal.Exec(t, `SELECT pg_reload_conf()`)
	must(t, <-written)
}
