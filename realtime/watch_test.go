package realtime

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// bell is a Doorbell that notes what was done to it.
type bell struct {
	did     []string
	settled bool
	fail    error
}

func (b *bell) Mute(context.Context) error {
	b.did = append(b.did, "mute")
	return b.fail
}

func (b *bell) Unmute(context.Context) error {
	b.did = append(b.did, "unmute")
	return b.fail
}

func (b *bell) Settled(context.Context) (bool, error) { return b.settled, b.fail }

// look asks when to look next, and fails the test when that is an error.
func look(t *testing.T, w *watch, news, ringing bool) time.Duration {
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
		b := &bell{settled: true}
		w := &watch{bell: b}
		for i := range 10 * rushes {
			if d := look(t, w, true, i%rushes != 0); d != feedPoll {
				t.Fatalf("the next look is after %v", d)
			}
		}
		if len(b.did) > 0 {
			t.Errorf("the doorbell was touched: %v", b.did)
		}
	})

	t.Run("a rush mutes the doorbell, its end unmutes it, and then it is watched until all is settled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := &bell{}
			w := &watch{bell: b}
			for range rushes {
				look(t, w, true, true)
			}
			if !slices.Equal(b.did, []string{"mute"}) {
				t.Fatalf("after a rush: %v", b.did)
			}
			for range 100 { // news keep it mute
				time.Sleep(look(t, w, true, false))
			}
			if n := len(b.did); n < 2 || n > 5 || slices.Contains(b.did, "unmute") {
				t.Fatalf("muted for half a second: %v", b.did)
			}
			for b.did[len(b.did)-1] == "mute" {
				d := look(t, w, false, false)
				if d > mutedPause {
					t.Fatalf("while mute, the next look is after %v", d)
				}
				time.Sleep(d)
			}
			var pauses []time.Duration
			for range 10 {
				pauses = append(pauses, look(t, w, false, false))
			}
			if !slices.IsSorted(pauses) || pauses[0] > 2*firstWatch || pauses[9] != longestWatch {
				t.Errorf("watching at %v", pauses)
			}
			b.settled = true
			if d := look(t, w, false, false); d != 0 {
				t.Errorf("what has just settled is looked at after %v", d)
			}
			if d := look(t, w, true, false); d != feedPoll {
				t.Errorf("then the next look is after %v", d)
			}
			if i := slices.Index(b.did, "unmute"); i != len(b.did)-1 {
				t.Errorf("in all: %v", b.did)
			}
		})
	})

	t.Run("whoever takes the numbering over watches those who found the doorbell mute", func(t *testing.T) {
		t.Parallel()
		w := &watch{bell: &bell{}}
		w.begin()
		if d := look(t, w, false, false); d > longestWatch {
			t.Errorf("the next look is after %v", d)
		}
	})

	t.Run("an error ends it", func(t *testing.T) {
		t.Parallel()
		b := &bell{fail: errors.New("away")}
		w := &watch{bell: b}
		w.begin()
		if _, err := w.next(t.Context(), false, false); err == nil {
			t.Error("no error")
		}
		w.reset()
		if w.bell == nil || w.muted || w.unsettled {
			t.Errorf("after a reset: %+v", w)
		}
	})
}
