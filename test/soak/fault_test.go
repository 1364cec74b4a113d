package soak

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// fault is one way in which things go wrong. inject returns when it has ended; it reports
// whether it happened.
type fault struct {
	name   string
	inject func(ctx context.Context, s *soak, r *rand.Rand) bool
}

var allFaults = []fault{
	{"server kill -9", signalling(syscall.SIGKILL)},
	{"server stopped in order", signalling(syscall.SIGTERM)},
	{"PostgreSQL restart, fast", restarting(devdb.Fast)},
	{"PostgreSQL restart, immediate", restarting(devdb.Immediate)},
	{"PostgreSQL restart, kill -9", restarting(devdb.Kill)},
	{"listener's backend terminated", terminating(`query LIKE 'LISTEN%'`)},
	{"numbering's backend terminated", terminating(`pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = x'48520002'::bigint)`)},
	{"random backends terminated", terminating(`random() < 0.5`)},
	{"database connections cut", betweenDatabase(func(p *harness.Proxy) { p.Set(harness.Refuse); p.Cut() })},
	{"database network held", betweenDatabase(func(p *harness.Proxy) { p.Set(harness.Hold) })},
	{"database network half-open", betweenDatabase(func(p *harness.Proxy) { p.Set(harness.Blackhole) })},
	{"client sockets half-open", betweenClients(func(p *harness.Proxy) { p.Set(harness.Blackhole) })},
	{"client network held", betweenClients(func(p *harness.Proxy) { p.Set(harness.Hold) })},
	{"client sockets cut", betweenClients(func(p *harness.Proxy) { p.Cut() })},
	{"slow readers", slowReaders},
}

// faultTimes holds when faults happen: latency is measured in calm periods.
type faultTimes struct {
	mu     sync.Mutex // guards what follows
	active int
	since  time.Time // when the last fault ended
}

// recoveryTime is how long after a fault its effects may last.
const recoveryTime = 3 * time.Second

// begin says that a fault begins; the returned function, that it ends.
func (w *faultTimes) begin() (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.active--
		w.since = time.Now()
	}
}

// noneSince reports whether there was no fault from some time before a moment until now.
func (w *faultTimes) noneSince(at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active == 0 && at.After(w.since.Add(recoveryTime))
}

// faultSequence returns the kinds of fault: all in a random order, and again in another.
type faultSequence struct {
	mu   sync.Mutex // guards left
	left []int
}

func (d *faultSequence) next(r *rand.Rand, faults []fault) fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.left) == 0 {
		d.left = r.Perm(len(faults))
	}
	f := faults[d.left[0]]
	d.left = d.left[1:]
	return f
}

// inject injects one fault after the other until ctx ends.
func (s *soak) inject(ctx context.Context, r *rand.Rand) {
	for {
		rest(around(r, s.plan.calm), ctx.Done())
		if ctx.Err() != nil {
			return
		}
		f := s.sequence.next(r, s.plan.faults)
		end := s.faultTimes.begin()
		if f.inject(ctx, s, r) {
			s.report.fault(f.name)
		}
		end()
	}
}

func (s *soak) someServer(r *rand.Rand) *soakServer { return s.servers[r.IntN(len(s.servers))] }

func signalling(signal os.Signal) func(context.Context, *soak, *rand.Rand) bool {
	return func(ctx context.Context, s *soak, r *rand.Rand) bool {
		s.someServer(r).signal(signal)
		rest(upTo(r, s.plan.outage/2), ctx.Done())
		return true
	}
}

// killWhileSending kills a server when its clients have just begun to get something.
func killWhileSending(ctx context.Context, s *soak, r *rand.Rand) bool {
	begun := s.report.delivered.Load()
	enough := begun + int64(len(s.clients)) + r.Int64N(20*int64(len(s.clients)))
	if !within(harness.Timeout, func() bool { return ctx.Err() != nil || s.report.delivered.Load() >= enough }) {
		s.t.Errorf("clients got %d events in %s, want %d", s.report.delivered.Load()-begun, harness.Timeout, enough-begun)
		return false
	}
	s.someServer(r).signal(syscall.SIGKILL)
	return true
}

func restarting(mode devdb.Mode) func(context.Context, *soak, *rand.Rand) bool {
	return func(ctx context.Context, s *soak, r *rand.Rand) bool {
		whole := context.WithoutCancel(ctx) // what has ended must begin again
		if err := s.postgres.Halt(whole, mode); err != nil {
			s.t.Errorf("halt PostgreSQL: %v", err)
		}
		rest(upTo(r, s.plan.outage), ctx.Done())
		if err := s.postgres.Resume(whole); err != nil {
			s.t.Errorf("start PostgreSQL again: %v", err)
		}
		return true
	}
}

// terminating ends those backends of our servers that a condition selects.
func terminating(condition string) func(context.Context, *soak, *rand.Rand) bool {
	return func(ctx context.Context, s *soak, _ *rand.Rand) bool {
		n := 0
		err := s.portal.Pool.GetContext(context.WithoutCancel(ctx), &n, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = $1 AND `+condition, harness.ApplicationName)
		return err == nil && n > 0 // PostgreSQL may be away
	}
}

func betweenDatabase(inject func(*harness.Proxy)) func(context.Context, *soak, *rand.Rand) bool {
	return func(ctx context.Context, s *soak, r *rand.Rand) bool {
		return disrupt(ctx, s.someServer(r).database, inject, upTo(r, s.plan.outage))
	}
}

func betweenClients(inject func(*harness.Proxy)) func(context.Context, *soak, *rand.Rand) bool {
	return func(ctx context.Context, s *soak, r *rand.Rand) bool {
		return disrupt(ctx, s.someServer(r).public, inject, upTo(r, s.plan.outage))
	}
}

// disrupt lets a proxy misbehave for a while. Connections whose bytes were lost stay dead.
func disrupt(ctx context.Context, p *harness.Proxy, inject func(*harness.Proxy), d time.Duration) bool {
	inject(p)
	rest(d, ctx.Done())
	p.Set(harness.Pass)
	return true
}

// slowReaders has some clients read nothing for a while.
func slowReaders(ctx context.Context, s *soak, r *rand.Rand) bool {
	until := time.Now().Add(upTo(r, s.plan.stalled))
	for _, c := range s.clients {
		if r.IntN(5) == 0 {
			c.stalledUntil.Store(until.UnixNano())
		}
	}
	rest(time.Until(until), ctx.Done())
	return true
}
