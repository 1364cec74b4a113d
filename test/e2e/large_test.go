package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestOneLargeStatement has one owner book very many times in one statement, beside another owner
// on each of two servers: nobody's event waits for it, the numbering stays where it is, and its
// owner gets each once and in order. LARGE_ROWS asks for more.
func TestOneLargeStatement(t *testing.T) {
	rows := 8_000 // more than fit in a batch
	if n, err := strconv.Atoi(os.Getenv("LARGE_ROWS")); err == nil {
		rows = n
	}
	portal := dbtest.New(t)
	busy, other, guest := portal.AddOwner(t, 1), portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	busyToken, otherToken := harness.TokenFor(t, busy.UserID, time.Hour), harness.TokenFor(t, other.UserID, time.Hour)
	first, second := harness.Serve(t, portal), harness.Serve(t, portal)
	told := make(chan []string, 1)
	own := second.Connect(t, busyToken, busy.ID, "")
	begin := own.Next(harness.OfType("connection_established")).Field("lastEventId")
	go func() {
		var ids []string
		for m := range own.Messages {
			if m.Type == "resync" {
				t.Error("its owner is told to load again")
			}
			if m.Type == "booking_created" {
				if ids = append(ids, m.Field("bookingId")); len(ids) == rows+1 {
					break
				}
			}
		}
		told <- ids
	}()
	var beside []*harness.Stream
	for _, p := range []*harness.Program{first, second} {
		s := p.Connect(t, otherToken, other.ID, "")
		s.Next(harness.OfType("connection_established"))
		beside = append(beside, s)
	}
	began := time.Now()
	portal.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`)
		SELECT $1::int, $2::int, now() + interval '30 days', now() + interval '31 days', 1, 200, 20, 220, 'pending' FROM generate_series(1, $3::int)`,
		busy.Hangars[0], guest, rows)
	written := time.Now()
	id := portal.Book(t, other.Hangars[0], guest)
	for i, s := range beside {
		s.Next(func(m harness.Message) bool { return m.Type == "booking_created" && m.Field("bookingId") == id })
		t.Logf("server %d: another owner's booking is told %s after it", i, time.Since(written).Round(time.Millisecond))
	}
	last := portal.Book(t, busy.Hangars[0], guest)
	select {
	case ids := <-told:
		t.Logf("%d rows: written in %s, all told to their owner %s later", rows, written.Sub(began).Round(time.Millisecond), time.Since(written).Round(time.Millisecond))
		previous := 0
		for _, id := range ids {
			n, err := strconv.Atoi(id)
			if err != nil || n <= previous {
				t.Fatalf("booking %s follows %d", id, previous)
			}
			previous = n
		}
		if len(ids) != rows+1 || ids[rows] != last {
			t.Errorf("%d bookings were told, want %d", len(ids), rows+1)
		}
	case <-time.After(harness.Timeout + time.Duration(rows)*time.Millisecond/2):
		t.Error("its owner is not told everything")
	}
	for i, p := range []*harness.Program{first, second} {
		if text := p.Output.String(); strings.Contains(text, "fell silent") || strings.Contains(text, "cannot be read") {
			t.Errorf("server %d: %s", i, text)
		}
		if n := len(p.History(t, busyToken, busy.ID, begin)); n != rows+1 {
			t.Errorf("server %d: REST knows %d events", i, n)
		}
	}
}
