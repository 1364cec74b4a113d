package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// firstTrendYear is the first year that trends may be asked of.
	firstTrendYear = 1970
	// openTrendAge is how old an answer may be in which a bucket is not over yet: what it is
	// compared with ends at the clock time of the answer.
	openTrendAge = 5 * time.Second
	// sparkDays is how many days the small charts of an overview have.
	sparkDays = 14
)

// Trends answers how an owner's numbers went.
type Trends interface {
	Trends(ctx context.Context, ownerID string, q db.TrendQuery, now time.Time) (db.Trends, error)
	Sparklines(ctx context.Context, ownerID string, days int, now time.Time) (*db.Sparklines, error)
}

// trendsAnswer is what is sent of trends.
type trendsAnswer struct {
	Timezone    string                     `json:"timezone"`
	Interval    db.TrendInterval           `json:"interval"`
	From        string                     `json:"from"`
	To          string                     `json:"to"`
	AsOf        string                     `json:"asOf"`
	Buckets     []trendBucket              `json:"buckets"`
	Series      db.TrendSeries             `json:"series"`
	Before      *db.TrendSeries            `json:"before,omitempty"`
	Totals      db.TrendTotals             `json:"totals"`
	Since       trendSince                 `json:"since"`
	Definitions map[string]trendDefinition `json:"definitions"`
}

type trendBucket struct {
	Start    string  `json:"start"`
	End      string  `json:"end"`
	Seconds  float64 `json:"seconds"`
	Complete bool    `json:"complete"`
}

// trendSince tells from when on what is known: before, the first known offer stands for what was
// offered, and a booking's last change for when it was cancelled.
type trendSince struct {
	Occupancy *string `json:"occupancy"`
	Cancelled *string `json:"cancelled"`
}

// trendDefinition says what a metric counts.
type trendDefinition struct {
	Unit  string `json:"unit"`
	Means string `json:"means"`
}

// trendDefinitions are those of all metrics; of hours occupancy is another.
func trendDefinitions(interval db.TrendInterval) map[string]trendDefinition {
	occupancy := "nights sold of the nights offered; of each hangar at most as many as it has spaces"
	if interval == db.TrendHour {
		occupancy = "time for which spaces were taken, of the time for which they were offered"
	}
	return map[string]trendDefinition{
		"revenue":     {"BRL", "total price of bookings by payment, cancelled ones left out"},
		"bookings":    {"bookings", "bookings by creation, cancelled ones left out"},
		"cancelled":   {"bookings", "bookings by when they became cancelled; before since.cancelled by their last change, an estimate"},
		"occupancy":   {"percent", occupancy},
		"averageStay": {"nights", "nights of the bookings created, for each of them"},
		"arrivals":    {"stays", "stays that have begun"},
	}
}

// Trends serves how an owner's numbers went, as JSON or as a table of comma-separated values. What
// was computed before is the answer as long as it is still true.
func (s *Snapshot) Trends(w http.ResponseWriter, r *http.Request) {
	now := s.Now().In(s.Calendars.Location())
	q, err := trendQuery(r.URL.Query(), now)
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	form, err := trendForm(r.URL.Query())
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	ownerID, err := s.authorize(r)
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	// others may be waiting for the same
	a, err := s.trends(context.WithoutCancel(r.Context()), ownerID, q, form, now)
	if err == nil && form != "" {
		w.Header().Set(PositionHeader, a.lastEventID)
		w.Header().Set("Content-Disposition", `attachment; filename="`+trendFile(ownerID, q)+`"`)
		w.Header().Set("Cache-Control", "private, no-cache")
		a.Respond(w, r, "text/csv; charset=utf-8")
		return
	}
	s.respond(w, r, a, err)
}

func (s *Snapshot) trends(ctx context.Context, ownerID string, q db.TrendQuery, form string, now time.Time) (answer, error) {
	key := windowKey{ownerID, fmt.Sprintf("trends %q", []any{q.Interval, q.From, q.To, q.HangarID, q.Compare, q.Weekdays, form})}
	return s.cachedWindow(ctx, s.TrendsCache, key, now, func() (content Content, validity db.Validity, err error) {
		t, err := s.Rollups.Trends(ctx, ownerID, q, now)
		if err != nil {
			return content, validity, noHangar(err)
		}
		validity = db.Validity{Until: db.NextMidnight(now, now.Location()), Hangars: t.Hangars}
		if n := len(t.Buckets); n > 0 && !t.Buckets[n-1].Complete {
			validity.Until = now.Add(openTrendAge)
		}
		if form != "" {
			content, err = trendTable(t, q, now.Location(), form)
		} else {
			content, err = jsonContent(trendContent(t, q, now))
		}
		return content, validity, err
	})
}

