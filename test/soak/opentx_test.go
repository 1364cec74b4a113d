package soak

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestOpenTransactionDelaysNobody measures the way from commit to client while nothing
// else is open and while a transaction that wrote stays open: a moment in the short form,
// two minutes when SOAK is set. It asserts that everything arrives, the open
// transaction's own events last, and prints the times.
func TestOpenTransactionDelaysNobody(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	other := s.Portal.AddOwner(t, 1)
	mine := s.Connect(t, s.Token, s.Owner.ID, "")
	theirs := s.Connect(t, harness.TokenFor(t, other.UserID, time.Hour), other.ID, "")
	mine.Next(harness.OfType("connection_established"))
	theirs.Next(harness.OfType("connection_established"))
	span := 500 * time.Millisecond
	if os.Getenv("SOAK") != "" {
		span = 2 * time.Minute
	}
	latencies := func() (median, p99 time.Duration) {
		var took []time.Duration
		for end := time.Now().Add(span); time.Now().Before(end) || len(took) < 50; {
			began := time.Now()
			booking := s.Portal.Book(t, other.Hangars[0], s.Guest)
			if m := theirs.Next(harness.OfType("booking_created")); m.Field("bookingId") != booking {
				t.Fatalf("booking %s arrives as %s", booking, m.Data)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took[len(took)/2], took[len(took)*99/100]
	}
	median, p99 := latencies()
	open, err := s.Portal.Pool.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Rollback()
	// The pool of the tests ends what waits for long, which a portal's does not.
	if _, err := open.Exec(`SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		t.Fatal(err)
	}
	if _, err := open.Exec(`INSERT INTO bookings (` + dbtest.BookingColumns + `) VALUES ` + dbtest.BookingValues(s.Owner.Hangars[0], s.Guest)); err != nil {
		t.Fatal(err)
	}
	medianOpen, p99Open := latencies()
	if err := open.Commit(); err != nil {
		t.Fatal(err)
	}
	mine.Next(harness.OfType("booking_created"))
	t.Logf("insert to client, over %s each: median %s, p99 %s; beside an open transaction median %s, p99 %s",
		span, median, p99, medianOpen, p99Open)
}
