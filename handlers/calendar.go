package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// calendarYears is how far from today a window of the calendar may be, in years.
	calendarYears = 2
	// defaultWindow is how many days a window has when the client does not say where it ends.
	defaultWindow = 14
)

// Calendars answers what an owner's calendar is.
type Calendars interface {
	Calendar(ctx context.Context, ownerID string, q db.CalendarQuery) (db.BookingCalendar, error)
	Location() *time.Location
}

// calendarPage is a page of the calendar as it is sent.
type calendarPage struct {
	Timezone  string           `json:"timezone"`
	Today     string           `json:"today"`
	From      string           `json:"from"`
	To        string           `json:"to"`
	AsOf      string           `json:"asOf"`
	Precision string           `json:"precision"` // instant, or date where bookings have no hours
	Days      []calendarDay    `json:"days"`
	Hangars   []calendarHangar `json:"hangars"`
	Stays     []calendarStay   `json:"stays"`
	Counted   []string         `json:"counted"`
	Uncertain uncertainStays   `json:"uncertain"`
	Gone      []string         `json:"gone,omitempty"`
	Next      *string          `json:"next"`
}

type calendarDay struct {
	Date       string  `json:"date"`
	Start      string  `json:"start"`
	Hours      float64 `json:"hours"`
	Spaces     int64   `json:"spaces"`
	Nights     int64   `json:"nights"`
	Arrivals   int64   `json:"arrivals"`
	Departures int64   `json:"departures"`
}

type calendarHangar struct {
	HangarID     string `json:"hangarId"`
	HangarNumber string `json:"hangarNumber"`
	ICAOCode     string `json:"icaoCode"`
	Spaces       int64  `json:"spaces"`
	Published    bool   `json:"published"`
	Nights       []int  `json:"nights"`
	Arrivals     []int  `json:"arrivals"`
	Departures   []int  `json:"departures"`
	Over         []int  `json:"over"`
}

type calendarStay struct {
	BookingID    string     `json:"bookingId"`
	HangarID     string     `json:"hangarId"`
	Lane         int        `json:"lane"`
	Status       string     `json:"status"`
	GuestName    string     `json:"guestName"`
	CheckInDate  string     `json:"checkInDate"`
	CheckOutDate string     `json:"checkOutDate"`
	Amount       db.Decimal `json:"amount"`
	Paid         bool       `json:"paid"`
	CutLeft      bool       `json:"cutLeft"`
	CutRight     bool       `json:"cutRight"`
}

// uncertainStays are the bookings whose dates cannot be drawn: how many there are, and the first of
// them.
type uncertainStays struct {
	Count int             `json:"count"`
	Stays []uncertainStay `json:"stays"`
}

type uncertainStay struct {
	BookingID    string  `json:"bookingId"`
	HangarID     string  `json:"hangarId"`
	Status       string  `json:"status"`
	GuestName    string  `json:"guestName"`
	CheckInDate  *string `json:"checkInDate"`
	CheckOutDate *string `json:"checkOutDate"`
}

// Calendar serves a window of an owner's calendar. What was computed before is the answer as long
// as it is still true.
func (s *Snapshot) Calendar(w http.ResponseWriter, r *http.Request) {
	now := s.Now().In(s.Calendars.Location())
	q, err := calendarQuery(r.URL.Query(), now)
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
	a, err := s.calendar(context.WithoutCancel(r.Context()), ownerID, q, now)
	s.respond(w, r, a, err)
}

func (s *Snapshot) calendar(ctx context.Context, ownerID string, q db.CalendarQuery, now time.Time) (answer, error) {
	key := windowKey{ownerID, fmt.Sprintf("calendar %q", []any{q.From, q.To, q.HangarID, q.Cursor, q.Limit, q.Changed, q.Cancelled})}
	return s.cachedWindow(ctx, s.CalendarCache, key, now, func() (content Content, validity db.Validity, err error) {
		c, err := s.Calendars.Calendar(ctx, ownerID, q)
		if errors.Is(err, db.ErrInvalidID) {
			err = Invalid("cursor", "cursor is not one that this server gave: leave it out for the first page")
		}
		if err != nil {
			return content, validity, noHangar(err)
		}
		if q.Changed == nil {
			validity = db.Validity{Until: db.NextMidnight(now, now.Location()), Hangars: c.AllHangars}
		}
		content, err = jsonContent(pageContent(c, q, now))
		return content, validity, err
	})
}

