package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"
)

const (
	// CalendarDays is how many days a window of the calendar has at most, CalendarHangars how many
	// hangars a page of it, CalendarStays how many stays, and CalendarChanged how many changed
	// bookings are read again at once.
	CalendarDays    = 93
	CalendarHangars = 20
	CalendarStays   = 1500
	CalendarChanged = 100
	// countedAbove is from how many stays in the window on a hangar comes as counts alone. Asked
	// for by itself, for at most singleDays, it comes with its stays.
	countedAbove = 200
	singleDays   = 7
	// uncertainLimit is how many bookings with odd dates are told.
	uncertainLimit = 20
)

// CalendarQuery is a window of an owner's calendar: the dates From up to and without To, each a
// midnight in UTC.
type CalendarQuery struct {
	From, To time.Time
	// HangarID asks for one hangar alone, "" for all.
	HangarID string
	// Cursor is the Next of the page before, or "", and Limit how many hangars a page has, 0 for
	// CalendarHangars.
	Cursor string
	Limit  int
	// Changed asks for these stays alone, with the counts of all hangars of the page. nil asks for
	// all.
	Changed []string
	// Cancelled has cancelled bookings come too.
	Cancelled bool
}

// CalendarDay is one day of a window. Start is its first instant and Hours its length: 23, 24 or
// 25, or 0 for a date that the zone skipped. Nights are those sold, of each hangar as many as it
// has spaces; Spaces are those offered: of a hangar that is not published as many as were sold.
// Arrivals and Departures are of guests who stay. All are of the whole account.
type CalendarDay struct {
	Date       string
	Start      time.Time
	Hours      float64
	Spaces     int64
	Nights     int64
	Arrivals   int64
	Departures int64
}

// CalendarHangar is a hangar with its counts by day. Nights are the stays of a night, also beyond
// the spaces. Over is by how many the stays were more than the spaces at the worst moment of the
// day.
type CalendarHangar struct {
	HangarID     string `db:"hangar_id"`
	HangarNumber string `db:"hangar_number"`
	ICAOCode     string `db:"icao_code"`
	Spaces       int64  `db:"spaces"`
	Published    bool   `db:"published"`

	Nights     []int `db:"-"`
	Arrivals   []int `db:"-"`
	Departures []int `db:"-"`
	Over       []int `db:"-"`
}

// CalendarStay is a booking in a window. Lane tells which of a hangar's spaces it is drawn in, from
// 0: stays that are counted first, by check-in and id, each in the first lane that is free. CutLeft
// and CutRight say that it began before the window, or ends after it.
type CalendarStay struct {
	BookingID, HangarID, Status, GuestName string
	Lane                                   int
	CheckIn, CheckOut                      time.Time
	Amount                                 Decimal
	Paid                                   bool
	CutLeft, CutRight                      bool
}

// UncertainStay is a booking whose dates cannot be drawn: one is missing or infinite, or it ends
// before it begins. A missing date is the zero time.
type UncertainStay struct {
	BookingID, HangarID, Status, GuestName string
	CheckIn, CheckOut                      time.Time
}

// BookingCalendar is a page of an owner's calendar. Counted are the hangars of the page whose stays
// are too many to tell, and Gone those of the changed bookings that the page does not have. Next is
// the cursor of the page that follows, "" at the end. Dates says that the portal's bookings have
// dates without hours.
type BookingCalendar struct {
	Days      []CalendarDay
	Hangars   []CalendarHangar
	Stays     []CalendarStay
	Counted   []string
	Uncertain []UncertainStay
	// UncertainCount is how many there are, also those that are not told.
	UncertainCount int
	Gone           []string
	Next           string
	Dates          bool
	// AllHangars are the ids of all of the owner's hangars.
	AllHangars []string
}

// stayRow is a stay as the database tells it, by clocks in UTC.
type stayRow struct {
	Trusted   bool         `db:"trusted"`
	HangarID  string       `db:"hangar_id"`
	BookingID string       `db:"booking_id"`
	Status    string       `db:"status"`
	In        sql.NullTime `db:"stay_in"`
	Out       sql.NullTime `db:"stay_out"`
}

// stayDetail is what is shown of a stay beside its dates.
type stayDetail struct {
	BookingID string  `db:"booking_id"`
	GuestName string  `db:"guest_name"`
	Amount    Decimal `db:"amount"`
	Paid      bool    `db:"paid"`
}

// Calendar returns a page of an owner's calendar, as one snapshot of the database saw it. Near
// today it is read from the projection, and beyond, or while that is not to be believed, from the
// portal's tables: one such question at a time for an owner. A cursor that is none is ErrInvalidID,
// a hangar that the owner does not have ErrNotFound.
func (s *Store) Calendar(ctx context.Context, ownerID string, q CalendarQuery) (c BookingCalendar, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if err := checkText([]any{ownerID, q.HangarID, q.Changed}); err != nil {
		return c, refusedText(err)
	}
	c, err = withFallback(ctx, s, ownerID, func(w *written, kept bool) (BookingCalendar, error) {
		return s.calendarBy(ctx, w, ownerID, q, kept)
	})
	if err != nil {
		return c, fmt.Errorf("read calendar of owner %s: %w", ownerID, err)
	}
	return c, nil
}

// selectStays reads the stays that a window concerns.
func (g dayGrid) selectStays(selecting selector, query, ownerID string, cancelled bool) (rows []stayRow, err error) {
	from, to := g.clocks()
	if err := selecting(&rows, query, ownerID, from, to, cancelled); err != nil {
		return nil, err
	}
	if len(rows) > 0 && !rows[0].Trusted {
		return nil, errNotProjected
	}
	return rows, nil
}

