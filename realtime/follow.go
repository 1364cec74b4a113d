package realtime

import (
	"context"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/seal"
)

const (
	// acquireInterval is how often a server that does not number the log tries to become the one
	// that does; suspectInterval is that while something was committed of which nobody tells.
	acquireInterval = time.Second
	suspectInterval = 250 * time.Millisecond
	// commitPatience is how long after a writer's notification a follower waits for the batch, and
	// parcelPatience how long for a parcel that another one has overtaken.
	commitPatience = 150 * time.Millisecond
	parcelPatience = 20 * time.Millisecond
	// earlyParcels is how many parcels are kept that came before their turn.
	earlyParcels = 64
)

// follower is what a feed knows on a server that does not number the log.
type follower struct {
	epoch seal.EpochID              // of the history that is published
	early map[int64]eventlog.Parcel // those that came before others
	// when the log is read if nothing comes; zero: only at the next poll
	overdue   time.Time
	suspected bool      // overdue passed
	asked     time.Time // when another epoch was last looked into
	acquire   time.Time // when the log's lock may be tried again
}

// expect has the log read if nothing is published for some time.
func (w *follower) expect(patience time.Duration) {
	if at := time.Now().Add(patience); w.overdue.IsZero() || at.Before(w.overdue) {
		w.overdue = at
	}
}

// came says that the feed has published everything that it heard of.
func (w *follower) came() {
	w.overdue, w.suspected = time.Time{}, false
	if len(w.early) > 0 {
		w.expect(parcelPatience)
	}
}

// pause returns how long a follower may wait before it reads the log.
func (w *follower) pause(poll time.Time) time.Duration {
	if !w.overdue.IsZero() && w.overdue.Before(poll) {
		poll = w.overdue
	}
	return max(0, time.Until(poll))
}

// mayAcquire reports whether it is time to try the log's lock.
func (w *follower) mayAcquire(now time.Time) bool {
	if now.Before(w.acquire) && !(w.suspected && now.After(w.acquire.Add(suspectInterval-acquireInterval))) {
		return false
	}
	w.acquire = now.Add(acquireInterval)
	return true
}

// receive publishes a batch that another server told, if it is the next one, and reports whether
// the log need not be read before the next poll.
func (f *Feed) receive(ctx context.Context, sealed []byte) (done bool) {
	x, w := f.Exchange, &f.follower
	m, ok := x.open(sealed)
	switch {
	case !ok:
		return true
	case m.Epoch != w.epoch: // a new history, or the end of a former one
		if time.Since(w.asked) < acquireInterval {
			return true
		}
		w.asked, f.stale = time.Now(), true
		return false
	case m.Number <= f.cursor.Batch:
		x.repeated.Add(1)
		return true
	}
	p, err := eventlog.DecodeParcel(m.Number, m.Content)
	if err != nil || !p.Whole { // a newer form, or too large to be told
		w.expect(0)
		return false
	}
	if m.Number > f.cursor.Batch+1 || f.cursor.ID != 0 {
		if w.early == nil {
			w.early = make(map[int64]eventlog.Parcel)
		}
		if len(w.early) < earlyParcels {
			w.early[m.Number] = p
		}
		w.expect(parcelPatience)
		return true
	}
	return f.apply(ctx, p)
}

// apply publishes a parcel that is the next one, and those after it that came before. It reports
// false where the log must be read instead.
func (f *Feed) apply(ctx context.Context, p eventlog.Parcel) bool {
	for {
		if p.Before != f.cursor.Mark { // another history of the same name: the log was rolled back
			f.follower.early = nil
			return false
		}
		end := eventlog.Cursor{Batch: p.Batch, Mark: p.Mark}
		if err := f.publish(ctx, eventlog.Piece{Changes: p.Changes, End: end}); err != nil {
			return false
		}
		f.Exchange.applied.Add(1)
		next, kept := f.follower.early[p.Batch+1]
		delete(f.follower.early, p.Batch+1)
		if !kept {
			f.follower.came()
			return true
		}
		p = next
	}
}

// catchUp publishes the parcels that came early and follow what was read, and forgets the others
// that were read.
func (f *Feed) catchUp(ctx context.Context) {
	w := &f.follower
	for number := range w.early {
		if number <= f.cursor.Batch {
			delete(w.early, number)
		}
	}
	if p, kept := w.early[f.cursor.Batch+1]; kept && f.cursor.ID == 0 {
		delete(w.early, p.Batch)
		f.apply(ctx, p)
		return
	}
	w.came()
}

// tell tells the other servers of a batch that was numbered here.
func (f *Feed) tell(p eventlog.Parcel) {
	if f.Exchange != nil && p.Batch > f.announced {
		f.announced = p.Batch
		f.Exchange.tell(f.follower.epoch, p)
	}
}
