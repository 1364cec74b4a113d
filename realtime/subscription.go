package realtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// ErrBehind says that the next events are no longer in memory: Replay reads them from the log.
var ErrBehind = errors.New("the cursor is behind the memory")

// ErrNotReady says that the bus has not begun: the log was not reached yet.
var ErrNotReady = errors.New("the log has not been read yet")

// Reader is who reads a subscription. Ready is called, from any goroutine, whenever there may be
// something to read, and once more perhaps after the subscription was closed. It must not block.
type Reader interface{ Ready() }

// Subscription is a cursor into an owner's log. It holds no events of its own. Its methods are for
// one goroutine at a time. It is used where it lies: it must not be copied.
type Subscription struct {
	log    *ownerLog
	told   stateVersions
	cursor eventlog.Position // everything up to here was returned, or is not wanted
	last   eventlog.Position // of the event returned last; at first where the stream begins
	index  int               // among the log's readers

	reader  Reader
	bus     *Bus
	ownerID string

	userID       string // who reads; "" for nobody in particular
	toldPersonal uint64 // the version of what is told to that user alone
}

// Subscribe makes s a cursor after the position that text names, or at the present when
// it is empty, for a reader. recovered says whether everything after text will follow.
// When it is false the stream begins at the present all the same. The error is
// ErrMalformed or ErrForeign for a bad text, or the history's.
func (b *Bus) Subscribe(ctx context.Context, s *Subscription, reader Reader, ownerID, text string) (recovered bool, err error) {
	return b.SubscribeAs(ctx, s, reader, ownerID, "", text)
}

// SubscribeAs is Subscribe for a user, who is also told what is told to them alone.
func (b *Bus) SubscribeAs(ctx context.Context, s *Subscription, reader Reader, ownerID, userID, text string) (recovered bool, err error) {
	*s = Subscription{bus: b, ownerID: ownerID, userID: userID, reader: reader}
	enc := b.Encoder()
	if enc.Location == nil {
		return false, ErrNotReady
	}
	var after eventlog.Position
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
		case !errors.Is(err, eventlog.ErrHistoryGone):
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
		s.log, s.told = o, stateVersions{}
		s.index = len(o.cursors)
		o.cursors, o.readers = append(o.cursors, s), append(o.readers, s.reader)
		wanted := !o.state.complete()
		personal := o.join(s)
		o.mu.Unlock()
		if wanted {
			s.bus.demand(s.ownerID)
		}
		if personal {
			s.bus.demandPersonal(s.ownerID)
		}
		return
	}
}

// headPatience is how long the log may take to come to a position that a client brings: another
// server may be ahead by as much.
const headPatience = 2 * time.Second

// reachable finds out whether everything after the cursor can be read, and whether the cursor is a
// place of this history at all.
func (s *Subscription) reachable(ctx context.Context) error {
	if s.cursor.Batch > s.bus.Head() {
		waiting, cancel := context.WithTimeout(ctx, headPatience)
		s.bus.Await(waiting, s.cursor.Batch)
		cancel()
		if s.cursor.Batch > s.bus.Head() && (s.cursor.Mark == 0 || ctx.Err() != nil) {
			return cmp.Or(ctx.Err(), eventlog.ErrHistoryGone)
		}
	}
	if known, forgot := s.knowsLast(); !known {
		if _, err := s.learnLast(ctx, forgot); err != nil {
			return fmt.Errorf("find the last event of owner %s: %w", s.ownerID, err)
		}
	}
	at, inMemory, known := s.find()
	if !known {
		at, known = s.bus.replay.knows(s.ownerID, s.cursor)
	}
	switch {
	case s.log.isLost(s.cursor) || known && at.Contradicts(s.cursor):
		return eventlog.ErrHistoryGone
	case !known && s.cursor != (eventlog.Position{}) && (inMemory || s.bus.replay.find(s.ownerID, s.cursor) != nil):
		// Nobody looks it up to read on from there.
		if err := s.bus.history.Reaches(ctx, s.ownerID, s.cursor); err != nil {
			return err
		}
	}
	if inMemory {
		return nil
	}
	_, _, err := s.bus.replay.next(ctx, s.bus, s.ownerID, s.cursor, 1)
	return err
}

func (s *Subscription) knowsLast() (known bool, forgot int) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.lastKnown, s.log.forgot
}

