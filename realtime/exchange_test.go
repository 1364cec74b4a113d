package realtime

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/db/seal"
)

// fullTransport carries nothing, and has room for so many messages.
type fullTransport struct{ room int }

func (s *fullTransport) Publish([]byte) bool { s.room--; return s.room >= 0 }
func (*fullTransport) Proven() bool          { return true }

// TestNumberingWaitsForNobody has 1,000 batches be numbered while neither PostgreSQL nor Redis
// takes what the others are told: the numbering goes on at once, and what has no room is counted.
func TestNumberingWaitsForNobody(t *testing.T) {
	t.Parallel()
	keys, err := seal.New(bytes.Repeat([]byte{7}, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	const batches = 1000
	for name, redis := range map[string]*fullTransport{"PostgreSQL": nil, "Redis": {room: 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				x := NewExchange(keys, Notify{Limit: 8000, Send: func(ctx context.Context, _ []byte) error {
					<-ctx.Done()
					return ctx.Err()
				}}, quiet)
				taken := outgoing + 1 // one of them is being sent
				if redis != nil {
					x.Redis, taken = redis, 3
				}
				go x.Run(ctx) //nolint:errcheck // it returns nil
				began := time.Now()
				for batch := range int64(batches) {
					x.tell(keys.EpochID("now"), eventlog.Parcel{Batch: batch + 1, Whole: true})
					synctest.Wait()
				}
				if waited := time.Since(began); waited > 0 {
					t.Errorf("the numbering waited %v", waited)
				}
				if unsent := x.unsent.Load(); unsent != int64(batches-taken) {
					t.Errorf("%d of %d had no room, want %d", unsent, batches, batches-taken)
				}
			})
		})
	}
}
