package outbox_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

// taker takes every message at once.
type taker struct{ taken atomic.Int64 }

func (*taker) Host(outbox.Message) string { return "taker" }

func (k *taker) Send(context.Context, outbox.Message) outbox.Result {
	k.taken.Add(1)
	return outbox.Result{Status: outbox.Sent}
}

// loggingPortal is a portal in a cluster of its own, which logs each statement that takes longer
// than 20 ms: how long one takes is told by PostgreSQL, not by who waits for a processor too.
func loggingPortal(t *testing.T) (portal *dbtest.Portal, slow func() map[string]int) {
	t.Helper()
	cluster := dbtest.PrivateWith(t, map[string]string{"logging_collector": "on", "log_directory": "slow", "log_filename": "all.log",
		"log_rotation_age": "0", "log_rotation_size": "0", "log_line_prefix": "", "log_min_duration_statement": "20"})
	portal = dbtest.Open(t, cluster.URL())
	if err := demo.CreateSchema(t.Context(), portal.Pool); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), portal.URL, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(portal.ID(t, `SELECT current_setting('data_directory')`), "slow", "all.log")
	begin, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return portal, func() map[string]int {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		counts := make(map[string]int)
		for _, line := range strings.Split(string(text[len(begin):]), "\n") {
			if _, what, ok := strings.Cut(line, " ms  "); ok && strings.Contains(line, "duration: ") {
				step, query, _ := strings.Cut(what, ": ")
				step, _, _ = strings.Cut(step, " ") // each session numbers its own statements
				counts[step+" "+query]++
			}
		}
		return counts
	}
}

// floor is a statement that costs next to nothing, asked again and again beside what is measured:
// what PostgreSQL takes for it is what the machine takes.
const floorStatement = `UPDATE floor SET n = n + 1 WHERE id = $1`

// beside asks the floor until stop is called, which returns how often it was asked.
func beside(t *testing.T, portal *dbtest.Portal) (stop func() int) {
	t.Helper()
	portal.Exec(t, `CREATE TABLE floor (id int PRIMARY KEY, n bigint NOT NULL) WITH (fillfactor = 10)`)
	portal.Exec(t, `INSERT INTO floor VALUES (1, 0)`)
	statement, err := portal.Pool.Preparex(floorStatement)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				done <- n
				return
			case <-tick.C:
				if _, err := statement.Exec(1); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	return func() int {
		cancel()
		defer statement.Close()
		return <-done
	}
}

// TestDrain sends what has piled up of several accounts by two servers, each once.
// OUTBOX_WAITING=100000 is the long form, which tells what took PostgreSQL longer than 20 ms, and
// how much of it is the machine's.
func TestDrain(t *testing.T) {
	const accounts = 20
	waiting, err := strconv.Atoi(os.Getenv("OUTBOX_WAITING"))
	if err != nil {
		t.Parallel()
		waiting = 1000
	}
	portal, slow := loggingPortal(t)
	h := newHouseOn(t, portal, nil)
	owners := []dbtest.Owner{h.owner}
	for len(owners) < accounts {
		owners = append(owners, h.AddOwner(t, 1))
	}
	for i, owner := range owners {
		h.Exec(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at, created_at, severity, facts)
			SELECT $1, 'overbooked', n::text, n::text, n, n, now(), now() - interval '1 hour', 2, json_build_object('bookingId', $4::text)
			FROM generate_series($2::int, $3::int) n`, owner.ID, waiting*i/accounts+1, waiting*(i+1)/accounts, h.Book(t, owner.Hangars[0], h.guest))
		h.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, not_before, expires_at)
			SELECT id, $1, 'mail', now() - interval '1 hour' + key::int % $3 * interval '1 microsecond', now() + interval '1 day'
			FROM realtime.notifications WHERE owner_id = $2`, owner.UserID, owner.ID, waiting/accounts)
	}
	h.Exec(t, `ANALYZE realtime.deliveries`)
	h.Exec(t, `ANALYZE realtime.notifications`)
	sink := &taker{}
	servers := []interface{ Run(context.Context) error }{}
	for range 2 {
		store, err := db.NewStore(t.Context(), h.Pool, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		dbtest.Must(t, store.Prepare(t.Context()))
		o := h.outbox(t)
		o.Store, o.Senders, o.PublicURL = db.NewDeliveries(store), map[db.Channel]outbox.Sender{db.ChannelMail: sink}, ""
		servers = append(servers, o)
	}
	const transactions = `SELECT xact_commit::text FROM pg_stat_database WHERE datname = current_database()`
	before, committed := slow(), h.ID(t, transactions)
	floor := beside(t, portal)
	began := time.Now()
	stop := run(t, servers...)
	for tick := time.NewTicker(20 * time.Millisecond); sink.taken.Load() < int64(waiting); <-tick.C {
		if time.Since(began) > 10*time.Minute {
			t.Fatalf("%d of %d are sent", sink.taken.Load(), waiting)
		}
	}
	took := time.Since(began)
	stop()
	asked := floor()
	longer, floors, total := slow(), 0, 0
	for what := range longer {
		longer[what] -= before[what]
		if total += longer[what]; strings.Contains(what, floorStatement) {
			floors += longer[what]
		}
	}
	if n := h.ID(t, `SELECT count(*)::text FROM realtime.deliveries WHERE outcome = 'sent' AND attempts = 1`); n != strconv.Itoa(waiting) || sink.taken.Load() != int64(waiting) {
		t.Errorf("%s of %d are sent at the first attempt, by %d messages", n, waiting, sink.taken.Load())
	}
	h.Exec(t, `SELECT pg_stat_clear_snapshot()`)
	statements := h.ID(t, `SELECT (xact_commit - $1::bigint - $2::bigint)::text FROM pg_stat_database WHERE datname = current_database()`, committed, asked)
	t.Logf("%d deliveries in %s, %.0f/s; longer than 20 ms: %d of %s statements, and %d of %d of the floor: %v",
		waiting, took, float64(waiting)/took.Seconds(), total-floors, statements, floors, asked, longer)
}
