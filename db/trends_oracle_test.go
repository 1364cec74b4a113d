package db_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// trendRow is a booking as it stands in the portal's table, with the notes that are kept of it.
type trendRow struct {
	ID, Hangar, Status       string
	Created, Paid, Cancelled *time.Time
	In, Out                  *time.Time
	Price                    string
	Nights                   *int64

	stays         bool
	in, out       time.Time // instants
	inDay, outDay time.Time // dates
}

// trendOracle answers by brute force: it looks at every quarter of an hour, and adds nothing to a
// date but the number of a day.
type trendOracle struct {
	loc   *time.Location
	dates bool
	now   time.Time
	rows  []trendRow
	// spaces and published of each hangar
	spaces    map[string]int64
	published map[string]bool
	starts    map[time.Time]time.Time
	of        map[string][]*trendRow // the stays of each hangar
}

const quarter = 15 * time.Minute

func (o *trendOracle) shown(at time.Time) time.Time {
	return date(at.In(o.loc).Format(time.DateOnly))
}

// start finds the first quarter of an hour at which the local date is day or later.
func (o *trendOracle) start(day time.Time) time.Time {
	if at, ok := o.starts[day]; ok {
		return at
	}
	at := day.Add(-16 * time.Hour)
	for o.shown(at).Before(day) {
		at = at.Add(quarter)
	}
	o.starts[day] = at
	return at
}

func next(day time.Time) time.Time { return day.AddDate(0, 0, 1) }

// yearAgo is the same date of the year before, or the last of February.
func yearAgo(day time.Time) time.Time {
	ago := day.AddDate(-1, 0, 0)
	for ago.Month() != day.Month() {
		ago = ago.AddDate(0, 0, -1)
	}
	return ago
}

// span is a bucket: dates, and instants.
type span struct {
	first, end  time.Time
	start, stop time.Time
	clock       string
}

// spans cuts dates into buckets.
func (o *trendOracle) spans(interval db.TrendInterval, from, to time.Time) (list []span) {
	for day := from; day.Before(to); day = next(day) {
		switch {
		case interval == db.TrendHour:
			seen := map[string]int{}
			last := ""
			for at := o.start(day); at.Before(o.start(next(day))); at = at.Add(quarter) {
				if label := at.In(o.loc).Format("15 -0700"); label != last {
					hour := at.In(o.loc).Format("15")
					list = append(list, span{first: day, end: next(day), start: at, clock: fmt.Sprint(hour, " ", seen[hour])})
					seen[hour]++
					last = label
				}
				list[len(list)-1].stop = at.Add(quarter)
			}
		case interval == db.TrendDay || interval == db.TrendWeek && day.Weekday() == time.Monday || interval == db.TrendMonth && day.Day() == 1:
			list = append(list, span{first: day, end: next(day), start: o.start(day), stop: o.start(next(day))})
		default:
			list[len(list)-1].end, list[len(list)-1].stop = next(day), o.start(next(day))
		}
	}
	return list
}

// instant is what a column holds: a date begins with its first instant.
func (o *trendOracle) instant(at *time.Time) time.Time {
	if o.dates {
		return o.start(at.UTC().Truncate(24 * time.Hour))
	}
	return *at
}

// place notes when each stay begins and ends, so that a large history is read once.
func (o *trendOracle) place() {
	o.of = make(map[string][]*trendRow)
	for i := range o.rows {
		r := &o.rows[i]
		r.stays = counts(r.Status) && r.In != nil && r.Out != nil && o.instant(r.In).Before(o.instant(r.Out))
		if r.stays {
			r.in, r.out = o.instant(r.In), o.instant(r.Out)
			r.inDay, r.outDay = o.shown(r.in), o.shown(r.out)
			o.of[r.Hangar] = append(o.of[r.Hangar], r)
		}
	}
}

// known reports whether anything had happened by the end of a day.
func (o *trendOracle) first() time.Time {
	first := o.shown(o.now)
	for _, r := range o.rows {
		var at []time.Time
		if r.Status != "cancelled" && r.Created != nil {
			at = append(at, *r.Created)
		}
		if r.Paid != nil {
			at = append(at, *r.Paid)
		}
		if r.Status == "cancelled" && r.Cancelled != nil {
			at = append(at, *r.Cancelled)
		}
		if r.stays {
			at = append(at, r.in)
		}
		for _, t := range at {
			if day := o.shown(t); day.Before(first) {
				first = day
			}
		}
	}
	return first
}

// count is what happened.
type count struct {
	known                                      bool
	revenue                                    *big.Rat
	created, cancelled, arrivals, nights, with int64
	sold, offered                              int64
}