// noHangar words an error that concerns a hangar which the account does not have.
func noHangar(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return notFound("the account has no such hangar: /listings has them all")
	}
	return err
}

// pageContent is what is sent of a calendar.
func pageContent(c db.BookingCalendar, q db.CalendarQuery, now time.Time) calendarPage {
	p := calendarPage{
		Timezone: now.Location().String(), Today: now.Format(time.DateOnly), From: q.From.Format(time.DateOnly), To: q.To.Format(time.DateOnly),
		AsOf: now.Format(time.RFC3339), Precision: "instant", Counted: c.Counted, Gone: c.Gone,
		Days: make([]calendarDay, 0, len(c.Days)), Hangars: make([]calendarHangar, 0, len(c.Hangars)), Stays: make([]calendarStay, 0, len(c.Stays)),
		Uncertain: uncertainStays{Count: c.UncertainCount, Stays: make([]uncertainStay, 0, len(c.Uncertain))},
	}
	if c.Dates {
		p.Precision = "date"
	}
	if c.Next != "" {
		p.Next = &c.Next
	}
	for _, d := range c.Days {
		p.Days = append(p.Days, calendarDay{d.Date, d.Start.Format(time.RFC3339), d.Hours, d.Spaces, d.Nights, d.Arrivals, d.Departures})
	}
	for _, h := range c.Hangars {
		p.Hangars = append(p.Hangars, calendarHangar(h))
	}
	for _, t := range c.Stays {
		p.Stays = append(p.Stays, calendarStay{t.BookingID, t.HangarID, t.Lane, t.Status, t.GuestName, t.CheckIn.Format(time.RFC3339),
			t.CheckOut.Format(time.RFC3339), t.Amount, t.Paid, t.CutLeft, t.CutRight})
	}
	for _, t := range c.Uncertain {
		p.Uncertain.Stays = append(p.Uncertain.Stays, uncertainStay{t.BookingID, t.HangarID, t.Status, t.GuestName, momentOrNull(t.CheckIn), momentOrNull(t.CheckOut)})
	}
	return p
}

func momentOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.Format(time.RFC3339)
	return &text
}

// calendarQuery reads which window a request asks for, at a moment in the installation's zone.
func calendarQuery(asked url.Values, now time.Time) (q db.CalendarQuery, err error) {
	y, m, d := now.Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	q = db.CalendarQuery{HangarID: asked.Get("hangarId"), Cursor: asked.Get("cursor")}
	if q.From, err = dateParam(asked, "from", today); err != nil {
		return q, err
	}
	if q.To, err = dateParam(asked, "to", q.From.AddDate(0, 0, defaultWindow)); err != nil {
		return q, err
	}
	switch days := int(q.To.Sub(q.From).Hours() / 24); {
	case q.From.Before(today.AddDate(-calendarYears, 0, 0)) || q.From.After(today.AddDate(calendarYears, 0, 0)):
		return q, Invalid("from", fmt.Sprintf("from must be within %d years of today", calendarYears))
	case days < 1 || days > db.CalendarDays:
		return q, Invalid("to", fmt.Sprintf("to must be 1 to %d days after from", db.CalendarDays))
	case q.To.After(today.AddDate(calendarYears, 0, 0)):
		return q, Invalid("to", fmt.Sprintf("to must be within %d years of today", calendarYears))
	case len(q.HangarID) > maxID:
		return q, Invalid("hangarId", "hangarId is not an id")
	}
	if q.Limit, err = limitParam(asked, 0, db.CalendarHangars); err != nil {
		return q, err
	}
	if text := asked.Get("cancelled"); text != "" {
		if q.Cancelled, err = strconv.ParseBool(text); err != nil {
			return q, Invalid("cancelled", "cancelled may be true or false")
		}
	}
	if text := asked.Get("changed"); text != "" {
		q.Changed = strings.Split(text, ",")
		if len(q.Changed) > db.CalendarChanged {
			return q, Invalid("changed", fmt.Sprintf("changed may name %d bookings: load the window instead", db.CalendarChanged))
		}
		for _, id := range q.Changed {
			if id == "" || len(id) > maxID {
				return q, Invalid("changed", "changed must be ids of bookings, with commas between them")
			}
		}
	}
	return q, nil
}
