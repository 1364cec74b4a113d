package realtime

import (
	"context"
	"log/slog"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// ledgerPause is how often the ledger is brought up to date. It is busyPause while it lacks ledgerBusy rows of the log or more:
	// what it lacks is read by every question.
	ledgerPause = time.Second
	busyPause   = 100 * time.Millisecond
	ledgerBusy  = 20
	// checkPause is how often the ledger is compared with the tables for one owner, and prunePause how often what no longer
	// counts is removed from it.
	checkPause = 10 * time.Second
	prunePause = time.Hour
	// firstBuildPause and longestBuildPause bound the pauses between two times that the ledger is built anew.
	firstBuildPause   = time.Second
	longestBuildPause = 10 * time.Minute
)

// Books is the ledger behind the snapshots. Its answers are those of the tables at every moment; what is not kept up costs
// time, and never a wrong number.
type Books interface {
	Apply(ctx context.Context) (db.Upkeep, error)
	Build(ctx context.Context, now time.Time) (built bool, err error)
	Prune(ctx context.Context, now time.Time) error
	Next(ctx context.Context, afterOwnerID string) (ownerID string, err error)
	Compare(ctx context.Context, ownerID string, now time.Time) (trusted bool, found *db.Difference, err error)
	Distrust(ctx context.Context) error
}

// Bookkeeping keeps the ledger up to date, builds it where it is not to be believed, and compares it with the tables, one
// owner at a time.
type Bookkeeping struct {
	Books Books
	Clock Clock
	Log   *slog.Logger

	ailing            bool   // the last step had an error, which was logged
	checked           string // the owner who was compared last
	nextCheck, pruned time.Time
	nextBuild         time.Time
	buildPause        time.Duration
}

// Run keeps the ledger until ctx ends.
func (b *Bookkeeping) Run(ctx context.Context) error {
	b.buildPause, b.nextCheck = firstBuildPause, b.Clock.Now().Add(checkPause) // a start is busy enough
	for ctx.Err() == nil {
		busy, err := b.step(ctx)
		if err != nil && ctx.Err() == nil && !b.ailing {
			b.Log.Warn("the ledger is not kept; snapshots are computed from the tables; trying again", "error", err)
		}
		b.ailing = err != nil
		pause := ledgerPause
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
func (b *Bookkeeping) step(ctx context.Context) (busy bool, err error) {
	upkeep, err := b.Books.Apply(ctx)
	now := b.Clock.Now()
	switch {
	case err != nil || upkeep.Busy:
		return false, err
	case !upkeep.Valid:
		return false, b.build(ctx, now)
	}
	busy = upkeep.Fresh >= ledgerBusy
	if now.Sub(b.pruned) >= prunePause || now.Before(b.pruned) {
		if err := b.Books.Prune(ctx, now); err != nil {
			return busy, err
		}
		b.pruned = now
	}
	if now.Sub(b.nextCheck) < 0 && b.nextCheck.Sub(now) <= checkPause {
		return busy, nil
	}
	b.nextCheck = now.Add(checkPause)
	return busy, b.check(ctx, now)
}

// build builds the ledger anew, ever more seldom where it does not last.
func (b *Bookkeeping) build(ctx context.Context, now time.Time) error {
	if wait := b.nextBuild.Sub(now); wait > 0 && wait <= longestBuildPause {
		return nil
	}
	b.nextBuild, b.buildPause = now.Add(b.buildPause), min(2*b.buildPause, longestBuildPause)
	begun := time.Now()
	built, err := b.Books.Build(ctx, now)
	if built {
		b.Log.Info("the ledger was built", "duration", time.Since(begun))
	}
	return err
}

// check compares one owner's numbers. A ledger that passes lasts.
func (b *Bookkeeping) check(ctx context.Context, now time.Time) error {
	ownerID, err := b.Books.Next(ctx, b.checked)
	b.checked = ownerID
	if err != nil || ownerID == "" {
		return err
	}
	trusted, found, err := b.Books.Compare(ctx, ownerID, now)
	if err != nil {
		return err
	}
	if found != nil {
		b.Log.Error("the ledger differs from the tables: it is built anew", "owner", ownerID, "ledger", found.Ledger, "tables", found.Tables)
		return b.Books.Distrust(ctx)
	}
	if trusted {
		b.buildPause = firstBuildPause
	}
	return nil
}
