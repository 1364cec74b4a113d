package bench

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
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
			reportTimes(b, took)
		})
	}
}

// BenchmarkFeed reads feeds of 5,000 stays as another calendar does, by HTTP.
func BenchmarkFeed(b *testing.B) {
	s := harness.NewSetup(b, "--limit-exempt", "127.0.0.0/8")
	s.Portal.Exec(b, `INSERT INTO bookings (`+dbtest.BookingColumns+`) SELECT $1, $2, now() + n * interval '2 hours', now() + n * interval '2 hours' + interval '1 day',
		1, 100, 10, 110, 'confirmed' FROM generate_series(1, 6000) n`, s.Owner.Hangars[0], s.Guest)
	var address string
	var took []time.Duration
	for b.Loop() {
		if len(took)%50 == 0 { // a feed may be read 60 times an hour
			_, made := s.Call(b, http.MethodPost, "owners/"+s.Owner.ID+"/calendar/feeds", s.Token, map[string]any{"detail": "full", "label": "x"})
			address = s.Base + made["address"].(string)[1:]
		}
		begun := time.Now()
		response, err := s.Client.Get(address)
		if err != nil {
			b.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		took = append(took, time.Since(begun))
		if n := bytes.Count(text, []byte("BEGIN:VEVENT")); err != nil || n != 5000 {
			b.Fatalf("%d: %d stays, %v", response.StatusCode, n, err)
		}
	}
	reportTimes(b, took)
}

// reportTimes reports the median and the 99th percentile in milliseconds.
func reportTimes(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
