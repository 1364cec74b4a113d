package stream

import (
	"testing"
	"time"
)

// TestHeartbeatsOfACrowdSpread has many come at once, and sees that their heartbeats do not.
func TestHeartbeatsOfACrowdSpread(t *testing.T) {
	t.Parallel()
	const crowd, parts = 10_000, 100
	s := &Server{Heartbeat: 20 * time.Second}
	s.opened.Store(123_456) // others came before
	var due [parts]int
	for range crowd {
		phase := s.heartbeatPhase()
		if phase < 0 || phase >= s.Heartbeat {
			t.Fatalf("the first heartbeat is due after %s", phase)
		}
		due[phase*parts/s.Heartbeat]++
		s.opened.Add(1)
	}
	for part, n := range due {
		if n > crowd/parts*5/4 {
			t.Errorf("%d of %d heartbeats are due in part %d of %d", n, crowd, part, parts)
		}
	}
}
