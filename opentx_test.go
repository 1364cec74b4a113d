package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestOpenTransactionDelaysNobody measures the way from commit to client while nothing else is open and while a
// transaction that wrote stays open: a moment in the short form, two minutes when SOAK is set. It asserts that everything
// arrives, the open transaction's own events last, and prints the times.
func TestOpenTransactionDelaysNobody(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	other := s.portal.AddOwner(t, 1)
	mine := s.connect(t, s.token, s.owner.ID, "")
	theirs := s.connect(t, tokenFor(t, other.UserID, time.Hour), other.ID, "")
	mine.next(of("connection_established"))
	theirs.next(of("connection_established"))
	span := 500 * time.Millisecond
	if os.Getenv("SOAK") != "" {
		span = 2 * time.Minute
	}
	latencies := func() (median, p99 time.Duration) {
		var took []time.Duration
		for end := time.Now().Add(span); time.Now().Before(end) || len(took) < 50; {
			began := time.Now()
			booking := s.portal.Book(t, other.Hangars[0], s.guest)
			if m := theirs.next(of("booking_created")); m.field("bookingId") != booking {
				t.Fatalf("booking %s arrives as %s", booking, m.Data)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took[len(took)/2], took[len(took)*99/100]
	}
	median, p99 := latencies()
	open, err := s.portal.Pool.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Rollback()
	if _, err := open.Exec(`INSERT INTO bookings (` + dbtest.BookingColumns + `) VALUES ` + dbtest.BookingValues(s.owner.Hangars[0], s.guest)); err != nil {
		t.Fatal(err)
	}
	medianOpen, p99Open := latencies()
	if err := open.Commit(); err != nil {
		t.Fatal(err)
	}
	mine.next(of("booking_created"))
	t.Logf("insert to client, over %s each: median %s, p99 %s; beside an open transaction median %s, p99 %s",
		span, median, p99, medianOpen, p99Open)
}
