package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// feedPoll is how often the log is looked at without having been told to: the net under the doorbell.
	feedPoll = time.Second
	// feedRetry is the pause after a read that did not succeed.
	feedRetry = 200 * time.Millisecond
	// auditInterval is how often the triggers are looked after, and queueAlarm the share of the notification queue
	// that is worth a warning.
	auditInterval = time.Second
	queueAlarm    = 0.25
	// publishChunk is how many events are published at once while a large batch is read.
	publishChunk = 512
)

// Source is the log of committed changes.
type Source interface {
	State(ctx context.Context) (db.State, error)
	Read(ctx context.Context, after db.Position, each func(db.Change) error) (head int64, err error)
}

// Numbering gives committed changes their place in the log, if this server is the one that does.
type Numbering interface {
	Acquire(ctx context.Context) (fresh bool, err error)
	Number(ctx context.Context) (head int64, err error)
	Audit(ctx context.Context) (db.Health, error)
	Release()
}

// Feed reads the log when the doorbell rings and publishes what is new on the bus. On the server that numbers the log it
// does that first, and keeps the timetable.
type Feed struct {
	Source    Source
	Numbering Numbering
	Bus       *Bus
	Metrics   *Metrics
	Timetable *Timetable
	Location  *time.Location
	Wakes     <-chan struct{}
	Access    func(ownerID string) // called when it may have changed who may see an account; "" means any
	Log       *slog.Logger

	begun   atomic.Bool
	health  atomic.Pointer[db.Health]
	audited time.Time
	leading bool
	epoch   string
	cursor  db.Position // everything up to here was published
	pending []*Event
	ailing  bool // the last round had an error, which was logged
}

// Ready reports whether the bus has begun: subscriptions can be served.
func (f *Feed) Ready() bool { return f.begun.Load() }

// Health returns what the last look after the triggers found; it is empty on a server that does not number.
func (f *Feed) Health() db.Health {
	if h := f.health.Load(); h != nil {
		return *h
	}
	return db.Health{}
}

// Run feeds the bus until ctx ends. It survives every absence of the database.
func (f *Feed) Run(ctx context.Context) error {
	defer f.Numbering.Release()
	poll := time.NewTicker(feedPoll)
	defer poll.Stop()
	for {
		pause := time.Duration(0)
		if err := f.round(ctx); err != nil && ctx.Err() == nil {
			if !f.ailing {
				f.Log.Error("the log cannot be read; trying again", "error", err)
			}
			f.ailing, pause = true, feedRetry
		} else if f.ailing && ctx.Err() == nil {
			f.Log.Info("the log can be read again")
			f.ailing = false
		}
		if pause > 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.Wakes:
		case <-poll.C:
		}
	}
}

// round numbers and publishes all that is there.
func (f *Feed) round(ctx context.Context) error {
	if err := f.lead(ctx); err != nil {
		return err
	}
	if !f.begun.Load() || f.ailing {
		if err := f.begin(ctx); err != nil {
			return err
		}
	}
	for {
		head, err := f.Source.Read(ctx, f.cursor, f.take)
		f.flush()
		if errors.Is(err, db.ErrHistoryGone) {
			f.Log.Warn("the log was cut off while this server was away: browsers load their numbers again")
			f.begun.Store(false)
			return f.begin(ctx)
		}
		if err != nil {
			return err
		}
		if db.EndOfBatch(head).Compare(f.cursor) <= 0 {
			return nil
		}
		f.cursor = db.EndOfBatch(head)
		f.Bus.Advance(head)
	}
}

// lead takes the numbering if it is free, and numbers.
func (f *Feed) lead(ctx context.Context) error {
	fresh, err := f.Numbering.Acquire(ctx)
	if err == nil {
		err = f.number(ctx)
	}
	if err != nil {
		if f.leading {
			f.leading = false
			f.Timetable.Stop()
		}
		if errors.Is(err, db.ErrNotLeader) {
			return nil
		}
		return err
	}
	if fresh || !f.leading {
		f.leading = true
		f.Timetable.Start()
	}
	return nil
}

// number looks after the triggers, if it is time, and numbers the log.
func (f *Feed) number(ctx context.Context) error {
	if time.Since(f.audited) >= auditInterval {
		h, err := f.Numbering.Audit(ctx)
		f.audited = time.Now()
		if db.Unavailable(err) {
			return err
		}
		if err != nil { // numbering may still work, and is worth more
			f.Log.Error("the triggers cannot be looked after", "error", err)
		} else {
			f.health.Store(&h)
		}
		if h.Lost {
			f.Log.Error("triggers could not log some changes: browsers load their numbers again; see PostgreSQL's log for the cause", "faults", h.Faults)
		}
		if h.QueueUsage > queueAlarm {
			f.Log.Error("PostgreSQL's notification queue fills up: a listener somewhere is idle in a transaction", "usage", h.QueueUsage)
		}
	}
	_, err := f.Numbering.Number(ctx)
	return err
}

// begin starts the bus at the log's head; or, when it runs and the log is still the same, leaves it alone.
func (f *Feed) begin(ctx context.Context) error {
	state, err := f.Source.State(ctx)
	if err != nil {
		return err
	}
	if f.begun.Load() && state.Epoch == f.epoch && state.Head >= f.cursor.Batch-1 {
		return nil
	}
	f.epoch, f.cursor, f.pending = state.Epoch, db.EndOfBatch(state.Head), nil
	f.Bus.Begin(Encoder{Epoch: NewEpoch(state.Epoch), Location: f.Location}, state.Head)
	f.begun.Store(true)
	f.Log.Info("the bus begins", "batch", state.Head)
	return nil
}

// take handles one change: what is a message becomes an event on the bus, and everything tells metrics and timetable.
func (f *Feed) take(c db.Change) error {
	if c.Type == db.TypeTruncated {
		f.flush()
		f.Bus.Lose(c.Position)
		f.cursor = c.Position
		f.Metrics.ChangedAll()
		f.Timetable.ChangedAll()
		f.Access("")
		return nil
	}
	if c.Type == db.TypeAccess {
		f.Access(c.OwnerID)
		return nil
	}
	f.noteHangar(c)
	if c.Type == db.TypeChanged {
		f.Metrics.Changed(c.OwnerID)
		return nil
	}
	e, err := f.Bus.Encoder().Encode(c)
	if err != nil { // not from our triggers: it cannot become readable by waiting
		f.Log.Error("a row of the log is no message", "error", err)
		return nil
	}
	f.pending = append(f.pending, e)
	if len(f.pending) >= publishChunk {
		f.flush()
	}
	return nil
}

// flush publishes what is pending.
func (f *Feed) flush() {
	if len(f.pending) == 0 {
		return
	}
	f.Bus.Publish(f.pending)
	for _, e := range f.pending {
		f.Metrics.Changed(e.OwnerID)
	}
	f.cursor = f.pending[len(f.pending)-1].Position
	f.pending = f.pending[:0]
}

// noteHangar tells the timetable which hangar a change is about, and when its stay begins and ends.
func (f *Feed) noteHangar(c db.Change) {
	if !f.leading || c.Type == OccupancyChanged || len(c.Data) == 0 {
		return
	}
	var stay struct{ HangarID, CheckIn, CheckOut string }
	if err := json.Unmarshal(c.Data, &stay); err != nil {
		return // Encode says so
	}
	var moments []time.Time
	for _, text := range []string{stay.CheckIn, stay.CheckOut} {
		if at, err := db.ParseMoment(text, f.Location); err == nil {
			moments = append(moments, at)
		}
	}
	f.Timetable.Changed(stay.HangarID, moments...)
}
