package realtime

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// applyPause is how often a view is brought up to date. It is busyPause while it lacks busyRows
	// of the log or more: what it lacks is read by every question.
	applyPause = time.Second
	busyPause  = 100 * time.Millisecond
	busyRows   = 20
	// followerPause is how often a server does so that does not number the log. The one that does
	// is there before: otherwise each server would plan and ask the same, and find nothing.
	followerPause = 30 * time.Second
	// checkPause is how often a view is compared with the tables for one owner.
	checkPause = 10 * time.Second
	// firstBuildPause and longestBuildPause bound the pauses between two times that a view is built
	// anew.
	firstBuildPause   = time.Second
	longestBuildPause = 10 * time.Minute
)

// View is what is kept of the portal's tables and read in their place, as of a place in the log. An
// answer from it is that of the tables at every moment: what is not kept up costs time, and never a
// wrong number.
type View interface {
	Apply(ctx context.Context) (db.Lag, error)
	Build(ctx context.Context, now time.Time) (built bool, err error)
	Next(ctx context.Context, afterOwnerID string) (ownerID string, err error)
}

// maintainer keeps a view up to date, builds it where it is not to be believed, and compares it
// with the tables, one owner at a time.
type maintainer struct {
	view  View
	clock Clock
	log   *slog.Logger
	// leading reports whether this server numbers the log. The others look seldom. nil: it does.
	leading func() bool
	// unkept and built are what is logged when the view cannot be kept, and when it was built.
	unkept, built string
	// check compares one owner's numbers, and reports whether the view gave them and they passed.
	check func(ctx context.Context, ownerID string, now time.Time) (passed bool, err error)
	// prune does what else is due; nil where there is nothing.
	prune func(ctx context.Context, now time.Time) error
	// valid is where it is told whether the view is to be believed.
	valid *atomic.Bool

	schedule             schedule
	failing              bool   // the last step had an error, which was logged
	checked              string // the owner who was compared last
	nextCheck, nextBuild time.Time
	buildPause           time.Duration
}

// run keeps the view until ctx ends.
func (m *maintainer) run(ctx context.Context) error {
	// a start is busy enough
	m.buildPause, m.nextCheck = firstBuildPause, m.clock.Now().Add(checkPause)
	for ctx.Err() == nil {
		pause := applyPause
		if m.schedule.isDue(m.leading) {
			busy, err := m.step(ctx)
			if err != nil && ctx.Err() == nil && !m.failing {
				m.log.Warn(m.unkept, "error", err)
			}
			m.failing = err != nil
			if m.schedule.again = busy && err == nil; m.schedule.again {
				pause = busyPause
			}
		}
		sleep(ctx, pause)
	}
	return nil
}

// schedule decides which server keeps a view. None has to: each that does takes a lock, and answers
// are exact however late it is. Who numbers the log does at once, so the others only see to it that
// it is done at all.
type schedule struct {
	last  time.Time // when this server looked
	again bool      // it found much to do
}

// isDue reports whether this server is to look now.
func (s *schedule) isDue(leading func() bool) bool {
	if !s.again && leading != nil && !leading() && !s.last.IsZero() && time.Since(s.last) < followerPause {
		return false
	}
	s.last = time.Now()
	return true
}

// step does what is due, and reports whether there will be more to do soon.
func (m *maintainer) step(ctx context.Context) (busy bool, err error) {
	lag, err := m.view.Apply(ctx)
	if err == nil && !lag.Busy {
		m.valid.Store(lag.Valid)
	}
	now := m.clock.Now()
	switch {
	case err != nil || lag.Busy:
		return false, err
	case !lag.Valid:
		return false, m.build(ctx, now)
	}
	busy = lag.Fresh >= busyRows
	if m.prune != nil {
		if err := m.prune(ctx, now); err != nil {
			return busy, err
		}
	}
	if now.Sub(m.nextCheck) < 0 && m.nextCheck.Sub(now) <= checkPause {
		return busy, nil
	}
	m.nextCheck = now.Add(checkPause)
	return busy, m.checkNext(ctx, now)
}

// build builds the view anew, ever more seldom where it does not last.
func (m *maintainer) build(ctx context.Context, now time.Time) error {
	if wait := m.nextBuild.Sub(now); wait > 0 && wait <= longestBuildPause {
		return nil
	}
	m.nextBuild, m.buildPause = now.Add(m.buildPause), min(2*m.buildPause, longestBuildPause)
	begun := time.Now()
	built, err := m.view.Build(ctx, now)
	if built {
		m.log.Info(m.built, "duration", time.Since(begun))
	}
	return err
}

// checkNext compares the numbers of the owner who is next. A view that passes lasts.
func (m *maintainer) checkNext(ctx context.Context, now time.Time) error {
	ownerID, err := m.view.Next(ctx, m.checked)
	m.checked = ownerID
	if err != nil || ownerID == "" {
		return err
	}
	passed, err := m.check(ctx, ownerID, now)
	if passed {
		m.buildPause = firstBuildPause
	}
	return err
}
