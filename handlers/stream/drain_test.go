package stream

import "testing"

// TestGoodbyesAreShuffled has four sessions be told goodbye in each order that there is.
func TestGoodbyesAreShuffled(t *testing.T) {
	t.Parallel()
	s := &Server{sessions: map[*session]struct{}{}}
	for range 4 {
		s.sessions[&session{}] = struct{}{}
	}
	orders := map[[4]*session]bool{}
	for range 2000 { // one of the 24 is missing once in 10^35 times
		orders[[4]*session(s.shuffled())] = true
	}
	if len(orders) != 24 {
		t.Errorf("%d orders of 24", len(orders))
	}
}
