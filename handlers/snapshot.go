package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

const (
	// defaultPage and maxPage are how many rows a list has when the client does not say, and at most.
	defaultPage = 50
	maxPage     = 1000
)

// Present answers what is true now.
type Present interface {
	Metrics(ctx context.Context, ownerID string, now time.Time) (db.RealTimeMetrics, db.Validity, error)
	Bookings(ctx context.Context, ownerID string, limit int) ([]db.Booking, error)
	Today(ctx context.Context, ownerID string, now time.Time, limit int) ([]db.Booking, error)
	Listings(ctx context.Context, ownerID string, now time.Time) ([]db.Listing, error)
}

// History is the log, with its oldest end.
type History interface {
	realtime.History
	Oldest(ctx context.Context) (db.Position, error)
}

// Snapshot serves the present of an owner account: position first, then rows, so that a stream that starts after the
// position lacks nothing.
type Snapshot struct {
	Present  Present
	Accounts Accounts
	Lookout  *Lookout
	Known    *KnownMetrics
	History  History
	Bus      *realtime.Bus
	Now      func() time.Time
	Log      *slog.Logger

	shared coalescer[answer]
}

// answer is a snapshot as it is sent: position first, then rows.
type answer struct {
	epoch    realtime.Epoch
	position db.Position
	body     []byte
}

// positionHeader carries the position of a snapshot.
const positionHeader = "Last-Event-ID"

// Metrics serves RealTimeMetrics. What was computed before is the answer as long as it is still true.
func (s *Snapshot) Metrics(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, func(ctx context.Context, ownerID string) (answer, error) {
		if a, ok := s.known(ownerID); ok {
			return a, nil
		}
		return s.shared.do("metrics "+ownerID, func() (answer, error) {
			if a, ok := s.known(ownerID); ok { // by the one who was waited for
				return a, nil
			}
			now := s.Now()
			return s.Known.compute(ownerID, now, func() (a answer, v db.Validity, err error) {
				a, err = s.answer(ctx, ownerID, func(ctx context.Context, ownerID string) (numbers any, err error) {
					numbers, v, err = s.Present.Metrics(ctx, ownerID, now)
					return numbers, err
				})
				return a, v, err
			})
		})
	})
}

// known returns an answer that is still true, unless a stream that starts at its position would tell what it shows already.
func (s *Snapshot) known(ownerID string) (answer, bool) {
	a, ok := s.Known.get(ownerID, s.Now())
	if !ok || a.epoch != s.Bus.Encoder().Epoch {
		return answer{}, false
	}
	last, told := s.Bus.Last(ownerID)
	return a, !told || last.Compare(a.position) <= 0
}

// bookingItem is a booking in a list: a notification's fields and where it stands.
type bookingItem struct {
	realtime.BookingNotification
	HangarID      string `json:"hangarId"`
	Status        string `json:"status"`
	PaymentMethod string `json:"paymentMethod"`
	Paid          bool   `json:"paid"`
}

// Bookings serves an owner's newest bookings, or, with ?on=today, those whose guests arrive or leave today.
func (s *Snapshot) Bookings(w http.ResponseWriter, r *http.Request) {
	limit, refused := limitOf(r)
	if refused != nil {
		respondRefusal(r.Context(), w, s.Log, refused)
		return
	}
	on := r.URL.Query().Get("on")
	if on != "" && on != "today" {
		respondRefusal(r.Context(), w, s.Log, invalid("on", "on may only be today: leave it out for the newest bookings"))
		return
	}
	s.list(w, r, fmt.Sprint("bookings ", on, " ", limit), func(ctx context.Context, ownerID string) (any, error) {
		rows, err := s.bookings(ctx, ownerID, on, limit)
		items := make([]bookingItem, 0, len(rows))
		for _, b := range rows {
			items = append(items, bookingItem{
				BookingNotification: realtime.BookingNotification{
					ID: b.BookingID, BookingID: b.BookingID, HangarNumber: b.HangarNumber, GuestName: b.GuestName,
					Amount: b.Amount, Duration: b.Nights, CheckInDate: b.CheckIn.Format(time.RFC3339),
					CheckOutDate: b.CheckOut.Format(time.RFC3339), Timestamp: b.CreatedAt.UnixMilli(),
				},
				HangarID: b.HangarID, Status: b.Status, PaymentMethod: b.PaymentMethod, Paid: b.Paid,
			})
		}
		return map[string]any{"bookings": items}, err
	})
}

func (s *Snapshot) bookings(ctx context.Context, ownerID, on string, limit int) ([]db.Booking, error) {
	if on == "today" {
		return s.Present.Today(ctx, ownerID, s.Now(), limit)
	}
	return s.Present.Bookings(ctx, ownerID, limit)
}

