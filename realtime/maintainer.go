package realtime

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

const (
	// projectionPause is how often the projection is brought up to date. It is busyPause while it
	// lacks projectionBusy rows of the log or more: what it lacks is read by every question.
	projectionPause = time.Second
	busyPause       = 100 * time.Millisecond
	projectionBusy  = 20
	// checkPause is how often the projection is compared with the tables for one owner,
	// and prunePause how often what no longer counts is removed from it, and the bookings
	// that are left out are counted.
	checkPause = 10 * time.Second
	prunePause = time.Hour
	// firstBuildPause and longestBuildPause bound the pauses between two times that the
	// projection is built anew.
	firstBuildPause   = time.Second
	longestBuildPause = 10 * time.Minute
)

// Projection is the projection behind the snapshots. Its answers are those of the tables at every
// moment; what is not kept up costs time, and never a wrong number.
type Projection interface {
	Apply(ctx context.Context) (db.Lag, error)
	Build(ctx context.Context, now time.Time) (built bool, err error)
	Prune(ctx context.Context, now time.Time) error
	Next(ctx context.Context, afterOwnerID string) (ownerID string, err error)
	Compare(ctx context.Context, ownerID string, now time.Time) (trusted bool, found *db.Difference, err error)
	Invalidate(ctx context.Context, ownerID string) error
	LeftOut(ctx context.Context) (map[string]int64, error)
}

// Maintainer keeps the projection up to date, builds it where it is not to be believed, and
// compares it with the tables, one owner at a time.
type Maintainer struct {
	Projection Projection
	Clock      Clock
	Log        *slog.Logger

	ailing            bool   // the last step had an error, which was logged
	checked           string // the owner who was compared last
	nextCheck, pruned time.Time
	nextBuild         time.Time
	buildPause        time.Duration
	leftOut           atomic.Pointer[map[string]int64]
	valid             atomic.Bool
}

// Collect implements stats.Collector.
func (b *Maintainer) Collect() (list []stats.Stat) {
	valid := 0.0
	if b.valid.Load() {
		valid = 1
	}
	list = append(list, stats.Gauge("hangarshare_ledger_valid", "1 while snapshots are read from the projection, 0 while from the tables; as this server last found it.", valid))
	for reason, n := range b.lastLeftOut() {
		list = append(list, stats.Gauge("hangarshare_bookings_left_out", "Bookings that some figures leave out, because their rows lack a hangar, "+
			"a status, an amount or dates; counted each hour.", float64(n)).With("reason", reason))
	}
	return list
}

// lastLeftOut returns how many bookings were left out of some figures at the last count, by reason.
func (b *Maintainer) lastLeftOut() map[string]int64 {
	if counts := b.leftOut.Load(); counts != nil {
		return *counts
	}
	return nil
}

// Run keeps the projection until ctx ends.
func (b *Maintainer) Run(ctx context.Context) error {
	// a start is busy enough
	b.buildPause, b.nextCheck = firstBuildPause, b.Clock.Now().Add(checkPause)
	for ctx.Err() == nil {
		busy, err := b.step(ctx)
		if err != nil && ctx.Err() == nil && !b.ailing {
			b.Log.Warn("the projection is not kept; snapshots are computed from the tables; trying again", "error", err)
		}
		b.ailing = err != nil
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
func (b *Maintainer) step(ctx context.Context) (busy bool, err error) {
	upkeep, err := b.Projection.Apply(ctx)
	if err == nil && !upkeep.Busy {
		b.valid.Store(upkeep.Valid)
	}
	now := b.Clock.Now()
	switch {
	case err != nil || upkeep.Busy:
		return false, err
	case !upkeep.Valid:
		return false, b.build(ctx, now)
	}
	busy = upkeep.Fresh >= projectionBusy
	if now.Sub(b.pruned) >= prunePause || now.Before(b.pruned) {
		if err := b.Projection.Prune(ctx, now); err != nil {
			return busy, err
		}
		b.pruned = now
		if err := b.count(ctx); err != nil {
			return busy, err
		}
	}
	if now.Sub(b.nextCheck) < 0 && b.nextCheck.Sub(now) <= checkPause {
		return busy, nil
	}
	b.nextCheck = now.Add(checkPause)
	return busy, b.check(ctx, now)
}

// count counts the bookings that are left out, and says so when there are more than before.
func (b *Maintainer) count(ctx context.Context) error {
	counts, err := b.Projection.LeftOut(ctx)
	if err != nil {
		return err
	}
	before := b.lastLeftOut()
	for reason, n := range counts {
		if n > before[reason] {
			b.Log.Warn("bookings whose rows lack something are left out of the figures that need it", "reason", reason, "bookings", n)
		}
	}
	b.leftOut.Store(&counts)
	return nil
}

// build builds the projection anew, ever more seldom where it does not last.
func (b *Maintainer) build(ctx context.Context, now time.Time) error {
	if wait := b.nextBuild.Sub(now); wait > 0 && wait <= longestBuildPause {
		return nil
	}
	b.nextBuild, b.buildPause = now.Add(b.buildPause), min(2*b.buildPause, longestBuildPause)
	begun := time.Now()
	built, err := b.Projection.Build(ctx, now)
	if built {
		b.Log.Info("the projection was built", "duration", time.Since(begun))
	}
	return err
}

// check compares one owner's numbers. A projection that passes lasts.
func (b *Maintainer) check(ctx context.Context, now time.Time) error {
	ownerID, err := b.Projection.Next(ctx, b.checked)
	b.checked = ownerID
	if err != nil || ownerID == "" {
		return err
	}
	trusted, found, err := b.Projection.Compare(ctx, ownerID, now)
	if err != nil {
		return err
	}
	if found != nil {
		b.Log.Error("the projection differs from the tables: it is built anew, and the owner's browsers load their numbers again", "owner", ownerID, "projection", found.Projection, "tables", found.Tables)
		return b.Projection.Invalidate(ctx, ownerID)
	}
	if trusted {
		b.buildPause = firstBuildPause
	}
	return nil
}
