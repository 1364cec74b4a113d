package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

const (
	// defaultPage and maxPage are how many rows a list has when the client does not say,
	// and at most.
	defaultPage = 50
	maxPage     = 1000
)

// Present answers what is true now.
type Present interface {
	Numbers
	Bookings
	Listings(ctx context.Context, ownerID string, now time.Time) ([]db.Listing, error)
}

// Numbers are what a dashboard counts.
type Numbers interface {
	Metrics(ctx context.Context, ownerID string, now time.Time) (db.RealTimeMetrics, db.Validity, error)
	Dashboard(ctx context.Context, ownerID string, now time.Time) (db.Dashboard, error)
}

// Bookings finds an owner's bookings: one, the newest, and those whose guests arrive or
// leave today.
type Bookings interface {
	Booking(ctx context.Context, ownerID, bookingID string) (db.Booking, error)
	Bookings(ctx context.Context, ownerID, status string, limit int) ([]db.Booking, error)
	Today(ctx context.Context, ownerID, status string, now time.Time, limit int) ([]db.Booking, error)
}

// History is the log, with its oldest end.
type History interface {
	realtime.History
	Oldest(ctx context.Context) (eventlog.Position, error)
	BookingHistory(ctx context.Context, ownerID, bookingID string) (changes []eventlog.Change, since time.Time, err error)
}

// Snapshot serves the present of an owner account: position first, then rows, so that a stream that
// starts after the position lacks nothing.
type Snapshot struct {
	Present       Present
	Accounts      Accounts
	Invalidator   *Invalidator
	MetricsCache  *MetricsCache
	Calendars     Calendars
	CalendarCache *WindowCache
	Rollups       Trends
	TrendsCache   *WindowCache
	History       History
	Bus           *realtime.Bus
	Now           func() time.Time
	Log           *slog.Logger

	flights flightGroup[answer]
}

// answer is a snapshot as it is sent: position first, then rows.
type answer struct {
	epoch       realtime.Epoch
	position    eventlog.Position
	lastEventID string // the position as clients hold it: sealed once, however often it is sent
	Content
}

// PositionHeader carries the position of a snapshot. It has the form in which net/http keeps names:
// any other is converted for each answer.
const PositionHeader = "Last-Event-Id"

// Metrics serves RealTimeMetrics. What was computed before is the answer as long as it is
// still true.
func (s *Snapshot) Metrics(w http.ResponseWriter, r *http.Request) {
	ownerID, err := s.authorize(r)
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	a, err := s.metrics(context.WithoutCancel(r.Context()), ownerID)
	s.respond(w, r, a, err)
}

// metrics returns an owner's numbers: the cached answer while it is true, else a new one,
// computed once for all who ask now. Its context does not end with a request: others may
// be waiting for the same.
func (s *Snapshot) metrics(ctx context.Context, ownerID string) (answer, error) {
	if a, ok := s.cached(ownerID); ok {
		return a, nil
	}
	return s.flights.do("metrics "+ownerID, func() (answer, error) {
		if a, ok := s.cached(ownerID); ok { // computed by the request that was waited for
			return a, nil
		}
		now := s.Now()
		pending := s.MetricsCache.begin(ownerID)
		defer pending.end()
		a, err := s.position(ctx, ownerID)
		if err != nil {
			return a, err
		}
		numbers, validity, err := s.Present.Metrics(ctx, ownerID, now)
		if err != nil {
			return a, err
		}
		if a.Content, err = jsonContent(numbers); err != nil {
			return a, err
		}
		pending.put(cacheEntry{a, now, validity})
		return a, nil
	})
}

// isCurrent reports whether a stream that starts at the answer's position would not tell what it
// shows already.
func (s *Snapshot) isCurrent(ownerID string, a answer) bool {
	if a.epoch != s.Bus.Encoder().Epoch {
		return false
	}
	last, published := s.Bus.Last(ownerID)
	return !published || last.Compare(a.position) <= 0
}

// cached returns an answer that is still true, if it is current.
func (s *Snapshot) cached(ownerID string) (answer, bool) {
	a, ok := s.MetricsCache.get(ownerID, s.Now())
	return a, ok && s.isCurrent(ownerID, a)
}

// bookingItem is a booking in a list: a notification's fields and where it stands.
type bookingItem struct {
	realtime.BookingNotification
	HangarID      string `json:"hangarId"`
	Status        string `json:"status"`
	PaymentMethod string `json:"paymentMethod"`
	Paid          bool   `json:"paid"`
}

func itemOf(b db.Booking) bookingItem {
	return bookingItem{
		BookingNotification: realtime.BookingNotification{
			ID: b.BookingID, BookingID: b.BookingID, HangarNumber: b.HangarNumber, GuestName: b.GuestName,
			Amount: b.Amount, Duration: b.Nights, CheckInDate: b.CheckIn.Format(time.RFC3339),
			CheckOutDate: b.CheckOut.Format(time.RFC3339), Timestamp: b.CreatedAt.UnixMilli(),
		},
		HangarID: b.HangarID, Status: b.Status, PaymentMethod: b.PaymentMethod, Paid: b.Paid,
	}
}

