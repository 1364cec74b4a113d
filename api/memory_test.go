package api

import (
	"log/slog"
	"strings"
	"testing"
)

// noted is a Shedder that notes what it is told.
type noted []string

func (n *noted) SetFull(full bool) {
	if full {
		*n = append(*n, "full")
	} else {
		*n = append(*n, "open")
	}
}
func (n *noted) Shed()    { *n = append(*n, "shed") }
func (n *noted) Restore() { *n = append(*n, "restore") }

func TestMemoryIsShedInSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		used []int64
		does string
	}{
		"enough":                   {[]int64{10, 84}, ""},
		"short, and enough again":  {[]int64{85, 90, 84, 80, 79, 84}, "full open"},
		"critical for a while":     {[]int64{91, 92, 95, 86, 81, 79}, "full shed shed restore open"},
		"at once":                  {[]int64{120, 10}, "full shed restore open"},
		"full, critical, and full": {[]int64{93, 79, 86, 79}, "full shed restore open full open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var did noted
			m := &Memory{Shedder: &did, Log: slog.New(slog.DiscardHandler)}
			for _, used := range c.used {
				m.judge(used, 100)
			}
			if got := strings.Join(did, " "); got != c.does {
				t.Errorf("it did %q, want %q", got, c.does)
			}
		})
	}
	t.Run("no limit", func(t *testing.T) {
		t.Parallel()
		var did noted
		m := &Memory{Shedder: &did, Log: slog.New(slog.DiscardHandler)}
		if m.judge(1<<40, 0); len(did) > 0 {
			t.Errorf("it did %v", did)
		}
	})
}
