package db

import (
	"slices"
	"time"
)

// Quiet is when a user is not to be called: from a time of day to another, in minutes after
// midnight, in Zone. To may be before From: then it is a time of the next day. Where both are the
// same there are no quiet hours. Days are those on which they begin, 0 is Sunday; none are all.
type Quiet struct {
	Zone     *time.Location
	From, To int
	Days     []int
}

// End returns the instant from which on the user may be called again, which is at itself where no
// quiet hours hold. Quiet hours that follow each other without a gap are one.
func (q Quiet) End(at time.Time) time.Time {
	if q.From == q.To || q.Zone == nil {
		return at
	}
	for range 8 { // a week of nights that touch, and one
		end, quiet := q.holds(at)
		if !quiet {
			break
		}
		at = end
	}
	return at
}

// holds reports whether quiet hours hold at an instant, and when these end.
func (q Quiet) holds(at time.Time) (end time.Time, quiet bool) {
	y, m, d := at.In(q.Zone).Date()
	for _, before := range []int{0, 1} { // those of today, and of yesterday over midnight
		day := time.Date(y, m, d-before, 0, 0, 0, 0, time.UTC)
		if len(q.Days) > 0 && !slices.Contains(q.Days, int(day.Weekday())) {
			continue
		}
		from, _ := clockTimes(day, q.From, q.Zone)
		until := day
		if q.To < q.From {
			until = day.AddDate(0, 0, 1)
		}
		if _, last := clockTimes(until, q.To, q.Zone); !at.Before(from) && at.Before(last) {
			return last, true
		}
	}
	return at, false
}

// clockTimes returns the first and the last instant at which clocks of a zone show a time of a day.
// A time that a change of clocks leaves out is the instant of that change.
func clockTimes(day time.Time, minutes int, zone *time.Location) (first, last time.Time) {
	wall := time.Date(day.Year(), day.Month(), day.Day(), 0, minutes, 0, 0, time.UTC)
	shows := func(at time.Time) bool {
		l := at.In(zone)
		return l.Year() == wall.Year() && l.YearDay() == wall.YearDay() && l.Hour() == wall.Hour() && l.Minute() == wall.Minute()
	}
	// Zones are up to 14 hours from UTC, so these offsets are all that may hold at that time.
	_, before := wall.Add(-26 * time.Hour).In(zone).Zone()
	_, after := wall.Add(26 * time.Hour).In(zone).Zone()
	early, late := wall.Add(-time.Duration(max(before, after))*time.Second), wall.Add(-time.Duration(min(before, after))*time.Second)
	switch {
	case shows(early) && shows(late):
		return early, late
	case shows(early):
		return early, early
	case shows(late):
		return late, late
	}
	// The clocks were put forward over it. What they showed before holds until that instant, which
	// lies between the two.
	low, high := early, late
	for high.Sub(low) > time.Second {
		middle := low.Add(high.Sub(low) / 2)
		if _, offset := middle.In(zone).Zone(); offset == before {
			low = middle
		} else {
			high = middle
		}
	}
	change := high.Truncate(time.Second)
	return change, change
}
