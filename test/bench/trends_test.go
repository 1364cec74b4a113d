package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// BenchmarkTrends builds the trends of 2,000,000 bookings while others write, and then asks for the
// largest answers of each interval, of an owner with 20,000 bookings and of one with 200,000; the
// latter also while a hundred bookings a second come.
func BenchmarkTrends(b *testing.B) {
	bookings := 2_000_000 // 200,000 of the first owner
	if testing.Short() {
		bookings = 100_000
	}
	portal := dbtest.New(b)
	owner := fillPortal(b, portal, 100, bookings)
	loc, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		b.Fatal(err)
	}
	store, err := db.NewStore(b.Context(), portal.Pool, loc)
	if err != nil {
		b.Fatal(err)
	}
	if err := store.Prepare(b.Context()); err != nil {
		b.Fatal(err)
	}
	keeper := db.NewTrendKeeper(store)
	ctx, cancel := context.WithCancel(b.Context())
	var writing sync.WaitGroup
	writing.Go(func() { book(ctx, b, portal, owner) })
	begun := time.Now()
	built, err := keeper.Build(b.Context(), begun)
	build := time.Since(begun)
	cancel()
	writing.Wait()
	if err != nil || !built {
		b.Fatalf("the trends: built %t, %v", built, err)
	}
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(build.Seconds(), "build-s")
	})
	if _, err := keeper.Apply(b.Context()); err != nil {
		b.Fatal(err)
	}
	y, m, d := time.Now().In(loc).Date()
	tomorrow := time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	questions := []db.TrendQuery{
		{Interval: db.TrendHour, From: tomorrow.AddDate(0, 0, -14)},
		{Interval: db.TrendDay, From: tomorrow.AddDate(0, 0, -400)},
		{Interval: db.TrendWeek, From: tomorrow.AddDate(0, 0, -159*7)},
		{Interval: db.TrendMonth, From: tomorrow.AddDate(0, -59, 0)},
	}
	ask := func(b *testing.B, ownerID string) {
		for _, q := range questions {
			for _, compare := range []db.TrendCompare{db.CompareNone, db.CompareBefore, db.CompareYear} {
				b.Run(fmt.Sprint(q.Interval, "/", compare), func(b *testing.B) {
					q.To, q.Compare = tomorrow, compare
					var took []time.Duration
					for b.Loop() {
						begun := time.Now()
						t, err := store.Trends(context.WithoutCancel(b.Context()), ownerID, q, begun)
						if err != nil || !t.Kept {
							b.Fatalf("kept %t, %v", t.Kept, err)
						}
						took = append(took, time.Since(begun))
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
				})
			}
		}
	}
	b.Run("usual", func(b *testing.B) { ask(b, "7") })
	b.Run("large", func(b *testing.B) { ask(b, owner.ID) })
	b.Run("busy", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		var working sync.WaitGroup
		working.Go(func() { book(ctx, b, portal, owner) })
		var applied []time.Duration
		working.Go(func() {
			for ctx.Err() == nil {
				begun := time.Now()
				if _, err := keeper.Apply(context.WithoutCancel(ctx)); err != nil {
					b.Error(err)
				}
				applied = append(applied, time.Since(begun))
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
		ask(b, owner.ID)
		cancel()
		working.Wait()
		slices.Sort(applied)
		b.ReportMetric(float64(applied[len(applied)/2].Microseconds())/1000, "apply-p50-ms")
	})
}
