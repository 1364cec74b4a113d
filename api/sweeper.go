package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// sweepPause is how often what has served its time is looked for.
const sweepPause = time.Minute

// Sweeper removes sessions, refresh tokens, tickets and counts that have served their time.
type Sweeper struct {
	Sessions *db.Sessions
	Log      *slog.Logger
}

// Run implements Service: it sweeps until ctx ends.
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
