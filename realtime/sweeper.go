package realtime

import (
	"context"
	"log/slog"
	"time"
)

// sweepPause is how often what has served its time is looked for.
const sweepPause = time.Minute

// Sweepable removes some of what has served its time, and returns whether there is more.
type Sweepable interface {
	Sweep(ctx context.Context) (more bool, err error)
}

// Sweeper removes sessions of sign-in, refresh tokens, tickets and counts that have served their
// time.
type Sweeper struct {
	Sessions Sweepable
	Log      *slog.Logger
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepPause)
	defer ticker.Stop()
	for {
		for more, err := true, error(nil); more && err == nil && ctx.Err() == nil; {
			if more, err = s.Sessions.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("ended sessions could not be removed; trying again", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
