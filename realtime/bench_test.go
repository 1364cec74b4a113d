package realtime

import (
	"fmt"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// BenchmarkPublish measures the publishing of an event, and that each of its readers is
// woken and takes it.
func BenchmarkPublish(b *testing.B) {
	for _, readers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			bus := NewBus(&table{})
			bus.Reset(Encoder{Epoch: NewEpoch("bench"), Location: time.UTC}, 0)
			var woken []*Subscription
			for range readers {
				s := &Subscription{}
				if _, err := bus.Subscribe(b.Context(), s, call(func() { woken = append(woken, s) }), "1", ""); err != nil {
					b.Fatal(err)
				}
				b.Cleanup(s.Close)
			}
			var taken []*Event
			batch := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				batch++
				woken = woken[:0]
				bus.Publish([]*Event{{Position: eventlog.Position{Batch: batch, TxOrder: 1, ID: 1}, OwnerID: "1", Type: BookingCreated}})
				bus.Advance(batch)
				for _, s := range woken {
					var err error
					if taken, err = s.Next(taken[:0], 64); err != nil || len(taken) != 1 {
						b.Fatal(len(taken), err)
					}
				}
			}
		})
	}
}
