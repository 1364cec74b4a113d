package db

import (
	"cmp"
	"slices"
	"time"
)

// dayRange are numbers from one up to and without another.
type dayRange struct{ lo, hi int }

// merged returns ranges in order, without those that are empty, and none that meets another.
func merged(ranges []dayRange) (list []dayRange) {
	slices.SortFunc(ranges, func(a, b dayRange) int { return cmp.Compare(a.lo, b.lo) })
	for _, r := range ranges {
		switch last := len(list) - 1; {
		case r.lo >= r.hi:
		case last >= 0 && r.lo <= list[last].hi:
			list[last].hi = max(list[last].hi, r.hi)
		default:
			list = append(list, r)
		}
	}
	return list
}

func ends(ranges []dayRange) (lo, hi []int64) {
	for _, r := range ranges {
		lo, hi = append(lo, int64(r.lo)), append(hi, int64(r.hi))
	}
	return lo, hi
}

func within(ranges []dayRange, n int) bool {
	return slices.ContainsFunc(ranges, func(r dayRange) bool { return r.lo <= n && n < r.hi })
}

// after returns the end of what has happened by an instant.
func after(at time.Time) time.Time { return at.Add(time.Microsecond) }

// cutAt returns the bounds of hours, with one more where something ends.
func cutAt(list []trendBucket, end time.Time) (bounds []time.Time) {
	for _, b := range list {
		bounds = append(bounds, b.start)
		if b.start.Before(end) && end.Before(b.stop) {
			bounds = append(bounds, end)
		}
	}
	return append(bounds, list[len(list)-1].stop)
}

// clocksOf writes instants as clocks in UTC show them.
func clocksOf(list []time.Time) []string {
	texts := make([]string, 0, len(list))
	for _, at := range list {
		texts = append(texts, at.UTC().Format("2006-01-02 15:04:05.999999"))
	}
	return texts
}
