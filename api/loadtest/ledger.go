package loadtest

import (
	"sync"
)

// ledger numbers the events of one owner in the order in which any connection first got them, so that a connection
// remembers four bytes for each.
type ledger struct {
	who Subscriber // one who may read the owner's history

	mu      sync.Mutex // guards what follows
	numbers map[string]uint32
	ids     []string
}

func newLedger(who Subscriber) *ledger {
	return &ledger{who: who, numbers: map[string]uint32{}}
}

// number returns an id's number. guess is what it would be if nothing unusual happened.
func (l *ledger) number(id []byte, guess uint32) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(guess) < len(l.ids) && l.ids[guess] == string(id) {
		return guess
	}
	if n, known := l.numbers[string(id)]; known {
		return n
	}
	n := uint32(len(l.ids))
	l.ids = append(l.ids, string(id))
	l.numbers[l.ids[n]] = n
	return n
}

// places translates numbers to places in an owner's history; -1 for an event that is not in it.
func (l *ledger) places(of map[string]int) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	places := make([]int, len(l.ids))
	for n, id := range l.ids {
		place, known := of[id]
		if !known {
			place = -1
		}
		places[n] = place
	}
	return places
}

// tally is what comparing a connection with history found.
type tally struct {
	lost, doubled, reordered, unknown int
}

// judge compares the places of what a connection received, in the order of arrival, with history: it should have got
// each from begin up to settled, once and in order. What came later than settled is only checked for order.
func judge(received []int, begin, settled int) (t tally) {
	highest := -1
	for _, place := range received {
		highest = max(highest, place)
	}
	seen := make([]bool, max(highest+1, settled))
	newest := -1
	for _, place := range received {
		switch {
		case place < 0:
			t.unknown++
			continue
		case seen[place]:
			t.doubled++
			continue
		case place < begin || place < newest:
			t.reordered++
		}
		seen[place] = true
		newest = max(newest, place)
	}
	for place := begin; place < settled; place++ {
		if !seen[place] {
			t.lost++
		}
	}
	return t
}
