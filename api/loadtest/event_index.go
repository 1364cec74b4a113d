package loadtest

import (
	"sync"
)

// eventIndex numbers the events of one owner in the order in which any connection first got them,
// so that a connection remembers four bytes for each.
type eventIndex struct {
	who Subscriber // one who may read the owner's history

	mu      sync.Mutex // guards what follows
	numbers map[string]uint32
	ids     []string
}

func newEventIndex(who Subscriber) *eventIndex {
	return &eventIndex{who: who, numbers: map[string]uint32{}}
}

// number returns an id's number. guess is what it would be if nothing unusual happened.
func (l *eventIndex) number(id []byte, guess uint32) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(guess) < len(l.ids) && l.ids[guess] == string(id) {
		return guess
	}
	if n, found := l.numbers[string(id)]; found {
		return n
	}
	n := uint32(len(l.ids))
	l.ids = append(l.ids, string(id))
	l.numbers[l.ids[n]] = n
	return n
}

// ranks translates numbers to ranks in an owner's history; -1 for an event that is not in it.
func (l *eventIndex) ranks(of map[string]int) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	ranks := make([]int, len(l.ids))
	for n, id := range l.ids {
		rank, found := of[id]
		if !found {
			rank = -1
		}
		ranks[n] = rank
	}
	return ranks
}

// tally is what comparing a connection with history found.
type tally struct {
	lost, doubled, reordered, unknown int
}

// judge compares the ranks of what a connection received, in the order of arrival, with history:
// it should have got each from begin up to settled, once and in order. What came later than settled
// is only checked for order.
func judge(received []int, begin, settled int) (t tally) {
	highest := -1
	for _, rank := range received {
		highest = max(highest, rank)
	}
	seen := make([]bool, max(highest+1, settled))
	newest := -1
	for _, rank := range received {
		switch {
		case rank < 0:
			t.unknown++
			continue
		case seen[rank]:
			t.doubled++
			continue
		case rank < begin || rank < newest:
			t.reordered++
		}
		seen[rank] = true
		newest = max(newest, rank)
	}
	for rank := begin; rank < settled; rank++ {
		if !seen[rank] {
			t.lost++
		}
	}
	return t
}
