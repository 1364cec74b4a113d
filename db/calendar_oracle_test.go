package db_test

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// wanted is a booking as a test wrote it. Of a portal with dates, in and out are midnights in UTC
// of the dates.
type wanted struct {
	id, hangar, status string
	in, out            time.Time
}

// oracle is a calendar by brute force: every instant is asked for the date that its zone shows, one
// by one, and nothing is added to a date but the number of a day.
type oracle struct {
	loc   *time.Location
	dates bool
	from  time.Time // a midnight in UTC
	days  int
	found map[time.Time]time.Time // what start has found, by day
}

// date returns the number of the local date at an instant.
func (o oracle) date(at time.Time) int {
	shown, err := time.Parse(time.DateOnly, at.In(o.loc).Format(time.DateOnly))
	if err != nil {
		panic(err)
	}
	return int(shown.Sub(o.from).Hours() / 24)
}

// start finds the first minute at which the local date is that of day or later, by trying them.
func (o oracle) start(day int) time.Time {
	key := o.from.AddDate(0, 0, day)
	if at, ok := o.found[key]; ok {
		return at
	}
	at := key.Add(-16 * time.Hour)
	for o.date(at) < day {
		at = at.Add(time.Minute)
	}
	o.found[key] = at
	return at
}

func (o oracle) ends(w wanted) (in, out time.Time) {
	if o.dates {
		return o.start(int(w.in.Sub(o.from).Hours() / 24)), o.start(int(w.out.Sub(o.from).Hours() / 24))
	}
	return w.in, w.out
}

func counts(status string) bool {
	return slices.Contains([]string{"confirmed", "active", "completed"}, status)
}

// nights lists the days on which a stay is counted.
func (o oracle) nights(w wanted) (days []int) {
	in, out := o.ends(w)
	first, last := o.date(in), o.date(out)
	for day := 0; day < o.days; day++ {
		exists := o.start(day).Before(o.start(day + 1))
		if exists && (first <= day && day < last || first == last && day == first) {
			days = append(days, day)
		}
	}
	return days
}

// cells tells each day of a hangar: nights, arrivals, departures, and stays beyond the spaces.
func (o oracle) cells(stays []wanted, spaces int) (cells []string) {
	for day := 0; day < o.days; day++ {
		nights, arrivals, departures, most := 0, 0, 0, 0
		begin, end := o.start(day), o.start(day+1)
		moments := []time.Time{begin}
		for _, s := range stays {
			in, _ := o.ends(s)
			moments = append(moments, in)
		}
		for _, s := range stays {
			if !counts(s.status) {
				continue
			}
			in, out := o.ends(s)
			if slices.Contains(o.nights(s), day) {
				nights++
			}
			if o.date(in) == day {
				arrivals++
			}
			if o.date(out) == day {
				departures++
			}
		}
		for _, at := range moments {
			here := 0
			for _, s := range stays {
				if in, out := o.ends(s); counts(s.status) && !at.Before(in) && at.Before(out) {
					here++
				}
			}
			if !at.Before(begin) && at.Before(end) {
				most = max(most, here)
			}
		}
		cells = append(cells, fmt.Sprintf("%d nights, %d in, %d out, %d over", nights, arrivals, departures, max(most-spaces, 0)))
	}
	return cells
}

// bars tells each stay that is drawn, with its lane.
func (o oracle) bars(stays []wanted) (bars []string) {
	from, to := o.start(0), o.start(o.days)
	rank := map[string]int{"confirmed": 0, "active": 0, "completed": 0, "pending": 1, "cancelled": 2}
	order := slices.Clone(stays)
	sort.Slice(order, func(i, j int) bool {
		a, b := order[i], order[j]
		aIn, _ := o.ends(a)
		bIn, _ := o.ends(b)
		if rank[a.status] != rank[b.status] {
			return rank[a.status] < rank[b.status]
		}
		return aIn.Before(bIn) || aIn.Equal(bIn) && a.id < b.id
	})
	type taken struct {
		lane    int
		in, out time.Time
	}
	var all []taken
	for _, s := range order {
		in, out := o.ends(s)
		if !out.After(from) || !in.Before(to) {
			continue
		}
		lane := -1
		for free := false; !free; {
			lane++
			free = true
			for _, other := range all {
				free = free && (other.lane != lane || !other.in.Before(out) || !in.Before(other.out))
			}
		}
		all = append(all, taken{lane, in, out})
		bars = append(bars, fmt.Sprintf("%s %s lane %d, %s to %s, cut %t %t", s.id, s.status, lane, in.In(o.loc).Format(time.RFC3339),
			out.In(o.loc).Format(time.RFC3339), in.Before(from), out.After(to)))
	}
	slices.Sort(bars)
	return bars
}

// cellsOf and barsOf tell a calendar in the words of the oracle.
func cellsOf(h db.CalendarHangar) (cells []string) {
	for day := range h.Nights {
		cells = append(cells, fmt.Sprintf("%d nights, %d in, %d out, %d over", h.Nights[day], h.Arrivals[day], h.Departures[day], h.Over[day]))
	}
	return cells
}

func barsOf(c db.BookingCalendar, hangar string) (bars []string) {
	for _, s := range c.Stays {
		if s.HangarID == hangar {
			bars = append(bars, fmt.Sprintf("%s %s lane %d, %s to %s, cut %t %t", s.BookingID, s.Status, s.Lane, s.CheckIn.Format(time.RFC3339),
				s.CheckOut.Format(time.RFC3339), s.CutLeft, s.CutRight))
		}
	}
	slices.Sort(bars)
	return bars
}
