package outbox

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

type narrow struct{ Sender }

func (narrow) AtOnce() int { return 2 }

// TestLanes fills the way to a host. Each message that finds no room comes back at its own time, at
// the pace at which others have left, within what bounds it; other hosts have room.
func TestLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lanes
		enter := func(by Sender, host string) (func(), time.Duration) {
			leave, later := l.enter(t.Context(), by, host, time.Now)
			if later.IsZero() {
				return leave, 0
			}
			return leave, time.Until(later)
		}
		for range 100 {
			if _, later := enter(nil, "push"); later != 0 {
				t.Error("a host without bounds has no room")
			}
		}
		first, _ := enter(narrow{}, "a")
		second, later := enter(narrow{}, "a")
		if later != 0 {
			t.Error("there is room for two")
		}
		if _, later := enter(narrow{}, "b"); later != 0 {
			t.Error("another host has no room")
		}
		go func() {
			time.Sleep(laneWait / 2)
			first()
		}()
		first, later = enter(narrow{}, "a")
		if later != 0 {
			t.Errorf("what is left within %s makes no room", laneWait)
		}
		var waits []time.Duration
		begun := time.Now()
		for range 3 {
			_, later := enter(narrow{}, "a")
			waits = append(waits, time.Since(begun)+later)
		}
		if step := waits[1] - waits[0]; waits[0] < lanePause || step <= laneWait || step > laneTook/2 || waits[2]-waits[1] != step {
			t.Errorf("they come back after %s", waits)
		}
		time.Sleep(time.Hour) // a slow host: each message takes long
		first()
		second()
		first, _ = enter(narrow{}, "a")
		second, _ = enter(narrow{}, "a")
		for range 10 {
			if _, later := enter(narrow{}, "a"); later < lanePause || later > laneLongest {
				t.Errorf("one comes back after %s", later)
			}
		}
		first()
		second()
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		l.enter(stopped, narrow{}, "a", time.Now)
	})
}

// TestLanesOfManyHosts goes to thousands of hosts: the ways to those where nothing is under way are
// forgotten, and no other.
func TestLanesOfManyHosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lanes
		l.enter(t.Context(), narrow{}, "full", time.Now)
		leave, _ := l.enter(t.Context(), narrow{}, "full", time.Now)
		waited := make(chan time.Time)
		go func() {
			_, later := l.enter(t.Context(), narrow{}, "full", time.Now)
			waited <- later
		}()
		synctest.Wait()
		for n := range 3 * maxHosts {
			leave, later := l.enter(t.Context(), narrow{}, strconv.Itoa(n), time.Now)
			if leave(); !later.IsZero() {
				t.Fatalf("there is no room on the way to host %d", n)
			}
		}
		if len(l.hosts) > maxHosts {
			t.Errorf("%d ways are known", len(l.hosts))
		}
		if later := <-waited; later.IsZero() {
			t.Error("there is room for a third")
		}
		leave()
		if _, later := l.enter(t.Context(), narrow{}, "full", time.Now); !later.IsZero() {
			t.Error("what was left makes no room")
		}
		if is := l.hosts["full"]; is.held != 2 {
			t.Errorf("%d are on their way, want 2", is.held)
		}
	})
}
