package realtime

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// TestFactsSayWhatRowsSay reads rows of bookings whose price and dates are none: their
// notifications have no such facts. Messages have the bounds that openapi.yaml names.
func TestFactsSayWhatRowsSay(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]string{
		`{"bookingId":"7","amount":0,"checkIn":"2026-03-12","checkOut":"2026-03-15"}`:                  `{"bookingId":"7","amount":0,"checkInDate":"2026-03-12T00:00:00Z","checkOutDate":"2026-03-15T00:00:00Z"}`,
		`{"bookingId":"7","amount":null,"checkIn":"-infinity","checkOut":"infinity"}`:                  `{"bookingId":"7"}`,
		`{"bookingId":"7","amount":1.50,"checkIn":null,"checkOut":"20000-01-01T00:00:00"}`:             `{"bookingId":"7","amount":1.50}`,
		`{"bookingId":"7","checkIn":"0044-03-15T00:00:00 BC","checkOut":"2026-03-15T11:00:00"}`:        `{"bookingId":"7","checkOutDate":"2026-03-15T11:00:00Z"}`,
		`{"bookingId":"7","amount":"NaN","checkIn":"the ides of March","checkOut":"the day after it"}`: `{"bookingId":"7","checkInDate":"the ides of March","checkOutDate":"the day after it"}`,
	} {
		r := newReading(time.UTC)
		r.read([]eventlog.Change{{OwnerID: "1", Type: BookingCreated, Data: []byte(row)}})
		if len(r.happened) != 1 {
			t.Fatalf("%s: %d notifications", row, len(r.happened))
		}
		if got, err := json.Marshal(r.happened[0].Facts); err != nil || string(got) != want {
			t.Errorf("%s: %s, want %s (%v)", row, got, want, err)
		}
	}
}
