package db

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/lib/pq"
)

// sumParts adds up the parts from an instant up to another.
func (a *trendAnswer) sumParts(from, to time.Time) *tally {
	sum := &tally{}
	for _, r := range a.partRanges {
		first, _ := slices.BinarySearchFunc(r.bounds, from, time.Time.Compare)
		for i := first; i+1 < len(r.bounds) && !r.bounds[i+1].After(to); i++ {
			if t := a.parts[r.first+i]; t != nil {
				sum.add(t, 1)
			}
		}
	}
	return sum
}

// sumDays adds up days.
func (a *trendAnswer) sumDays(from, to int) *tally {
	sum := &tally{}
	for day := from; day < to; day++ {
		if t := a.days[day]; t != nil {
			sum.add(t, 1)
		}
	}
	return sum
}

// readNights reads how many stays each hangar has by night, or, for hours, from when until when.
func (a *trendAnswer) readNights() error {
	if a.q.Interval == TrendHour {
		return a.readStays()
	}
	var months []dayRange
	for _, list := range [][]trendBucket{a.own, a.before} {
		if len(list) > 0 {
			months = append(months, dayRange{monthNumber(dateOf(list[0].first)), monthNumber(dateOf(list[len(list)-1].end-1)) + 1})
		}
	}
	months = merged(months)
	var rows []struct {
		HangarID string        `db:"hangar_id"`
		Month    int           `db:"month"`
		Total    int64         `db:"total"`
		Turns    pq.Int32Array `db:"turns"`
	}
	lo, hi := ends(months)
	if err := a.selecting(&rows, a.source.nights, pq.Array(a.ids), pq.Array(lo), pq.Array(hi)); err != nil {
		return err
	}
	turns, before := make(map[string]map[int][]int32), make(map[string]map[int]int64)
	for _, id := range a.ids {
		turns[id], before[id] = make(map[int][]int32), make(map[int]int64)
	}
	for _, row := range rows {
		if len(row.Turns) == 0 {
			before[row.HangarID][row.Month+1] = row.Total
		} else {
			turns[row.HangarID][row.Month] = row.Turns
		}
	}
	for i := range a.hangars {
		h := &a.hangars[i]
		for _, r := range months {
			n := int32(before[h.id][r.lo])
			for month := r.lo; month < r.hi; month++ {
				nights, grow := make([]int32, 31), turns[h.id][month]
				for d := range nights {
					if grow != nil {
						n += grow[d]
					}
					nights[d] = n
				}
				h.nights[month] = nights
			}
		}
		for _, b := range a.touched {
			if b.HangarID != h.id || !b.InDay.Valid {
				continue
			}
			for _, r := range months {
				for day := max(int(b.InDay.Int64), monthStart(r.lo)); day < min(int(b.EndDay.Int64), monthStart(r.hi)); day++ {
					date := dateOf(day)
					h.nights[monthNumber(date)][date.Day()-1] += int32(b.Sign)
				}
			}
		}
		h.begin(a.zone)
	}
	return nil
}

// begin brings what was noted into days.
func (h *trendHangar) begin(zone zoneDays) {
	for i := range h.noted {
		h.noted[i].day = zone.day(h.noted[i].since)
	}
}

// offer returns what the hangar offered on a day: what it did at its end, and what it does today.
func (h *trendHangar) offer(day, today int) (spaces int64, published bool) {
	if day >= today || !h.noting {
		return h.spaces, h.published
	}
	for i := len(h.noted) - 1; i >= 0; i-- {
		if n := h.noted[i]; n.day <= day || i == 0 && n.initial {
			return n.spaces, n.published
		}
	}
	return 0, false // it was not there yet
}

// sell adds what was sold of what was offered: of a hangar that is not published as many spaces as
// are taken.
func (t *tally) sell(stays, spaces int64, published bool, length int64) {
	sold := min(stays, spaces)
	if published {
		t.offered += spaces * length
	} else {
		t.offered += sold * length
	}
	t.sold += sold * length
}

// sellNights adds the nights of days, up to today.
func (a *trendAnswer) sellNights(t *tally, from, to int) {
	for i := range a.hangars {
		h := &a.hangars[i]
		for day := from; day < min(to, a.today+1); {
			date := dateOf(day)
			nights := h.nights[monthNumber(date)]
			for d := date.Day() - 1; d < 31 && day < min(to, a.today+1); d, day = d+1, day+1 {
				if d > 27 && dateOf(day).Day() != d+1 { // of the next month
					break
				}
				if a.zone.exists(day) {
					spaces, published := h.offer(day, a.today)
					t.sell(int64(nights[d]), spaces, published, 1)
				}
			}
		}
	}
}

// trendEdge is an instant from which on there are so many stays.
type trendEdge struct {
	at    time.Time
	stays int64
}

