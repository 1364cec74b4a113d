package db

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

const (
	// clockPause is how often the difference of the clocks is measured, and clockSamples of how
	// many measurements the shortest counts: what a slow network added to the others is not known.
	clockPause   = time.Second
	clockSamples = 8
)

// Clock measures by how much PostgreSQL's clock is ahead of this machine's: its answer less the
// middle between question and answer (Cristian's algorithm).
type Clock struct {
	pool   *sqlx.DB
	offset atomic.Int64 // nanoseconds
}

// NewClock returns a Clock that has measured nothing: no difference.
func NewClock(pool *sqlx.DB) *Clock { return &Clock{pool: pool} }

// Offset returns what to add to this machine's time for PostgreSQL's.
func (c *Clock) Offset() time.Duration { return time.Duration(c.offset.Load()) }

// Age returns how long ago a moment of PostgreSQL's clock was.
func (c *Clock) Age(at time.Time) time.Duration { return time.Since(at) + c.Offset() }

// Collect implements stats.Collector.
func (c *Clock) Collect() []stats.Stat {
	return []stats.Stat{stats.Gauge("hangarshare_clock_offset_seconds",
		"By how much PostgreSQL's clock is ahead of this server's. Ages are corrected by it.", c.Offset().Seconds())}
}

// Run measures until ctx ends.
func (c *Clock) Run(ctx context.Context) error {
	type sample struct{ took, offset time.Duration }
	var samples []sample
	ticker := time.NewTicker(clockPause)
	defer ticker.Stop()
	for {
		if took, offset, err := c.measure(ctx); err == nil {
			samples = append(samples, sample{took, offset})
			if len(samples) > clockSamples {
				samples = samples[1:]
			}
			best := samples[0]
			for _, s := range samples {
				if s.took <= best.took {
					best = s
				}
			}
			c.offset.Store(int64(best.offset))
		} else {
			samples = nil // another server may answer next
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (c *Clock) measure(ctx context.Context) (took, offset time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, changesTimeout)
	defer cancel()
	var there time.Time
	before := time.Now()
	if err := c.pool.QueryRowxContext(ctx, `SELECT clock_timestamp()`).Scan(&there); err != nil {
		return 0, 0, err
	}
	took = time.Since(before)
	return took, there.Sub(before.Add(took / 2)), nil
}
