package realtime

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestMessages writes down the bytes of every message: they are the contract with the browser.
func TestMessages(t *testing.T) {
	t.Parallel()
	loc, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	enc := Encoder{Epoch: NewEpoch("test"), Location: loc}
	at := time.UnixMilli(1768977456006)
	position := db.Position{Batch: 3, Turn: 5, ID: 4}
	id := enc.Epoch.Format("42", position)
	const row = `"bookingId" : "7", "hangarId" : "3", "hangarNumber" : "A-1", "guestName" : "Zé \"</script>\" Peçanha", "amount" : 1234.50, "duration" : 2, "checkIn" : "2018-11-03T14:00:00", "checkOut" : "2018-11-05"`
	const guest = `"guestName":"Zé \"\u003c/script\u003e\" Peçanha"`
	for _, test := range []struct{ typ, data, want string }{
		{BookingCreated, `{` + row + `, "status" : "pending"}`,
			`{"id":"@","bookingId":"7","hangarNumber":"A-1",` + guest + `,"amount":1234.50,"duration":2,"checkInDate":"2018-11-03T11:00:00-03:00","checkOutDate":"2018-11-05T00:00:00-02:00","timestamp":1768977456006}`},
		{BookingUpdated, `{` + row + `, "status" : "confirmed", "previousStatus" : "pending"}`,
			`{"id":"@","bookingId":"7","hangarNumber":"A-1",` + guest + `,"amount":1234.50,"duration":2,"checkInDate":"2018-11-03T11:00:00-03:00","checkOutDate":"2018-11-05T00:00:00-02:00","timestamp":1768977456006,"status":"confirmed","previousStatus":"pending"}`},
		{BookingCompleted, `{` + row + `, "status" : "completed", "previousStatus" : "active"}`,
			`{"id":"@","bookingId":"7","hangarNumber":"A-1",` + guest + `,"amount":1234.50,"duration":2,"checkInDate":"2018-11-03T11:00:00-03:00","checkOutDate":"2018-11-05T00:00:00-02:00","timestamp":1768977456006,"status":"completed","previousStatus":"active"}`},
		{RevenueReceived, `{"bookingId" : "7", "hangarId" : "3", "hangarNumber" : "A-1", "amount" : 0.10, "paymentMethod" : "pix"}`,
			`{"bookingId":"7","hangarNumber":"A-1","amount":0.10,"paymentMethod":"pix","timestamp":1768977456006}`},
		{OccupancyChanged, `{"hangarId" : "3", "hangarNumber" : "A-1", "isNowOccupied" : true, "previousOccupant" : "", "newOccupant" : "Ana"}`,
			`{"hangarId":"3","hangarNumber":"A-1","isNowOccupied":true,"newOccupant":"Ana","timestamp":1768977456006}`},
	} {
		e, err := enc.Encode(db.Change{Position: position, OwnerID: "42", Type: test.typ, Data: json.RawMessage(test.data), At: at})
		if err != nil {
			t.Errorf("%s: %v", test.typ, err)
			continue
		}
		want := `{"id":"@","type":"` + test.typ + `","timestamp":1768977456006,"ownerId":"42","data":` + test.want + `}`
		if got := strings.ReplaceAll(string(e.JSON), id, "@"); got != want || e.ID != id {
			t.Errorf("%s is sent as\n%s\nwant\n%s", test.typ, got, want)
		}
	}
	m, err := NewMessage(MetricsUpdated, "42", at, db.RealTimeMetrics{RevenueToday: "10.00", OccupancyRate: "66.7", GrowthPercentage: "-3.0",
		PendingPayouts: "0.00", BookingsToday: 1, ActiveListings: 2, NextPayoutDate: db.Day{Time: time.Date(2026, 11, 27, 0, 0, 0, 0, loc)}})
	want := `{"type":"metrics_updated","timestamp":1768977456006,"ownerId":"42","data":{"revenueToday":10.00,"bookingsToday":1,"occupancyRate":66.7,"growthPercentage":-3.0,"activeListings":2,"pendingPayouts":0.00,"nextPayoutDate":"2026-11-27T00:00:00-03:00"}}`
	if err != nil || string(m.JSON) != want {
		t.Errorf("metrics are sent as\n%s (%v)\nwant\n%s", m.JSON, err, want)
	}
}

func TestRowsThatAreNoMessages(t *testing.T) {
	t.Parallel()
	enc := Encoder{Epoch: NewEpoch("test"), Location: time.UTC}
	for _, c := range []db.Change{{Type: "surprise", Data: []byte(`{}`)}, {Type: BookingCreated, Data: []byte(`{`)}, {Type: BookingCreated}} {
		if e, err := enc.Encode(c); err == nil {
			t.Errorf("%v becomes %s", c, e.JSON)
		}
	}
	e, err := enc.Encode(db.Change{Type: BookingCreated, Data: []byte(`{"amount" : "NaN", "checkIn" : "infinity", "checkOut" : null}`)})
	if err != nil || !strings.Contains(string(e.JSON), `"amount":0,`) || !strings.Contains(string(e.JSON), `"checkInDate":"infinity"`) {
		t.Errorf("odd values become %s (%v)", e.JSON, err)
	}
}

func BenchmarkEncode(b *testing.B) {
	loc, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		b.Fatal(err)
	}
	enc := Encoder{Epoch: NewEpoch("bench"), Location: loc}
	c := db.Change{Position: db.Position{Batch: 3, Turn: 5, ID: 4}, OwnerID: "42", Type: BookingCreated, At: time.UnixMilli(1768977456006),
		Data: json.RawMessage(`{"bookingId" : "7", "hangarId" : "3", "hangarNumber" : "A-1", "guestName" : "Zé Peçanha", "amount" : 1234.50, "duration" : 2, "checkIn" : "2026-11-03T14:00:00", "checkOut" : "2026-11-05T14:00:00", "status" : "pending"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := enc.Encode(c); err != nil {
			b.Fatal(err)
		}
	}
}
