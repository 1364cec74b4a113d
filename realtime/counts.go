package realtime

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// KeptCounts are the counts of notifications that triggers keep.
type KeptCounts interface {
	// NextCounted returns the account after one, "" after the last.
	NextCounted(ctx context.Context, after string) (ownerID string, err error)
	// Recount returns what differed from an account's notifications, and has put that right.
	Recount(ctx context.Context, ownerID string) ([]db.CountDifference, error)
}

// CountsMaintainer compares the counts of notifications with these, one account at a time, and has
// put right what differs. Triggers keep them; whatever goes around these shows here alone.
type CountsMaintainer struct {
	Counts KeptCounts
	// Leading reports whether this server numbers the log: the others leave it to that one. nil: it
	// does.
	Leading func() bool
	Log     *slog.Logger

	checked string // the account that was compared last
	failing bool
	wrong   atomic.Int64
}

// Collect implements stats.Collector.
func (m *CountsMaintainer) Collect() []stats.Stat {
	return []stats.Stat{stats.Counter("hangarshare_notification_counts_mended_total",
		"Counts of notifications that differed from the notifications, and were put right.", m.wrong.Load())}
}

// Run compares until ctx ends.
func (m *CountsMaintainer) Run(ctx context.Context) error {
	for sleep(ctx, checkPause); ctx.Err() == nil; sleep(ctx, checkPause) { // a start is busy enough
		if m.Leading != nil && !m.Leading() {
			continue
		}
		err := m.check(ctx)
		if err != nil && ctx.Err() == nil && !m.failing {
			m.Log.Warn("counts of notifications could not be compared; trying again", "error", err)
		}
		m.failing = err != nil
	}
	return nil
}

// check compares the account that is next.
func (m *CountsMaintainer) check(ctx context.Context) error {
	ownerID, err := m.Counts.NextCounted(ctx, m.checked)
	if err != nil {
		return err
	}
	if m.checked = ownerID; ownerID == "" {
		return nil
	}
	found, err := m.Counts.Recount(ctx, ownerID)
	for _, one := range found {
		m.wrong.Add(1)
		m.Log.Error("a count of notifications differed from them: it was put right, and the account's browsers are told", "owner", ownerID, "count", one.String())
	}
	return err
}
