package realtime_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// FuzzParsePosition reads anything as a position: it never panics, and what it accepts is
// what Format writes.
func FuzzParsePosition(f *testing.F) {
	epoch, other := realtime.NewEpoch("this history"), realtime.NewEpoch("another history")
	good := epoch.Format("42", eventlog.Position{Batch: 7, TxOrder: 12, ID: 9})
	for _, text := range []string{"", "garbage", good, good + "A", good[:len(good)-1], good + "=", strings.ToUpper(good),
		epoch.Format("42", eventlog.Position{}), epoch.Format("42", eventlog.Position{Batch: 1 << 61, TxOrder: 1 << 61, ID: 1 << 61}),
		newFormerEpoch("this history").format("42", eventlog.Position{Batch: 7, TxOrder: 12, ID: 9}), newFormerEpoch("another history").format("42", eventlog.Position{Batch: 7}),
		epoch.Format("43", eventlog.Position{Batch: 7}), other.Format("42", eventlog.Position{Batch: 7}), "\x00", strings.Repeat("_", 4096)} {
		f.Add("42", text)
	}
	f.Fuzz(func(t *testing.T, owner, text string) {
		p, err := epoch.Parse(owner, text)
		if err != nil {
			if !errors.Is(err, realtime.ErrMalformed) && !errors.Is(err, realtime.ErrForeign) && !errors.Is(err, realtime.ErrOtherEpoch) {
				t.Errorf("Parse(%q): %v is none of the errors that it promises", text, err)
			}
			if p != (eventlog.Position{}) {
				t.Errorf("Parse(%q): %v and a position: %+v", text, err, p)
			}
			return
		}
		if again := epoch.Format(owner, p); again != text && newFormerEpoch("this history").format(owner, p) != text {
			t.Errorf("Parse accepts %q as %+v, which is written %q", text, p, again)
		}
		if p.Batch < 0 || p.ID < 0 || p.TxOrder < p.ID {
			t.Errorf("Parse(%q) gives %+v, which no log has", text, p)
		}
	})
}

// FuzzFormatPosition writes any position that a log may have, and reads it again.
func FuzzFormatPosition(f *testing.F) {
	f.Add("42", int64(0), int64(0), int64(0))
	f.Add("6f1c3c9e-8a70-4a3e-9a43-5a0d7e4a3e9a", int64(1), int64(3), int64(1))
	f.Add("", int64(1)<<61, int64(1)<<61, int64(1)<<60)
	f.Fuzz(func(t *testing.T, owner string, batch, id, further int64) {
		const most = 1 << 61
		if batch < 0 || id < 0 || further < 0 || batch > most || id > most || further > most {
			t.Skip("no log has it")
		}
		epoch, p := realtime.NewEpoch(owner), eventlog.Position{Batch: batch, TxOrder: id + further, ID: id}
		text := epoch.Format(owner, p)
		if got, err := epoch.Parse(owner, text); err != nil || got != p {
			t.Errorf("%+v is written %q and read %+v, %v", p, text, got, err)
		}
		if _, err := epoch.Parse(owner+"x", text); !errors.Is(err, realtime.ErrForeign) {
			t.Errorf("%q of owner %q, read by another: %v", text, owner, err)
		}
	})
}

// FuzzEncodeLogRow encodes any row: it never panics, is the same each time, and gives one
// line of JSON with the position.
func FuzzEncodeLogRow(f *testing.F) {
	f.Add("booking_created", `{"bookingId":"1","hangarNumber":"H1","guestName":"Caio","amount":220.50,"duration":2,"checkIn":"2026-01-21T12:00:00","checkOut":"2026-01-23"}`, int64(0))
	f.Add("booking_updated", `{"bookingId":"1","amount":"1.5","status":"deleted","previousStatus":"pending","checkIn":"infinity","checkOut":null}`, int64(1768977456006))
	f.Add("revenue_received", `{"bookingId":"1","amount":1e30,"paymentMethod":"pix\u2028"}`, int64(1))
	f.Add("occupancy_changed", `{"hangarId":"1","isNowOccupied":true,"newOccupant":"<b>"}`, int64(-1))
	f.Add("changed", `{}`, int64(0))
	f.Add("booking_completed", `[]`, int64(0))
	f.Add("booking_created", ``, int64(0))
	f.Add("booking_created", `{"amount":null,"guestName":"\ud800"}`, int64(0))
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		f.Fatal(err)
	}
	enc := realtime.Encoder{Epoch: realtime.NewEpoch("fuzz"), Location: zone}
	f.Fuzz(func(t *testing.T, typ, data string, at int64) {
		c := eventlog.Change{Position: eventlog.Position{Batch: 3, TxOrder: 5, ID: 4}, OwnerID: "42", Type: typ, Data: json.RawMessage(data), At: time.UnixMilli(at)}
		row, again := enc.Decode(c), enc.Decode(c)
		if (row.Event != nil) != (row.Meaning == realtime.Message) || again.Meaning != row.Meaning {
			t.Fatalf("%+v means %d and then %d, with event %v", c, row.Meaning, again.Meaning, row.Event)
		}
		e := row.Event
		if e == nil {
			return
		}
		if string(again.Event.JSON) != string(e.JSON) {
			t.Errorf("encoded twice: %s and %s", e.JSON, again.Event.JSON)
		}
		var m struct {
			ID, Type, OwnerID string
			Timestamp         int64
			Data              map[string]any
		}
		if err := json.Unmarshal(e.JSON, &m); err != nil || m.ID != e.ID || m.Type != typ || m.OwnerID != "42" || m.Timestamp != at {
			t.Errorf("%s: %v", e.JSON, err)
		}
		if strings.ContainsAny(string(e.JSON), "\r\n") || !utf8.Valid(e.JSON) {
			t.Errorf("a message must be one line of UTF-8: %q", e.JSON)
		}
		if p, err := enc.Epoch.Parse("42", e.ID); err != nil || p != c.Position {
			t.Errorf("its id %q is read %+v, %v", e.ID, p, err)
		}
	})
}
