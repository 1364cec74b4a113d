package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// maxID is the longest id that is looked for, in bytes.
const maxID = 128

// bookingDetails is one booking: how it stands, and what the log still tells of it. Since
// is when that begins.
type bookingDetails struct {
	bookingItem
	History []bookingEvent `json:"history"`
	Since   string         `json:"since"`
}

// bookingEvent is what a stream told of a booking, without its id: nobody resumes from here.
type bookingEvent struct {
	Type      string                     `json:"type"`
	Timestamp int64                      `json:"timestamp"`
	Data      map[string]json.RawMessage `json:"data"`
}

// Booking serves the booking in the path with its history. The history is read first: so the
// booking is never older than it.
func (s *Snapshot) Booking(w http.ResponseWriter, r *http.Request) {
	bookingID := r.PathValue("bookingId")
	if len(bookingID) > maxID {
		RespondError(w, r, s.Log, notFound("there is no such booking"))
		return
	}
	s.list(w, r, "booking "+bookingID, func(ctx context.Context, ownerID string) (any, error) {
		history, since, err := s.bookingHistory(ctx, ownerID, bookingID)
		if err != nil {
			return nil, err
		}
		b, err := s.Present.Booking(ctx, ownerID, bookingID)
		return bookingDetails{itemOf(b), history, since.Format(time.RFC3339)}, err
	})
}

// bookingHistory returns what streams told of a booking, oldest first, and since when. What is no
// message here is left out.
func (s *Snapshot) bookingHistory(ctx context.Context, ownerID, bookingID string) ([]bookingEvent, time.Time, error) {
	changes, since, err := s.History.BookingHistory(ctx, ownerID, bookingID)
	if err != nil {
		return nil, since, err
	}
	enc := s.Bus.Encoder()
	events := make([]bookingEvent, 0, len(changes))
	for _, c := range changes {
		var event bookingEvent
		row := enc.Decode(c)
		if row.Meaning != realtime.Message || json.Unmarshal(row.Event.JSON, &event) != nil {
			continue
		}
		delete(event.Data, "id")
		events = append(events, event)
	}
	return events, since.In(enc.Location), nil
}
