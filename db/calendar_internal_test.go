package db

import (
	"testing"
	"time"
)

// minuteScan holds, for each date of a span in one zone, the first minute at which a calendar there
// shows that date or a later one. Clocks change on the minute.
type minuteScan struct {
	loc    *time.Location
	dates  []time.Time // at midnight UTC
	starts []time.Time
}

// scan looks at every minute of a year and of a few days beside it.
func scan(t *testing.T, zone string, year int) minuteScan {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	s := minuteScan{loc: loc}
	date := func(at time.Time) time.Time {
		y, m, d := at.In(loc).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	at := time.Date(year-1, time.December, 10, 0, 0, 0, 0, time.UTC)
	end := time.Date(year+1, time.January, 20, 0, 0, 0, 0, time.UTC)
	for next := date(at).AddDate(0, 0, 1); at.Before(end); at = at.Add(time.Minute) {
		for shown := date(at); !next.After(shown); next = next.AddDate(0, 0, 1) {
			s.dates, s.starts = append(s.dates, next), append(s.starts, at)
		}
	}
	return s
}

// scans are years in which a zone's midnight was skipped or came twice, or a whole date
// was left out; and quiet ones.
var scans = []struct {
	zone string
	year int
}{
	{"America/Sao_Paulo", 2018}, {"America/Sao_Paulo", 2026}, {"America/Havana", 2024}, {"Pacific/Kiritimati", 1994},
	{"Pacific/Pago_Pago", 2026}, {"Asia/Kolkata", 2026}, {"UTC", 2024}, {"Pacific/Apia", 2011}, {"Asia/Beirut", 2026},
	{"Africa/Cairo", 2026}, {"Atlantic/Azores", 2026}, {"America/Asuncion", 2020}, {"Australia/Lord_Howe", 2026},
}

// TestCalendarByMinutes compares the starts of days with what is found by looking at every minute.
func TestCalendarByMinutes(t *testing.T) {
	t.Parallel()
	for _, c := range scans {
		t.Run(c.zone, func(t *testing.T) {
			t.Parallel()
			s := scan(t, c.zone, c.year)
			for i, date := range s.dates {
				if got := dayStart(date.Year(), date.Month(), date.Day(), s.loc); !got.Equal(s.starts[i]) {
					t.Errorf("%s starts at %s, want %s", date.Format(time.DateOnly), got, s.starts[i].In(s.loc))
				}
				if i >= 15 {
					s.checkDay(t, i)
				}
			}
		})
	}
}

// checkDay compares what the functions say at moments of the day before the i-th date: at
// both its ends and between.
func (s minuteScan) checkDay(t *testing.T, i int) {
	t.Helper()
	start, end := s.starts[i-1], s.starts[i]
	if !start.Before(end) { // a date that was left out has no moments
		return
	}
	for _, at := range []time.Time{start, start.Add(time.Microsecond), start.Add(end.Sub(start) / 2), end.Add(-time.Microsecond), end.Add(-1)} {
		if got := NextMidnight(at, s.loc); !got.Equal(end) {
			t.Errorf("after %s midnight is at %s, want %s", at.In(s.loc), got, end.In(s.loc))
		}
		for _, days := range []int{0, -6, -13} {
			if got, want := dayOffset(at, days, s.loc), s.starts[i-1+days]; !got.Equal(want) {
				t.Errorf("%d days after %s is %s, want %s", days, at.In(s.loc), got, want.In(s.loc))
			}
		}
		friday := i - 1
		for friday < len(s.dates) && s.dates[friday].Weekday() != time.Friday {
			friday++
		}
		if friday == len(s.dates) {
			continue
		}
		if got := nextPayoutDay(at, s.loc); !got.Equal(s.starts[friday]) {
			t.Errorf("the payout day after %s is %s, want %s", at.In(s.loc), got, s.starts[friday].In(s.loc))
		}
	}
}
