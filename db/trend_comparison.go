package db

import "time"

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