// readStays reads when the stays of each hangar change.
func (a *trendAnswer) readStays() error {
	if len(a.partRanges) == 0 {
		return nil
	}
	var rows []struct {
		HangarID string        `db:"hangar_id"`
		Ins      pq.Int64Array `db:"ins"`
		Outs     pq.Int64Array `db:"outs"`
	}
	touched := make([]string, 0, len(a.touched))
	for _, b := range a.touched {
		touched = append(touched, b.BookingID)
	}
	if err := a.selecting(&rows, a.source.stays, append(a.partArgs(), pq.Array(touched))...); err != nil {
		return err
	}
	edges := make(map[string][]trendEdge)
	add := func(hangarID string, in, out time.Time) {
		edges[hangarID] = append(edges[hangarID], trendEdge{a.instant(a.shape.checkIn, in), 1}, trendEdge{a.instant(a.shape.checkIn, out), -1})
	}
	for _, row := range rows {
		for i, in := range row.Ins {
			add(row.HangarID, time.UnixMicro(in).UTC(), time.UnixMicro(row.Outs[i]).UTC())
		}
	}
	for _, b := range a.touched {
		if b.Sign > 0 && b.InDay.Valid {
			add(b.HangarID, b.StayIn.Time, b.StayOut.Time)
		}
	}
	for i := range a.hangars {
		h := &a.hangars[i]
		h.begin(a.zone)
		h.edges = edges[h.id]
		slices.SortFunc(h.edges, func(a, b trendEdge) int { return a.at.Compare(b.at) })
		stays := int64(0)
		for i := range h.edges {
			stays += h.edges[i].stays
			h.edges[i].stays = stays
		}
	}
	return nil
}

// sellTime adds the time of a day from an instant up to another.
func (a *trendAnswer) sellTime(t *tally, day int, from, to time.Time) {
	for i := range a.hangars {
		h := &a.hangars[i]
		spaces, published := h.offer(day, a.today)
		next, _ := slices.BinarySearchFunc(h.edges, from, func(e trendEdge, at time.Time) int { return cmp.Or(e.at.Compare(at), -1) })
		stays := int64(0)
		if next > 0 {
			stays = h.edges[next-1].stays
		}
		for at := from; at.Before(to); next++ {
			end := to
			if next < len(h.edges) && h.edges[next].at.Before(to) {
				end = h.edges[next].at
			}
			t.sell(stays, spaces, published, end.Sub(at).Milliseconds())
			if next < len(h.edges) {
				stays = h.edges[next].stays
			}
			at = end
		}
	}
}

// ofOwn returns what is told of a bucket, nil where that is not known.
func (a *trendAnswer) ofOwn(i int) *tally {
	b := a.own[i]
	if b.end <= a.first || b.start.After(a.now) {
		return nil
	}
	t := &tally{}
	if a.q.Interval == TrendHour {
		t.add(a.sumParts(b.start, b.stop), 1)
		end := b.stop
		if i == a.open {
			t.arrivals, end = a.sumParts(b.start, after(a.now)).arrivals, a.now
		}
		a.sellTime(t, b.first, b.start, end)
		return t
	}
	if sum := a.level[bucketOf(a.q.Interval.level(), b.first)]; sum != nil {
		t.add(sum, 1)
	}
	if i == a.open {
		t.arrivals -= a.sumDays(a.today+1, b.end).arrivals + a.sumParts(after(a.now), a.zone.start(a.today+1)).arrivals
	}
	a.sellNights(t, b.first, b.end)
	return t
}

// ofBefore returns what is told of what a bucket is compared with: of one that is not over the part
// up to the same clock time, with its whole night.
func (a *trendAnswer) ofBefore(i int) *tally {
	if a.paired[i] < 0 || a.own[i].start.After(a.now) {
		return nil
	}
	return a.ofEarlier(a.before[a.paired[i]], i == a.open)
}

// ofEarlier returns what is told of a bucket that is compared, or of its part up to the same clock
// time.
func (a *trendAnswer) ofEarlier(b trendBucket, open bool) *tally {
	if b.end <= a.first {
		return nil
	}
	t := &tally{}
	switch {
	case a.q.Interval == TrendHour:
		end := b.stop
		if open && a.cut.Before(end) {
			end = a.cut
			t.add(a.sumParts(b.start, after(end)), 1)
		} else {
			t.add(a.sumParts(b.start, end), 1)
		}
		a.sellTime(t, b.first, b.start, end)
		return t
	case open && !a.whole:
		t.add(a.sumDays(b.first, a.cutDay), 1)
		t.add(a.sumParts(a.zone.start(a.cutDay), after(a.cut)), 1)
		a.sellNights(t, b.first, a.cutDay+1)
		return t
	}
	if sum := a.level[bucketOf(a.q.Interval.level(), b.first)]; sum != nil {
		t.add(sum, 1)
	}
	a.sellNights(t, b.first, b.end)
	return t
}

