package realtime

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// triggerPause is how often the triggers are looked after.
	triggerPause = time.Second
	// longestReattachPause bounds the growing pauses between attempts to put triggers
	// back: each may make writers wait.
	longestReattachPause = time.Minute
)

// TriggerSource is the database's side of Triggers.
type TriggerSource interface {
	Check(ctx context.Context) (db.TriggerHealth, error)
	Reattach(ctx context.Context) error
}

// Triggers sees to it that every trigger of ours stands and is enabled. A migration tool
// of the portal's may rebuild a table and lose them: they are put back. Those that were
// disabled by hand are left alone and reported. In both cases browsers are told, by the
// log, to load their numbers again.
type Triggers struct {
	Source TriggerSource
	// Reshaped is called when the portal's tables may have got another shape, at the beginning too,
	// until it returns no error.
	Reshaped func(context.Context) error
	// Hidden returns an error while rows of the portal's tables are hidden from us.
	Hidden func(context.Context) error
	Log    *slog.Logger

	checked atomic.Bool // at least once
	broken  atomic.Bool
	last    db.TriggerHealth
	shape   shape
	failing bool // the last look had an error, which was logged
	refused bool // the role may not put triggers back, which was logged
	pause   time.Duration
	next    time.Time // when triggers may be put back again
}

// shape names a shape of the portal's tables.
type shape struct {
	number  int64
	columns string
}

// Ready reports whether all that the portal writes is logged, as far as is known: not before the
// first look.
func (t *Triggers) Ready() bool { return t.checked.Load() && !t.broken.Load() }

// Run looks after the triggers until ctx ends.
func (t *Triggers) Run(ctx context.Context) error {
	tick := time.NewTicker(triggerPause)
	defer tick.Stop()
	for {
		err := t.step(ctx)
		if err != nil && ctx.Err() == nil && !t.failing && !db.Unavailable(err) {
			t.Log.Error("the triggers cannot be looked after", "error", err)
		}
		t.failing = err != nil
		if !db.Unavailable(err) {
			t.checked.Store(true)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (t *Triggers) step(ctx context.Context) error {
	h, err := t.Source.Check(ctx)
	if err != nil {
		return err
	}
	if (len(h.Missing) > 0 || h.Outdated) && !time.Now().Before(t.next) {
		if h, err = t.reattach(ctx, h); err != nil {
			return err
		}
	}
	t.report(h)
	hidden := t.Hidden(ctx)
	t.broken.Store(len(h.Missing)+len(h.Disabled) > 0 || hidden != nil && !db.Unavailable(hidden))
	if hidden != nil {
		return hidden
	}
	t.last = h
	if shape := (shape{h.Shape, h.Columns}); shape != t.shape {
		if err := t.Reshaped(ctx); err != nil {
			return err
		}
		t.shape = shape
	}
	return nil
}

// reattach puts triggers back and looks again.
func (t *Triggers) reattach(ctx context.Context, h db.TriggerHealth) (db.TriggerHealth, error) {
	t.pause = min(max(2*t.pause, triggerPause), longestReattachPause)
	t.next = time.Now().Add(t.pause)
	err := t.Source.Reattach(ctx)
	switch {
	case err == nil:
		after, err := t.Source.Check(ctx)
		if err == nil && len(after.Missing) == 0 && !after.Outdated {
			t.Log.Warn("the portal's tables were changed: triggers were put back, and browsers load their numbers again", "missing", h.Missing)
			t.pause, t.next, t.refused = 0, time.Time{}, false
		}
		return after, err
	case errors.Is(err, db.ErrNotPermitted):
		if !t.refused {
			t.Log.Error("the portal's tables were changed, and the server's role may not put triggers back: run `hangarshare migrate` with one that may",
				"missing", h.Missing, "error", err)
		}
		t.refused = true
		return h, nil
	case db.Unavailable(err):
		return h, err
	default:
		t.Log.Warn("triggers could not be put back yet; trying again", "missing", h.Missing, "pause", t.pause, "error", err)
		return h, nil
	}
}

// report logs what has changed for those who must do something about it.
func (t *Triggers) report(h db.TriggerHealth) {
	if len(h.Disabled) > 0 && !slices.Equal(h.Disabled, t.last.Disabled) {
		t.Log.Error("triggers are disabled: changes are not seen until somebody runs ALTER TABLE … ENABLE TRIGGER", "triggers", h.Disabled)
	}
	if len(h.Disabled) == 0 && len(t.last.Disabled) > 0 {
		t.Log.Info("the triggers are enabled again, and browsers load their numbers again")
	}
}
