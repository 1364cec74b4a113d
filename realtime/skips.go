package realtime

import (
	"log/slog"
	"sync"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// Reasons why a row of the log is not told.
const (
	// SkippedUnknown rows are of a type that this version does not know.
	SkippedUnknown = "unknown_type"
	// SkippedUnreadable rows are messages that cannot be read: their owner's browsers
	// load their numbers again.
	SkippedUnreadable = "unreadable"
)

// skipsRemembered bounds how many rows are remembered, to count each once, however often
// it is read.
const skipsRemembered = 10_000

// Skips counts the rows of the log that are not told, each once, and says so once for each type.
type Skips struct {
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	seen   map[eventlog.Position]struct{}
	said   map[[2]string]struct{}
	counts map[string]int64 // by reason
}

// NewSkips returns counts of zero.
func NewSkips(log *slog.Logger) *Skips {
	return &Skips{log: log, seen: make(map[eventlog.Position]struct{}), said: make(map[[2]string]struct{}), counts: make(map[string]int64)}
}

// Collect implements stats.Collector.
func (s *Skips) Collect() (list []stats.Stat) {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, reason := range []string{SkippedUnknown, SkippedUnreadable} {
		list = append(list, stats.Counter("hangarshare_log_rows_skipped_total",
			"Rows of the log that this server could not tell: of a type it does not know, or unreadable.", s.counts[reason]).With("reason", reason))
	}
	return list
}

func (s *Skips) note(c eventlog.Change, reason string, err error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	_, known := s.seen[c.Position]
	if len(s.seen) >= skipsRemembered {
		clear(s.seen)
	}
	s.seen[c.Position] = struct{}{}
	kind := [2]string{c.Type, reason}
	_, said := s.said[kind]
	if !known {
		s.counts[reason]++
	}
	if len(s.said) < skipsRemembered {
		s.said[kind] = struct{}{}
	}
	s.mu.Unlock()
	if said {
		return
	}
	switch reason {
	case SkippedUnknown:
		s.log.Warn("the log has rows of a type that this version does not know; they are stepped over", "type", c.Type)
	default:
		s.log.Error("a row of the log is no message; its owner's browsers load their numbers again", "type", c.Type, "owner", c.OwnerID, "batch", c.Batch, "error", err)
	}
}
