package handlers

import (
	"log/slog"
	"net/http"
	"regexp"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// maxSent is how many deliveries an answer has at most.
const maxSent = 100

// deliveryID is the form of a delivery's id.
var deliveryID = regexp.MustCompile(`^[0-9]{1,18}$`)

// Sent serves what was sent to the caller: where, when, how it ended, and when it was opened.
type Sent struct {
	Users      Users
	Deliveries *db.Deliveries
	Log        *slog.Logger
}

// sent is a delivery as its user gets it. Times are Unix milliseconds.
type sent struct {
	ID             string     `json:"id"`
	NotificationID string     `json:"notificationId"`
	OwnerID        string     `json:"ownerId,omitempty"`
	Kind           string     `json:"kind"` // "digest" for a digest
	Channel        db.Channel `json:"channel"`
	Device         string     `json:"device,omitempty"`
	Attempts       int        `json:"attempts"`
	// Outcome is "waiting" while it is not known.
	Outcome  string `json:"outcome"`
	Code     int    `json:"code,omitempty"`
	DueAt    int64  `json:"dueAt"`
	EndsAt   int64  `json:"endsAt"`
	DoneAt   int64  `json:"doneAt,omitempty"`
	OpenedAt int64  `json:"openedAt,omitempty"`
}

func sentOf(d db.SentDelivery) sent {
	out := sent{
		ID: d.ID, NotificationID: d.NotificationID, OwnerID: d.OwnerID, Kind: d.Kind, Channel: d.Channel, Device: d.Device, Attempts: d.Attempts,
		Outcome: string(d.Outcome), Code: d.Code, DueAt: d.NotBefore.UnixMilli(), EndsAt: d.ExpiresAt.UnixMilli(),
	}
	if d.Digest {
		out.Kind = "digest"
	}
	if d.DoneAt.Valid {
		out.DoneAt = d.DoneAt.Time.UnixMilli()
	} else {
		out.Outcome = "waiting"
	}
	if d.OpenedAt.Valid {
		out.OpenedAt = d.OpenedAt.Time.UnixMilli()
	}
	return out
}

// List answers with the caller's deliveries, the newest first.
func (s *Sent) List(w http.ResponseWriter, r *http.Request) {
	list, next, err := s.list(r)
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	answer := map[string]any{"deliveries": list}
	if next != "" {
		answer["next"] = next
	}
	respondPrivate(w, r, s.Log, answer)
}

func (s *Sent) list(r *http.Request) (list []sent, next string, err error) {
	v, err := signedIn(r.Context(), s.Users)
	if err != nil {
		return nil, "", err
	}
	limit, err := limitParam(r.URL.Query(), maxSent, maxSent)
	if err != nil {
		return nil, "", err
	}
	before := r.URL.Query().Get("before")
	if before != "" && !deliveryID.MatchString(before) {
		return nil, "", Invalid("before", "before must be the id of a delivery")
	}
	found, err := s.Deliveries.OfUser(r.Context(), v.UserID, before, limit+1)
	if err != nil {
		return nil, "", err
	}
	list = []sent{}
	for i, d := range found {
		if i == limit {
			next = found[limit-1].ID
			break
		}
		list = append(list, sentOf(d))
	}
	return list, next, nil
}

// Open notes that the caller came by the link of a delivery.
func (s *Sent) Open(w http.ResponseWriter, r *http.Request) {
	v, err := signedIn(r.Context(), s.Users)
	var body struct{ Opened bool }
	if err == nil {
		err = readBody(r, &body, `{"opened":true}`)
	}
	id := r.PathValue("deliveryId")
	switch {
	case err != nil:
	case !body.Opened:
		err = Invalid("opened", "opened must be true: what was opened stays so")
	case !deliveryID.MatchString(id):
		err = db.ErrNotFound
	default:
		err = s.Deliveries.Opened(r.Context(), v.UserID, id)
	}
	if err != nil {
		RespondError(w, r, s.Log, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
