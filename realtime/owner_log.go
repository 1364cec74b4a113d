package realtime

import (
	"sync"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// kept is an event in memory and where it is.
type kept struct {
	event *Event
	log   *ownerLog
}

// ownerLog is one owner's part of the bus. After lowWatermark every event is in events; before lost
// nothing can be read at all.
type ownerLog struct {
	ownerID string

	mu           sync.Mutex // guards what follows
	events       []*Event   // ascending
	lowWatermark eventlog.Position
	lost         eventlog.Position
	last         eventlog.Position // the owner's newest message, if lastKnown
	lastKnown    bool
	forgot       int  // how often lastKnown was given up
	retired      bool // of an epoch that is over
	state        state
	cursors      []*Subscription // in no order; each knows its place
	// of the cursors, in the same order: those who wake them need nothing else
	readers []Reader
	touched bool // Publish is going to wake the readers
	// what is told to one user alone, by user, as long as they have readers
	personal map[string]*personalState
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

// drop forgets the oldest event in memory. The caller holds the lock.
func (o *ownerLog) drop() {
	o.lowWatermark = o.events[0].Position
	o.events[0] = nil
	o.events = o.events[1:]
}
