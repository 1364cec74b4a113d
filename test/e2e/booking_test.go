package e2e

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestBookingTellsItsHistory follows one booking through its life, and asks for it as others who
// may not, and after its end.
func TestBookingTellsItsHistory(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	stream := s.Connect(t, s.Token, s.Owner.ID, "")
	booking, other := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest), s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	for _, change := range []string{`status = 'confirmed'`, `total_price = 300`, `payment_date = now(), payment_method = 'pix'`, `status = 'completed'`} {
		s.Portal.Exec(t, `UPDATE bookings SET `+change+` WHERE id = `+booking)
	}
	type event struct {
		Type      string
		Timestamp int64
		Data      map[string]any
	}
	var told []event
	for len(told) < 5 {
		m := stream.Next(func(m harness.Message) bool { return m.ID != "" && m.Field("bookingId") == booking })
		e := event{Type: m.Type, Timestamp: m.Timestamp}
		if err := json.Unmarshal(m.Data, &e.Data); err != nil {
			t.Fatal(err)
		}
		delete(e.Data, "id")
		told = append(told, e)
	}
	status, header, answer := s.Get(t, "owners/"+s.Owner.ID+"/bookings/"+booking, s.Token)
	if status != http.StatusOK || header.Get("Last-Event-ID") == "" || answer["bookingId"] != booking || answer["status"] != "completed" || answer["paid"] != true {
		t.Errorf("%d %v", status, answer)
	}
	var details struct {
		Since   time.Time
		History []event
	}
	if err := json.Unmarshal([]byte(harness.EncodeJSON(t, answer)), &details); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(details.History, told) {
		t.Errorf("the history is %v, the stream told %v", details.History, told)
	}
	var types []string
	for _, e := range told {
		types = append(types, e.Type)
	}
	want := []string{"booking_created", "booking_updated", "booking_updated", "revenue_received", "booking_completed"}
	if !slices.Equal(types, want) {
		t.Errorf("the stream told %v, want %v", types, want)
	}
	if age := time.Since(details.Since); age < 0 || age > time.Hour {
		t.Errorf("it is known since %s", details.Since)
	}

	stranger := s.Portal.AddOwner(t, 1)
	foreign := s.Portal.Book(t, stranger.Hangars[0], s.Guest)
	for id, want := range map[string]int{other: 200, foreign: 404, "0" + booking: 404, "x": 404, "999999999999999999999": 404} {
		if status, _, answer := s.Get(t, "owners/"+s.Owner.ID+"/bookings/"+id, s.Token); status != want {
			t.Errorf("booking %s: %d %v, want %d", id, status, answer, want)
		}
	}
	if status, _, _ := s.Get(t, "owners/"+stranger.ID+"/bookings/"+foreign, s.Token); status != http.StatusForbidden {
		t.Errorf("a foreign account: %d", status)
	}
	s.Portal.Exec(t, `DELETE FROM bookings WHERE id = `+booking)
	if status, _, _ := s.Get(t, "owners/"+s.Owner.ID+"/bookings/"+booking, s.Token); status != http.StatusNotFound {
		t.Errorf("a deleted booking: %d", status)
	}
}

// TestMomentsAreWrittenInOneWay has stays without dates and without an end: on each route and
// stream they are written alike, as moments that every client can read.
func TestMomentsAreWrittenInOneWay(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	s.Portal.Exec(t, `ALTER TABLE bookings DROP CONSTRAINT bookings_dates_check, ALTER check_in DROP NOT NULL, ALTER check_out DROP NOT NULL, ALTER created_at DROP NOT NULL`)
	ws, sse := s.Connect(t, s.Token, s.Owner.ID, ""), s.Listen(t, s.Token, "?ownerId="+s.Owner.ID)
	begin := ws.Next(harness.OfType("connection_established")).Field("lastEventId")
	for _, test := range []struct{ in, out, wantIn, wantOut string }{
		{"NULL", "NULL", "0001-01-01T20:53:32-03:06", "0001-01-01T20:53:32-03:06"},
		{"'-infinity'", "'infinity'", "0001-01-01T20:53:32-03:06", "9999-12-29T21:00:00-03:00"},
		{"'2026-01-10 12:00'", "'20000-01-01'", "2026-01-10T09:00:00-03:00", "9999-12-29T21:00:00-03:00"},
		{"'0044-03-15 BC'", "'9999-12-31 23:00'", "0001-01-01T20:53:32-03:06", "9999-12-29T21:00:00-03:00"},
	} {
		booking := s.Portal.ID(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at)
			VALUES (`+s.Owner.Hangars[0]+`, `+s.Guest+`, `+test.in+`, `+test.out+`, 1, 1, 1, 1, 'pending', NULL) RETURNING id::text`)
		mine := func(m harness.Message) bool { return m.ID != "" && m.Field("bookingId") == booking }
		var told []map[string]any
		for _, stream := range []*harness.Stream{ws, sse} {
			var data map[string]any
			harness.Must(t, json.Unmarshal(stream.Next(mine).Data, &data))
			told = append(told, data)
		}
		_, _, page := s.Get(t, "owners/"+s.Owner.ID+"/events?after="+begin, s.Token)
		events := page["events"].([]any)
		told = append(told, events[len(events)-1].(map[string]any)["data"].(map[string]any))
		_, _, one := s.Get(t, "owners/"+s.Owner.ID+"/bookings/"+booking, s.Token)
		told = append(told, one, one["history"].([]any)[0].(map[string]any)["data"].(map[string]any))
		_, _, page = s.Get(t, "owners/"+s.Owner.ID+"/bookings?limit=100", s.Token)
		for _, listed := range page["bookings"].([]any) {
			if listed := listed.(map[string]any); listed["bookingId"] == booking {
				told = append(told, listed)
			}
		}
		if len(told) != 6 {
			t.Fatalf("the booking is told %d times", len(told))
		}
		for i, data := range told {
			if data["checkInDate"] != test.wantIn || data["checkOutDate"] != test.wantOut {
				t.Errorf("%s to %s: place %d says %v to %v", test.in, test.out, i, data["checkInDate"], data["checkOutDate"])
			}
		}
	}
}
