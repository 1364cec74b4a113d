package realtime

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

const (
	// ownerCapacity is how many events of one owner are kept in memory; a cursor that is
	// further behind reads the log.
	ownerCapacity = 1024
	// busCapacity is how many events are kept in memory for all owners together: at about
	// 600 bytes an event, 40 MB.
	busCapacity = 65536
)

// History is the log behind the memory.
type History interface {
	// Owner returns an owner's changes after a position, at most limit; or eventlog.ErrHistoryGone.
	Owner(ctx context.Context, ownerID string, after eventlog.Position, limit int) (eventlog.Page, error)
	// Reaches returns eventlog.ErrHistoryGone for a position that is none of this history, or older
	// than what is left of it.
	Reaches(ctx context.Context, ownerID string, position eventlog.Position) error
	// Last returns the position of an owner's newest numbered message, or the zero Position.
	Last(ctx context.Context, ownerID string) (eventlog.Position, error)
}

// Bus is, per owner, a bounded log in memory that wakes its readers. A reader is a cursor into it:
// new, returning and slow readers are one case, a cursor that is behind.
type Bus struct {
	history History
	replay  replay
	begun   chan struct{} // closed by the first Reset

	mu      sync.RWMutex // guards what follows
	encoder Encoder
	owners  map[string]*ownerLog
	head    int64             // the newest batch that was published to the end
	since   int64             // what was published after this batch is in its owner's log
	lost    eventlog.Position // where Gap was called last for all
	// advanced is closed when head grows, if that is waited for.
	advanced chan struct{}
	demand   func(ownerID string)
	// the same where what is told to one user alone is not at hand
	demandPersonal func(ownerID string)

	// guards what follows, the events in memory; taken before an owner's lock
	recentMu    sync.Mutex
	recent      []kept // a ring when it has capacity
	oldest      int    // in the ring
	capacity    int
	recentBytes int64 // of the messages in recent

	idleMu sync.Mutex // guards idle; taken with an owner's lock held, and never the other way round
	idle   map[*ownerLog]struct{}
}

// NewBus returns an empty bus over a history. Feed gives it an epoch, events and a head.
func NewBus(history History) *Bus {
	return &Bus{history: history, capacity: busCapacity, replay: replay{history: history}, begun: make(chan struct{}), owners: make(map[string]*ownerLog), demand: func(string) {}, demandPersonal: func(string) {}}
}

// OnDemand sets what is called when a subscription begins for an owner whose metrics are not at
// hand. It must be set before the first subscription and must not block.
func (b *Bus) OnDemand(call func(ownerID string)) { b.demand = call }

// OnPersonalDemand is OnDemand for what is told to single users.
func (b *Bus) OnPersonalDemand(call func(ownerID string)) { b.demandPersonal = call }

// Tail is the end of the log as it is kept in memory: Events are all that follow batch After.
type Tail struct {
	After  int64
	Events []*Event
}

// Pass says that a batch was published to its end whose events are not in memory: owners of whom
// nothing is known yet begin after it.
func (b *Bus) Pass(batch int64) {
	b.Advance(batch)
	b.mu.Lock()
	b.since = max(b.since, batch)
	b.mu.Unlock()
}

// Reset starts the bus, or starts it again after events were lost to it: everything in
// memory is forgotten, and every reader learns that its history is gone. The events after
// batch head are expected next.
func (b *Bus) Reset(enc Encoder, head int64) { b.ResetTail(enc, head, Tail{After: head}) }

// ResetTail is Reset with the end of the log up to head in memory.
func (b *Bus) ResetTail(enc Encoder, head int64, tail Tail) {
	b.recentMu.Lock()
	b.recent, b.oldest, b.recentBytes = nil, 0, 0
	b.recentMu.Unlock()
	b.mu.Lock()
	old := b.owners
	b.owners = make(map[string]*ownerLog)
	first := b.encoder.Location == nil
	b.encoder, b.head, b.lost, b.since = enc, head, eventlog.Position{}, tail.After
	for _, e := range tail.Events {
		o := b.ownerLocked(e.OwnerID)
		b.remember(e, o)
		o.append(e)
	}
	b.mu.Unlock()
	if first {
		close(b.begun)
	}
	b.replay.clear("")
	for _, o := range old {
		o.mu.Lock()
		readers := o.readers
		// they enter the new log when they find out
		o.retired, o.cursors, o.readers = true, nil, nil
		o.mu.Unlock()
		wake(readers)
	}
}

// Ready returns a channel that is closed when the bus has begun. Before, nothing can be
// read from it.
func (b *Bus) Ready() <-chan struct{} { return b.begun }

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

// remember counts an event among those in memory, and lets the oldest go when there are too many.
func (b *Bus) remember(e *Event, in *ownerLog) {
	b.recentMu.Lock()
	defer b.recentMu.Unlock()
	b.recentBytes += int64(len(e.JSON))
	if len(b.recent) < b.capacity {
		b.recent = append(b.recent, kept{e, in})
		return
	}
	oldest := b.recent[b.oldest]
	b.recent[b.oldest] = kept{e, in}
	b.oldest = (b.oldest + 1) % b.capacity
	b.forget(oldest)
}

