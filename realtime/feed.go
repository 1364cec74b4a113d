package realtime

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

const (
	// feedPoll is how often the log is looked at without having been told to: the net
	// under the notification.
	feedPoll = time.Second
	// feedRetry is the pause after a read that did not succeed.
	feedRetry = 200 * time.Millisecond
	// stallTime is after what time without progress, though there is something to tell, the feed
	// says that it is not ready.
	stallTime = 5 * time.Second
)

// Source is the log of committed changes.
type Source interface {
	Batches
	LargeTransactions
	// Follow ties what is read to one history.
	Follow(epoch string)
	// EndEpoch has the sequencer begin a new history.
	EndEpoch(ctx context.Context, epoch string) error
}

// Batches reads the log in its order.
type Batches interface {
	State(ctx context.Context) (eventlog.State, error)
	// Tail returns after which cursor the newest batches follow.
	Tail(ctx context.Context, s eventlog.State) (eventlog.Cursor, error)
	// Read calls each with what follows a cursor, piece by piece, and reports whether
	// there is more.
	Read(ctx context.Context, after eventlog.Cursor, each func(eventlog.Piece) error) (more bool, err error)
}

// LargeTransactions says whom a transaction concerns that is too large to be read as a whole.
type LargeTransactions interface {
	// Concerned returns which of some owners have rows in a large transaction.
	Concerned(ctx context.Context, large *eventlog.Large, ownerIDs []string) ([]string, error)
	// ChangesAccess reports whether a large transaction may have changed who sees what.
	ChangesAccess(ctx context.Context, large *eventlog.Large) (bool, error)
}

// Feed reads the log when the notification rings and publishes what is new on the bus. On the
// server that numbers the log it does that first, and keeps the occupancy.
type Feed struct {
	Source    Source
	Sequencer Sequencer
	Bus       *Bus
	Metrics   *Metrics
	Occupancy *Occupancy
	Location  *time.Location
	Wakes     <-chan struct{}
	// Access is called when it may have changed who may see an account, or when a user's session
	// has ended: one of the two is given, or none when it may be any.
	Access func(ownerID, userID string)
	// Exchange tells the other servers, and brings what they tell; nil: all read the log.
	Exchange *Exchange
	// Disconnect is called when an operator wants connections ended. May be nil.
	Disconnect func(eventlog.Disconnect)
	// Notifier makes notifications on the server that numbers the log; nil: nobody does.
	Notifier *Notifier
	// Notifications tells whose changed. May be nil.
	Notifications *Notifications
	Measures      *Measures // may be nil
	Skips         *Skips    // counts what cannot be told; may be nil
	Log           *slog.Logger

	aside  sync.WaitGroup // what goes on beside the rounds
	begun  atomic.Bool
	rounds atomic.Uint64
	// when everything that there was to tell was told, or some of it
	progressed    atomic.Pointer[time.Time]
	progress      atomic.Pointer[Progress] // as others see it
	health        atomic.Pointer[eventlog.FaultReport]
	faultsChecked time.Time
	leading       bool
	held          atomic.Bool // the same as leading
	poller        poller
	epoch         string
	cursor        eventlog.Cursor // everything up to here was published
	noted         eventlog.Cursor // the cursor when progress was noted
	pending       []*Event
	follower      follower
	announced     int64     // the newest batch that the other servers were told of
	polled        time.Time // when the log was last read, or numbered
	stale         bool      // another server follows another history
	ailing        bool      // the last round had an error, which was logged
	rolledBack    bool      // the log was found rolled back, which was logged
}

// Ready reports whether the bus has begun, so that subscriptions can be served, and the
// feed gets on.
func (f *Feed) Ready() bool {
	at := f.progressed.Load()
	return f.begun.Load() && at != nil && time.Since(*at) < stallTime
}

