package realtime

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// ErrBehind says that the next events are no longer in memory: Replay reads them from the log.
var ErrBehind = errors.New("the cursor is behind the memory")

// ErrNotReady says that the bus has not begun: the log was not reached yet.
var ErrNotReady = errors.New("the log has not been read yet")

// Reader is who reads a subscription. Ready is called, from any goroutine, whenever there may be something to read, and once
// more perhaps after the subscription was closed. It must not block.
type Reader interface{ Ready() }

// Subscription is a cursor into an owner's log. It holds no events of its own. Its methods are for one goroutine at a time. It is
// used where it lies: it must not be copied.
type Subscription struct {
	log     *ownerLog
	version uint64      // of the metrics returned last
	cursor  db.Position // everything up to here was returned, or is not wanted
	last    db.Position // of the event returned last; at first where the stream begins
	place   int         // among the log's readers

	reader  Reader
	bus     *Bus
	ownerID string
}

// Subscribe makes s a cursor after the position that text names, or at the present when it is empty, for a reader. recovered says
// whether everything after text will follow; when it is false the stream begins at the present all the same. The error is
// ErrMalformed or ErrForeign for a bad text, or the history's.
func (b *Bus) Subscribe(ctx context.Context, s *Subscription, reader Reader, ownerID, text string) (recovered bool, err error) {
	*s = Subscription{bus: b, ownerID: ownerID, reader: reader}
	enc := b.Encoder()
	if enc.Location == nil {
		return false, ErrNotReady
	}
	var after db.Position
	if text != "" {
		after, err = enc.Epoch.Parse(ownerID, text)
		if err != nil && !errors.Is(err, ErrOtherEpoch) {
			return false, err
		}
	}
	s.enter()
	if text != "" && err == nil {
		s.cursor, s.last = after, after
		switch err := s.reachable(ctx); {
		case err == nil:
			return true, nil
		case !errors.Is(err, db.ErrHistoryGone):
			s.Close()
			return false, err
		}
	}
	if err := s.Restart(ctx); err != nil {
		s.Close()
		return false, err
	}
	return text == "", nil
}

// enter joins the readers of the owner's present log.
func (s *Subscription) enter() {
	for {
		o := s.bus.owner(s.ownerID)
		o.mu.Lock()
		if o.retired { // let go of between the look-up and now
			o.mu.Unlock()
			continue
		}
		s.log, s.version = o, 0
		s.place = len(o.cursors)
		o.cursors, o.readers = append(o.cursors, s), append(o.readers, s.reader)
		wanted := o.metrics == nil
		o.mu.Unlock()
		if wanted {
			s.bus.demand(s.ownerID)
		}
		return
	}
}

// reachable finds out whether everything after the cursor can be read.
func (s *Subscription) reachable(ctx context.Context) error {
	s.log.mu.Lock()
	lost := s.cursor.Compare(s.log.lost) < 0
	inMemory := s.cursor.Compare(s.log.floor) >= 0
	if !lost && !inMemory && s.log.lastKnown && s.cursor == s.log.last {
		s.cursor, inMemory = s.log.floor, true // nothing of this owner lies in between
	}
	s.log.mu.Unlock()
	switch {
	case lost:
		return db.ErrHistoryGone
	case inMemory && s.cursor.Batch <= s.bus.Head()+1:
		return nil
	}
	_, _, err := s.bus.replay.next(ctx, s.bus, s.ownerID, s.cursor, 1)
	return err
}

// Restart moves the cursor to the present.
func (s *Subscription) Restart(ctx context.Context) error {
	s.log.mu.Lock()
	retired := s.log.retired
	s.log.mu.Unlock()
	if retired {
		s.enter()
	}
	o := s.log
	o.mu.Lock()
	known := o.lastKnown
	s.cursor, s.last = o.last, o.last
	o.mu.Unlock()
	if known {
		return nil
	}
	last, err := s.bus.history.Last(ctx, s.ownerID)
	if err != nil {
		return fmt.Errorf("find where the stream of owner %s begins: %w", s.ownerID, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.lastKnown { // nothing was published since: between last and the floor lies nothing
		o.last, o.lastKnown = last, true
		if last.Compare(o.floor) < 0 {
			o.floor = last
		}
	}
	s.cursor, s.last = last, last
	return nil
}

// Next appends the events after the cursor to a buffer, at most max, and moves it; after the last of them the newest
// metrics, if they were not returned yet. No events and no error: there is nothing more at present, and the
// reader's Ready will be called. ErrBehind: call Replay. db.ErrHistoryGone: call Restart, and tell the client to load its snapshots again.
func (s *Subscription) Next(buffer []*Event, max int) ([]*Event, error) {
	o := s.log
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.retired || s.cursor.Compare(o.lost) < 0 {
		return buffer, db.ErrHistoryGone
	}
	if s.cursor.Compare(o.floor) < 0 {
		return buffer, ErrBehind
	}
	rest := o.after(s.cursor)
	all := len(rest) <= max
	if !all {
		rest = rest[:max]
	}
	buffer = append(buffer, rest...)
	if len(rest) > 0 {
		s.cursor = rest[len(rest)-1].Position
		s.last = s.cursor
	}
	if all && o.metrics != nil && s.version != o.version {
		buffer = append(buffer, o.metrics)
		s.version = o.version
	}
	return buffer, nil
}

// after returns the events in memory after a position. The caller holds the lock.
func (o *ownerLog) after(cursor db.Position) []*Event {
	const near = 8 // most cursors are close to the end
	from := len(o.events)
	for from > 0 && len(o.events)-from < near && o.events[from-1].Position.Compare(cursor) > 0 {
		from--
	}
	if len(o.events)-from == near {
		from = sort.Search(from, func(i int) bool { return o.events[i].Position.Compare(cursor) > 0 })
	}
	return o.events[from:]
}

// Replay reads the events after the cursor from the log, at most limit, and moves the cursor past them. It may wait for
// the database.
func (s *Subscription) Replay(ctx context.Context, limit int) ([]*Event, error) {
	events, end, err := s.bus.replay.next(ctx, s.bus, s.ownerID, s.cursor, limit)
	if err != nil {
		return nil, err
	}
	s.cursor = end
	if len(events) > 0 {
		s.last = events[len(events)-1].Position
	}
	return events, nil
}

// LastID returns the id of the last event that was returned, or of the place where the stream began.
func (s *Subscription) LastID() string {
	return s.bus.Encoder().Epoch.Format(s.ownerID, s.last)
}

// Close ends the subscription; ready may still be called once.
func (s *Subscription) Close() {
	o := s.log
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.retired || s.place < 0 {
		return
	}
	last := len(o.readers) - 1
	o.cursors[s.place], o.readers[s.place] = o.cursors[last], o.readers[last]
	o.cursors[s.place].place = s.place
	o.cursors[last], o.readers[last] = nil, nil
	o.cursors, o.readers = o.cursors[:last], o.readers[:last]
	s.place = -1
	if last == 0 {
		o.cursors, o.readers, o.metrics = nil, nil, nil // nobody keeps them up to date from now on
		s.bus.mayBeIdle(o)
	}
}
