package realtime

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// TestCrowdReadsTheLogOnce has many clients come back who are behind the memory, each
// from a place of its own.
func TestCrowdReadsTheLogOnce(t *testing.T) {
	t.Parallel()
	const events, clients = 3*pageEvents + ownerCapacity, 60
	r := newBusFixture()
	enc := r.Encoder()
	for range events {
		r.commit(t, "1")
	}
	var crowd sync.WaitGroup
	for i := range clients {
		from := int64(1 + i*7)
		s := &Subscription{}
		recovered, err := r.Subscribe(t.Context(), s, call(func() {}), "1", enc.Epoch.Format("1", eventlog.Position{Batch: from, TxOrder: from, ID: from}))
		if err != nil || !recovered {
			t.Fatal(recovered, err)
		}
		t.Cleanup(s.Close)
		crowd.Go(func() {
			got := drain(t, s)
			if int64(len(got)) != events-from || !slices.IsSorted(got) || got[0] != from+1 {
				t.Errorf("from %d: %d events, want %d", from, len(got), events-from)
			}
		})
	}
	crowd.Wait()
	if r.history.asked > clients/2 {
		t.Errorf("%d clients read the log %d times", clients, r.history.asked)
	}
}

// TestNothingReadBeforeALossIsKept has a client come back over changes that no log holds, after
// others read what was before.
func TestNothingReadBeforeALossIsKept(t *testing.T) {
	t.Parallel()
	r := newBusFixture()
	first := r.commit(t, "1")
	for range 2 * ownerCapacity {
		r.commit(t, "1")
	}
	id := r.Encoder().Epoch.Format("1", first)
	early := &Subscription{}
	recovered, err := r.Subscribe(t.Context(), early, call(func() {}), "1", id)
	if err != nil || !recovered {
		t.Fatal(recovered, err)
	}
	defer early.Close()
	if _, err := early.Replay(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	r.batch++
	lost := eventlog.Position{Batch: r.batch, TxOrder: r.batch, ID: r.batch}
	r.history.gone = lost
	r.Gap(lost, "")
	if _, err := early.Next(nil, 3); !errors.Is(err, eventlog.ErrHistoryGone) {
		t.Errorf("who was replaying goes on with %v", err)
	}
	late := &Subscription{}
	recovered, err = r.Subscribe(t.Context(), late, call(func() {}), "1", id)
	if err != nil || recovered {
		t.Errorf("who comes back over the loss: recovered %v, %v", recovered, err)
	}
	late.Close()
	if n := len(r.replay.pages); n != 0 {
		t.Errorf("%d pages of before the loss are kept", n)
	}
}
