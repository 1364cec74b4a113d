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
	Metrics(ctx context.Context, ownerID string, now time.Time) (db.RealTimeMetrics, error)
	Bookings(ctx context.Context, ownerID string, limit int) ([]db.Booking, error)
	Listings(ctx context.Context, ownerID string, now time.Time) ([]db.Listing, error)
}

// Snapshot serves the present of an owner account: position first, then rows, so that a stream that starts after the
// position lacks nothing.
type Snapshot struct {
	Present  Present
	Accounts Accounts
	History  realtime.History
	Bus      *realtime.Bus
	Now      func() time.Time
	Log      *slog.Logger
}

// positionHeader carries the position of a snapshot.
const positionHeader = "Last-Event-ID"

// Metrics serves RealTimeMetrics.
func (s *Snapshot) Metrics(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, func(ctx context.Context, ownerID string) (any, *refusal) {
		m, err := s.Present.Metrics(ctx, ownerID, s.Now())
		return m, maybe(err)
	})
}

// bookingItem is a booking in a list: a notification's fields and where it stands.
type bookingItem struct {
	realtime.BookingNotification
	HangarID      string `json:"hangarId"`
	PaymentMethod string `json:"paymentMethod"`
	Paid          bool   `json:"paid"`
}

// Bookings serves an owner's newest bookings.
func (s *Snapshot) Bookings(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, func(ctx context.Context, ownerID string) (any, *refusal) {
		limit, refused := limitOf(r)
		if refused != nil {
			return nil, refused
		}
		rows, err := s.Present.Bookings(ctx, ownerID, limit)
		items := make([]bookingItem, 0, len(rows))
		for _, b := range rows {
			items = append(items, bookingItem{
				BookingNotification: realtime.BookingNotification{
					ID: b.BookingID, BookingID: b.BookingID, HangarNumber: b.HangarNumber, GuestName: b.GuestName,
					Amount: b.Amount, Duration: b.Nights, CheckInDate: b.CheckIn.Format(time.RFC3339),
					CheckOutDate: b.CheckOut.Format(time.RFC3339), Timestamp: b.CreatedAt.UnixMilli(), Status: b.Status,
				},
				HangarID: b.HangarID, PaymentMethod: b.PaymentMethod, Paid: b.Paid,
			})
		}
		return map[string]any{"bookings": items}, maybe(err)
	})
}

// Listings serves an owner's hangars and who is in them.
func (s *Snapshot) Listings(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, func(ctx context.Context, ownerID string) (any, *refusal) {
		rows, err := s.Present.Listings(ctx, ownerID, s.Now())
		return map[string]any{"listings": rows}, maybe(err)
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
	s.serve(w, r, func(ctx context.Context, ownerID string) (any, *refusal) {
		limit, refused := limitOf(r)
		if refused != nil {
			return nil, refused
		}
		enc := s.Bus.Encoder()
		page := eventPage{Events: []json.RawMessage{}, LastEventID: w.Header().Get(positionHeader)}
		text := r.URL.Query().Get("after")
		after, err := enc.Epoch.Parse(ownerID, text)
		switch {
		case text == "":
			after = db.Position{}
		case errors.Is(err, realtime.ErrOtherEpoch):
			page.Resync = true
			return page, nil
		case err != nil:
			return nil, refuse(err, "after")
		}
		changes, more, err := s.History.Owner(ctx, ownerID, after, limit)
		if errors.Is(err, db.ErrHistoryGone) {
			page.Resync = true
			return page, nil
		}
		if err != nil {
			return nil, refuse(err, "after")
		}
		page.HasMore = more
		if text != "" {
			page.LastEventID = text
		}
		for _, c := range changes {
			e, err := enc.Encode(c)
			if err != nil {
				return nil, refuse(err, "")
			}
			page.Events = append(page.Events, e.JSON)
			page.LastEventID = e.ID
		}
		w.Header().Set(positionHeader, page.LastEventID)
		return page, nil
	})
}

// serve admits the viewer to the account in the path, sets the position, and answers with what read returns.
func (s *Snapshot) serve(w http.ResponseWriter, r *http.Request, read func(context.Context, string) (any, *refusal)) {
	ctx := r.Context()
	viewer, ok := ViewerFrom(ctx)
	if !ok {
		respondRefusal(ctx, w, s.Log, unauthorized("send an access token: Authorization: Bearer …"))
		return
	}
	ownerID, refused := owner(ctx, s.Accounts, viewer, r.PathValue("ownerId"))
	if refused == nil && s.Bus.Encoder().Location == nil {
		refused = refuse(realtime.ErrNotReady, "")
	}
	if refused != nil {
		respondRefusal(ctx, w, s.Log, refused)
		return
	}
	epoch := s.Bus.Encoder().Epoch
	position, err := s.History.Last(ctx, ownerID)
	if err != nil {
		respondRefusal(ctx, w, s.Log, refuse(err, ""))
		return
	}
	w.Header().Set(positionHeader, epoch.Format(ownerID, position))
	value, refused := read(ctx, ownerID)
	if refused != nil {
		w.Header().Del(positionHeader)
		respondRefusal(ctx, w, s.Log, refused)
		return
	}
	RespondJSON(w, http.StatusOK, value)
}

func maybe(err error) *refusal {
	if err == nil {
		return nil
	}
	return refuse(err, "")
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