func (s *Store) calendarBy(ctx context.Context, w *written, ownerID string, q CalendarQuery, kept bool) (BookingCalendar, error) {
	queries := w.sql.projection.calendar
	return inSnapshot(ctx, s, w, func(selecting selector) (c BookingCalendar, err error) {
		grid := newDayGrid(q.From, q.To, s.loc, w.shape.checkIn == "date")
		rows, err := grid.selectStays(selecting, queries.staysOf(kept), ownerID, q.Cancelled)
		if err != nil {
			return c, err
		}
		var hangars []CalendarHangar
		if err := selecting(&hangars, queries.hangars, ownerID); err != nil {
			return c, err
		}
		p, err := newPage(grid, q, hangars, rows)
		if err != nil {
			return c, err
		}
		if ids := p.shown(); len(ids) > 0 {
			var details []stayDetail
			if err := selecting(&details, queries.details, pq.Array(ids)); err != nil {
				return c, err
			}
			p.describe(details)
		}
		return p.BookingCalendar, nil
	})
}

// page is a page of the calendar that is being made.
type page struct {
	BookingCalendar
	grid dayGrid
}

// newPage counts the stays, and chooses those of the page.
func newPage(grid dayGrid, q CalendarQuery, hangars []CalendarHangar, rows []stayRow) (*page, error) {
	p := &page{grid: grid, BookingCalendar: BookingCalendar{Dates: grid.dates, Stays: []CalendarStay{}, Counted: []string{},
		Uncertain: []UncertainStay{}, Gone: []string{}, Hangars: []CalendarHangar{}}}
	byHangar := make(map[string][]stay, len(hangars))
	for _, row := range rows {
		if row.BookingID == "" {
			continue
		}
		one := grid.stay(row)
		byHangar[row.HangarID] = append(byHangar[row.HangarID], one)
	}
	for i := range hangars {
		p.AllHangars = append(p.AllHangars, hangars[i].HangarID)
		grid.count(&hangars[i], byHangar[hangars[i].HangarID])
	}
	p.Days = grid.days(hangars)
	first, last, err := pageOf(q, hangars)
	if err != nil {
		return nil, err
	}
	changed := make(map[string]bool, len(q.Changed))
	for _, id := range q.Changed {
		changed[id] = true
	}
	total := 0
	for i := first; i < last; i++ {
		h := hangars[i]
		drawn := grid.drawn(byHangar[h.HangarID])
		limit := countedAbove
		if q.HangarID != "" && len(p.Days) <= singleDays {
			limit = CalendarStays
		}
		if len(drawn) > limit {
			p.Counted = append(p.Counted, h.HangarID)
			drawn = nil
		}
		if total += len(drawn); total > CalendarStays {
			last = i
			break
		}
		p.Hangars = append(p.Hangars, h)
		assignLanes(drawn)
		for _, one := range drawn {
			if q.Changed == nil || changed[one.id] {
				p.Stays = append(p.Stays, grid.calendarStay(one))
				delete(changed, one.id)
			}
		}
		p.addUncertain(byHangar[h.HangarID], q.Changed == nil)
	}
	for _, id := range q.Changed {
		if changed[id] {
			p.Gone = append(p.Gone, id)
			delete(changed, id)
		}
	}
	if last < len(hangars) && q.HangarID == "" {
		p.Next = cursorOf(last-1, hangars[last-1].HangarID)
	}
	return p, nil
}

// addUncertain adds those of a hangar's bookings that cannot be drawn.
func (p *page) addUncertain(stays []stay, all bool) {
	for _, one := range stays {
		if !one.uncertain {
			continue
		}
		p.UncertainCount++
		if all && len(p.Uncertain) < uncertainLimit {
			p.Uncertain = append(p.Uncertain, UncertainStay{BookingID: one.id, HangarID: one.hangar, Status: one.status, CheckIn: one.in, CheckOut: one.out})
		}
	}
}

// shown are the bookings whose details the page needs.
func (p *page) shown() []string {
	ids := make([]string, 0, len(p.Stays)+len(p.Uncertain))
	for _, one := range p.Stays {
		ids = append(ids, one.BookingID)
	}
	for _, one := range p.Uncertain {
		ids = append(ids, one.BookingID)
	}
	return ids
}

func (p *page) describe(details []stayDetail) {
	byID := make(map[string]stayDetail, len(details))
	for _, d := range details {
		byID[d.BookingID] = d
	}
	for i := range p.Stays {
		d := byID[p.Stays[i].BookingID]
		p.Stays[i].GuestName, p.Stays[i].Amount, p.Stays[i].Paid = d.GuestName, d.Amount, d.Paid
	}
	for i := range p.Uncertain {
		p.Uncertain[i].GuestName = byID[p.Uncertain[i].BookingID].GuestName
	}
}

// pageOf returns which of the hangars a page may have.
func pageOf(q CalendarQuery, hangars []CalendarHangar) (first, last int, err error) {
	if q.HangarID != "" {
		i := slices.IndexFunc(hangars, func(h CalendarHangar) bool { return h.HangarID == q.HangarID })
		if i < 0 {
			return 0, 0, ErrNotFound
		}
		return i, i + 1, nil
	}
	if q.Cursor != "" {
		index, id, err := parseCursor(q.Cursor)
		if err != nil {
			return 0, 0, err
		}
		// Hangars may have come and gone since: where the last one is now counts, and where it was
		// only when it is gone.
		if i := slices.IndexFunc(hangars, func(h CalendarHangar) bool { return h.HangarID == id }); i >= 0 {
			first = i + 1
		} else {
			first = min(index, len(hangars))
		}
	}
	limit := q.Limit
	if limit == 0 {
		limit = CalendarHangars
	}
	return first, min(first+limit, len(hangars)), nil
}
