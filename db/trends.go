package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"
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

// tally is what happened in a bucket. sold and offered are spaces by nights, or by milliseconds.
type tally struct {
	revenue                      money
	created, cancelled, arrivals int64
	nights, withNights           int64
	sold, offered                int64
}

func (t *tally) add(other *tally, sign int64) {
	t.revenue.add(other.revenue, sign)
	t.created, t.cancelled, t.arrivals = t.created+sign*other.created, t.cancelled+sign*other.cancelled, t.arrivals+sign*other.arrivals
	t.nights, t.withNights = t.nights+sign*other.nights, t.withNights+sign*other.withNights
	t.sold, t.offered = t.sold+sign*other.sold, t.offered+sign*other.offered
}

// tallies are some by number of their bucket.
type tallies map[int]*tally

func (t tallies) at(n int) *tally {
	if t[n] == nil {
		t[n] = &tally{}
	}
	return t[n]
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

// trendHangar is a hangar, what it offers now and what it did.
type trendHangar struct {
	id, number string
	spaces     int64
	published  bool
	noting     bool // whether what hangars offer is noted at all
	noted      []trendNote
	nights     map[int][]int32 // by month
	edges      []trendEdge     // of hours
}

// trendNote is what a hangar offers from an instant on.
type trendNote struct {
	since     time.Time
	spaces    int64
	published bool
	initial   bool
	day       int // of since
}

// trendBooking is what a booking contributes, or did.
type trendBooking struct {
	Trusted     bool          `db:"trusted"`
	Sign        int64         `db:"sign"`
	BookingID   string        `db:"booking_id"`
	HangarID    string        `db:"hangar_id"`
	CreatedAt   sql.NullTime  `db:"created_at"`
	PaidAt      sql.NullTime  `db:"paid_at"`
	CancelledAt sql.NullTime  `db:"cancelled_at"`
	StayIn      sql.NullTime  `db:"stay_in"`
	StayOut     sql.NullTime  `db:"stay_out"`
	Price       string        `db:"price"`
	Nights      sql.NullInt64 `db:"nights"`
	CreatedDay  sql.NullInt64 `db:"created_day"`
	PaidDay     sql.NullInt64 `db:"paid_day"`
	CancelDay   sql.NullInt64 `db:"cancelled_day"`
	InDay       sql.NullInt64 `db:"in_day"`
	EndDay      sql.NullInt64 `db:"end_day"`
}

// trendPartRange is a range of time with parts: the bounds of one after the other, of which the
// first has a number.
type trendPartRange struct {
	bounds []time.Time
	first  int
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

func (a *trendAnswer) readHangars(ownerID string) error {
	var rows []struct {
		HangarID       string       `db:"hangar_id"`
		HangarNumber   string       `db:"hangar_number"`
		Spaces         int64        `db:"spaces"`
		Published      bool         `db:"published"`
		Since          sql.NullTime `db:"since"`
		NotedSpaces    int64        `db:"noted_spaces"`
		NotedPublished bool         `db:"noted_published"`
		Initial        bool         `db:"initial"`
		Noting         bool         `db:"noting"`
		CancelledSince time.Time    `db:"cancelled_since"`
	}
	if err := a.selecting(&rows, a.sql.hangars, ownerID, a.q.HangarID); err != nil {
		return err
	}
	a.ids = []string{}
	for _, row := range rows {
		a.cancelledSince = row.CancelledSince
		if len(a.hangars) == 0 || a.hangars[len(a.hangars)-1].id != row.HangarID {
			a.hangars = append(a.hangars, trendHangar{id: row.HangarID, number: row.HangarNumber, spaces: row.Spaces, published: row.Published, noting: row.Noting,
				nights: make(map[int][]int32)})
			a.ids = append(a.ids, row.HangarID)
		}
		if row.Since.Valid {
			h := &a.hangars[len(a.hangars)-1]
			h.noted = append(h.noted, trendNote{since: row.Since.Time, spaces: row.NotedSpaces, published: row.NotedPublished, initial: row.Initial})
		}
	}
	if a.q.HangarID != "" && len(a.hangars) == 0 {
		return ErrNotFound
	}
	return nil
}

// readTouched reads the bookings that what is kept has not taken in yet.
func (a *trendAnswer) readTouched(kept bool) error {
	if !kept {
		return nil
	}
	var rows []trendBooking
	if err := a.selecting(&rows, a.sql.touched, pq.Array(a.ids)); err != nil {
		return err
	}
	if len(rows) == 0 || !rows[0].Trusted {
		return errNotProjected
	}
	a.touched = slices.DeleteFunc(rows, func(b trendBooking) bool { return b.Sign == 0 })
	return nil
}

// facts calls what happened to a booking one by one, each with its day and instant.
func (a *trendAnswer) facts(b trendBooking, each func(day int, at time.Time, t *tally)) error {
	if b.CreatedDay.Valid {
		t := &tally{created: 1, nights: b.Nights.Int64}
		if b.Nights.Valid {
			t.withNights = 1
		}
		each(int(b.CreatedDay.Int64), a.instant(a.shape.createdAt, b.CreatedAt.Time), t)
	}
	if b.PaidDay.Valid {
		price, err := parseMoney(b.Price)
		if err != nil {
			return err
		}
		t := &tally{revenue: price}
		each(int(b.PaidDay.Int64), a.instant(a.shape.paidType(), b.PaidAt.Time), t)
	}
	if b.CancelDay.Valid {
		each(int(b.CancelDay.Int64), a.instant("", b.CancelledAt.Time), &tally{cancelled: 1})
	}
	if b.InDay.Valid {
		each(int(b.InDay.Int64), a.instant(a.shape.checkIn, b.StayIn.Time), &tally{arrivals: 1})
	}
	return nil
}

// instant returns what a clock in UTC stands for: a date begins with its first instant.
func (a *trendAnswer) instant(columnType string, clock time.Time) time.Time {
	if columnType == "date" {
		return a.zone.start(dayNumber(clock))
	}
	return clock
}

// readFirst finds the first day on which anything happened.
func (a *trendAnswer) readFirst() error {
	var rows []struct {
		Bucket int   `db:"bucket"`
		Facts  int64 `db:"facts"`
	}
	if err := a.selecting(&rows, a.source.first, pq.Array(a.ids), 1+4*len(a.touched)); err != nil {
		return err
	}
	facts := make(map[int]int64)
	for _, row := range rows {
		facts[row.Bucket] += row.Facts
	}
	for _, b := range a.touched {
		if err := a.facts(b, func(day int, _ time.Time, _ *tally) { facts[day] += b.Sign }); err != nil {
			return err
		}
	}
	a.first = a.today
	for day, n := range facts {
		if n > 0 {
			a.first = min(a.first, day)
		}
	}
	return nil
}

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

// trendSum is a tally as the database tells it.
type trendSum struct {
	Bucket     int    `db:"bucket"`
	Part       int    `db:"part"`
	Revenue    string `db:"revenue"`
	Created    int64  `db:"created"`
	Cancelled  int64  `db:"cancelled"`
	Arrivals   int64  `db:"arrivals"`
	Nights     int64  `db:"nights"`
	WithNights int64  `db:"with_nights"`
}

func (s trendSum) tally() (*tally, error) {
	revenue, err := parseMoney(s.Revenue)
	if err != nil {
		return nil, err
	}
	return &tally{revenue: revenue, created: s.Created, cancelled: s.Cancelled, arrivals: s.Arrivals, nights: s.Nights, withNights: s.WithNights}, nil
}

// readSums reads the sums of whole buckets, and of the days that a part of one needs.
func (a *trendAnswer) readSums() error {
	if a.q.Interval == TrendHour {
		return nil
	}
	level := a.q.Interval.level()
	var buckets, days []dayRange
	for _, list := range [][]trendBucket{a.own, a.before} {
		if len(list) > 0 {
			buckets = append(buckets, dayRange{bucketOf(level, list[0].first), bucketOf(level, list[len(list)-1].first) + 1})
		}
	}
	if a.open >= 0 {
		days = append(days, dayRange{a.today + 1, a.own[a.open].end}) // arrivals to come
		if len(a.before) > 0 && !a.whole {
			days = append(days, dayRange{a.before[a.paired[a.open]].first, a.cutDay})
		}
	}
	if err := a.readLevel(level, merged(buckets), a.level); err != nil {
		return err
	}
	return a.readLevel(levelDay, merged(days), a.days)
}

func (a *trendAnswer) readLevel(level int, ranges []dayRange, into tallies) error {
	if len(ranges) == 0 {
		return nil
	}
	lo, hi := ends(ranges)
	var rows []trendSum
	if err := a.selecting(&rows, a.source.sums, pq.Array(a.ids), level, pq.Array(lo), pq.Array(hi)); err != nil {
		return err
	}
	for _, row := range rows {
		t, err := row.tally()
		if err != nil {
			return err
		}
		into[row.Bucket] = t
	}
	for _, b := range a.touched {
		err := a.facts(b, func(day int, _ time.Time, t *tally) {
			if n := bucketOf(level, day); within(ranges, n) {
				into.at(n).add(t, b.Sign)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
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

// readParts reads hours, or parts of days: what is compared of the day in which that ends, and what
// is to come today.
func (a *trendAnswer) readParts() error {
	if a.q.Interval == TrendHour {
		if len(a.before) > 0 {
			a.addParts(cutAt(a.before, after(a.cut)))
		}
		if len(a.own) > 0 { // not of a date that the zone skipped
			a.addParts(cutAt(a.own, after(a.now)))
		}
	} else if a.open >= 0 {
		if len(a.before) > 0 && !a.whole {
			a.addParts([]time.Time{a.zone.start(a.cutDay), after(a.cut)})
		}
		a.addParts([]time.Time{after(a.now), a.zone.start(a.today + 1)})
	}
	if len(a.partRanges) == 0 {
		return nil
	}
	var rows []trendSum
	args := a.partArgs()
	var instants, dates []time.Time
	for _, r := range a.partRanges {
		for _, at := range r.bounds {
			instants = append(instants, at)
			if a.shape.hasDates() {
				dates = append(dates, a.zone.dateBound(at))
			}
		}
	}
	if err := a.selecting(&rows, a.source.parts, append(args, pq.Array(clocksOf(instants)), pq.Array(clocksOf(dates)))...); err != nil {
		return err
	}
	for _, row := range rows {
		t, err := row.tally()
		if err != nil {
			return err
		}
		a.parts[row.Part] = t
	}
	for _, b := range a.touched {
		err := a.facts(b, func(_ int, at time.Time, t *tally) {
			for _, r := range a.partRanges {
				for i := range r.bounds[1:] {
					if !at.Before(r.bounds[i]) && at.Before(r.bounds[i+1]) {
						a.parts.at(r.first+i).add(t, b.Sign)
					}
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *trendAnswer) addParts(bounds []time.Time) {
	first := 1
	if n := len(a.partRanges); n > 0 {
		first = a.partRanges[n-1].first + len(a.partRanges[n-1].bounds)
	}
	a.partRanges = append(a.partRanges, trendPartRange{bounds, first})
}

// partArgs are the parameters of what is read near some ranges of time.
func (a *trendAnswer) partArgs() []any {
	var lo, hi []time.Time
	var first, end []int64
	for _, r := range a.partRanges {
		lo, hi = append(lo, r.bounds[0]), append(hi, r.bounds[len(r.bounds)-1])
		first, end = append(first, int64(r.first)), append(end, int64(r.first+len(r.bounds)-1))
	}
	return []any{pq.Array(a.ids), pq.Array(clocksOf(lo)), pq.Array(clocksOf(hi)), pq.Array(first), pq.Array(end)}
}

// clocksOf writes instants as clocks in UTC show them.
func clocksOf(list []time.Time) []string {
	texts := make([]string, 0, len(list))
	for _, at := range list {
		texts = append(texts, at.UTC().Format("2006-01-02 15:04:05.999999"))
	}
	return texts
}
