package eventlog_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

func someParcel() eventlog.Parcel {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123_456_000, time.UTC)
	position := func(turn, id int64) eventlog.Position {
		return eventlog.Position{Batch: 77, TxOrder: turn, ID: id, Mark: 0xfedcba98}
	}
	return eventlog.Parcel{Batch: 77, Mark: 0xfedcba98, Before: 5, Whole: true, Changes: []eventlog.Change{
		{Position: position(1<<40, 1<<40-3), OwnerID: "42", Type: "booking_created", Data: json.RawMessage(`{"bookingId" : "1", "guestName" : "Zoé"}`), At: at},
		{Position: position(9, 9), Type: eventlog.TypeTruncated, At: at.Add(-time.Hour)},
		{Position: position(12, 10), OwnerID: "é", Type: eventlog.TypeChanged, Data: json.RawMessage{}, At: at},
	}}
}

// TestParcel reads what was written, and nothing else: a piece or an excess is of another form.
func TestParcel(t *testing.T) {
	t.Parallel()
	whole := someParcel()
	for _, want := range []eventlog.Parcel{whole, whole.WithoutRows(), {Batch: 1, Whole: true, Changes: []eventlog.Change{}}} {
		text := want.Encode()
		got, err := eventlog.DecodeParcel(want.Batch, text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, %v\nwritten %+v", got, err, want)
		}
	}
	text := whole.Encode()
	for n := range len(text) {
		if _, err := eventlog.DecodeParcel(77, text[:n]); !errors.Is(err, eventlog.ErrParcel) {
			t.Errorf("the first %d bytes of %d: %v", n, len(text), err)
		}
	}
	if _, err := eventlog.DecodeParcel(77, append(text, 0)); !errors.Is(err, eventlog.ErrParcel) {
		t.Errorf("a byte too many: %v", err)
	}
}

// FuzzDecodeParcel reads anything as a parcel: it never panics, and what it accepts it writes again
// as something that says the same.
func FuzzDecodeParcel(f *testing.F) {
	f.Add(someParcel().Encode())
	f.Add(someParcel().WithoutRows().Encode())
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := eventlog.DecodeParcel(3, content)
		if err != nil {
			return
		}
		again, err := eventlog.DecodeParcel(3, p.Encode())
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%+v is read again as %+v, %v", p, again, err)
		}
	})
}
