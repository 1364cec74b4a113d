package db

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/lib/pq"
)

// dayStart returns the first instant of a date in loc. Where clocks jump over midnight that is the
// moment of the jump, and where midnight comes twice it is the first of the two; time.Date promises
// neither. A date that a zone skipped altogether has no length: it starts with the next.
func dayStart(year int, month time.Month, day int, loc *time.Location) time.Time {
	guess := time.Date(year, month, day, 0, 0, 0, 0, loc)
	noon := time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
	y, m, d := noon.Date()
	first := time.Time{}
	consider := func(t time.Time) {
		ty, tm, td := t.Date()
		if reached := !time.Date(ty, tm, td, 12, 0, 0, 0, time.UTC).Before(noon); reached && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	consider(guess)
	// Midnight by each offset in force around it, and the changes of offset around it.
	for _, near := range []time.Time{guess.Add(-26 * time.Hour), guess, guess.Add(26 * time.Hour)} {
		_, offset := near.Zone()
		consider(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Add(-time.Duration(offset) * time.Second).In(loc))
		from, to := near.ZoneBounds()
		for _, change := range []time.Time{from, to} {
			if !change.IsZero() {
				consider(change)
			}
		}
	}
	return first
}

// dayOffset returns the first instant of the day that lies the given number of days after
// t's own in loc.
func dayOffset(t time.Time, days int, loc *time.Location) time.Time {
	y, m, d := t.In(loc).Date()
	return dayStart(y, m, d+days, loc)
}

// NextMidnight returns the first instant of the day after t in loc.
func NextMidnight(t time.Time, loc *time.Location) time.Time { return dayOffset(t, 1, loc) }

// payoutWeekday is the day of the week on which owners are paid.
const payoutWeekday = time.Friday

// nextPayoutDay returns the first instant of the next weekly payout day, which is today
// on that day itself.
func nextPayoutDay(t time.Time, loc *time.Location) time.Time {
	return dayOffset(t, (int(payoutWeekday)-int(t.In(loc).Weekday())+7)%7, loc)
}

// earliest and latest bound the moments that are told: RFC 3339 writes the years 1 to 9999, in each
// zone, and PostgreSQL knows more of them, and infinity. No date at all is the earliest. Queries
// write the same bounds: see writable.
var (
	earliest = time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC)
)

// Infinity of PostgreSQL is read as these bounds, in whatever column it is: lib/pq would fail at
// such a row, and with it at all that were asked for.
func init() { pq.EnableInfinityTs(earliest, latest) }

// finite returns a moment that a user chose, so that it is kept as one: lib/pq writes infinity
// from latest on, which a server of before cannot read.
func finite(moment time.Time) time.Time {
	if !moment.Before(latest) {
		return latest.Add(-time.Millisecond)
	}
	return moment
}

// Known returns a moment that a row says, as it is told in words, and the zero time where it says
// none: no date at all, infinity, and what is beyond the bounds are told as these elsewhere.
func Known(moment time.Time) time.Time {
	if !moment.After(earliest) || !moment.Before(latest) {
		return time.Time{}
	}
	return moment
}

// knownText is Known of a moment by RFC 3339, and the zero time where the text is none.
func knownText(text string) time.Time {
	moment, _ := time.Parse(time.RFC3339, text)
	return Known(moment)
}

// beyond are the years that PostgreSQL writes with more than four digits.
var beyond = regexp.MustCompile(`^\d{5,}-\d\d-\d\d`)

// ParseMoment reads a date or timestamp as PostgreSQL writes it in JSON, "" for null: a
// date is its first instant in loc, a timestamp without a zone is UTC. The result is in
// loc, and within earliest and latest.
func ParseMoment(text string, loc *time.Location) (time.Time, error) {
	t, err := parseMoment(text, loc)
	switch {
	case err != nil:
		return time.Time{}, err
	case t.Before(earliest):
		t = earliest
	case t.After(latest):
		t = latest
	}
	return t.In(loc), nil
}

func parseMoment(text string, loc *time.Location) (time.Time, error) {
	switch {
	case text == "", text == "-infinity", strings.HasSuffix(text, " BC"):
		return earliest, nil
	case text == "infinity", beyond.MatchString(text):
		return latest, nil
	}
	// Only what the text can be is tried: a failure of time.Parse costs more than a success, and
	// every booking of a rush has two moments.
	_, clock, timed := strings.Cut(text, "T")
	if !timed {
		if d, err := time.Parse(time.DateOnly, text); err == nil {
			return dayStart(d.Year(), d.Month(), d.Day(), loc), nil
		}
	}
	layouts := []string{"2006-01-02T15:04:05.999999999"}
	if strings.ContainsAny(clock, "Z+-") { // a zone of long ago has seconds
		layouts = []string{layouts[0] + "Z07:00", layouts[0] + "Z07:00:00"}
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date or timestamp", text)
}
