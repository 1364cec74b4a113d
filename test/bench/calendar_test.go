package bench

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// BenchmarkCalendar asks for windows of 30 days of an owner with many bookings in twenty hangars.
// Near today they come from the projection, and a year ago from the portal's tables.
func BenchmarkCalendar(b *testing.B) {
	bookings := 2_000_000 // 200,000 of the first owner
	if testing.Short() {
		bookings = 100_000
	}
	portal := dbtest.New(b)
	owner := fillHangars(b, portal, 100, bookings, 20)
	// Of the owner's twenty spaces; a stay is two days.
	if _, err := portal.Pool.ExecContext(b.Context(), `UPDATE hangar_listings SET total_spaces = 400 WHERE owner_id = 1`); err != nil {
		b.Fatal(err)
	}
	store, err := db.NewStore(b.Context(), portal.Pool, time.UTC)
	if err != nil {
		b.Fatal(err)
	}
	if err := store.Prepare(b.Context()); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	if built, err := db.NewProjection(store).Build(b.Context(), now); err != nil || !built {
		b.Fatalf("the projection: built %t, %v", built, err)
	}
	usual := "7" // one of a hundred owners
	for _, window := range []struct {
		name, owner string
		days        int
	}{{"usual/near", usual, -7}, {"usual/older", usual, -365}, {"large/near", owner.ID, -7}, {"large/older", owner.ID, -365}} {
		b.Run(window.name, func(b *testing.B) {
			y, m, d := now.AddDate(0, 0, window.days).Date()
			from := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
			q := db.CalendarQuery{From: from, To: from.AddDate(0, 0, 30)}
			var took []time.Duration
			for b.Loop() {
				begun := time.Now()
				if _, err := store.Calendar(context.WithoutCancel(b.Context()), window.owner, q); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