// between counts what happened from an instant up to another, arrivals up to an instant of theirs.
func (o *trendOracle) between(c *count, from, to, arrived time.Time) {
	in := func(at, end time.Time) bool { return !at.Before(from) && at.Before(end) }
	for _, r := range o.rows {
		if r.Status != "cancelled" && r.Created != nil && in(*r.Created, to) {
			c.created++
			if r.Nights != nil {
				c.nights += *r.Nights
				c.with++
			}
		}
		if r.Paid != nil && in(*r.Paid, to) {
			price, _ := new(big.Rat).SetString(r.Price)
			c.revenue.Add(c.revenue, price)
		}
		if r.Status == "cancelled" && r.Cancelled != nil && in(*r.Cancelled, to) {
			c.cancelled++
		}
		if r.stays && in(r.in, arrived) {
			c.arrivals++
		}
	}
}

func (o *trendOracle) sell(c *count, hangar string, stays, length int64) {
	sold := min(stays, o.spaces[hangar])
	c.sold += sold * length
	if o.published[hangar] {
		sold = o.spaces[hangar]
	}
	c.offered += sold * length
}

// sellNights counts nights of dates, up to today.
func (o *trendOracle) sellNights(c *count, from, to time.Time) {
	for day := from; day.Before(to) && !day.After(o.shown(o.now)); day = next(day) {
		if !o.start(day).Before(o.start(next(day))) {
			continue
		}
		for hangar := range o.spaces {
			stays := int64(0)
			for _, r := range o.of[hangar] {
				if r.inDay.Equal(day) || r.inDay.Before(day) && day.Before(r.outDay) {
					stays++
				}
			}
			o.sell(c, hangar, stays, 1)
		}
	}
}

// sellTime counts quarters of hours.
func (o *trendOracle) sellTime(c *count, from, to time.Time) {
	for at := from; at.Before(to); at = at.Add(quarter) {
		for hangar := range o.spaces {
			stays := int64(0)
			for _, r := range o.of[hangar] {
				if !at.Before(r.in) && at.Before(r.out) {
					stays++
				}
			}
			o.sell(c, hangar, stays, 1)
		}
	}
}

func (c count) values() []string {
	if !c.known {
		return []string{"-", "-", "-", "-", "-", "-"}
	}
	share := func(n, of, times int64) string {
		if of == 0 {
			return "-"
		}
		return new(big.Rat).Mul(big.NewRat(n, of), big.NewRat(times, 1)).FloatString(1)
	}
	return []string{c.revenue.FloatString(2), fmt.Sprint(c.created), fmt.Sprint(c.cancelled), share(c.sold, c.offered, 100), share(c.nights, c.with, 1), fmt.Sprint(c.arrivals)}
}

