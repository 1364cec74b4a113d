package db

import (
	"testing"
	"time"
)

// FuzzParseMoment reads anything as a moment: it never panics, and what it accepts it
// reads again from its own text.
func FuzzParseMoment(f *testing.F) {
	for _, text := range []string{"", "2026-01-21", "2026-01-21T12:00:00", "2026-01-21T12:00:00.123456", "2026-01-21 12:00:00+00",
		"2026-01-21T12:00:00Z", "2026-01-21T12:00:00-03:00", "2018-11-04", "2018-11-04T00:30:00", "infinity", "-infinity",
		"0001-01-01 BC", "10000-01-01", "2026-02-30", "24:00", "2026-01-21T24:00:00"} {
		f.Add(text)
	}
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseMoment(text, zone)
		if err != nil {
			return
		}
		again, err := ParseMoment(at.UTC().Format("2006-01-02T15:04:05.999999999"), zone)
		if err != nil || !again.Equal(at) {
			t.Errorf("%q is %s, which is read again as %s, %v", text, at, again, err)
		}
	})
}
