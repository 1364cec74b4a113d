package db

import (
	"context"
	"fmt"
	"time"
)

// TrendBucket is a span of time: from Start up to End. It is complete when it is over.
type TrendBucket struct {
	Start, End time.Time
	Complete   bool
}

// TrendSeries has a value for each bucket, nil where it is not known: before the owner's first
// booking, and of a bucket that has not begun. Revenue is BRL with two decimals; Occupancy percent
// and AverageStay nights, with one. The others are whole numbers.
type TrendSeries struct {
	Revenue     []*Decimal `json:"revenue"`
	Bookings    []*Decimal `json:"bookings"`
	Cancelled   []*Decimal `json:"cancelled"`
	Occupancy   []*Decimal `json:"occupancy"`
	AverageStay []*Decimal `json:"averageStay"`
	Arrivals    []*Decimal `json:"arrivals"`
}

// TrendTotal is a metric over all buckets, the same of what it is compared with, up to the same
// clock time, and by how many percent it has changed: nil where the former is 0 or not known.
type TrendTotal struct {
	Value  *Decimal `json:"value"`
	Before *Decimal `json:"before"`
	Change *Decimal `json:"change"`
}

// TrendTotals has a total for each metric.
type TrendTotals struct {
	Revenue     TrendTotal `json:"revenue"`
	Bookings    TrendTotal `json:"bookings"`
	Cancelled   TrendTotal `json:"cancelled"`
	Occupancy   TrendTotal `json:"occupancy"`
	AverageStay TrendTotal `json:"averageStay"`
	Arrivals    TrendTotal `json:"arrivals"`
}

// Trends are an owner's trends as of an instant. From and To are midnights in UTC of the dates that
// the buckets cover. Before is nil where nothing is compared. OccupancySince is from when on it is
// known what was offered, and CancelledSince from when on cancellations are noted; before, the
// first known offer and the last change of a booking stand for them. Hangar is the number of the
// one that was asked for.
type Trends struct {
	From, To       time.Time
	Buckets        []TrendBucket
	Series         TrendSeries
	Before         *TrendSeries
	Totals         TrendTotals
	OccupancySince time.Time
	CancelledSince time.Time
	Hangar         string
	Hangars        []string // the ids of those that count
	Kept           bool     // whether they came from what is kept, and not from the tables
}

// Trends computes an owner's trends at the instant now, as one snapshot of the database saw them:
// from what is kept, or from the portal's tables while that is not to be believed, one such
// question at a time for an owner. A hangar that the owner does not have is ErrNotFound.
func (s *Store) Trends(ctx context.Context, ownerID string, q TrendQuery, now time.Time) (t Trends, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if err := checkText([]any{ownerID, q.HangarID}); err != nil {
		return t, refusedText(err)
	}
	t, err = withFallback(ctx, s, ownerID, func(w *written, kept bool) (Trends, error) { return s.trendsBy(ctx, w, ownerID, q, now, kept) })
	if err != nil {
		return t, fmt.Errorf("compute trends of owner %s: %w", ownerID, err)
	}
	return t, nil
}

func (s *Store) trendsBy(ctx context.Context, w *written, ownerID string, q TrendQuery, now time.Time, kept bool) (Trends, error) {
	return inSnapshot(ctx, s, w, func(selecting selector) (Trends, error) {
		a := newTrendAnswer(s.zone, q, now, w.shape)
		a.selecting, a.sql, a.source = selecting, w.sql.trends, w.sql.trends.tables
		if kept {
			a.source = w.sql.trends.kept
		}
		return a.compute(ownerID, kept)
	})
}

