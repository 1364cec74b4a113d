package realtime

import (
	"context"
	"log/slog"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

const (
	// CanaryOwner is the owner of the events that servers send themselves, to measure by: no
	// owner's id begins so.
	CanaryOwner = eventlog.TypeProbe
	// probeInterval is how often the server that numbers the log writes a row to measure by, and
	// probeTimeout bounds that.
	probeInterval = 5 * time.Second
	probeTimeout  = 3 * time.Second
)

// Measures are how old events are on their way, by PostgreSQL's clock. A nil Measures measures
// nothing.
type Measures struct {
	Age func(at time.Time) time.Duration // how long ago a moment of the database's clock was

	numbered, sent    *stats.Histogram
	published, handed *stats.Histogram
	rows              *stats.Histogram
}

// NewMeasures returns Measures that have measured nothing.
func NewMeasures(age func(at time.Time) time.Duration) *Measures {
	const ages = "How old events are, from the start of their transaction, corrected by the measured difference of the clocks."
	const canary = "How long rows take that a server writes to measure by, from before their commit to the bus and to a session of the server's own."
	return &Measures{
		Age:       age,
		numbered:  stats.NewHistogram("hangarshare_event_age_seconds", ages, stats.Seconds, "stage", "numbered"),
		sent:      stats.NewHistogram("hangarshare_event_age_seconds", ages, stats.Seconds, "stage", "sent"),
		published: stats.NewHistogram("hangarshare_canary_seconds", canary, stats.Seconds, "stage", "published"),
		handed:    stats.NewHistogram("hangarshare_canary_seconds", canary, stats.Seconds, "stage", "handed"),
		rows: stats.NewHistogram("hangarshare_batch_rows", "Rows of the batches that this server numbered and read at once.",
			[]float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000}, "", ""),
	}
}

// Collect implements stats.Collector.
func (m *Measures) Collect() []stats.Stat {
	return []stats.Stat{m.numbered.Stat(), m.sent.Stat(), m.published.Stat(), m.handed.Stat(), m.rows.Stat()}
}

// Numbered notes that a change got its place in the log and was read.
func (m *Measures) Numbered(c eventlog.Change) {
	if m != nil {
		m.numbered.Since(m.Age(c.At))
	}
}

// Batch notes how many rows a batch has.
func (m *Measures) Batch(rows int) {
	if m != nil {
		m.rows.Observe(float64(rows))
	}
}

// Sent notes that events were handed to a connection as they came, replays left out.
func (m *Measures) Sent(events []*Event) {
	if m == nil {
		return
	}
	for _, e := range events {
		if !e.At.IsZero() {
			m.sent.Since(m.Age(e.At))
		}
	}
}

// Published notes that the bus has a canary.
func (m *Measures) Published(at time.Time) {
	if m != nil {
		m.published.Since(m.Age(at))
	}
}

// Handed notes that a session has it.
func (m *Measures) Handed(e *Event) {
	if m != nil && e.Type == eventlog.TypeProbe {
		m.handed.Since(m.Age(e.canaryAt))
	}
}

// canary is the event of a row to measure by.
func canary(c eventlog.Change) *Event {
	return &Event{Position: c.Position, OwnerID: CanaryOwner, Type: eventlog.TypeProbe, JSON: []byte("{}"), canaryAt: c.At}
}

// Prober has rows written to measure by, on the server that numbers the log: every server measures
// how long they take.
type Prober struct {
	Leading func() bool
	Probe   func(ctx context.Context) error
	Log     *slog.Logger
}

// Run implements the service until ctx ends.
func (p *Prober) Run(ctx context.Context) error {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		if p.Leading() {
			probing, cancel := context.WithTimeout(ctx, probeTimeout)
			if err := p.Probe(probing); err != nil && ctx.Err() == nil {
				p.Log.Debug("no row to measure by could be written", "error", err)
			}
			cancel()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
