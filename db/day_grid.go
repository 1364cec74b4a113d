package db

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dayGrid are the days of a window in a zone. bounds are the first instants of each day and of the
// day after the last, and first is the number of the first day since 1970. dates says that stays
// have dates without hours.
type dayGrid struct {
	bounds []time.Time
	first  int
	loc    *time.Location
	dates  bool
}

// newDayGrid returns the days from a date up to and without another, each a midnight in UTC.
func newDayGrid(from, to time.Time, loc *time.Location, dates bool) dayGrid {
	g := dayGrid{loc: loc, dates: dates, first: dayNumber(from)}
	y, m, d := from.Date()
	for i := range dayNumber(to) - g.first + 1 {
		g.bounds = append(g.bounds, dayStart(y, m, d+i, loc))
	}
	return g
}

// dayNumber numbers the date that t shows, whatever its zone: 0 is 1970-01-01.
func dayNumber(t time.Time) int {
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// clocks returns the ends of the window as the projection's clocks show them. A stay that ended at
// the first is part of it: it is a departure of the first day.
func (g dayGrid) clocks() (from, to string) {
	const layout = "2006-01-02 15:04:05.999999"
	last := len(g.bounds) - 1
	if g.dates {
		date := func(i int) string { return time.Unix(int64(g.first+i)*86400, 0).UTC().Format(layout) }
		before := 0 // dates that the zone skipped begin with the first day, too
		for g.instant(time.Unix(int64(g.first-before-1)*86400, 0).UTC()).Equal(g.bounds[0]) {
			before++
		}
		return date(-before), date(last)
	}
	return g.bounds[0].UTC().Format(layout), g.bounds[last].UTC().Format(layout)
}

// stay is a booking in a window: its ends as instants, and the days on which they are, by number in
// the window.
type stay struct {
	id, hangar, status string
	in, out            time.Time // the zero time where there is none
	inDay, outDay      int
	uncertain          bool
	lane               int
}

// occupies reports whether a stay is counted.
func (s stay) occupies() bool {
	return s.status == "confirmed" || s.status == "active" || s.status == "completed"
}

// stay reads a row.
func (g dayGrid) stay(row stayRow) stay {
	s := stay{id: row.BookingID, hangar: row.HangarID, status: row.Status}
	if row.In.Valid {
		s.in = g.instant(row.In.Time)
	}
	if row.Out.Valid {
		s.out = g.instant(row.Out.Time)
	}
	if s.uncertain = !row.In.Valid || !row.Out.Valid || !s.in.Before(s.out); !s.uncertain {
		s.inDay, s.outDay = dayNumber(s.in)-g.first, dayNumber(s.out)-g.first
	}
	return s
}

// instant returns what a clock of the projection stands for, in the window's zone.
func (g dayGrid) instant(clock time.Time) time.Time {
	if !g.dates {
		return clock.In(g.loc)
	}
	y, m, d := clock.Date()
	return dayStart(y, m, d, g.loc)
}

// drawn returns the stays that have a part in the window, by check-in and id.
func (g dayGrid) drawn(stays []stay) []stay {
	from, to := g.bounds[0], g.bounds[len(g.bounds)-1]
	var found []stay
	for _, s := range stays {
		if !s.uncertain && s.out.After(from) && s.in.Before(to) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b stay) int { return cmp.Or(a.in.Compare(b.in), cmp.Compare(a.id, b.id)) })
	return found
}

// assignLanes gives each of a hangar's stays, which are in order, the first lane in which it meets
// no other. Those that are counted come first, then pending ones, then cancelled ones.
func assignLanes(stays []stay) {
	var lanes [][]*stay
	rank := func(s *stay) int {
		switch {
		case s.occupies():
			return 0
		case s.status == "pending":
			return 1
		}
		return 2
	}
	for wanted := range 3 {
		for i := range stays {
			s := &stays[i]
			if rank(s) != wanted {
				continue
			}
			meets := func(other *stay) bool { return other.in.Before(s.out) && s.in.Before(other.out) }
			for s.lane = 0; s.lane < len(lanes) && slices.ContainsFunc(lanes[s.lane], meets); s.lane++ {
			}
			if s.lane == len(lanes) {
				lanes = append(lanes, nil)
			}
			lanes[s.lane] = append(lanes[s.lane], s)
		}
	}
}

