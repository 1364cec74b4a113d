package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxLatencies bounds the memory of the report.
	maxLatencies = 1 << 20
	// maxFailures is how many failures are told in words; all are counted.
	maxFailures = 25
)

// soakReport is what a soak found.
type soakReport struct {
	plan    soakPlan
	began   time.Time
	events  int
	catchUp time.Duration
	behind  string // what was last missing before everybody had caught up

	committed, rolledBack, unknown, held      atomic.Int64
	delivered, reconnects, abandoned          atomic.Int64
	goodbyes, tooSlow                         atomic.Int64
	lost, doubled, foreign, resyncs, failures atomic.Int64

	mu        sync.Mutex // guards what follows
	faults    map[string]int
	latencies []float32 // milliseconds
}

func (r *soakReport) begin(plan soakPlan) {
	r.plan, r.began, r.faults = plan, time.Now(), make(map[string]int)
}

func (r *soakReport) fault(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[name]++
}

func (r *soakReport) latency(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.latencies) < maxLatencies {
		r.latencies = append(r.latencies, float32(d.Seconds()*1000))
	}
}

// fail counts a failure and tells the first of them.
func (s *soak) fail(format string, arguments ...any) {
	if s.report.failures.Add(1) <= maxFailures {
		s.t.Errorf("seed %d, after %s: %s", s.plan.seed, time.Since(s.report.began).Round(time.Millisecond), fmt.Sprintf(format, arguments...))
	}
}

// String returns the report as it is printed.
func (r *soakReport) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	line := func(name, format string, arguments ...any) {
		fmt.Fprintf(&b, "  %-28s %s\n", name, fmt.Sprintf(format, arguments...))
	}
	fmt.Fprintf(&b, "delivery oracle\n")
	line("seed", "%d", r.plan.seed)
	line("duration", "%s, then caught up in %s", r.plan.duration, r.catchUp.Round(time.Millisecond))
	line("servers, clients, writers", "%d, %d, %d, for %d owners", r.plan.servers, r.plan.clients, r.plan.writers, r.plan.owners)
	line("transactions", "%d committed, %d rolled back, %d whose answer was lost, %d held open", r.committed.Load(), r.rolledBack.Load(),
		r.unknown.Load(), r.held.Load())
	line("events", "%d rows logged, %d delivered", r.events, r.delivered.Load())
	total := 0
	for _, n := range r.faults {
		total += n
	}
	line("faults", "%d", total)
	for _, f := range r.plan.faults {
		line("  "+f.name, "%d", r.faults[f.name])
	}
	line("reconnects", "%d, after %d goodbyes, %d cut as too slow, %d left half-open", r.reconnects.Load(), r.goodbyes.Load(), r.tooSlow.Load(),
		r.abandoned.Load())
	line("lost", "%d", r.lost.Load())
	line("doubled", "%d", r.doubled.Load())
	line("foreign", "%d", r.foreign.Load())
	line("resync", "%d", r.resyncs.Load())
	line("failures of any kind", "%d", r.failures.Load())
	slices.Sort(r.latencies)
	at := func(share float64) float32 { return r.latencies[int(share*float64(len(r.latencies)-1))] }
	if len(r.latencies) > 0 {
		line("commit to client, calm", "p50 %.1f ms, p95 %.1f ms, p99 %.1f ms (%d measured)", at(0.5), at(0.95), at(0.99), len(r.latencies))
	} else {
		line("commit to client, calm", "no calm period was long enough")
	}
	return b.String()
}
