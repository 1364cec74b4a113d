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
	// Follow ties what is read to one history.
	Follow(epoch string)
}

// Numbering gives committed changes their place in the log, if this server is the one that does.
type Numbering interface {
	Acquire(ctx context.Context) (fresh bool, err error)
	Number(ctx context.Context) (db.Numbered, error)
	Audit(ctx context.Context) (db.Health, error)
	Doorbell
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
	// Access is called when it may have changed who may see an account, or when a user's session has ended: one of the two
	// is given, or none when it may be any.
	Access func(ownerID, userID string)
	Log    *slog.Logger

	begun   atomic.Bool
	health  atomic.Pointer[db.Health]
	audited time.Time
	leading bool
	watch   watch
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
	f.watch.bell = f.Numbering
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.Wakes:
		case <-look.C:
		}
		news, err := f.round(ctx)
		next := feedPoll
		if err == nil && f.leading {
			next, err = f.watch.next(ctx, news, len(f.Wakes) > 0)
		}
		if err != nil {
			f.watch.reset()
		}
		switch {
		case err != nil && ctx.Err() == nil:
			if !f.ailing {
				f.Log.Error("the log cannot be read; trying again", "error", err)
			}
			f.ailing = true
			f.pause(ctx, feedRetry)
			next = 0
		case err == nil && f.ailing:
			f.Log.Info("the log can be read again")
			f.ailing = false
		}
		look.Reset(next)
	}
}

// pause waits, whoever rings.
func (f *Feed) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// round numbers and publishes all that is there, and reports whether there was anything.
func (f *Feed) round(ctx context.Context) (news bool, err error) {
	numbered, fresh, err := f.lead(ctx)
	if err != nil {
		return false, err
	}
	if !f.begun.Load() || f.ailing || fresh {
		if err := f.begin(ctx); err != nil {
			return false, err
		}
	}
	if numbered.Whole && f.cursor == db.EndOfBatch(numbered.Head-1) {
		for _, c := range numbered.Changes {
			f.take(c)
		}
		f.published(numbered.Head)
		return true, nil
	}
	if f.leading && f.cursor.Compare(db.EndOfBatch(numbered.Head)) >= 0 {
		return false, nil
	}
	return f.read(ctx)
}

// read publishes what the log holds after the cursor.
func (f *Feed) read(ctx context.Context) (news bool, err error) {
	for {
		head, err := f.Source.Read(ctx, f.cursor, func(c db.Change) error { f.take(c); return nil })
		f.flush()
		if errors.Is(err, db.ErrHistoryGone) {
			f.Log.Warn("the log was cut off, or another history began: browsers load their numbers again")
			f.begun.Store(false)
			return true, f.begin(ctx)
		}
		if err != nil {
			return news, err
		}
		if db.EndOfBatch(head).Compare(f.cursor) <= 0 {
			return news, nil
		}
		f.published(head)
		news = true
	}
}

// published notes that everything up to the end of a batch was published.
func (f *Feed) published(head int64) {
	f.flush()
	f.cursor = db.EndOfBatch(head)
	f.Bus.Advance(head)
}

// lead takes the numbering if it is free, and numbers. It reports whether the numbering is newly held: whoever takes it may have
// begun another history.
func (f *Feed) lead(ctx context.Context) (numbered db.Numbered, fresh bool, err error) {
	fresh, err = f.Numbering.Acquire(ctx)
	if err == nil {
		numbered, err = f.number(ctx)
	}
	if err != nil {
		if f.leading {
			f.leading = false
			f.Timetable.Stop()
		}
		if errors.Is(err, db.ErrNotLeader) {
			return numbered, false, nil
		}
		return numbered, fresh, err
	}
	if fresh || !f.leading {
		f.leading = true
		f.watch.begin()
		f.Timetable.Start()
	}
	return numbered, fresh, nil
}

// number looks after the triggers, if it is time, and numbers the log.
func (f *Feed) number(ctx context.Context) (db.Numbered, error) {
	if time.Since(f.audited) >= auditInterval {
		h, err := f.Numbering.Audit(ctx)
		f.audited = time.Now()
		if db.Unavailable(err) {
			return db.Numbered{}, err
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
	return f.Numbering.Number(ctx)
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
	f.Source.Follow(state.Epoch)
	f.begun.Store(true)
	f.Access("", "") // what was said about it meanwhile is skipped
	f.Log.Info("the bus begins", "batch", state.Head)
	return nil
}

// take handles one change: what is a message becomes an event on the bus, and everything tells metrics and timetable.
func (f *Feed) take(c db.Change) {
	if c.Type == db.TypeTruncated {
		f.flush()
		f.Bus.Lose(c.Position)
		f.cursor = c.Position
		f.Metrics.ChangedAll()
		f.Timetable.ChangedAll()
		f.Access("", "")
		return
	}
	if c.Type == db.TypeAccess {
		f.Access(c.OwnerID, userOf(c))
		return
	}
	if c.Type == db.TypeChanged {
		if l, err := read(c); err == nil && l.HangarID != "" { // otherwise it is about no hangar
			f.noteHangar(l)
		}
		f.Metrics.Changed(c.OwnerID)
		return
	}
	l, err := read(c)
	var e *Event
	if err == nil {
		e, err = f.Bus.Encoder().encode(c, l)
	}
	if err != nil { // not from our triggers: it cannot become readable by waiting
		f.Log.Error("a row of the log is no message", "error", err)
		return
	}
	if c.Type != OccupancyChanged {
		f.noteHangar(l)
	}
	f.pending = append(f.pending, e)
	if len(f.pending) >= publishChunk {
		f.flush()
	}
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
func (f *Feed) noteHangar(l logged) {
	if !f.leading {
		return
	}
	var moments []time.Time
	for _, text := range []string{l.CheckIn, l.CheckOut} {
		if text == "" {
			continue
		}
		if at, err := db.ParseMoment(text, f.Location); err == nil {
			moments = append(moments, at)
		}
	}
	f.Timetable.Changed(l.HangarID, moments...)
}

// userOf returns the user whom a change of access concerns, "" for all who see the account.
func userOf(c db.Change) string {
	var data struct {
		UserID string `json:"userId"`
	}
	if len(c.Data) == 0 || json.Unmarshal(c.Data, &data) != nil {
		return ""
	}
	return data.UserID
}
