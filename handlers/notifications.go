package handlers

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// NotificationRegister keeps notifications, and what users chose about them.
type NotificationRegister interface {
	Notifications(ctx context.Context, ownerID, userID string, f db.NotificationFilter) (db.NotificationPage, error)
	NotificationsSince(ctx context.Context, ownerID, userID string, revision int64) (db.NotificationPage, error)
	PatchNotification(ctx context.Context, ownerID, userID string, id int64, p db.NotificationPatch) (db.Notification, error)
	ReadNotifications(ctx context.Context, ownerID, userID string, through int64, kind string, shown int64) (revision int64, err error)
	SeeNotifications(ctx context.Context, ownerID, userID string, through, shown int64) error
	ClearLists(ctx context.Context, ownerID, userID string, until sql.NullTime) error
	AccountCounts(ctx context.Context, userID string, ownerIDs []string) ([]db.AccountCounts, error)
	NotificationSettings
	Location() *time.Location
}

// NotificationSettings keeps preferences, rules and settings.
type NotificationSettings interface {
	Preferences(ctx context.Context, ownerID, userID string) ([]db.Preference, error)
	SetPreferences(ctx context.Context, ownerID, userID string, chosen []db.Preference) error
	Rules(ctx context.Context, ownerID string) ([]db.Rule, error)
	SetRule(ctx context.Context, ownerID, userID string, r db.Rule) error
	UserSettings(ctx context.Context, userID string) (db.UserSettings, error)
	SetUserSettings(ctx context.Context, userID string, u db.UserSettings) error
}

// Notifications serves the notifications that the members of an account share. Viewers list, see
// and read; managers and owners archive too, and decide about rules.
type Notifications struct {
	Directory Directory
	Register  NotificationRegister
	Snapshot  *Snapshot // knows positions
	// Channels are the ways out of the house that are set up.
	Channels []db.Channel
	Log      *slog.Logger
}

func noSuchKind() *Refusal {
	return Invalid("kind", "kind is no kind of notification: see GET …/notifications/preferences")
}

// serve answers with what do returns.
func (n *Notifications) serve(w http.ResponseWriter, r *http.Request, do func() (any, error)) {
	answer, err := do()
	if err != nil {
		RespondError(w, r, n.Log, err)
		return
	}
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	RespondJSON(w, http.StatusOK, answer)
}

// serveMember is serve for those who may see the account in the path.
func (n *Notifications) serveMember(w http.ResponseWriter, r *http.Request, do func(grant) (any, error)) {
	n.serve(w, r, func() (any, error) {
		g, err := authorize(r, n.Directory)
		if err != nil {
			return nil, err
		}
		return do(g)
	})
}

// notificationList is a page of notifications as clients get it.
type notificationList struct {
	Items        []realtime.Notification `json:"items"`
	Unread       int64                   `json:"unread"`
	Unseen       int64                   `json:"unseen"`
	Revision     int64                   `json:"revision"`
	Next         *string                 `json:"next"`
	ClearedUntil *int64                  `json:"clearedUntil"`
	Reset        bool                    `json:"reset,omitempty"`
}

func (n *Notifications) listOf(p db.NotificationPage) notificationList {
	list := notificationList{Items: make([]realtime.Notification, 0, len(p.Items)), Unread: p.Unread, Unseen: p.Unseen, Revision: p.Revision, Reset: p.Reset}
	for _, item := range p.Items {
		list.Items = append(list.Items, realtime.NotificationOf(item, n.Register.Location()))
	}
	if p.More {
		next := strconv.FormatInt(p.Items[len(p.Items)-1].ID, 10)
		list.Next = &next
	}
	if p.ClearedUntil.Valid {
		until := p.ClearedUntil.Time.UnixMilli()
		list.ClearedUntil = &until
	}
	return list
}

// List answers with a page of notifications, the newest first, or with what changed after a
// revision.
func (n *Notifications) List(w http.ResponseWriter, r *http.Request) {
	list, position, err := n.list(r)
	if err != nil {
		RespondError(w, r, n.Log, err)
		return
	}
	w.Header().Set(PositionHeader, position)
	respondPrivate(w, r, n.Log, list)
}

func (n *Notifications) list(r *http.Request) (list notificationList, position string, err error) {
	g, err := authorize(r, n.Directory)
	if err != nil {
		return list, "", err
	}
	query := r.URL.Query()
	filter := db.NotificationFilter{State: query.Get("state"), Kind: query.Get("kind"), HangarID: query.Get("hangarId")}
	if filter.State == "" {
		filter.State = "all"
	}
	since := int64(-1)
	for _, number := range []struct {
		name string
		into *int64
	}{{"before", &filter.Before}, {"since", &since}} {
		if text := query.Get(number.name); text != "" {
			if *number.into, err = strconv.ParseInt(text, 10, 64); err != nil || *number.into < 0 {
				return list, "", Invalid(number.name, number.name+" must be a whole number, as an answer gave it")
			}
		}
	}
	if filter.Limit, err = limitParam(query, defaultPage, db.NotificationsPage); err != nil {
		return list, "", err
	}
	_, known := db.KindOf(filter.Kind)
	switch {
	case !slices.Contains([]string{"unread", "all", "archived"}, filter.State):
		return list, "", Invalid("state", "state may be unread, all or archived")
	case filter.Kind != "" && !known:
		return list, "", noSuchKind()
	}
	if err := AwaitBus(r.Context(), n.Snapshot.Bus); err != nil {
		return list, "", err
	}
	a, err := n.Snapshot.position(r.Context(), g.ownerID)
	if err != nil {
		return list, "", err
	}
	var page db.NotificationPage
	if since >= 0 {
		page, err = n.Register.NotificationsSince(r.Context(), g.ownerID, g.viewer.UserID, since)
	} else {
		page, err = n.Register.Notifications(r.Context(), g.ownerID, g.viewer.UserID, filter)
	}
	if err != nil {
		return list, "", RefusalOf(err, "hangarId")
	}
	return n.listOf(page), a.lastEventID, nil
}

