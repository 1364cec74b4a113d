package realtime

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// TrendKeeper is the View from which trends are read.
type TrendKeeper interface {
	View
	Check(ctx context.Context, ownerID string) (differ int64, err error)
	Invalidate(ctx context.Context) error
}

// TrendMaintainer has trends kept up to date and compared with the tables.
type TrendMaintainer struct {
	Keeper TrendKeeper
	Clock  Clock
	// Leading reports whether this server numbers the log. The others look seldom. nil: it does.
	Leading func() bool
	Log     *slog.Logger

	valid atomic.Bool
}

// Collect implements stats.Collector.
func (m *TrendMaintainer) Collect() []stats.Stat {
	return []stats.Stat{stats.Flag("hangarshare_trends_valid", "1 while trends are read from what is kept, 0 while from the tables; as this server last found it.", m.valid.Load())}
}

// Run keeps the trends until ctx ends.
func (m *TrendMaintainer) Run(ctx context.Context) error {
	keeping := maintainer{
		view: m.Keeper, clock: m.Clock, log: m.Log, leading: m.Leading, check: m.check, valid: &m.valid,
		unkept: "trends are not kept; they are computed from the tables; trying again", built: "the trends were built",
	}
	return keeping.run(ctx)
}

// check compares an owner's sums. Where they differ, the trends are built anew.
func (m *TrendMaintainer) check(ctx context.Context, ownerID string, _ time.Time) (passed bool, err error) {
	differ, err := m.Keeper.Check(ctx, ownerID)
	if err != nil {
		return false, err
	}
	if differ > 0 {
		m.Log.Error("trends differ from the tables: they are built anew", "owner", ownerID, "sums", differ)
		return false, m.Keeper.Invalidate(ctx)
	}
	return true, nil
}
