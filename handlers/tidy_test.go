package handlers

import "testing"

func TestTidyWaitsForTheEndOfACrowd(t *testing.T) {
	t.Parallel()
	released := 0
	tidy := &tidy{release: func() { released++ }}
	for i, look := range []struct {
		changes int64
		want    int // releases by then
	}{
		{0, 0}, {0, 0},
		{crowd - 1, 0}, {crowd - 1, 0}, // few
		{crowd, 0}, {3 * crowd, 0}, // still coming
		{3 * crowd, 1}, {3 * crowd, 1}, // once
		{4*crowd - 1, 1}, {4*crowd - 1, 1},
		{4 * crowd, 1}, {4 * crowd, 2},
	} {
		if tidy.look(look.changes); released != look.want {
			t.Errorf("look %d, at %d changes: %d releases, want %d", i, look.changes, released, look.want)
		}
	}
}