// trendAnswer is an answer that is being made.
type trendAnswer struct {
	zone      zoneDays
	q         TrendQuery
	now       time.Time
	today     int
	shape     shape
	selecting selector
	sql       trendQueries
	source    trendSource

	own, before []trendBucket
	compared    bool
	paired      []int // for each own bucket the one before, or -1
	open        int   // the own bucket that is not over, or -1
	cutDay      int   // of the bucket before that one: the day in which its part ends
	cut         time.Time
	whole       bool // that part is all of it

	hangars        []trendHangar
	cancelledSince time.Time
	ids            []string
	touched        []trendBooking
	first          int // the first day on which anything happened

	level, days, parts tallies
	partRanges         []trendPartRange
}

func newTrendAnswer(zone zoneDays, q TrendQuery, now time.Time, s shape) *trendAnswer {
	q, _ = q.Widened()
	a := &trendAnswer{zone: zone, q: q, now: now.Truncate(time.Microsecond), shape: s, open: -1,
		level: make(tallies), days: make(tallies), parts: make(tallies)}
	a.today = zone.day(a.now)
	a.own = zone.buckets(q.Interval, q.From, q.To)
	for i, b := range a.own {
		if !b.start.After(a.now) && a.now.Before(b.stop) {
			a.open = i
		}
	}
	if q.Compare == CompareBefore || q.Compare == CompareYear {
		from, to := q.earlier()
		a.before, a.compared = zone.buckets(q.Interval, from, to), true
		a.pair(dayNumber(from))
	}
	return a
}

// pair finds the bucket with which each is compared, and where its part ends that is compared with
// one that is not over. Hours are those of the same day in order, and of the same clock; first is
// the number of the first day that is compared.
func (a *trendAnswer) pair(first int) {
	a.paired = make([]int, len(a.own))
	own := dayNumber(a.q.From)
	dayBefore := func(day int) int {
		if a.q.byDate() {
			return yearBefore(day)
		}
		return first + day - own
	}
	// weeks and months are in order: they have as many before
	place := func(i int, b trendBucket) string { return fmt.Sprint(i) }
	switch a.q.Interval {
	case TrendHour:
		place = func(_ int, b trendBucket) string { return fmt.Sprint(b.first, " ", b.clock) }
	case TrendDay:
		place = func(_ int, b trendBucket) string { return fmt.Sprint(b.first) }
	}
	places := make(map[string]int)
	for i, b := range a.before {
		places[place(i, b)] = i
	}
	for i, b := range a.own {
		b.first = dayBefore(b.first)
		var found bool
		if a.paired[i], found = places[place(i, b)]; !found {
			a.paired[i] = -1
		}
	}
	if a.open < 0 {
		return
	}
	open := a.own[a.open]
	if a.q.Interval == TrendHour {
		// also where that hour is not: the totals end there
		a.cutDay = dayBefore(open.first)
		a.cut = a.zone.clockAt(a.cutDay, a.now)
		return
	}
	b := a.before[a.paired[a.open]]
	a.cutDay = b.first + a.today - open.first
	if a.cutDay < b.end {
		a.cut = a.zone.clockAt(a.cutDay, a.now)
	}
	// of a shorter month, or of a day that the zone skipped
	a.whole = a.cutDay >= b.end || !a.cut.Before(b.stop)
}

// compute answers from one place.
func (a *trendAnswer) compute(ownerID string, kept bool) (t Trends, err error) {
	for _, step := range []func() error{
		func() error { return a.readHangars(ownerID) },
		func() error { return a.readTouched(kept) },
		a.readFirst, a.readSums, a.readParts, a.readNights,
	} {
		if err := step(); err != nil {
			return t, err
		}
	}
	t = Trends{From: a.q.From, To: a.q.To, Hangars: a.ids, Kept: kept, CancelledSince: a.cancelledSince}
	if a.q.HangarID != "" {
		t.Hangar = a.hangars[0].number
	}
	for _, h := range a.hangars {
		if len(h.noted) > 0 && (t.OccupancySince.IsZero() || h.noted[0].since.Before(t.OccupancySince)) {
			t.OccupancySince = h.noted[0].since
		}
	}
	a.answer(&t)
	return t, nil
}