// answer tells trends in lines.
func (o *trendOracle) answer(q db.TrendQuery) (lines []string) {
	q, _ = q.Widened()
	o.place()
	first, end := o.first(), o.now.Add(time.Microsecond)
	own := o.spans(q.Interval, q.From, q.To)
	total, before := count{revenue: new(big.Rat)}, count{revenue: new(big.Rat)}
	add := func(into *count, c count) {
		if c.known {
			into.known = true
			into.revenue.Add(into.revenue, c.revenue)
			into.created, into.cancelled, into.arrivals = into.created+c.created, into.cancelled+c.cancelled, into.arrivals+c.arrivals
			into.nights, into.with, into.sold, into.offered = into.nights+c.nights, into.with+c.with, into.sold+c.sold, into.offered+c.offered
		}
	}
	var former []span
	var since time.Time
	compared := q.Compare != db.CompareNone
	byDate := q.Compare == db.CompareYear && !q.Weekdays && (q.Interval == db.TrendHour || q.Interval == db.TrendDay)
	if compared {
		days := int(q.To.Sub(q.From).Hours() / 24)
		from, to := q.From.AddDate(0, 0, -days), q.From
		switch {
		case q.Interval == db.TrendMonth && q.Compare == db.CompareBefore:
			from = q.From
			for m := q.From; m.Before(q.To); m = m.AddDate(0, 1, 0) {
				from = from.AddDate(0, -1, 0)
			}
		case q.Interval == db.TrendMonth:
			from, to = q.From.AddDate(-1, 0, 0), q.To.AddDate(-1, 0, 0)
		case q.Compare == db.CompareBefore && q.Weekdays:
			for from.Weekday() != q.From.Weekday() {
				from = from.AddDate(0, 0, -1)
			}
			to = from.AddDate(0, 0, days)
		case q.Compare == db.CompareYear && (q.Weekdays || q.Interval == db.TrendWeek):
			from = q.From.AddDate(0, 0, -52*7)
			to = from.AddDate(0, 0, days)
		case q.Compare == db.CompareYear:
			from, to = yearAgo(q.From), next(yearAgo(q.To.AddDate(0, 0, -1)))
		}
		former, since = o.spans(q.Interval, from, to), from
	}
	var cut time.Time // of all that is compared
	for i, b := range own {
		c := count{revenue: new(big.Rat), known: first.Before(b.end) && !b.start.After(o.now)}
		arrived := b.stop
		if end.Before(arrived) {
			arrived = end
		}
		o.between(&c, b.start, b.stop, arrived)
		if q.Interval == db.TrendHour {
			stop := b.stop
			if o.now.Before(stop) {
				stop = o.now
			}
			o.sellTime(&c, b.start, stop)
		} else {
			o.sellNights(&c, b.first, b.end)
		}
		add(&total, c)
		line := fmt.Sprint(b.start.In(o.loc).Format(time.RFC3339), " ", b.stop.In(o.loc).Format(time.RFC3339), " ", !o.now.Before(b.stop), " ", c.values())
		if !compared {
			lines = append(lines, line)
			continue
		}
		e := count{revenue: new(big.Rat)}
		found := -1
		beside := since.Add(b.first.Sub(q.From))
		if byDate {
			beside = yearAgo(b.first)
		}
		if q.Interval == db.TrendHour || q.Interval == db.TrendDay {
			found = slices.IndexFunc(former, func(s span) bool { return s.clock == b.clock && s.first.Equal(beside) })
		} else if i < len(former) {
			found = i
		}
		open := !b.start.After(o.now) && o.now.Before(b.stop)
		if open { // the same clock on the day that is as far from the beginning
			day := beside
			if q.Interval != db.TrendHour {
				day = former[found].first.AddDate(0, 0, int(o.shown(o.now).Sub(b.first).Hours()/24))
			}
			for cut = o.start(day); cut.In(o.loc).Format("15:04") != o.now.In(o.loc).Format("15:04"); cut = cut.Add(quarter) {
			}
			if q.Interval != db.TrendHour && !day.Before(former[found].end) {
				cut = former[found].stop.Add(-time.Microsecond)
			}
		}
		if found >= 0 && !b.start.After(o.now) {
			s := former[found]
			e.known = first.Before(s.end)
			stop, lastDay, sold := s.stop, s.end, s.stop
			if open && cut.Before(stop) {
				stop, sold = cut.Add(time.Microsecond), cut
				if lastDay = next(o.shown(cut)); lastDay.After(s.end) {
					lastDay = s.end
				}
			}
			o.between(&e, s.start, stop, stop)
			if q.Interval == db.TrendHour {
				o.sellTime(&e, s.start, sold)
			} else {
				o.sellNights(&e, s.first, lastDay)
			}
		}
		// beside a 29 February the 28th has been added
		if q.Interval != db.TrendHour && !(byDate && b.first.Format("01-02") == "02-29" && i > 0) {
			add(&before, e)
		}
		// a 29 February that is beside no day
		if q.Interval == db.TrendDay && byDate && found+1 < len(former) && i+1 < len(own) && !own[i+1].start.After(o.now) && former[found+1].first.Format("01-02") == "02-29" {
			s, e := former[found+1], count{revenue: new(big.Rat), known: first.Before(former[found+1].end)}
			o.between(&e, s.start, s.stop, s.stop)
			o.sellNights(&e, s.first, s.end)
			add(&before, e)
		}
		lines = append(lines, fmt.Sprint(line, " before ", e.values()))
	}
	if len(former) > 0 && q.Interval == db.TrendHour {
		end, sold := former[len(former)-1].stop, former[len(former)-1].stop
		if !cut.IsZero() && cut.Before(end) {
			end, sold = cut.Add(time.Microsecond), cut
		}
		before.known = !o.shown(sold.Add(-time.Microsecond)).Before(first)
		o.between(&before, former[0].start, end, end)
		for _, s := range former {
			stop := s.stop
			if sold.Before(stop) {
				stop = sold
			}
			if first.Before(s.end) {
				o.sellTime(&before, s.start, stop)
			}
		}
	}
	return append(lines, fmt.Sprint("in all ", total.values(), " before ", before.values()))
}

// trendLines tells an answer in the words of the oracle.
func trendLines(t db.Trends, loc *time.Location) (lines []string) {
	text := func(d *db.Decimal) string {
		if d == nil {
			return "-"
		}
		return string(*d)
	}
	values := func(s db.TrendSeries, i int) []string {
		return []string{text(s.Revenue[i]), text(s.Bookings[i]), text(s.Cancelled[i]), text(s.Occupancy[i]), text(s.AverageStay[i]), text(s.Arrivals[i])}
	}
	for i, b := range t.Buckets {
		line := fmt.Sprint(b.Start.In(loc).Format(time.RFC3339), " ", b.End.In(loc).Format(time.RFC3339), " ", b.Complete, " ", values(t.Series, i))
		if t.Before != nil {
			line += fmt.Sprint(" before ", values(*t.Before, i))
		}
		lines = append(lines, line)
	}
	m := t.Totals
	all := []db.TrendTotal{m.Revenue, m.Bookings, m.Cancelled, m.Occupancy, m.AverageStay, m.Arrivals}
	var value, before []string
	for _, one := range all {
		value, before = append(value, text(one.Value)), append(before, text(one.Before))
	}
	return append(lines, fmt.Sprint("in all ", value, " before ", before))
}

// difference returns the first lines that differ.
func difference(got, want []string) string {
	var b strings.Builder
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			fmt.Fprintf(&b, "\n got %s\nwant %s", g, w)
			if b.Len() > 2000 {
				break
			}
		}
	}
	return b.String()
}