// trendContent is what is sent of trends at a moment in the installation's zone.
func trendContent(t db.Trends, q db.TrendQuery, now time.Time) trendsAnswer {
	a := trendsAnswer{
		Timezone: now.Location().String(), Interval: q.Interval, From: t.From.Format(time.DateOnly), To: t.To.Format(time.DateOnly),
		AsOf: now.Format(time.RFC3339), Buckets: make([]trendBucket, 0, len(t.Buckets)), Series: t.Series, Before: t.Before, Totals: t.Totals,
		Definitions: trendDefinitions(q.Interval),
	}
	for _, b := range t.Buckets {
		a.Buckets = append(a.Buckets, trendBucket{b.Start.Format(time.RFC3339), b.End.Format(time.RFC3339), b.End.Sub(b.Start).Seconds(), b.Complete})
	}
	if !t.OccupancySince.IsZero() {
		date := t.OccupancySince.In(now.Location()).Format(time.DateOnly)
		a.Since.Occupancy = &date
	}
	if !t.CancelledSince.IsZero() {
		date := t.CancelledSince.In(now.Location()).Format(time.DateOnly)
		a.Since.Cancelled = &date
	}
	return a
}

// trendQuery reads which trends a request asks for, at a moment in the installation's zone.
func trendQuery(asked url.Values, now time.Time) (q db.TrendQuery, err error) {
	y, m, d := now.Date()
	tomorrow := time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	q = db.TrendQuery{Interval: db.TrendDay, HangarID: asked.Get("hangarId"), Compare: db.CompareNone}
	switch text := db.TrendInterval(asked.Get("interval")); text {
	case "":
	case db.TrendHour, db.TrendDay, db.TrendWeek, db.TrendMonth:
		q.Interval = text
	default:
		return q, Invalid("interval", "interval may be hour, day, week or month")
	}
	switch text := db.TrendCompare(asked.Get("compare")); text {
	case "":
	case db.CompareNone, db.CompareBefore, db.CompareYear:
		q.Compare = text
	default:
		return q, Invalid("compare", "compare may be none, before or year")
	}
	switch asked.Get("match") {
	case "", "date":
	case "weekday":
		q.Weekdays = true
	default:
		return q, Invalid("match", "match may be date or weekday")
	}
	if q.To, err = dateParam(asked, "to", tomorrow); err != nil {
		return q, err
	}
	if q.From, err = dateParam(asked, "from", defaultTrendFrom(q)); err != nil {
		return q, err
	}
	switch {
	case q.From.Year() < firstTrendYear:
		return q, Invalid("from", fmt.Sprintf("from must be %d-01-01 or later", firstTrendYear))
	case q.To.After(tomorrow):
		return q, Invalid("to", "to must be tomorrow or earlier: trends tell what has happened")
	case !q.From.Before(q.To):
		return q, Invalid("to", "to must be after from")
	case len(q.HangarID) > maxID:
		return q, Invalid("hangarId", "hangarId is not an id")
	}
	if _, n := q.Widened(); n > db.TrendLimits[q.Interval] {
		return q, Invalid("to", fmt.Sprintf("there may be %d of the interval %s: ask for fewer, or for a longer interval", db.TrendLimits[q.Interval], q.Interval))
	}
	return q, nil
}

// defaultTrendFrom is where a question begins that does not say.
func defaultTrendFrom(q db.TrendQuery) time.Time {
	switch q.Interval {
	case db.TrendHour:
		return q.To.AddDate(0, 0, -1)
	case db.TrendWeek:
		return q.To.AddDate(0, 0, -7*12)
	case db.TrendMonth:
		return q.To.AddDate(-1, 0, 0)
	}
	return q.To.AddDate(0, 0, -30)
}
