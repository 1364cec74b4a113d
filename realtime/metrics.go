package realtime

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// metricsPace is the least time between two computations for one owner: a burst of changes becomes one.
	metricsPace = 100 * time.Millisecond
	// metricsRetry is the pause after a computation that did not succeed.
	metricsRetry = time.Second
	// metricsParallel is how many computations run at once. Each is followed by a rest as long as itself, up to metricsRest: in a
	// rush the numbers take no more of the database than one connection would.
	metricsParallel = 2
	metricsRest     = time.Second
)

// MetricsSource computes an owner's numbers.
type MetricsSource interface {
	Metrics(ctx context.Context, ownerID string, now time.Time) (db.RealTimeMetrics, db.Validity, error)
}

// Metrics recomputes the numbers of owners that somebody watches: when something of theirs changed, and when the day
// does. They are state and not history: only the newest are published, and none is queued.
type Metrics struct {
	source MetricsSource
	bus    *Bus
	loc    *time.Location
	clock  Clock
	log    *slog.Logger
	places chan struct{} // held while computing, and for the rest after it

	wake    chan struct{}       // tells Run that somebody waits
	mu      sync.Mutex          // guards what follows
	due     map[string]*refresh // owners that wait or are being refreshed
	waiting []string
}

// refresh is an owner's running computation; again asks for another after it.
type refresh struct{ again bool }

// NewMetrics returns a Metrics that computes while Run runs.
func NewMetrics(source MetricsSource, bus *Bus, loc *time.Location, clock Clock, log *slog.Logger) *Metrics {
	return &Metrics{source: source, bus: bus, loc: loc, clock: clock, log: log,
		places: make(chan struct{}, metricsParallel), wake: make(chan struct{}, 1), due: make(map[string]*refresh)}
}

// Changed says that an owner's numbers may have changed. It does not block.
func (m *Metrics) Changed(ownerID string) {
	if !m.bus.IsWatched(ownerID) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.due[ownerID]; r != nil {
		r.again = true
		return
	}
	m.due[ownerID] = &refresh{}
	m.waiting = append(m.waiting, ownerID)
	select {
	case m.wake <- struct{}{}:
	default:
	}
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
		case <-m.clock.After(min(longestWait, midnight.Sub(now))):
		}
	}
	return nil
}

// refresh computes and publishes until nothing changed any more.
func (m *Metrics) refresh(ctx context.Context, ownerID string) {
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
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		m.mu.Lock()
		if ctx.Err() != nil || !r.again || !m.bus.IsWatched(ownerID) {
			delete(m.due, ownerID)
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
	}
}

func (m *Metrics) compute(ctx context.Context, ownerID string, r *refresh) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case m.places <- struct{}{}:
	}
	begun := time.Now()
	defer func() { time.AfterFunc(min(time.Since(begun), metricsRest), func() { <-m.places }) }()
	m.mu.Lock()
	r.again = false // what changed up to here will be seen by the query
	m.mu.Unlock()
	now := m.clock.Now()
	numbers, _, err := m.source.Metrics(ctx, ownerID, now)
	if err != nil {
		return err
	}
	e, err := NewMessage(MetricsUpdated, ownerID, now, numbers)
	if err != nil {
		return err
	}
	m.bus.PublishMetrics(e)
	return nil
}
