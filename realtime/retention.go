package realtime

import (
	"context"
	"log/slog"
	"time"
)

// retentionPause is how often old events are looked for, and trimStepPause the pause
// between two steps of removing them.
const (
	retentionPause = time.Minute
	trimStepPause  = 20 * time.Millisecond
)

// Trimmer removes one step of what is older than a time, and says whether there is more.
type Trimmer interface {
	Trim(ctx context.Context, keep time.Duration) (more bool, err error)
}

// Retention keeps the log as short as Keep, in small steps that hold nobody up.
type Retention struct {
	Log    Trimmer
	Keep   time.Duration
	Errors *slog.Logger
}

// Run trims the log until ctx ends.
func (r *Retention) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		more, err := r.Log.Trim(ctx, r.Keep)
		pause := min(retentionPause, max(r.Keep/10, trimStepPause))
		if err != nil && ctx.Err() == nil {
			r.Errors.Warn("old events could not be removed; trying again", "error", err)
		} else if more {
			pause = trimStepPause
		}
		sleep(ctx, pause)
	}
	return nil
}