func (g dayGrid) calendarStay(s stay) CalendarStay {
	return CalendarStay{
		BookingID: s.id, HangarID: s.hangar, Status: s.status, Lane: s.lane, CheckIn: s.in, CheckOut: s.out,
		CutLeft: s.in.Before(g.bounds[0]), CutRight: s.out.After(g.bounds[len(g.bounds)-1]),
	}
}

// size is how many days there are.
func (g dayGrid) size() int { return len(g.bounds) - 1 }

// exists reports whether a day has any length.
func (g dayGrid) exists(day int) bool { return g.bounds[day].Before(g.bounds[day+1]) }

// count counts a hangar's stays by day. A night is that of the date on which it begins; a stay that
// begins and edges on one date has that one.
func (g dayGrid) count(h *CalendarHangar, stays []stay) {
	n := g.size()
	h.Nights, h.Arrivals, h.Departures, h.Over = make([]int, n), make([]int, n), make([]int, n), make([]int, n)
	var edges []edge
	for _, s := range stays {
		if s.uncertain || !s.occupies() {
			continue
		}
		for day := max(s.inDay, 0); day < min(max(s.outDay, s.inDay+1), n); day++ {
			if g.exists(day) {
				h.Nights[day]++
			}
		}
		if 0 <= s.inDay && s.inDay < n {
			h.Arrivals[s.inDay]++
		}
		if 0 <= s.outDay && s.outDay < n {
			h.Departures[s.outDay]++
		}
		edges = append(edges, edge{s.in, 1}, edge{s.out, -1})
	}
	for day, most := range g.most(edges) {
		h.Over[day] = max(most-int(h.Spaces), 0)
	}
}

// edge is an instant at which there is one stay more or less.
type edge struct {
	at   time.Time
	more int
}

// most returns how many stays there are at the worst moment of each day. One that edges when
// another begins does not meet it.
func (g dayGrid) most(edges []edge) []int {
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.more, b.more)) })
	most := make([]int, g.size())
	stays, next := 0, 0
	for day := range most {
		for ; next < len(edges) && !edges[next].at.After(g.bounds[day]); next++ {
			stays += edges[next].more
		}
		if g.exists(day) {
			most[day] = stays
		}
		for ; next < len(edges) && edges[next].at.Before(g.bounds[day+1]); next++ {
			stays += edges[next].more
			most[day] = max(most[day], stays)
		}
	}
	return most
}

// days adds up hangars by day.
func (g dayGrid) days(hangars []CalendarHangar) []CalendarDay {
	days := make([]CalendarDay, g.size())
	for i := range days {
		d := &days[i]
		*d = CalendarDay{Date: time.Unix(int64(g.first+i)*86400, 0).UTC().Format(time.DateOnly), Start: g.bounds[i],
			Hours: g.bounds[i+1].Sub(g.bounds[i]).Hours()}
		if !g.exists(i) {
			continue
		}
		for _, h := range hangars {
			sold := min(int64(h.Nights[i]), h.Spaces)
			d.Nights, d.Arrivals, d.Departures = d.Nights+sold, d.Arrivals+int64(h.Arrivals[i]), d.Departures+int64(h.Departures[i])
			if h.Published {
				d.Spaces += h.Spaces
			} else {
				d.Spaces += sold
			}
		}
	}
	return days
}

// cursorOf names a hangar and its place in the list, opaque to clients.
func cursorOf(index int, hangarID string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(index+1) + " " + hangarID))
}

// parseCursor reads what cursorOf wrote: how many hangars came before the page, and the last of
// them.
func parseCursor(cursor string) (before int, hangarID string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		number, id, found := strings.Cut(string(text), " ")
		before, err = strconv.Atoi(number)
		if err == nil && found && before > 0 {
			return before, id, nil
		}
	}
	return 0, "", fmt.Errorf("read a cursor: %w", ErrInvalidID)
}
