package realtime

import (
	"context"
	"slices"
	"sync"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// ownerCapacity is how many events of one owner are kept in memory; a cursor that is further behind reads the log.
	ownerCapacity = 1024
	// busCapacity is how many events are kept in memory for all owners together: at about 600 bytes an event, 40 MB.
	busCapacity = 65536
)

// History is the log behind the memory.
type History interface {
	// Owner returns an owner's changes after a position, at most limit, and whether there are more; or db.ErrHistoryGone.
	Owner(ctx context.Context, ownerID string, after db.Position, limit int) ([]db.Change, bool, error)
	// Last returns the position of an owner's newest numbered message, or the zero Position.
	Last(ctx context.Context, ownerID string) (db.Position, error)
}

// Bus is, per owner, a bounded log in memory that wakes its readers. A reader is a cursor into it: new, returning and
// slow readers are one case, a cursor that is behind.
type Bus struct {
	history History
	replay  replay

	mu      sync.RWMutex // guards what follows
	encoder Encoder
	owners  map[string]*ownerLog
	head    int64       // the newest batch that was published to the end
	lost    db.Position // where Lose was called last
	demand  func(ownerID string)

	recentMu sync.Mutex // guards what follows, the events in memory; taken before an owner's lock
	recent   []kept     // a ring when it has busCapacity
	oldest   int        // in the ring

	idleMu sync.Mutex // guards idle; taken with an owner's lock held, and never the other way round
	idle   map[*ownerLog]struct{}
}

// kept is an event in memory and where it is.
type kept struct {
	event *Event
	log   *ownerLog
}

// ownerLog is one owner's part of the bus. After floor every event is in events; before lost nothing can be read at all.
type ownerLog struct {
	ownerID string

	mu        sync.Mutex // guards what follows
	events    []*Event   // ascending
	floor     db.Position
	lost      db.Position
	last      db.Position // the owner's newest message, if lastKnown
	lastKnown bool
	retired   bool // of an epoch that is over
	metrics   *Event
	version   uint64          // of metrics
	cursors   []*Subscription // in no order; each knows its place
	readers   []Reader        // of the cursors, in the same order: those who wake them need nothing else
	touched   bool            // Publish is going to wake the readers
}

// NewBus returns an empty bus over a history. Feed gives it an epoch, events and a head.
func NewBus(history History) *Bus {
	return &Bus{history: history, replay: replay{history: history}, owners: make(map[string]*ownerLog), demand: func(string) {}}
}

// OnDemand sets what is called when a subscription begins for an owner whose metrics are not at hand. It must be set
// before the first subscription and must not block.
func (b *Bus) OnDemand(call func(ownerID string)) { b.demand = call }

// Begin starts the bus, or starts it again after events were lost to it: everything in memory is forgotten, and every
// reader learns that its history is gone. The events after batch head are expected next.
func (b *Bus) Begin(enc Encoder, head int64) {
	b.recentMu.Lock()
	b.recent, b.oldest = nil, 0
	b.recentMu.Unlock()
	b.mu.Lock()
	old := b.owners
	b.owners = make(map[string]*ownerLog)
	b.encoder, b.head, b.lost = enc, head, db.Position{}
	b.mu.Unlock()
	b.replay.clear()
	for _, o := range old {
		o.mu.Lock()
		readers := o.readers
		o.retired, o.cursors, o.readers = true, nil, nil // they enter the new log when they find out
		o.mu.Unlock()
		wake(readers)
	}
}

// Publish appends events in the log's order and wakes their readers.
func (b *Bus) Publish(events []*Event) {
	var touched []*ownerLog
	for _, e := range events {
		o := b.owner(e.OwnerID)
		b.remember(e, o)
		if o.append(e) {
			touched = append(touched, o)
		}
	}
	var readers []Reader
	for _, o := range touched {
		o.mu.Lock()
		o.touched = false
		readers = append(readers[:0], o.readers...)
		o.mu.Unlock()
		wake(readers)
	}
}

// append adds an event and reports whether its readers are still to be woken by the caller.
func (o *ownerLog) append(e *Event) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
	o.last, o.lastKnown = e.Position, true
	if len(o.events) > ownerCapacity {
		o.drop()
	}
	first := !o.touched && len(o.readers) > 0
	o.touched = o.touched || first
	return first
}