// Collect implements stats.Collector.
func (f *Feed) Collect() []stats.Stat {
	var last eventlog.FaultReport // stays empty on a server that does not number
	if report := f.health.Load(); report != nil {
		last = *report
	}
	list := f.Skips.Collect()
	if c, ok := f.Sequencer.(stats.Collector); ok {
		list = append(list, c.Collect()...)
	}
	return append(list,
		stats.Flag("hangarshare_numbering_held", "1 on the server that numbers the log.", f.held.Load()),
		stats.Gauge("hangarshare_log_head", "The newest batch of the log that this server has told.", float64(f.Bus.Head())),
		stats.Counter("hangarshare_trigger_faults_total", "Statements that our triggers could not log, on the server that numbers the log.", last.Faults),
		stats.Gauge("hangarshare_notification_queue_usage", "Share of PostgreSQL's notification queue that is full.", last.QueueUsage))
}

// Progress is what a feed says of itself: the history that it follows, how far it came, and whether
// this server numbers the log.
type Progress struct {
	Epoch   string
	Head    int64
	Leading bool
}

// Progress returns how far the feed came; the zero Progress before it began.
func (f *Feed) Progress() Progress {
	if p := f.progress.Load(); p != nil {
		return *p
	}
	return Progress{}
}

// Rounds counts the rounds that have ended, also those that found no database: it grows while the
// feed does not hang.
func (f *Feed) Rounds() uint64 { return f.rounds.Load() }

// Run feeds the bus until ctx ends. It survives every absence of the database.
func (f *Feed) Run(ctx context.Context) error {
	defer f.aside.Wait()
	defer f.Sequencer.Release()
	f.poller.notifications = f.Sequencer
	poll := time.NewTimer(0)
	defer poll.Stop()
	parcels, announced, missed := f.incoming()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.Wakes:
			if f.waits(commitPatience) {
				poll.Reset(f.follower.pause(f.polled.Add(feedPoll)))
				continue
			}
		case sealed := <-parcels:
			if f.leading { // its own, which Redis brings back too: when to look next stays as it is
				continue
			}
			if f.follows() && f.receive(ctx, sealed) {
				f.note()
				poll.Reset(f.follower.pause(f.polled.Add(feedPoll)))
				continue
			}
		case <-announced:
			if f.follows() && f.Exchange.throughRedis() {
				f.follower.expect(parcelPatience)
				poll.Reset(f.follower.pause(f.polled.Add(feedPoll)))
				continue
			}
		case <-missed:
		case <-poll.C:
		}
		f.polled = time.Now()
		f.follower.suspected = !f.follower.overdue.IsZero() && !f.polled.Before(f.follower.overdue)
		news, more, err := f.round(ctx)
		f.rounds.Add(1)
		f.report()
		next := feedPoll
		if err == nil && f.leading {
			next, err = f.poller.next(ctx, news, len(f.Wakes) > 0)
		}
		if !f.leading {
			next = f.follower.pause(f.polled.Add(feedPoll))
		}
		if more {
			next = 0
		}
		if err != nil {
			f.poller.reset()
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
		if err == nil {
			f.note()
		}
		poll.Reset(next)
	}
}

// report shows to others how far the feed came.
func (f *Feed) report() {
	now := Progress{Epoch: f.epoch, Head: f.cursor.Batch, Leading: f.leading}
	if shown := f.progress.Load(); shown == nil || *shown != now {
		f.progress.Store(&now)
	}
}

// incoming returns what the other servers tell, what says that one of them has numbered a batch,
// and what says that something of all that was dropped.
func (f *Feed) incoming() (parcels <-chan []byte, announced, missed <-chan struct{}) {
	if f.Exchange == nil {
		return nil, nil, nil
	}
	return f.Exchange.in, f.Exchange.announced, f.Exchange.missed
}

// follows reports whether this server publishes what another one numbers.
func (f *Feed) follows() bool { return !f.leading && f.begun.Load() && !f.ailing }

