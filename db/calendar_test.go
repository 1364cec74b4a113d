package db_test

import (
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

func TestParseMoment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ zone, text, want string }{
		{"America/Sao_Paulo", "2026-01-21", "2026-01-21T00:00:00-03:00"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"}, // midnight was skipped
		// the hour before midnight came twice
		{"America/Sao_Paulo", "2018-02-18", "2018-02-18T00:00:00-03:00"},
		{"America/Havana", "2024-11-03", "2024-11-03T00:00:00-04:00"}, // midnight came twice
		{"Pacific/Kiritimati", "1994-12-31", "1995-01-01T00:00:00+14:00"},
		{"America/Sao_Paulo", "2026-01-21T02:30:00", "2026-01-20T23:30:00-03:00"},
		{"Asia/Kolkata", "2026-01-21T18:30:00.123456", "2026-01-22T00:00:00.123456+05:30"},
		{"Asia/Kolkata", "2026-01-21T18:30:00+00:00", "2026-01-22T00:00:00+05:30"},
		{"UTC", "2026-01-21T18:30:00.5-03:00", "2026-01-21T21:30:00.5Z"},
		{"UTC", "infinity", "9999-12-30T00:00:00Z"},
		{"America/Sao_Paulo", "infinity", "9999-12-29T21:00:00-03:00"},
		{"UTC", "20000-01-01T00:00:00", "9999-12-30T00:00:00Z"},
		{"UTC", "9999-12-31", "9999-12-30T00:00:00Z"},
		{"UTC", "-infinity", "0001-01-02T00:00:00Z"},
		{"UTC", "0044-03-15T00:00:00-03:06:28 BC", "0001-01-02T00:00:00Z"},
		{"UTC", "0001-01-01", "0001-01-02T00:00:00Z"},
		{"UTC", "", "0001-01-02T00:00:00Z"},
		{"UTC", "1900-01-01T00:00:00-03:06:28", "1900-01-01T03:06:28Z"},
		{"UTC", "2026-02-30", ""},
	} {
		t.Run(test.zone+" "+test.text, func(t *testing.T) {
			t.Parallel()
			loc, err := time.LoadLocation(test.zone)
			must(t, err)
			got, err := db.ParseMoment(test.text, loc)
			if test.want == "" {
				if err == nil {
					t.Errorf("read %s", got)
				}
				return
			}
			must(t, err)
			if text := got.Format(time.RFC3339Nano); text != test.want {
				t.Errorf("got %s, want %s", text, test.want)
			}
		})
	}
}

// TestParseMomentTriesNothingInVain reads the usual forms without an allocation: each failure of
// time.Parse would be one. So often that what runs beside it does not count.
func TestParseMomentTriesNothingInVain(t *testing.T) {
	loc, err := time.LoadLocation("America/Sao_Paulo")
	must(t, err)
	for _, text := range []string{"2026-12-30T18:50:13.123456", "2026-12-30", "2026-12-30T18:50:13"} {
		if n := testing.AllocsPerRun(10_000, func() { db.ParseMoment(text, loc) }); n > 0 {
			t.Errorf("%s takes %v allocations", text, n)
		}
	}
}
