package db

import (
	"math/big"
	"slices"
	"strconv"
	"time"
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