// Listings serves an owner's hangars and who is in them.
func (s *Snapshot) Listings(w http.ResponseWriter, r *http.Request) {
	s.list(w, r, "listings", func(ctx context.Context, ownerID string) (any, error) {
		rows, err := s.Present.Listings(ctx, ownerID, s.Now())
		return map[string]any{"listings": rows}, err
	})
}

// eventPage is a page of history. Resync says that history does not reach back to the given position: load snapshots.
type eventPage struct {
	Events      []json.RawMessage `json:"events"`
	LastEventID string            `json:"lastEventId"`
	HasMore     bool              `json:"hasMore"`
	Resync      bool              `json:"resync"`
}

// Events serves the events after a position, oldest first; without one, those that the log still holds.
func (s *Snapshot) Events(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	ownerID, refused := s.admit(r)
	var page eventPage
	if refused == nil {
		page, refused = s.page(ctx, r, ownerID)
	}
	if refused != nil {
		respondRefusal(ctx, w, s.Log, refused)
		return
	}
	w.Header().Set(positionHeader, page.LastEventID)
	RespondJSON(w, http.StatusOK, page)
}

// page reads a page of history. Where history does not reach back to the given position there are no events: never a part
// of them. LastEventID is then the present.
func (s *Snapshot) page(ctx context.Context, r *http.Request, ownerID string) (eventPage, *refusal) {
	text := r.URL.Query().Get("after")
	page := eventPage{Events: []json.RawMessage{}, LastEventID: text}
	limit, refused := limitOf(r)
	if refused != nil {
		return page, refused
	}
	enc := s.Bus.Encoder()
	after, err := enc.Epoch.Parse(ownerID, text)
	if text == "" {
		after, err = s.History.Oldest(ctx)
		page.LastEventID = enc.Epoch.Format(ownerID, after)
	}
	var changes []db.Change
	if err == nil {
		changes, page.HasMore, err = s.History.Owner(ctx, ownerID, after, limit)
	}
	if errors.Is(err, realtime.ErrOtherEpoch) || errors.Is(err, db.ErrHistoryGone) {
		page.Resync = true
		last, err := s.History.Last(ctx, ownerID)
		if err != nil {
			return page, refuse(err, "")
		}
		page.LastEventID = enc.Epoch.Format(ownerID, last)
		return page, nil
	}
	if err != nil {
		return page, refuse(err, "after")
	}
	for _, c := range changes {
		e, err := enc.Encode(c)
		if err != nil {
			return page, refuse(err, "")
		}
		page.Events = append(page.Events, e.JSON)
		page.LastEventID = e.ID
	}
	return page, nil
}

// admit says for which owner account a request may be answered, after memories have heeded what was committed before it.
func (s *Snapshot) admit(r *http.Request) (string, *refusal) {
	viewer, refused := known(r.Context())
	if refused != nil {
		return "", refused
	}
	if s.Bus.Encoder().Location == nil {
		return "", refuse(realtime.ErrNotReady, "")
	}
	if err := s.Lookout.Look(r.Context()); err != nil {
		return "", refuse(err, "")
	}
	return owner(r.Context(), s.Accounts, viewer, r.PathValue("ownerId"))
}

// list answers with what read returns for the account in the path, together with all who ask the same now.
func (s *Snapshot) list(w http.ResponseWriter, r *http.Request, what string, read func(context.Context, string) (any, error)) {
	s.serve(w, r, func(ctx context.Context, ownerID string) (answer, error) {
		return s.shared.do(what+" "+ownerID, func() (answer, error) { return s.answer(ctx, ownerID, read) })
	})
}

// serve answers for the account in the path. find gets a context that does not end with the request: others may be waiting
// for the same.
func (s *Snapshot) serve(w http.ResponseWriter, r *http.Request, find func(ctx context.Context, ownerID string) (answer, error)) {
	ctx := r.Context()
	ownerID, refused := s.admit(r)
	if refused != nil {
		respondRefusal(ctx, w, s.Log, refused)
		return
	}
	a, err := find(context.WithoutCancel(ctx), ownerID)
	if err != nil {
		respondRefusal(ctx, w, s.Log, refuse(err, ""))
		return
	}
	w.Header().Set(positionHeader, a.epoch.Format(ownerID, a.position))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(a.body)
}

// answer reads the position and then the rows.
func (s *Snapshot) answer(ctx context.Context, ownerID string, read func(context.Context, string) (any, error)) (a answer, err error) {
	a.epoch = s.Bus.Encoder().Epoch
	var known bool
	if a.position, known = s.Bus.Last(ownerID); !known {
		a.position, err = s.History.Last(ctx, ownerID)
	}
	var value any
	if err == nil {
		value, err = read(ctx, ownerID)
	}
	if err == nil {
		a.body, err = json.Marshal(value)
	}
	a.body = append(a.body, '\n')
	return a, err
}

func limitOf(r *http.Request) (int, *refusal) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, invalid("limit", fmt.Sprintf("limit must be a whole number from 1 to %d", maxPage))
	}
	return n, nil
}
