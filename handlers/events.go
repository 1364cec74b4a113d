package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// eventPage is a page of history. Resync says that history does not reach back to the given
// position: load snapshots.
type eventPage struct {
	Events      []json.RawMessage `json:"events"`
	LastEventID string            `json:"lastEventId"`
	HasMore     bool              `json:"hasMore"`
	Resync      bool              `json:"resync"`
}

// Events serves the events after a position, oldest first; without one, those that the
// log still holds.
func (s *Snapshot) Events(w http.ResponseWriter, r *http.Request) {
	page, err := s.events(r)
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	w.Header().Set(PositionHeader, page.LastEventID)
	respondPrivate(w, r, s.Log, page)
}

func (s *Snapshot) events(r *http.Request) (eventPage, error) {
	ownerID, err := s.authorize(r)
	if err != nil {
		return eventPage{}, err
	}
	limit, err := limitParam(r.URL.Query(), defaultPage, maxPage)
	if err != nil {
		return eventPage{}, err
	}
	return s.page(r.Context(), ownerID, r.URL.Query().Get("after"), limit)
}

// page reads a page of history. Where history does not reach back to the given position there are
// no events, never a part of them, and LastEventID is the present.
func (s *Snapshot) page(ctx context.Context, ownerID, text string, limit int) (eventPage, error) {
	page := eventPage{Events: []json.RawMessage{}, LastEventID: text}
	enc := s.Bus.Encoder()
	after, err := enc.Epoch.Parse(ownerID, text)
	if text == "" {
		// Where the log holds nothing of the owner's, the position is that of the last event it
		// held. That stays good for longer than the log's beginning.
		var last eventlog.Position
		if last, err = s.History.Last(ctx, ownerID); err == nil {
			page.LastEventID = enc.Epoch.Format(ownerID, last)
			after, err = s.History.Oldest(ctx)
		}
	}
	var read realtime.Page
	if err == nil {
		read, err = realtime.ReadPage(ctx, s.History, enc, ownerID, after, limit)
	}
	if errors.Is(err, realtime.ErrOtherEpoch) || errors.Is(err, eventlog.ErrHistoryGone) {
		page.Resync = true
		last, err := s.History.Last(ctx, ownerID)
		page.LastEventID = enc.Epoch.Format(ownerID, last)
		return page, err
	}
	if err != nil {
		return page, RefusalOf(err, "after")
	}
	for _, e := range read.Events {
		page.Events = append(page.Events, e.JSON)
		page.LastEventID = e.ID
	}
	page.HasMore = read.More
	if read.More && len(read.Events) == 0 { // a part of the log with nothing to tell
		page.LastEventID = enc.Epoch.Format(ownerID, read.End)
	}
	return page, nil
}