// mayBeIdle notes an owner that nobody reads and nothing is kept of. The caller holds the
// owner's lock.
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

// Advance says that a batch was published to its end, and lets go of owners that nobody
// reads and nothing is kept of.
func (b *Bus) Advance(head int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if head == b.head {
		return
	}
	b.head = head
	if b.advanced != nil {
		close(b.advanced)
		b.advanced = nil
	}
	b.idleMu.Lock()
	idle := b.idle
	b.idle = nil
	b.idleMu.Unlock()
	for o := range idle {
		o.mu.Lock()
		if len(o.readers) == 0 && len(o.events) == 0 && b.owners[o.ownerID] == o {
			delete(b.owners, o.ownerID)
			o.retired = true
			if o.lowWatermark.Compare(eventlog.EndOfBatch(b.since)) > 0 {
				b.since = b.head // what that log knew is forgotten
			}
		}
		o.mu.Unlock()
	}
}

// Last returns the position of an owner's newest message, if that is known here. What a query reads
// after it was called lacks nothing up to it.
func (b *Bus) Last(ownerID string) (last eventlog.Position, known bool) {
	b.withOwner(ownerID, func(o *ownerLog) { last, known = o.last, o.lastKnown })
	return last, known
}

// Head returns the newest batch that was published to its end.
func (b *Bus) Head() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.head
}

// Gap says that at position changes happened which no log holds. Every reader of the owner, or of
// all where ownerID is empty, learns that its history is gone, and continues after position.
func (b *Bus) Gap(position eventlog.Position, ownerID string) {
	b.replay.clear(ownerID)
	var readers []Reader
	if ownerID != "" {
		readers = b.gap(b.owner(ownerID), position)
	} else {
		b.mu.Lock()
		b.lost = position
		for _, o := range b.owners {
			readers = append(readers, b.gap(o, position)...)
		}
		b.mu.Unlock()
	}
	wake(readers)
}

func (b *Bus) gap(o *ownerLog, position eventlog.Position) []Reader {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events, o.lowWatermark, o.lost, o.last, o.lastKnown = nil, position, position, position, true
	b.mayBeIdle(o)
	return slices.Clone(o.readers)
}

// Behind says that some owners have events in a batch that is not in memory: their readers find the
// cursor behind, and read the log. What is published after it follows there, or in memory.
func (b *Bus) Behind(ownerIDs []string, batch int64) {
	for _, id := range ownerIDs {
		o := b.owner(id)
		o.mu.Lock()
		o.events, o.lowWatermark, o.lastKnown = nil, eventlog.EndOfBatch(batch), false
		o.forgot++
		readers := slices.Clone(o.readers)
		b.mayBeIdle(o)
		o.mu.Unlock()
		wake(readers)
	}
}

// Owners returns the owners that anything is kept of, or that have readers.
func (b *Bus) Owners() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Collect(maps.Keys(b.owners))
}

// Await waits until a batch was published to its end, for as long as ctx lasts.
func (b *Bus) Await(ctx context.Context, batch int64) {
	for {
		b.mu.Lock()
		if b.head >= batch {
			b.mu.Unlock()
			return
		}
		if b.advanced == nil {
			b.advanced = make(chan struct{})
		}
		advanced := b.advanced
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-advanced:
		}
	}
}

// Watched returns the owners that have subscriptions.
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

// IsWatched reports whether an owner has a subscription.
func (b *Bus) IsWatched(ownerID string) (watched bool) {
	b.withOwner(ownerID, func(o *ownerLog) { watched = len(o.readers) > 0 })
	return watched
}

// withOwner calls with an owner's log, which is locked meanwhile; not where there is none.
func (b *Bus) withOwner(ownerID string, do func(*ownerLog)) {
	b.mu.RLock()
	o := b.owners[ownerID]
	b.mu.RUnlock()
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	do(o)
}

// Encoder returns what turns changes into messages in the present epoch.
func (b *Bus) Encoder() Encoder {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.encoder
}

// owner returns an owner's log, new if need be. Nothing of the owner was published since the bus
// has kept everything, and from now on everything will be in it.
func (b *Bus) owner(id string) *ownerLog {
	b.mu.RLock()
	o := b.owners[id]
	b.mu.RUnlock()
	if o != nil {
		return o
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ownerLocked(id)
}

// ownerLocked is owner for a caller that holds the lock.
func (b *Bus) ownerLocked(id string) *ownerLog {
	if o := b.owners[id]; o != nil {
		return o
	}
	o := &ownerLog{ownerID: id, lowWatermark: eventlog.EndOfBatch(b.since)}
	if b.lost.Compare(o.lowWatermark) > 0 { // within the batch that is being published
		o.lowWatermark, o.lost, o.last, o.lastKnown = b.lost, b.lost, b.lost, true
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
