package db

import (
	"testing"
	"time"
)

// TestZoneDaysAreThoseOfTheCalendar: days of trends begin when dayStart says, and every instant
// belongs to the day that began last.
func TestZoneDaysAreThoseOfTheCalendar(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"America/Sao_Paulo", "America/Noronha", "Pacific/Apia", "Pacific/Kwajalein", "UTC", "Europe/Lisbon", "America/St_Johns", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Tehran"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		z := newZoneDays(loc)
		for day := dayNumber(time.Date(1969, 12, 1, 0, 0, 0, 0, time.UTC)); day < dayNumber(time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)); day++ {
			y, m, d := dateOf(day).Date()
			start, next := dayStart(y, m, d, loc), z.start(day+1)
			if got := z.start(day); !got.Equal(start) {
				t.Fatalf("%s: %04d-%02d-%02d begins at %s, want %s", name, y, m, d, got, start)
			}
			if z.exists(day) != start.Before(next) {
				t.Fatalf("%s: %04d-%02d-%02d exists: %t", name, y, m, d, z.exists(day))
			}
			if !z.exists(day) {
				continue
			}
			if z.day(start) != day || z.day(next.Add(-time.Microsecond)) != day {
				t.Fatalf("%s: %04d-%02d-%02d has %s and %s on days %d and %d", name, y, m, d, start, next, z.day(start)-day, z.day(next.Add(-time.Microsecond))-day)
			}
			if got := z.dateBound(start); dayNumber(got) > day || !z.start(dayNumber(got)).Equal(start) {
				t.Fatalf("%s: the first date from %s on is %s", name, start, got)
			}
		}
	}
}
