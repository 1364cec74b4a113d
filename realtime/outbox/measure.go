package outbox

import (
	"context"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// statusNames are the words for how attempts end, in metrics.
var statusNames = map[Status]string{Sent: "sent", Again: "again", TooLarge: "refused", Gone: "gone", Ours: "ours", Refused: "refused"}

// tally counts how attempts and deliveries ended. The zero value is ready.
type tally struct {
	mu       sync.Mutex // guards what follows
	attempts map[[2]string]int64
	outcomes map[[2]string]int64
	// left counts what was left to other servers, by channel and by what this one does not have.
	left  map[[2]string]int64
	queue db.Queue
}

func (t *tally) attempt(channel db.Channel, status Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.attempts == nil {
		t.attempts = make(map[[2]string]int64)
	}
	t.attempts[[2]string{string(channel), statusNames[status]}]++
}

// What a server does not have, in metrics.
const (
	lacksChannel = "channel"
	lacksKey     = "key"
)

func (t *tally) leave(channel db.Channel, lacks string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == nil {
		t.left = make(map[[2]string]int64)
	}
	t.left[[2]string{string(channel), lacks}]++
}

func (t *tally) ended(channel db.Channel, outcome db.Outcome, n int) {
	if n == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outcomes == nil {
		t.outcomes = make(map[[2]string]int64)
	}
	t.outcomes[[2]string{string(channel), string(outcome)}] += int64(n)
}

// measure looks at the queue now and then, and removes what has ended long ago, until ctx ends.
func (o *Outbox) measure(ctx context.Context) {
	for n := 0; ; n++ {
		queue, err := o.Store.Queue(ctx)
		if err == nil {
			o.stats.mu.Lock()
			o.stats.queue = queue
			o.stats.mu.Unlock()
			if n%pruneEvery == 0 {
				err = o.Store.Prune(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			o.Log.Debug("the outbox could not be measured; trying again", "error", err)
		}
		if !sleep(ctx, measurePause) {
			return
		}
	}
}

// Collect implements stats.Collector.
func (o *Outbox) Collect() []stats.Stat {
	o.stats.mu.Lock()
	defer o.stats.mu.Unlock()
	age := 0.0
	if !o.stats.queue.Oldest.IsZero() {
		age = max(0, time.Since(o.stats.queue.Oldest).Seconds())
	}
	stopped, refusing := o.breakers.refusing(o.Now())
	list := []stats.Stat{
		stats.Gauge("hangarshare_outbox_waiting", "Deliveries that are due and have not been sent, counted up to 10000.", float64(o.stats.queue.Waiting)),
		stats.Gauge("hangarshare_outbox_oldest_seconds", "For how long the oldest of them has been due.", age),
		stats.Gauge("hangarshare_outbox_stopped_hosts", "Push services, mail servers and webhooks that refuse our key or password.", float64(stopped)),
		stats.Gauge("hangarshare_outbox_refusing_hosts", "Those, and hosts that refused us for one user within a day and have taken nothing since.", float64(refusing)),
	}
	for _, channel := range []db.Channel{db.ChannelPush, db.ChannelMail} {
		seen := make(map[string]bool)
		for _, status := range []Status{Sent, Again, Gone, Ours, Refused} {
			name := statusNames[status]
			if seen[name] {
				continue
			}
			seen[name] = true
			list = append(list, stats.Counter("hangarshare_delivery_attempts_total", "Attempts to send, by channel and by how they ended.",
				o.stats.attempts[[2]string{string(channel), name}]).With("channel", string(channel), "result", name))
		}
		for _, lacks := range []string{lacksChannel, lacksKey} {
			if channel == db.ChannelPush || lacks == lacksChannel {
				list = append(list, stats.Counter("hangarshare_deliveries_left_total", "How often a delivery was left to other servers, by channel and by what this one does not have.",
					o.stats.left[[2]string{string(channel), lacks}]).With("channel", string(channel), "lacks", lacks))
			}
		}
		for _, outcome := range db.Outcomes {
			list = append(list, stats.Counter("hangarshare_deliveries_total", "Deliveries that have ended, by channel and outcome.",
				o.stats.outcomes[[2]string{string(channel), string(outcome)}]).With("channel", string(channel), "outcome", string(outcome)))
		}
	}
	return list
}