// allBefore adds up what the totals are compared with. Of hours that is everything up to the same
// clock time, also an hour that has none beside it.
func (a *trendAnswer) allBefore(list []*tally) *tally {
	if a.q.Interval != TrendHour {
		return total(a.onceBefore(list))
	}
	if len(a.before) == 0 { // of a date that the zone skipped
		return nil
	}
	end := a.before[len(a.before)-1].stop
	if a.open >= 0 {
		end = a.cut
	}
	if a.zone.day(end.Add(-time.Microsecond)) < a.first {
		return nil
	}
	t := &tally{}
	until := end
	if a.open >= 0 {
		until = after(end)
	}
	t.add(a.sumParts(a.before[0].start, until), 1)
	for _, b := range a.before {
		if stop := earlierOf(b.stop, end); b.start.Before(stop) && b.end > a.first {
			a.sellTime(t, b.first, b.start, stop)
		}
	}
	return t
}

// onceBefore returns what is compared with buckets that have begun, each bucket of the former time
// once: one year has a 29 February, and the other has none.
func (a *trendAnswer) onceBefore(list []*tally) (once []*tally) {
	next := 0
	for i, t := range list {
		if a.paired[i] < 0 || a.own[i].start.After(a.now) {
			continue
		}
		for ; next < a.paired[i]; next++ {
			once = append(once, a.ofEarlier(a.before[next], false))
		}
		if next == a.paired[i] {
			once = append(once, t)
			next++
		}
	}
	return once
}

func earlierOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func total(list []*tally) *tally {
	var sum *tally
	for _, t := range list {
		if t == nil {
			continue
		}
		if sum == nil {
			sum = &tally{}
		}
		sum.add(t, 1)
	}
	return sum
}

// figures are the values of the six metrics, in the order of TrendSeries; nil is not known.
type figures [6]*big.Rat

// places are how many decimals each has.
var places = [6]int{2, 0, 0, 1, 1, 0}

func (t *tally) figures() (f figures) {
	if t == nil {
		return f
	}
	share := func(n, of int64, times int64) *big.Rat {
		if of == 0 {
			return nil
		}
		return new(big.Rat).Mul(big.NewRat(n, of), big.NewRat(times, 1))
	}
	return figures{t.revenue.rat(), big.NewRat(t.created, 1), big.NewRat(t.cancelled, 1), share(t.sold, t.offered, 100), share(t.nights, t.withNights, 1),
		big.NewRat(t.arrivals, 1)}
}

func decimal(value *big.Rat, places int) *Decimal {
	if value == nil {
		return nil
	}
	d := Decimal(value.FloatString(places))
	return &d
}

// texts are figures as they are written, "" where one is not known.
func (t *tally) texts() (list [6]Decimal) {
	if t == nil {
		return list
	}
	whole := func(n int64) Decimal { return Decimal(strconv.FormatInt(n, 10)) }
	list = [6]Decimal{Decimal(t.revenue.String()), whole(t.created), whole(t.cancelled), "", "", whole(t.arrivals)}
	if t.offered != 0 {
		list[3] = Decimal(tenths(t.sold, t.offered, 100))
	}
	if t.withNights != 0 {
		list[4] = Decimal(tenths(t.nights, t.withNights, 1))
	}
	return list
}

func seriesOf(list []*tally) TrendSeries {
	var columns [6][]*Decimal
	for i := range columns {
		columns[i] = make([]*Decimal, len(list))
	}
	values := make([][6]Decimal, len(list))
	for n, t := range list {
		values[n] = t.texts()
		for i := range columns {
			if values[n][i] != "" {
				columns[i][n] = &values[n][i]
			}
		}
	}
	return TrendSeries{columns[0], columns[1], columns[2], columns[3], columns[4], columns[5]}
}

// answer puts everything together.
func (a *trendAnswer) answer(t *Trends) {
	own := make([]*tally, len(a.own))
	for i, b := range a.own {
		t.Buckets = append(t.Buckets, TrendBucket{Start: b.start, End: b.stop, Complete: !a.now.Before(b.stop)})
		own[i] = a.ofOwn(i)
	}
	t.Series = seriesOf(own)
	values, befores := total(own).figures(), figures{}
	if a.compared {
		before := make([]*tally, len(a.own))
		for i := range a.own {
			before[i] = a.ofBefore(i)
		}
		series := seriesOf(before)
		t.Before, befores = &series, a.allBefore(before).figures()
	}
	for i, into := range []*TrendTotal{&t.Totals.Revenue, &t.Totals.Bookings, &t.Totals.Cancelled, &t.Totals.Occupancy, &t.Totals.AverageStay, &t.Totals.Arrivals} {
		into.Value, into.Before = decimal(values[i], places[i]), decimal(befores[i], places[i])
		if value, base := values[i], befores[i]; value != nil && base != nil && base.Sign() != 0 {
			change := new(big.Rat).Sub(value, base)
			into.Change = decimal(change.Mul(change.Quo(change, base), big.NewRat(100, 1)), 1)
		}
	}
}