// bookingStatuses are those that ?status= may name.
var bookingStatuses = []string{"pending", "confirmed", "active", "completed", "cancelled"}

// Bookings serves an owner's newest bookings, or, with ?on=today, those whose guests arrive or
// leave today; with ?status= only those of that status.
func (s *Snapshot) Bookings(w http.ResponseWriter, r *http.Request) {
	limit, err := limitParam(r.URL.Query(), defaultPage, maxPage)
	on, status := r.URL.Query().Get("on"), r.URL.Query().Get("status")
	switch {
	case err != nil:
	case on != "" && on != "today":
		err = Invalid("on", "on may only be today: leave it out for the newest bookings")
	case status != "" && !slices.Contains(bookingStatuses, status):
		err = Invalid("status", "status may be "+strings.Join(bookingStatuses, ", ")+": leave it out for all")
	}
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	s.list(w, r, fmt.Sprint("bookings ", on, " ", status, " ", limit), func(ctx context.Context, ownerID string) (any, error) {
		rows, err := s.bookings(ctx, ownerID, on, status, limit)
		items := make([]bookingItem, 0, len(rows))
		for _, b := range rows {
			items = append(items, itemOf(b))
		}
		return map[string]any{"bookings": items}, err
	})
}

func (s *Snapshot) bookings(ctx context.Context, ownerID, on, status string, limit int) ([]db.Booking, error) {
	if on == "today" {
		return s.Present.Today(ctx, ownerID, status, s.Now(), limit)
	}
	return s.Present.Bookings(ctx, ownerID, status, limit)
}

// Listings serves an owner's hangars and who is in them.
func (s *Snapshot) Listings(w http.ResponseWriter, r *http.Request) {
	s.list(w, r, "listings", func(ctx context.Context, ownerID string) (any, error) {
		rows, err := s.Present.Listings(ctx, ownerID, s.Now())
		return map[string]any{"listings": rows}, err
	})
}

// overview is what a page shows beside RealTimeMetrics, and the last days.
type overview struct {
	db.Overview
	Sparklines *db.Sparklines `json:"sparklines,omitempty"`
}

// Overview serves what a page shows beside RealTimeMetrics: the same object as the data of
// overview_updated, and the last days for small charts.
func (s *Snapshot) Overview(w http.ResponseWriter, r *http.Request) {
	s.list(w, r, "overview", func(ctx context.Context, ownerID string) (any, error) {
		now := s.Now()
		d, err := s.Present.Dashboard(ctx, ownerID, now)
		if err != nil {
			return nil, err
		}
		lines, err := s.Rollups.Sparklines(ctx, ownerID, sparkDays, now)
		return overview{d.Overview, lines}, err
	})
}

// authorize returns the owner account that a request may be answered for. The caches have dropped
// what was committed before it.
func (s *Snapshot) authorize(r *http.Request) (ownerID string, err error) {
	viewer, err := RequireViewer(r.Context())
	if err != nil {
		return "", err
	}
	if err := AwaitBus(r.Context(), s.Bus); err != nil {
		return "", err
	}
	if err := s.Invalidator.Sync(r.Context()); err != nil {
		return "", err
	}
	return ResolveOwner(r.Context(), s.Accounts, viewer, r.PathValue("ownerId"))
}

// list answers with what read returns for the account in the path. All who ask the same
// now share it.
func (s *Snapshot) list(w http.ResponseWriter, r *http.Request, key string, read func(context.Context, string) (any, error)) {
	ownerID, err := s.authorize(r)
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	ctx := context.WithoutCancel(r.Context()) // others may be waiting for the same
	a, err := s.flights.do(key+" "+ownerID, func() (answer, error) {
		a, err := s.position(ctx, ownerID)
		if err != nil {
			return a, err
		}
		rows, err := read(ctx, ownerID)
		if err != nil {
			return a, err
		}
		a.Content, err = jsonContent(rows)
		return a, err
	})
	s.respond(w, r, a, err)
}

// position returns an answer that has its position and nothing else yet: that is read
// before the rows.
func (s *Snapshot) position(ctx context.Context, ownerID string) (a answer, err error) {
	a.epoch = s.Bus.Encoder().Epoch
	var published bool
	if a.position, published = s.Bus.Last(ownerID); !published {
		if a.position, err = s.History.Last(ctx, ownerID); err != nil {
			return a, err
		}
	}
	a.lastEventID = a.epoch.Format(ownerID, a.position)
	return a, nil
}

func (s *Snapshot) respond(w http.ResponseWriter, r *http.Request, a answer, err error) {
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	w.Header().Set(PositionHeader, a.lastEventID)
	a.respondPrivate(w, r)
}
