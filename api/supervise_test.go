package api

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

// TestSupervisor tells a supervisor that the server can serve once every part works, feeds the
// watchdog while all counters grow, and stops feeding when one of them stands still.
func TestSupervisor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		var works atomic.Bool
		var rounds, ticks atomic.Uint64
		s := &Server{
			Stream: &stream.Server{},
			Checks: map[string]func() bool{"database": func() bool { return true }, "triggers": works.Load},
			Supervisor: &Supervisor{
				Tell:     func(state string) { told = append(told, state) },
				Watchdog: 3 * time.Second,
				Progress: []func() uint64{rounds.Load, ticks.Load},
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			s.supervise(ctx)
			close(done)
		}()
		expect := func(during time.Duration, states ...string) {
			t.Helper()
			time.Sleep(during)
			synctest.Wait()
			if got, want := strings.Join(told, "|"), strings.Join(states, "|"); got != want {
				t.Errorf("told %q, want %q", got, want)
			}
			told = nil
		}
		expect(time.Minute, "STATUS=not ready: triggers")
		works.Store(true)
		expect(readyPoll, "READY=1\nSTATUS=ready")
		rounds.Add(1)
		expect(1500 * time.Millisecond) // the clock stands still
		ticks.Add(1)
		expect(time.Second, "WATCHDOG=1")
		expect(time.Minute)
		works.Store(false)
		rounds.Add(1)
		ticks.Add(1)
		expect(time.Second, "WATCHDOG=1", "STATUS=not ready: triggers")
		cancel()
		<-done
	})
}
