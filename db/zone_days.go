package db

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// lastZoneYear is the year up to which changes of a zone's clocks are looked at: rules for summer
// time go on for ever.
const lastZoneYear = 2100

// zoneDays tells on which local date an instant is, as dayStart does: a date begins with the first
// instant that has it, and does not end when clocks go back behind its midnight. It is the same in
// Go and in SQL, which gets Go's zone: PostgreSQL's may be of another year.
type zoneDays struct {
	loc *time.Location
	// starts are the instants from which clocks have another offset, as seconds since 1970, the
	// first one of ever; offsets are the seconds of these, and floors the numbers of the latest day
	// that came before.
	starts  []int64
	offsets []int
	floors  []int
	skipped map[int]int // days of no length, and the next one that has any
}

func newZoneDays(loc *time.Location) zoneDays {
	z := zoneDays{loc: loc, skipped: make(map[int]int)}
	t := time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC).In(loc)
	_, offset := t.Zone()
	z.starts, z.offsets, z.floors = []int64{math.MinInt64}, []int{offset}, []int{math.MinInt32}
	for {
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Year() > lastZoneYear {
			return z
		}
		if !end.After(t) { // what Go says of the last day of some leap years
			t = t.Add(24 * time.Hour)
			continue
		}
		last := len(z.starts) - 1
		before := max(floorDiv(end.Unix()-1+int64(z.offsets[last]), secondsOfDay), z.floors[last])
		t = end
		_, offset = t.Zone()
		after := max(floorDiv(end.Unix()+int64(offset), secondsOfDay), before)
		for day := before + 1; day < after; day++ {
			z.skipped[day] = after
		}
		z.starts, z.offsets, z.floors = append(z.starts, end.Unix()), append(z.offsets, offset), append(z.floors, before)
	}
}

const secondsOfDay = 86400

func floorDiv(n, by int64) int {
	q := n / by
	if n%by < 0 {
		q--
	}
	return int(q)
}

// day returns the number of the local date at an instant.
func (z zoneDays) day(at time.Time) int {
	seconds := at.Unix()
	i := z.segment(seconds)
	return max(floorDiv(seconds+int64(z.offsets[i]), secondsOfDay), z.floors[i])
}

// segment returns between which changes of the clock an instant is.
func (z zoneDays) segment(seconds int64) int {
	i, found := slices.BinarySearch(z.starts, seconds)
	if !found {
		i--
	}
	return i
}

// start returns the first instant of a day: dayStart, without looking for changes of the clock.
func (z zoneDays) start(day int) time.Time {
	midnight := int64(day) * secondsOfDay
	for i := z.segment(midnight - 2*secondsOfDay); ; i++ {
		at := max(midnight-int64(z.offsets[i]), z.starts[i])
		if i == len(z.starts)-1 || at < z.starts[i+1] {
			return time.Unix(at, 0).In(z.loc)
		}
	}
}

// exists reports whether a day has any length.
func (z zoneDays) exists(day int) bool { return z.skipped[day] == 0 }

// dateBound returns the first date that does not begin before an instant, as a midnight in UTC.
func (z zoneDays) dateBound(at time.Time) time.Time {
	day := z.day(at)
	for !z.start(day - 1).Before(at) {
		day--
	}
	for z.start(day).Before(at) {
		day++
	}
	return dateOf(day)
}

// clockAt returns the instant of a day at which its clock shows what that of another instant does.
func (z zoneDays) clockAt(day int, as time.Time) time.Time {
	as = as.In(z.loc)
	y, m, d := dateOf(day).Date()
	at := time.Date(y, m, d, as.Hour(), as.Minute(), as.Second(), as.Nanosecond(), z.loc)
	if start := z.start(day); at.Before(start) {
		return start
	}
	if end := z.start(day + 1); at.After(end) {
		return end
	}
	return at
}

// dateOf returns a day as a midnight in UTC.
func dateOf(day int) time.Time { return time.Unix(int64(day)*secondsOfDay, 0).UTC() }

// daySQL writes the number of the local date of a clock in UTC that is within earliest and latest.
// Of a date it is the day on which it begins.
func (z zoneDays) daySQL(columnType, clock string) string {
	if columnType == "date" {
		day := "(" + clock + "::date - '1970-01-01'::date)"
		if len(z.skipped) == 0 {
			return day
		}
		var b strings.Builder
		fmt.Fprintf(&b, "CASE %s", day)
		for from := math.MinInt32; ; { // in order, since the text names the rules
			next := math.MaxInt32
			for skipped := range z.skipped {
				if skipped > from && skipped < next {
					next = skipped
				}
			}
			if next == math.MaxInt32 {
				break
			}
			fmt.Fprintf(&b, " WHEN %d THEN %d", next, z.skipped[next])
			from = next
		}
		return b.String() + " ELSE " + day + " END"
	}
	starts, shifts, floors := []string{"-infinity"}, []string{}, []string{}
	for i, offset := range z.offsets {
		if i > 0 {
			starts = append(starts, `"`+time.Unix(z.starts[i], 0).UTC().Format(time.DateTime)+`"`)
		}
		shifts, floors = append(shifts, fmt.Sprintf(`"%d seconds"`, offset)), append(floors, fmt.Sprint(z.floors[i]))
	}
	i := fmt.Sprintf("pg_catalog.width_bucket(%s, '{%s}'::timestamp[])", clock, strings.Join(starts, ","))
	return fmt.Sprintf("greatest((%s + ('{%s}'::interval[])[%s])::date - '1970-01-01'::date, ('{%s}'::int4[])[%[3]s])",
		clock, strings.Join(shifts, ","), i, strings.Join(floors, ","))
}
