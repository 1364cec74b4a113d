package db

import (
	"database/sql"
	"slices"
	"time"

	"github.com/lib/pq"
)

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