// Patch marks a notification as read or unread, or archives it or takes it back.
func (n *Notifications) Patch(w http.ResponseWriter, r *http.Request) {
	n.serveMember(w, r, func(g grant) (any, error) {
		var body struct{ Read, Archived *bool }
		if err := readBody(r, &body, `{"read":true} or {"archived":true}`); err != nil {
			return nil, err
		}
		switch {
		case body.Read == nil && body.Archived == nil:
			return nil, Invalid("read", "say what to change: read or archived, true or false")
		case body.Archived != nil && g.role == db.RoleViewer:
			return nil, Forbidden("only owners and managers may archive notifications", "archived")
		}
		id, err := strconv.ParseInt(r.PathValue("notificationId"), 10, 64)
		if err != nil {
			return nil, noNotification()
		}
		changed, err := n.Register.PatchNotification(r.Context(), g.ownerID, g.viewer.UserID, id, db.NotificationPatch{Read: body.Read, Archived: body.Archived})
		if errors.Is(err, db.ErrNotFound) {
			return nil, noNotification()
		}
		if err != nil {
			return nil, err
		}
		return realtime.NotificationOf(changed, n.Register.Location()), nil
	})
}

func noNotification() error { return notFound("there is no such notification") }

// wholeNumber is a whole number in a body, also one that is written as a text, as ids are.
type wholeNumber int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *wholeNumber) UnmarshalJSON(text []byte) error {
	value, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	*n = wholeNumber(value)
	return err
}

// shown is what a screen showed: everything through a notification's id, as of a revision.
type shown struct {
	Through  *wholeNumber
	Revision wholeNumber
	Kind     string
}

func readShown(r *http.Request) (s shown, err error) {
	if err := readBody(r, &s, `{"through":"812","revision":93}`); err != nil {
		return s, err
	}
	if s.Through == nil || *s.Through < 0 {
		return s, Invalid("through", "through must be the id of the newest notification that was shown")
	}
	if _, known := db.KindOf(s.Kind); s.Kind != "" && !known {
		return s, noSuchKind()
	}
	return s, nil
}

// Read marks everything as read that was shown.
func (n *Notifications) Read(w http.ResponseWriter, r *http.Request) {
	n.serveMember(w, r, func(g grant) (any, error) {
		s, err := readShown(r)
		if err != nil {
			return nil, err
		}
		revision, err := n.Register.ReadNotifications(r.Context(), g.ownerID, g.viewer.UserID, int64(*s.Through), s.Kind, int64(s.Revision))
		return map[string]int64{"revision": revision}, err
	})
}

// See notes what the caller has seen.
func (n *Notifications) See(w http.ResponseWriter, r *http.Request) {
	n.serveMember(w, r, func(g grant) (any, error) {
		s, err := readShown(r)
		if err != nil {
			return nil, err
		}
		return nil, n.Register.SeeNotifications(r.Context(), g.ownerID, g.viewer.UserID, int64(*s.Through), int64(s.Revision))
	})
}

// Clear notes up to when the caller cleared their own two lists; null takes it back.
func (n *Notifications) Clear(w http.ResponseWriter, r *http.Request) {
	n.serveMember(w, r, func(g grant) (any, error) {
		var body struct{ Until json.RawMessage }
		if err := readBody(r, &body, `{"until":1768977456006}`); err != nil {
			return nil, err
		}
		var until *int64
		if len(body.Until) == 0 || json.Unmarshal(body.Until, &until) != nil || until != nil && (*until < 0 || *until > 253402300799999) {
			return nil, Invalid("until", "until must be the timestamp of the newest item that was shown, in Unix milliseconds, or null to take it back")
		}
		at := sql.NullTime{}
		if until != nil {
			at = sql.NullTime{Time: time.UnixMilli(*until), Valid: true}
		}
		return nil, n.Register.ClearLists(r.Context(), g.ownerID, g.viewer.UserID, at)
	})
}

// Counts answers with how many notifications are unread in each account of the caller, and in all.
func (n *Notifications) Counts(w http.ResponseWriter, r *http.Request) {
	n.serve(w, r, func() (any, error) {
		viewer, err := signedIn(r.Context(), n.Directory)
		if err != nil {
			return nil, err
		}
		accounts, err := n.Directory.Accounts(r.Context(), viewer.UserID)
		if err != nil {
			return nil, err
		}
		ids := make([]string, 0, len(accounts))
		for _, a := range accounts {
			ids = append(ids, a.OwnerID)
		}
		counts, err := n.Register.AccountCounts(r.Context(), viewer.UserID, ids)
		total := db.AccountCounts{}
		for _, c := range counts {
			total.Unread, total.Unseen = total.Unread+c.Unread, total.Unseen+c.Unseen
		}
		return map[string]any{"accounts": counts, "unread": total.Unread, "unseen": total.Unseen}, err
	})
}
