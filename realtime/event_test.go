package realtime

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
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
	position := eventlog.Position{Batch: 3, TxOrder: 5, ID: 4}
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
		e, err := messageOf(enc, eventlog.Change{Position: position, OwnerID: "42", Type: test.typ, Data: json.RawMessage(test.data), At: at})
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
	for _, c := range []eventlog.Change{{Type: "surprise", Data: []byte(`{}`)}, {Type: BookingCreated, Data: []byte(`{`)}, {Type: BookingCreated}} {
		if e, err := messageOf(enc, c); err == nil {
			t.Errorf("%v becomes %s", c, e.JSON)
		}
	}
	for _, amount := range []string{`"NaN"`, "null"} {
		e, err := messageOf(enc, eventlog.Change{OwnerID: "1", Type: BookingCreated, Data: []byte(`{"amount" : ` + amount + `, "checkIn" : "infinity", "checkOut" : null}`)})
		if err != nil || !strings.Contains(string(e.JSON), `"amount":0,`) || !strings.Contains(string(e.JSON), `"checkInDate":"9999-12-30T00:00:00Z","checkOutDate":"0001-01-02T00:00:00Z"`) {
			t.Errorf("odd values become %s (%v)", e.JSON, err)
		}
	}
}

// messageOf returns the message that a row of the log becomes.
func messageOf(enc Encoder, c eventlog.Change) (*Event, error) {
	row := enc.Decode(c)
	if row.Meaning != Message {
		return nil, fmt.Errorf("%s is no message: it means %d", c.Type, row.Meaning)
	}
	return row.Event, nil
}

func BenchmarkEncode(b *testing.B) {
	loc, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		b.Fatal(err)
	}
	enc := Encoder{Epoch: NewEpoch("bench"), Location: loc}
	c := eventlog.Change{Position: eventlog.Position{Batch: 3, TxOrder: 5, ID: 4, Mark: 7}, OwnerID: "42", Type: BookingCreated, At: time.UnixMilli(1768977456006),
		Data: json.RawMessage(`{"bookingId" : "7", "hangarId" : "3", "hangarNumber" : "A-1", "guestName" : "Zé Peçanha", "amount" : 1234.50, "duration" : 2, "checkIn" : "2026-11-03T14:00:00", "checkOut" : "2026-11-05T14:00:00", "status" : "pending"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := messageOf(enc, c); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEveryLogTypeIsDecoded holds the table of the log's types to what Decode knows: a message is
// encoded, and no other type is skipped as one of a newer version.
func TestEveryLogTypeIsDecoded(t *testing.T) {
	t.Parallel()
	skips := NewSkips(slog.New(slog.DiscardHandler))
	enc := Encoder{Epoch: NewEpoch("test"), Location: time.UTC, Skips: skips}
	known := map[string]bool{}
	for n, typ := range eventlog.LogTypes {
		known[typ.Name] = true
		row := enc.Decode(eventlog.Change{Position: eventlog.Position{Batch: 1, ID: int64(n)}, OwnerID: "1", Type: typ.Name, Data: []byte(`{}`)})
		if row.Meaning == Nothing || typ.Message != (row.Meaning == Message && row.Event != nil) {
			t.Errorf("%s means %d with the event %v", typ.Name, row.Meaning, row.Event)
		}
	}
	for typ := range messages {
		if !known[typ] {
			t.Errorf("%s is encoded and not among eventlog.LogTypes", typ)
		}
	}
	if len(skips.counts) != 0 {
		t.Errorf("skipped: %v", skips.counts)
	}
}
