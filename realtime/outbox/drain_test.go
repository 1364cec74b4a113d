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
				counts[what]++
			}
		}
		return counts
	}
}

// TestDrain sends what has piled up by two servers, each once. OUTBOX_WAITING=100000 is the long
// form, which tells what took PostgreSQL longer than 20 ms.
func TestDrain(t *testing.T) {
	waiting, err := strconv.Atoi(os.Getenv("OUTBOX_WAITING"))
	if err != nil {
		t.Parallel()
		waiting = 1000
	}
	portal, slow := loggingPortal(t)
	h := newHouseOn(t, portal, nil)
	h.Exec(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at, created_at, severity)
		SELECT $1, 'overbooked', n::text, n::text, n, n, now(), now() - interval '1 hour', 2 FROM generate_series(1, $2::int) n`, h.owner.ID, waiting)
	h.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, not_before, expires_at)
		SELECT id, $1, 'mail', now() - interval '1 hour' + id * interval '1 microsecond', now() + interval '1 day' FROM realtime.notifications`, h.owner.UserID)
	h.Exec(t, `ANALYZE realtime.deliveries`)
	sink := &taker{}
	before := slow()
	servers := []interface{ Run(context.Context) error }{}
	for range 2 {
		o := h.outbox(t)
		o.Senders, o.PublicURL = map[db.Channel]outbox.Sender{db.ChannelMail: sink}, ""
		servers = append(servers, o)
	}
	began := time.Now()
	stop := run(t, servers...)
	for tick := time.NewTicker(20 * time.Millisecond); sink.taken.Load() < int64(waiting); <-tick.C {
		if time.Since(began) > 10*time.Minute {
			t.Fatalf("%d of %d are sent", sink.taken.Load(), waiting)
		}
	}
	took := time.Since(began)
	stop()
	longer := slow()
	for what, n := range before {
		longer[what] -= n
	}
	if n := h.ID(t, `SELECT count(*)::text FROM realtime.deliveries WHERE outcome = 'sent' AND attempts = 1`); n != strconv.Itoa(waiting) || sink.taken.Load() != int64(waiting) {
		t.Errorf("%s of %d are sent at the first attempt, by %d messages", n, waiting, sink.taken.Load())
	}
	t.Logf("%d deliveries in %s, %.0f/s; longer than 20 ms: %v", waiting, took, float64(waiting)/took.Seconds(), longer)
}
