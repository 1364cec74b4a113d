package realtime

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// notifications is a Notifications that notes what was done to it.
type notifications struct {
	did      []string
	quiesced bool
	fail     error
}

func (b *notifications) Suppress(context.Context) error {
	b.did = append(b.did, "mute")
	return b.fail
}

func (b *notifications) Resume(context.Context) error {
	b.did = append(b.did, "unmute")
	return b.fail
}

func (b *notifications) Quiesced(context.Context) (bool, error) { return b.quiesced, b.fail }

// look asks when to look next, and fails the test when that is an error.
func poll(t *testing.T, w *poller, news, ringing bool) time.Duration {
	t.Helper()
	d, err := w.next(t.Context(), news, ringing)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWatch(t *testing.T) {
	t.Parallel()
	t.Run("seldom news are waited for", func(t *testing.T) {
		t.Parallel()
		b := &notifications{quiesced: true}
		w := &poller{notifications: b}
		for i := range 10 * rushRounds {
			if d := poll(t, w, true, i%rushRounds != 0); d != feedPoll {
				t.Fatalf("the next look is after %v", d)
			}
		}
		if len(b.did) > 0 {
			t.Errorf("the notification was touched: %v", b.did)
		}
	})

	t.Run("a rush mutes the notification, its end unmutes it, and then it is watched until all is quiesced", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := &notifications{}
			w := &poller{notifications: b}
			for range rushRounds {
				poll(t, w, true, true)
			}
			if !slices.Equal(b.did, []string{"mute"}) {
				t.Fatalf("after a rush: %v", b.did)
			}
			for range 100 { // news keep it mute
				time.Sleep(poll(t, w, true, false))
			}
			if n := len(b.did); n < 2 || n > 5 || slices.Contains(b.did, "unmute") {
				t.Fatalf("muted for half a second: %v", b.did)
			}
			for b.did[len(b.did)-1] == "mute" {
				d := poll(t, w, false, false)
				if d > suppressedPause {
					t.Fatalf("while mute, the next look is after %v", d)
				}
				time.Sleep(d)
			}
			var pauses []time.Duration
			for range 10 {
				pauses = append(pauses, poll(t, w, false, false))
			}
			if !slices.IsSorted(pauses) || pauses[0] > 2*firstPause || pauses[9] != longestPause {
				t.Errorf("watching at %v", pauses)
			}
			b.quiesced = true
			if d := poll(t, w, false, false); d != 0 {
				t.Errorf("what has just quiesced is looked at after %v", d)
			}
			if d := poll(t, w, true, false); d != feedPoll {
				t.Errorf("then the next look is after %v", d)
			}
			if i := slices.Index(b.did, "unmute"); i != len(b.did)-1 {
				t.Errorf("in all: %v", b.did)
			}
		})
	})

	t.Run("whoever takes the numbering over watches those who found the notification mute", func(t *testing.T) {
		t.Parallel()
		w := &poller{notifications: &notifications{}}
		w.begin()
		if d := poll(t, w, false, false); d > longestPause {
			t.Errorf("the next look is after %v", d)
		}
	})

	t.Run("an error ends it", func(t *testing.T) {
		t.Parallel()
		b := &notifications{fail: errors.New("away")}
		w := &poller{notifications: b}
		w.begin()
		if _, err := w.next(t.Context(), false, false); err == nil {
			t.Error("no error")
		}
		w.reset()
		if w.notifications == nil || w.suppressed || w.draining {
			t.Errorf("after a reset: %+v", w)
		}
	})
}