// waits reports whether the server that numbers the log will tell of what was committed just now,
// and if so, has the log read where it does not.
func (f *Feed) waits(patience time.Duration) bool {
	if f.Exchange == nil || !f.follows() {
		return false
	}
	f.follower.expect(patience)
	return true
}

// note notes that the feed got on: it told something, or nothing waits to be told.
func (f *Feed) note() {
	if f.cursor == f.noted && !f.leading && f.Sequencer.Backlogged() {
		return
	}
	now := time.Now()
	f.noted = f.cursor
	f.progressed.Store(&now)
}

// pause waits, whatever wakes.
func (f *Feed) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// round numbers what is there and publishes a part of it, and reports whether there was anything,
// and whether there is more.
func (f *Feed) round(ctx context.Context) (news, more bool, err error) {
	numbered, fresh, err := f.lead(ctx)
	if err != nil {
		return false, false, err
	}
	if !f.begun.Load() || f.ailing || fresh || f.stale {
		if err := f.begin(ctx); err != nil {
			return false, false, err
		}
	}
	if numbered.Whole {
		f.Measures.Batch(len(numbered.Changes))
	}
	if f.leading {
		f.tell(numbered.Parcel())
	}
	if numbered.Whole && f.cursor.Batch == numbered.Head-1 && f.cursor.ID == 0 {
		f.publish(ctx, eventlog.Piece{Changes: numbered.Changes, End: eventlog.Cursor{Batch: numbered.Head, Mark: numbered.Mark}})
		return true, false, nil
	}
	if f.leading && f.cursor.Batch >= numbered.Head {
		return false, false, nil
	}
	news, more, err = f.read(ctx)
	if err == nil && !more && !f.leading {
		f.catchUp(ctx)
	}
	return news, more, err
}

// read publishes some of what the log holds after the cursor.
func (f *Feed) read(ctx context.Context) (news, more bool, err error) {
	more, err = f.Source.Read(ctx, f.cursor, func(p eventlog.Piece) error {
		news = true
		return f.publish(ctx, p)
	})
	switch {
	case errors.Is(err, eventlog.ErrHistoryGone):
		f.Log.Warn("the log was cut off, or another history began: browsers load their numbers again")
		f.begun.Store(false)
		return true, true, f.begin(ctx)
	case errors.Is(err, eventlog.ErrRolledBack):
		if !f.rolledBack {
			f.Log.Error("the database lacks what was told from it: it was put back to an earlier moment, and a new history is asked for", "batch", f.cursor.Batch)
		}
		f.rolledBack = true
		return news, false, errors.Join(err, f.Source.EndEpoch(ctx, f.epoch))
	}
	return news, more, err
}

// begin starts the bus at the log's head; or, when it runs and the log is still the same,
// leaves it alone.
func (f *Feed) begin(ctx context.Context) error {
	state, err := f.Source.State(ctx)
	if err != nil {
		return err
	}
	f.stale = false
	if f.begun.Load() && state.Epoch == f.epoch {
		return nil // whether the log continues what was told is seen when it is read
	}
	f.Source.Follow(state.Epoch)
	enc := Encoder{Epoch: NewEpoch(state.Epoch), Location: f.Location, Skips: f.Skips}
	tail, cursor, err := readTail(ctx, f.Source, enc, state)
	if err != nil {
		return err
	}
	f.epoch, f.cursor, f.pending, f.rolledBack = state.Epoch, cursor, nil, false
	f.Bus.ResetTail(enc, cursor.Batch, tail)
	f.begun.Store(true)
	f.announced, f.follower.early = 0, nil
	if f.Exchange != nil {
		f.follower.epoch = f.Exchange.Keys.EpochID(state.Epoch)
	}
	f.Access("", "") // what was said about it meanwhile is skipped
	f.Notifications.ChangedAll()
	f.Log.Info("the bus begins", "batch", cursor.Batch, "since", tail.After, "events", len(tail.Events))
	return nil
}
