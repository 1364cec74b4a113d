package db

import (
	"fmt"
	"time"
)

// TrendInterval is what a bucket of trends spans.
type TrendInterval string

// The intervals. A week begins on Monday.
const (
	TrendHour  TrendInterval = "hour"
	TrendDay   TrendInterval = "day"
	TrendWeek  TrendInterval = "week"
	TrendMonth TrendInterval = "month"
)

// TrendLimits are how many buckets an answer has at most. Of hours they are those of as many whole
// days: one day more or less than 24.
var TrendLimits = map[TrendInterval]int{TrendHour: 336, TrendDay: 400, TrendWeek: 160, TrendMonth: 60}

// TrendCompare is what trends are compared with.
type TrendCompare string

// Nothing; the period before, as many days long; or the year before.
const (
	CompareNone   TrendCompare = "none"
	CompareBefore TrendCompare = "before"
	CompareYear   TrendCompare = "year"
)

// TrendQuery asks for an owner's trends of the dates From up to and without To, each a midnight in
// UTC; they are widened to whole buckets.
type TrendQuery struct {
	Interval TrendInterval
	From, To time.Time
	HangarID string // one hangar alone, "" for all
	Compare  TrendCompare
	// Weekdays compares days with days of the same name: the period before is moved to whole weeks,
	// a year is 364 days. Weeks always are; months never.
	Weekdays bool
}

// Widened returns the query with whole buckets, and how many there are; of hours a day has 24.
func (q TrendQuery) Widened() (TrendQuery, int) {
	switch q.Interval {
	case TrendWeek:
		q.From = q.From.AddDate(0, 0, -(int(q.From.Weekday())+6)%7)
		q.To = q.To.AddDate(0, 0, (8-int(q.To.Weekday()))%7)
		return q, (dayNumber(q.To) - dayNumber(q.From)) / 7
	case TrendMonth:
		q.From = q.From.AddDate(0, 0, 1-q.From.Day())
		if q.To.Day() > 1 {
			q.To = q.To.AddDate(0, 1, 1-q.To.Day())
		}
		return q, monthNumber(q.To) - monthNumber(q.From)
	case TrendHour:
		return q, 24 * (dayNumber(q.To) - dayNumber(q.From))
	}
	return q, dayNumber(q.To) - dayNumber(q.From)
}

func monthNumber(t time.Time) int { return t.Year()*12 + int(t.Month()) - 1 }

// monthStart returns the day on which a month begins.
func monthStart(month int) int {
	return dayNumber(time.Date(0, time.January+time.Month(month), 1, 0, 0, 0, 0, time.UTC))
}

// level returns where sums of an interval are kept.
func (i TrendInterval) level() int {
	switch i {
	case TrendWeek:
		return levelWeek
	case TrendMonth:
		return levelMonth
	}
	return levelDay
}

// bucketOf returns the number of the bucket of a level to which a day belongs.
func bucketOf(level, day int) int {
	switch level {
	case levelWeek:
		return floorDiv(int64(day)+3, 7)
	case levelMonth:
		return monthNumber(dateOf(day))
	}
	return day
}

// earlier returns the dates with which a query that is widened is compared.
func (q TrendQuery) earlier() (from, to time.Time) {
	days := dayNumber(q.To) - dayNumber(q.From)
	switch {
	case q.Interval == TrendMonth && q.Compare == CompareBefore:
		months := monthNumber(q.From) - monthNumber(q.To)
		return q.From.AddDate(0, months, 0), q.To.AddDate(0, months, 0)
	case q.Interval == TrendMonth:
		return q.From.AddDate(-1, 0, 0), q.To.AddDate(-1, 0, 0)
	case q.Compare == CompareBefore && q.Weekdays:
		return q.From.AddDate(0, 0, -(days+6)/7*7), q.To.AddDate(0, 0, -(days+6)/7*7)
	case q.Compare == CompareBefore:
		return q.From.AddDate(0, 0, -days), q.From
	case q.Interval == TrendWeek || q.Weekdays:
		return q.From.AddDate(0, 0, -364), q.To.AddDate(0, 0, -364)
	}
	return dateOf(yearBefore(dayNumber(q.From))), dateOf(yearBefore(dayNumber(q.To)-1) + 1)
}

// byDate reports whether each date is compared with the same of the year before.
func (q TrendQuery) byDate() bool {
	return q.Compare == CompareYear && !q.Weekdays && (q.Interval == TrendDay || q.Interval == TrendHour)
}

// yearBefore returns the same date of the year before, of 29 February the day before it.
func yearBefore(day int) int {
	date := dateOf(day)
	y, m, d := date.Date()
	if m == time.February && d == 29 {
		d = 28
	}
	return dayNumber(time.Date(y-1, m, d, 0, 0, 0, 0, time.UTC))
}

// trendBucket is a bucket: the days from first up to end, or an hour of the first.
type trendBucket struct {
	first, end  int
	start, stop time.Time
	// of an hour, what its clock shows, and how often it did so before on that day
	clock string
}

// buckets returns those of a range of dates, which is widened.
func (z zoneDays) buckets(interval TrendInterval, from, to time.Time) (list []trendBucket) {
	first, end := dayNumber(from), dayNumber(to)
	if interval == TrendHour {
		for day := first; day < end; day++ {
			list = append(list, z.hours(day)...)
		}
		return list
	}
	level := interval.level()
	start := z.start(first)
	for day := first; day < end; {
		next := day + 1
		switch level {
		case levelWeek:
			next = day + 7
		case levelMonth:
			next = monthStart(monthNumber(dateOf(day)) + 1)
		}
		stop := z.start(next)
		list = append(list, trendBucket{first: day, end: next, start: start, stop: stop})
		day, start = next, stop
	}
	return list
}

// hours returns those of a day. One ends with the hour of the clock, or when that is put forward or
// back.
func (z zoneDays) hours(day int) (list []trendBucket) {
	shown := make(map[string]int)
	at, end := z.start(day), z.start(day+1)
	for at.Before(end) {
		next := at.Add(time.Hour - time.Duration(at.Minute())*time.Minute - time.Duration(at.Second())*time.Second)
		if _, change := at.ZoneBounds(); change.After(at) && change.Before(next) {
			next = change
		}
		if next.After(end) {
			next = end
		}
		clock := at.Format("15")
		list = append(list, trendBucket{first: day, end: day + 1, start: at, stop: next, clock: fmt.Sprint(clock, " ", shown[clock])})
		shown[clock]++
		at = next
	}
	return list
}
