package stream

import "testing"

func TestTidyWaitsForTheEndOfACrowd(t *testing.T) {
	t.Parallel()
	released := 0
	s := &scavenger{release: func() { released++ }}
	for i, look := range []struct {
		changes int64
		want    int // releases by then
	}{
		{0, 0}, {0, 0},
		{scavengeThreshold - 1, 0}, {scavengeThreshold - 1, 0}, // few
		{scavengeThreshold, 0}, {3 * scavengeThreshold, 0}, // still coming
		{3 * scavengeThreshold, 1}, {3 * scavengeThreshold, 1}, // once
		{4*scavengeThreshold - 1, 1}, {4*scavengeThreshold - 1, 1},
		{4 * scavengeThreshold, 1}, {4 * scavengeThreshold, 2},
	} {
		if s.observe(look.changes); released != look.want {
			t.Errorf("look %d, at %d changes: %d releases, want %d", i, look.changes, released, look.want)
		}
	}
}
