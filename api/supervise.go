package api

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// readyPoll is how often a start looks whether the server can serve by now.
	readyPoll = 100 * time.Millisecond
	// statusPoll is how often the supervisor's line of status is brought up to date, unless the
	// watchdog is fed more often.
	statusPoll = 10 * time.Second
)

// Supervisor is the service manager that started this process, told of by sd_notify(3).
type Supervisor struct {
	// Tell passes assignments on, a line each, like READY=1.
	Tell func(state string)
	// Watchdog is after what silence the supervisor ends the process; 0 is never.
	Watchdog time.Duration
	// Progress are counters that grow as long as the server works, whatever is away. The
	// watchdog is fed only when each has grown since it was fed last: a timer alone would
	// feed it for a process that hangs.
	Progress []func() uint64
}

// supervise tells the supervisor when the server can serve, what is away, and that it works, until
// ctx ends.
func (s *Server) supervise(ctx context.Context) {
	if s.Supervisor == nil {
		return
	}
	told := ""
	// look returns whether the server can serve, and passes on what is new about it.
	look := func(greeting string) bool {
		ready, line := s.status()
		if line != told {
			state := "STATUS=" + line
			if ready {
				state = greeting + state
			}
			s.Supervisor.Tell(state)
			told = line
		}
		return ready
	}
	pause := time.NewTicker(readyPoll)
	defer pause.Stop()
	for !look("READY=1\n") {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
	period := statusPoll
	if s.Supervisor.Watchdog > 0 {
		period = min(period, s.Supervisor.Watchdog/3)
	}
	pause.Reset(period)
	fed := make([]uint64, len(s.Supervisor.Progress))
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		if s.Supervisor.Watchdog > 0 && s.Supervisor.grown(fed) {
			s.Supervisor.Tell("WATCHDOG=1")
		}
		look("")
	}
}

// grown reports whether every counter has grown beyond what it was, and keeps what they are if so.
func (s *Supervisor) grown(fed []uint64) bool {
	now := make([]uint64, len(fed))
	for i, count := range s.Progress {
		if now[i] = count(); now[i] <= fed[i] {
			return false
		}
	}
	copy(fed, now)
	return true
}

// status returns whether the server can serve, and a line that says it or names what is away.
func (s *Server) status() (ready bool, line string) {
	code, word, parts := s.readiness()
	maps.DeleteFunc(parts, func(_, state string) bool { return state == "ok" })
	if len(parts) > 0 {
		word += ": " + strings.Join(slices.Sorted(maps.Keys(parts)), ", ")
	}
	return code < 300, word
}