// find looks for the cursor in memory: inMemory says that what follows it is there, known that at
// is the same place of this history.
func (s *Subscription) find() (at eventlog.Position, inMemory, known bool) {
	o := s.log
	o.mu.Lock()
	defer o.mu.Unlock()
	inMemory = s.cursor.Compare(o.lowWatermark) >= 0
	if o.lastKnown && s.cursor.Compare(o.last) == 0 && !o.last.Contradicts(s.cursor) {
		if !inMemory {
			s.cursor, inMemory = o.lowWatermark, true // nothing of this owner lies in between
		}
		return s.cursor, inMemory, true
	}
	if at, known = findEvent(o.events, s.cursor); known {
		return at, inMemory, true
	}
	return o.lowWatermark, inMemory, o.lowWatermark.Mark != 0 && s.cursor.Compare(o.lowWatermark) == 0
}

// isLost reports whether something after a position was lost.
func (o *ownerLog) isLost(position eventlog.Position) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return position.Compare(o.lost) < 0
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
	known, forgot := o.lastKnown, o.forgot
	s.cursor, s.last = o.last, o.last
	o.mu.Unlock()
	if known {
		return nil
	}
	last, err := s.learnLast(ctx, forgot)
	if err != nil {
		return fmt.Errorf("find where the stream of owner %s begins: %w", s.ownerID, err)
	}
	s.cursor, s.last = last, last
	return nil
}

// learnLast asks the log for the owner's last message, where nobody here knows it. forgot is how
// often it was forgotten before the question.
func (s *Subscription) learnLast(ctx context.Context, forgot int) (eventlog.Position, error) {
	last, err := s.bus.history.Last(ctx, s.ownerID)
	if err != nil {
		return last, err
	}
	o := s.log
	o.mu.Lock()
	defer o.mu.Unlock()
	// Nothing was published since: between last and the low watermark lies nothing.
	if !o.lastKnown && o.forgot == forgot {
		o.last, o.lastKnown = last, true
		if last.Compare(o.lowWatermark) < 0 {
			o.lowWatermark = last
		}
	}
	return last, nil
}

// Next appends the events after the cursor to a buffer, at most max, and moves it; after the last
// of them the newest state, if it was not returned yet, which does not wait for a cursor that is
// behind. No events and no error: there is nothing more at present, and the reader's Ready will be
// called. ErrBehind: call Replay. eventlog.ErrHistoryGone: call Restart, and tell the client to
// load its snapshots again.
func (s *Subscription) Next(buffer []*Event, max int) ([]*Event, error) {
	o := s.log
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.retired || s.cursor.Compare(o.lost) < 0 {
		return buffer, eventlog.ErrHistoryGone
	}
	if s.cursor.Compare(o.lowWatermark) < 0 {
		return o.appendPersonal(o.state.appendNew(buffer, &s.told), s), ErrBehind
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
	if all {
		buffer = o.appendPersonal(o.state.appendNew(buffer, &s.told), s)
	}
	return buffer, nil
}

// after returns the events in memory after a position. The caller holds the lock.
func (o *ownerLog) after(cursor eventlog.Position) []*Event {
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

// Replay reads the events after the cursor from the log, at most limit, and moves the cursor past
// them. It may wait for the database.
func (s *Subscription) Replay(ctx context.Context, limit int) ([]*Event, error) {
	for {
		events, end, err := s.bus.replay.next(ctx, s.bus, s.ownerID, s.cursor, limit)
		if err != nil {
			return nil, err
		}
		further := end.Compare(s.cursor) > 0
		s.cursor = end
		if len(events) > 0 {
			s.last = events[len(events)-1].Position
		}
		if len(events) > 0 || !further || !s.isBehind() {
			return events, nil
		}
	}
}

func (s *Subscription) isBehind() bool {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.cursor.Compare(s.log.lowWatermark) < 0
}

// LastID returns the id of the last event that was returned, or of the place where the
// stream began.
func (s *Subscription) LastID() string {
	return s.bus.Encoder().Epoch.Format(s.ownerID, s.last)
}

// Close ends the subscription; ready may still be called once.
func (s *Subscription) Close() {
	o := s.log
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.retired || s.index < 0 {
		return
	}
	last := len(o.readers) - 1
	o.cursors[s.index], o.readers[s.index] = o.cursors[last], o.readers[last]
	o.cursors[s.index].index = s.index
	o.cursors[last], o.readers[last] = nil, nil
	o.cursors, o.readers = o.cursors[:last], o.readers[:last]
	s.index = -1
	o.leave(s)
	if last == 0 {
		o.cursors, o.readers, o.state = nil, nil, state{} // nobody keeps it up to date from now on
		s.bus.mayBeIdle(o)
	}
}
