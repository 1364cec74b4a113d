package realtime

import (
	"context"
	"errors"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

const (
	// faultsInterval is how often the triggers are looked after, and queueAlarm the share of the
	// notification queue that is worth a warning.
	faultsInterval = time.Second
	queueAlarm     = 0.25
)

// Sequencer gives committed changes their place in the log, if this server is the one that does.
type Sequencer interface {
	Leadership
	WakeUps
	Number(ctx context.Context) (eventlog.Numbered, error)
	// Announce says whether what is numbered is announced to every listener.
	Announce(announces bool)
	CheckFaults(ctx context.Context) (eventlog.FaultReport, error)
}

// Leadership is the right to number the log, which one server of an installation has at a time.
type Leadership interface {
	Acquire(ctx context.Context, told eventlog.Published) (fresh bool, err error)
	// Backlogged reports whether something waits to be numbered by another server.
	Backlogged() bool
	Release()
}

// Leading reports whether this server numbers the log.
func (f *Feed) Leading() bool { return f.held.Load() }

// lead takes the numbering if it is free, and numbers. It reports whether the numbering is newly
// held, or another history has begun.
func (f *Feed) lead(ctx context.Context) (numbered eventlog.Numbered, fresh bool, err error) {
	var told eventlog.Published
	if f.begun.Load() {
		told = eventlog.Published{Epoch: f.epoch, Batch: f.cursor.Batch, Mark: f.cursor.Mark}
	}
	if !f.leading && !f.follower.mayAcquire(time.Now()) {
		return numbered, false, nil
	}
	fresh, err = f.Sequencer.Acquire(ctx, told)
	var renewed bool
	if err == nil {
		numbered, renewed, err = f.number(ctx)
	}
	if err != nil {
		if f.leading {
			f.leading = false
			f.held.Store(false)
			f.Occupancy.Stop()
			if f.Notifier != nil {
				f.Notifier.Stop()
			}
		}
		if errors.Is(err, eventlog.ErrNotLeader) {
			return numbered, false, nil
		}
		return numbered, fresh, err
	}
	if fresh || !f.leading {
		f.leading = true
		f.held.Store(true)
		f.poller.begin()
		f.Occupancy.Start()
		renewed = true
	}
	if renewed && f.Notifier != nil {
		f.Notifier.Start()
	}
	return numbered, renewed, nil
}

// number looks after the triggers, if it is time, and numbers the log. It reports whether
// another history has begun.
func (f *Feed) number(ctx context.Context) (numbered eventlog.Numbered, renewed bool, err error) {
	if time.Since(f.faultsChecked) >= faultsInterval {
		h, err := f.Sequencer.CheckFaults(ctx)
		f.faultsChecked = time.Now()
		if db.Unavailable(err) {
			return eventlog.Numbered{}, false, err
		}
		if err != nil { // numbering may still work, and is worth more
			f.Log.Error("the triggers cannot be looked after", "error", err)
		} else {
			f.health.Store(&h)
		}
		renewed = h.Renewed
		if h.Lost {
			f.Log.Error("triggers could not log some changes: browsers load their numbers again; see PostgreSQL's log for the cause", "faults", h.Faults)
		}
		if h.QueueUsage > queueAlarm {
			f.Log.Error("PostgreSQL's notification queue fills up: a listener somewhere is idle in a transaction", "usage", h.QueueUsage)
		}
	}
	if f.Exchange != nil {
		f.Sequencer.Announce(f.Exchange.throughRedis())
	}
	numbered, err = f.Sequencer.Number(ctx)
	return numbered, renewed, err
}
