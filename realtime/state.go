package realtime

import (
	"bytes"
	"slices"
)

// stateTypes are the types of message that say how things are, in the order in which they are told.
// Only the newest of each counts.
var stateTypes = [...]string{MetricsUpdated, OverviewUpdated}

// state is the newest message of each of stateTypes about one owner.
type state struct {
	newest   [len(stateTypes)]*Event
	versions stateVersions
}

// stateVersions count, for each of stateTypes, the messages that were the newest so far.
type stateVersions [len(stateTypes)]uint64

// set makes a message the newest of its type and reports whether readers are to be told: one that
// says the same as the last is not news where repeats is false.
func (s *state) set(e *Event, repeats bool) bool {
	for i, typ := range stateTypes {
		if typ != e.Type {
			continue
		}
		if last := s.newest[i]; !repeats && last != nil && bytes.Equal(last.data, e.data) {
			return false
		}
		s.newest[i] = e
		s.versions[i]++
		return true
	}
	return false
}

// complete reports whether there is a message of each type.
func (s *state) complete() bool {
	for _, e := range s.newest {
		if e == nil {
			return false
		}
	}
	return true
}

// appendNew appends the messages that a reader was not told yet.
func (s *state) appendNew(buffer []*Event, told *stateVersions) []*Event {
	if *told == s.versions {
		return buffer
	}
	for i, e := range s.newest {
		if e != nil && told[i] != s.versions[i] {
			buffer = append(buffer, e)
		}
	}
	*told = s.versions
	return buffer
}

// PublishState makes e the newest message of its type about its owner, if anybody is subscribed.
// One that says the same as the last is not told again where repeats is false.
func (b *Bus) PublishState(e *Event, repeats bool) {
	var readers []Reader
	b.withOwner(e.OwnerID, func(o *ownerLog) {
		if len(o.readers) > 0 && o.state.set(e, repeats) {
			readers = slices.Clone(o.readers)
		}
	})
	wake(readers)
}

// hasState reports whether the newest message of each type of state is at hand for those who watch
// an owner.
func (b *Bus) hasState(ownerID string) (complete bool) {
	b.withOwner(ownerID, func(o *ownerLog) { complete = o.state.complete() })
	return complete
}
