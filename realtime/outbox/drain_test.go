package outbox_test

import (
	"context"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/outbox"
)

// taker takes every message at once.
type taker struct{ taken atomic.Int64 }

func (*taker) Host(outbox.Message) string { return "taker" }

func (k *taker) Send(context.Context, outbox.Message) outbox.Result {
	k.taken.Add(1)
	return outbox.Result{Status: outbox.Sent}
}

// timed is the database with the time that each kind of question took at most.
type timed struct {
	outbox.Store
	mu      sync.Mutex // guards what follows
	longest map[string]time.Duration
	over    int
}

func (s *timed) took(what string, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := time.Since(began)
	s.longest[what] = max(s.longest[what], d)
	if d > 20*time.Millisecond {
		s.over++
	}
}

func (s *timed) Claim(ctx context.Context, limit int) ([]db.ClaimedDelivery, error) {
	defer s.took("claim", time.Now())
	return s.Store.Claim(ctx, limit)
}

func (s *timed) Open(ctx context.Context, c db.ClaimedDelivery) (db.OpenedDelivery, error) {
	defer s.took("open", time.Now())
	return s.Store.Open(ctx, c)
}

func (s *timed) Finish(ctx context.Context, c db.ClaimedDelivery, outcome db.Outcome, code int) error {
	defer s.took("finish", time.Now())
	return s.Store.Finish(ctx, c, outcome, code)
}

func (s *timed) Details(ctx context.Context, d db.OpenedDelivery) (db.NotificationDetails, error) {
	defer s.took("details", time.Now())
	return s.Store.Details(ctx, d)
}

func (s *timed) Queue(ctx context.Context) (db.Queue, error) {
	defer s.took("queue", time.Now())
	return s.Store.Queue(ctx)
}

// TestDrain sends what has piled up by two servers, each once. OUTBOX_WAITING=100000 is the long
// form, which tells how long each kind of question took at most.
func TestDrain(t *testing.T) {
	waiting, err := strconv.Atoi(os.Getenv("OUTBOX_WAITING"))
	if err != nil {
		t.Parallel()
		waiting = 1000
	}
	h := newHouse(t, nil)
	h.Exec(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at, created_at, severity)
		SELECT $1, 'overbooked', n::text, n::text, n, n, now(), now() - interval '1 hour', 2 FROM generate_series(1, $2::int) n`, h.owner.ID, waiting)
	h.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, not_before, expires_at)
		SELECT id, $1, 'mail', now() - interval '1 hour' + id * interval '1 microsecond', now() + interval '1 day' FROM realtime.notifications`, h.owner.UserID)
	h.Exec(t, `ANALYZE realtime.deliveries`)
	sink := &taker{}
	store := &timed{Store: h.deliveries, longest: map[string]time.Duration{}}
	servers := []interface{ Run(context.Context) error }{}
	for range 2 {
		o := h.outbox(t)
		o.Store, o.Senders, o.PublicURL = store, map[db.Channel]outbox.Sender{db.ChannelMail: sink}, ""
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
	if n := h.ID(t, `SELECT count(*)::text FROM realtime.deliveries WHERE outcome = 'sent' AND attempts = 1`); n != strconv.Itoa(waiting) || sink.taken.Load() != int64(waiting) {
		t.Errorf("%s of %d are sent at the first attempt, by %d messages", n, waiting, sink.taken.Load())
	}
	t.Logf("%d deliveries in %s, %.0f/s; longest %v; %d questions took more than 20 ms", waiting, took, float64(waiting)/took.Seconds(), store.longest, store.over)
}
