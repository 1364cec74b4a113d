package realtime

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// TrendKeeper keeps what trends are read from. Answers are those of the tables at every moment.
type TrendKeeper interface {
	Apply(ctx context.Context) (db.Lag, error)
	Build(ctx context.Context, now time.Time) (built bool, err error)
	Next(ctx context.Context, afterOwnerID string) (ownerID string, err error)
	Check(ctx context.Context, ownerID string) (differ int64, err error)
	Invalidate(ctx context.Context) error
}

// TrendMaintainer has trends kept up to date, built where they are not to be believed, and compared
// with the tables, one owner at a time.
type TrendMaintainer struct {
	Keeper TrendKeeper
	Clock  Clock
	Log    *slog.Logger

	ailing               bool   // the last step had an error, which was logged
	checked              string // the owner who was compared last
	nextCheck, nextBuild time.Time
	buildPause           time.Duration
	valid                atomic.Bool
}

// Collect implements stats.Collector.
func (m *TrendMaintainer) Collect() []stats.Stat {
	valid := 0.0
	if m.valid.Load() {
		valid = 1
	}
	return []stats.Stat{stats.Gauge("hangarshare_trends_valid", "1 while trends are read from what is kept, 0 while from the tables; as this server last found it.", valid)}
}

// Run keeps the trends until ctx ends.
func (m *TrendMaintainer) Run(ctx context.Context) error {
	m.buildPause, m.nextCheck = firstBuildPause, m.Clock.Now().Add(checkPause)
	for ctx.Err() == nil {
		busy, err := m.step(ctx)
		if err != nil && ctx.Err() == nil && !m.ailing {
			m.Log.Warn("trends are not kept; they are computed from the tables; trying again", "error", err)
		}
		m.ailing = err != nil
		pause := projectionPause
		if busy && err == nil {
			pause = busyPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// step does what is due, and reports whether there will be more to do soon.
func (m *TrendMaintainer) step(ctx context.Context) (busy bool, err error) {
	lag, err := m.Keeper.Apply(ctx)
	if err == nil && !lag.Busy {
		m.valid.Store(lag.Valid)
	}
	now := m.Clock.Now()
	switch {
	case err != nil || lag.Busy:
		return false, err
	case !lag.Valid:
		return false, m.build(ctx, now)
	}
	busy = lag.Fresh >= projectionBusy
	if now.Sub(m.nextCheck) < 0 && m.nextCheck.Sub(now) <= checkPause {
		return busy, nil
	}
	m.nextCheck = now.Add(checkPause)
	return busy, m.check(ctx)
}

// build builds the trends anew, ever more seldom where they do not last.
func (m *TrendMaintainer) build(ctx context.Context, now time.Time) error {
	if wait := m.nextBuild.Sub(now); wait > 0 && wait <= longestBuildPause {
		return nil
	}
	m.nextBuild, m.buildPause = now.Add(m.buildPause), min(2*m.buildPause, longestBuildPause)
	begun := time.Now()
	built, err := m.Keeper.Build(ctx, now)
	if built {
		m.Log.Info("the trends were built", "duration", time.Since(begun))
	}
	return err
}

// check compares one owner's sums. Trends that pass last.
func (m *TrendMaintainer) check(ctx context.Context) error {
	ownerID, err := m.Keeper.Next(ctx, m.checked)
	m.checked = ownerID
	if err != nil || ownerID == "" {
		return err
	}
	differ, err := m.Keeper.Check(ctx, ownerID)
	if err != nil {
		return err
	}
	if differ > 0 {
		m.Log.Error("trends differ from the tables: they are built anew", "owner", ownerID, "sums", differ)
		return m.Keeper.Invalidate(ctx)
	}
	m.buildPause = firstBuildPause
	return nil
}
