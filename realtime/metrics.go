package realtime

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/crash"
)

const (
	// metricsPace is the least time between two computations for one owner: a burst of
	// changes becomes one.
	metricsPace = 100 * time.Millisecond
	// metricsRetry is the pause after a computation that did not succeed.
	metricsRetry = time.Second
	// metricsParallel is how many computations run at once. Each is followed by a rest as
	// long as itself, up to metricsLongestPause: in a rush the numbers take no more of the
	// database than one connection would.
	metricsParallel = 2
	// metricsGather is the least time between the beginnings of two of these.
	metricsGather = 20 * time.Millisecond
	// metricsAtOnce is for how many owners one computation is.
	metricsAtOnce       = 200
	metricsLongestPause = time.Second
)

// MetricsSource computes an owner's numbers and what is shown beside them.
type MetricsSource interface {
	// Dashboards answers about some owners, or about none.
	Dashboards(ctx context.Context, ownerIDs []string, now time.Time) (map[string]db.Dashboard, error)
}

// dashboard is the answer about one owner.
type dashboard struct {
	db.Dashboard
	err error
}

// Metrics recomputes the numbers of owners that are watched: when something of
// theirs changed, and when the day does. They are state and not history: only the newest
// are published, and none is queued.
type Metrics struct {
	source MetricsSource
	bus    *Bus
	loc    *time.Location
	clock  Clock
	log    *slog.Logger
	slots  chan struct{} // held while computing, and for the rest after it
	loader db.Loader[string, dashboard]

	wake    chan struct{}       // tells Run that an owner waits
	mu      sync.Mutex          // guards what follows
	due     map[string]*refresh // owners that wait or are being refreshed
	waiting []string
}

// refresh is an owner's running computation; again asks for another after it. All who watch by its
// end are told, while it is computing.
type refresh struct{ again, computing bool }

// NewMetrics returns a Metrics that computes while Run runs.
func NewMetrics(source MetricsSource, bus *Bus, loc *time.Location, clock Clock, log *slog.Logger) *Metrics {
	m := &Metrics{source: source, bus: bus, loc: loc, clock: clock, log: log,
		slots: make(chan struct{}, metricsParallel), wake: make(chan struct{}, 1), due: make(map[string]*refresh)}
	m.loader.Ask, m.loader.Most, m.loader.Parallel, m.loader.Gather = m.ask, metricsAtOnce, metricsParallel, metricsGather
	return m
}

// Changed says that an owner's numbers may have changed. It does not block.
func (m *Metrics) Changed(ownerID string) {
	watched := ownerID != CanaryOwner && m.bus.IsWatched(ownerID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.due[ownerID]; r != nil {
		// Also where nobody watches just now: who comes before its end waits for its numbers.
		r.again = true
		return
	}
	if watched {
		m.begin(ownerID)
	}
}

// Demanded says that somebody begins to watch an owner whose numbers are not at hand. A computation
// that goes on is theirs too: when thousands come back at once, each owner is asked about once. It
// does not block.
func (m *Metrics) Demanded(ownerID string) {
	if ownerID == CanaryOwner {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch r := m.due[ownerID]; {
	case r == nil:
		m.begin(ownerID)
	case !r.computing:
		r.again = true
	}
}

// begin has an owner's numbers computed. The caller holds the lock.
func (m *Metrics) begin(ownerID string) {
	m.due[ownerID] = &refresh{computing: true}
	m.waiting = append(m.waiting, ownerID)
	signal(m.wake)
}

// ChangedAll says that everybody's numbers may have changed.
func (m *Metrics) ChangedAll() {
	for _, id := range m.bus.Watched() {
		m.Changed(id)
	}
}

// Run computes until ctx ends: what changed, and everything when a new day begins.
func (m *Metrics) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	midnight := db.NextMidnight(m.clock.Now(), m.loc)
	for ctx.Err() == nil {
		now := m.clock.Now()
		if !now.Before(midnight) { // whatever has woken us in its instant
			m.ChangedAll()
		}
		midnight = db.NextMidnight(now, m.loc)
		select {
		case <-ctx.Done():
		case <-m.wake:
			m.mu.Lock()
			waiting := m.waiting
			m.waiting = nil
			m.mu.Unlock()
			for _, id := range waiting {
				group.Go(func() { m.refresh(ctx, id) })
			}
		case <-m.clock.After(min(clockCheck, midnight.Sub(now))):
		}
	}
	return nil
}

// refresh computes and publishes until nothing changed any more.
func (m *Metrics) refresh(ctx context.Context, ownerID string) {
	defer crash.Report("metrics")
	m.mu.Lock()
	r := m.due[ownerID]
	m.mu.Unlock()
	for {
		pause := metricsPace
		if err := m.compute(ctx, ownerID, r); err != nil && ctx.Err() == nil {
			m.log.Warn("metrics could not be computed; trying again", "owner", ownerID, "error", err)
			pause = metricsRetry
			m.mu.Lock()
			r.again = true
			m.mu.Unlock()
		}
		sleep(ctx, pause)
		m.mu.Lock()
		if ctx.Err() != nil || !r.again || !m.bus.IsWatched(ownerID) {
			delete(m.due, ownerID)
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
	}
}

// ask computes for those who wait at the moment.
func (m *Metrics) ask(ctx context.Context, ownerIDs []string) (map[string]dashboard, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case m.slots <- struct{}{}:
	}
	begun := time.Now()
	defer func() { time.AfterFunc(min(time.Since(begun), metricsLongestPause), func() { <-m.slots }) }()
	found, err := m.source.Dashboards(ctx, ownerIDs, m.clock.Now())
	answers := make(map[string]dashboard, len(ownerIDs))
	switch {
	case db.Unavailable(err) || err != nil && len(ownerIDs) == 1:
		return nil, err
	case err != nil: // about one of them
		for _, id := range ownerIDs {
			found, err := m.source.Dashboards(ctx, []string{id}, m.clock.Now())
			answers[id] = dashboard{found[id], err}
		}
	default:
		for id, d := range found {
			answers[id] = dashboard{d, nil}
		}
	}
	return answers, nil
}

func (m *Metrics) compute(ctx context.Context, ownerID string, r *refresh) error {
	m.mu.Lock()
	r.again, r.computing = false, true // what changed up to here will be seen by the query
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		r.computing = false
		if !m.bus.hasState(ownerID) { // nobody watched then: who came meanwhile lacks it
			r.again = true
		}
	}()
	d, err := m.loader.Load(ctx, ownerID)
	if err = cmp.Or(err, d.err); err != nil {
		return err
	}
	now := m.clock.Now()
	metrics, err := NewMessage(MetricsUpdated, ownerID, now, d.Metrics)
	if err != nil {
		return err
	}
	overview, err := NewMessage(OverviewUpdated, ownerID, now, d.Overview)
	if err != nil {
		return err
	}
	m.bus.PublishState(metrics, true) // also unchanged: they were confirmed just now
	m.bus.PublishState(overview, false)
	return nil
}
