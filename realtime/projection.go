package realtime

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// prunePause is how often what no longer counts is removed from the projection, and the bookings
// that are left out are counted.
const prunePause = time.Hour

// Projection is the View behind the snapshots.
type Projection interface {
	View
	Prune(ctx context.Context, now time.Time) error
	Compare(ctx context.Context, ownerID string, now time.Time) (trusted bool, found *db.Difference, err error)
	Invalidate(ctx context.Context, ownerID string) error
	LeftOut(ctx context.Context) (map[string]int64, error)
}

// ProjectionMaintainer has the projection kept up to date and compared with the tables, and counts
// the bookings that it leaves out.
type ProjectionMaintainer struct {
	Projection Projection
	Clock      Clock
	// Leading reports whether this server numbers the log. The others look seldom. nil: it does.
	Leading func() bool
	Log     *slog.Logger

	valid   atomic.Bool
	pruned  time.Time
	leftOut atomic.Pointer[map[string]int64]
}

// Collect implements stats.Collector.
func (m *ProjectionMaintainer) Collect() (list []stats.Stat) {
	list = append(list, stats.Flag("hangarshare_ledger_valid", "1 while snapshots are read from the projection, 0 while from the tables; as this server last found it.", m.valid.Load()))
	for reason, n := range m.lastLeftOut() {
		list = append(list, stats.Gauge("hangarshare_bookings_left_out", "Bookings that some figures leave out, because their rows lack a hangar, "+
			"a status, an amount or dates; counted each hour.", float64(n)).With("reason", reason))
	}
	return list
}

// lastLeftOut returns how many bookings were left out of some figures at the last count, by reason.
func (m *ProjectionMaintainer) lastLeftOut() map[string]int64 {
	if counts := m.leftOut.Load(); counts != nil {
		return *counts
	}
	return nil
}

// Run keeps the projection until ctx ends.
func (m *ProjectionMaintainer) Run(ctx context.Context) error {
	keeping := maintainer{
		view: m.Projection, clock: m.Clock, log: m.Log, leading: m.Leading, check: m.check, prune: m.prune, valid: &m.valid,
		unkept: "the projection is not kept; snapshots are computed from the tables; trying again", built: "the projection was built",
	}
	return keeping.run(ctx)
}

// prune does what is due each hour.
func (m *ProjectionMaintainer) prune(ctx context.Context, now time.Time) error {
	if now.Sub(m.pruned) < prunePause && !now.Before(m.pruned) {
		return nil
	}
	if err := m.Projection.Prune(ctx, now); err != nil {
		return err
	}
	m.pruned = now
	return m.count(ctx)
}

// count counts the bookings that are left out, and says so when there are more than before.
func (m *ProjectionMaintainer) count(ctx context.Context) error {
	counts, err := m.Projection.LeftOut(ctx)
	if err != nil {
		return err
	}
	before := m.lastLeftOut()
	for reason, n := range counts {
		if n > before[reason] {
			m.Log.Warn("bookings whose rows lack something are left out of the figures that need it", "reason", reason, "bookings", n)
		}
	}
	m.leftOut.Store(&counts)
	return nil
}

// check compares an owner's numbers. Where they differ, the projection is built anew.
func (m *ProjectionMaintainer) check(ctx context.Context, ownerID string, now time.Time) (passed bool, err error) {
	trusted, found, err := m.Projection.Compare(ctx, ownerID, now)
	if err != nil {
		return false, err
	}
	if found != nil {
		m.Log.Error("the projection differs from the tables: it is built anew, and the owner's browsers load their numbers again", "owner", ownerID, "projection", found.Projection, "tables", found.Tables)
		return false, m.Projection.Invalidate(ctx, ownerID)
	}
	return trusted, nil
}