// remember counts an event among those in memory, and lets the oldest go when there are too many.
func (b *Bus) remember(e *Event, in *ownerLog) {
	b.recentMu.Lock()
	defer b.recentMu.Unlock()
	if len(b.recent) < busCapacity {
		b.recent = append(b.recent, kept{e, in})
		return
	}
	oldest := b.recent[b.oldest]
	b.recent[b.oldest] = kept{e, in}
	b.oldest = (b.oldest + 1) % busCapacity
	o := oldest.log
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.events) > 0 && o.events[0] == oldest.event {
		o.drop()
		b.mayBeIdle(o)
	}
}

// drop forgets the oldest event in memory. The caller holds the lock.
func (o *ownerLog) drop() {
	o.floor = o.events[0].Position
	o.events[0] = nil
	o.events = o.events[1:]
}

// mayBeIdle notes an owner that nobody reads and nothing is kept of. The caller holds the owner's lock.
func (b *Bus) mayBeIdle(o *ownerLog) {
	if len(o.readers) > 0 || len(o.events) > 0 {
		return
	}
	b.idleMu.Lock()
	defer b.idleMu.Unlock()
	if b.idle == nil {
		b.idle = make(map[*ownerLog]struct{})
	}
	b.idle[o] = struct{}{}
}

// Advance says that a batch was published to its end, and lets go of owners that nobody reads and nothing is kept of.
func (b *Bus) Advance(head int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if head == b.head {
		return
	}
	b.head = head
	b.idleMu.Lock()
	idle := b.idle
	b.idle = nil
	b.idleMu.Unlock()
	for o := range idle {
		o.mu.Lock()
		if len(o.readers) == 0 && len(o.events) == 0 && b.owners[o.ownerID] == o {
			delete(b.owners, o.ownerID)
			o.retired = true
		}
		o.mu.Unlock()
	}
}

// Last returns the position of an owner's newest message, if that is known here. What a query reads after it was called lacks
// nothing up to it.
func (b *Bus) Last(ownerID string) (last db.Position, known bool) {
	b.mu.RLock()
	o := b.owners[ownerID]
	b.mu.RUnlock()
	if o == nil {
		return last, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, o.lastKnown
}

// Head returns the newest batch that was published to its end.
func (b *Bus) Head() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.head
}

// Lose says that at position changes happened which no log holds. Every reader learns that its history is gone, and
// continues after position.
func (b *Bus) Lose(position db.Position) {
	b.replay.clear()
	var readers []Reader
	b.mu.Lock()
	b.lost = position
	for _, o := range b.owners {
		o.mu.Lock()
		o.events, o.floor, o.lost, o.last, o.lastKnown = nil, position, position, position, true
		readers = append(readers, o.readers...)
		b.mayBeIdle(o)
		o.mu.Unlock()
	}
	b.mu.Unlock()
	wake(readers)
}

// PublishMetrics makes e the newest metrics of its owner, if anybody is subscribed.
func (b *Bus) PublishMetrics(e *Event) {
	b.mu.RLock()
	o := b.owners[e.OwnerID]
	b.mu.RUnlock()
	if o == nil {
		return
	}
	o.mu.Lock()
	if len(o.readers) == 0 {
		o.mu.Unlock()
		return
	}
	o.metrics = e
	o.version++
	readers := slices.Clone(o.readers)
	o.mu.Unlock()
	wake(readers)
}

// Watched returns the owners that somebody is subscribed to.
func (b *Bus) Watched() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var ids []string
	for id, o := range b.owners {
		o.mu.Lock()
		if len(o.readers) > 0 {
			ids = append(ids, id)
		}
		o.mu.Unlock()
	}
	return ids
}

// IsWatched reports whether somebody is subscribed to an owner.
func (b *Bus) IsWatched(ownerID string) bool {
	b.mu.RLock()
	o := b.owners[ownerID]
	b.mu.RUnlock()
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.readers) > 0
}

// Encoder returns what turns changes into messages in the present epoch.
func (b *Bus) Encoder() Encoder {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.encoder
}

// owner returns an owner's log, new if need be: from the present head on, everything will be in it.
func (b *Bus) owner(id string) *ownerLog {
	b.mu.RLock()
	o := b.owners[id]
	b.mu.RUnlock()
	if o != nil {
		return o
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.owners[id]; o != nil {
		return o
	}
	o = &ownerLog{ownerID: id, floor: db.EndOfBatch(b.head)}
	if b.lost.Compare(o.floor) > 0 { // within the batch that is being published
		o.floor, o.lost, o.last, o.lastKnown = b.lost, b.lost, b.lost, true
	}
	b.owners[id] = o
	return o
}

// wake calls the readers without any lock held.
func wake(readers []Reader) {
	for _, r := range readers {
		r.Ready()
	}
}
