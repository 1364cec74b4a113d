package realtime

import (
	"database/sql"
	"encoding/json"
	"strconv"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Notification is a notification as clients get it. Facts are what it is about, with the names that
// are read from the portal's tables. Times are RFC 3339 in the installation's zone.
type Notification struct {
	ID         string                     `json:"id"`
	Kind       string                     `json:"kind"`
	Severity   string                     `json:"severity"`
	Count      int                        `json:"count"`
	Facts      map[string]json.RawMessage `json:"facts"`
	UserID     *string                    `json:"userId"`
	HappenedAt string                     `json:"happenedAt"`
	CreatedAt  string                     `json:"createdAt"`
	Revision   int64                      `json:"revision"`
	ReadAt     *string                    `json:"readAt"`
	ReadBy     *Person                    `json:"readBy"`
	ArchivedAt *string                    `json:"archivedAt"`
	ArchivedBy *Person                    `json:"archivedBy"`
	ResolvedAt *string                    `json:"resolvedAt"`
}

// Person is who did something. Name is null for who is no user any more.
type Person struct {
	ID   string  `json:"id"`
	Name *string `json:"name"`
}

// NotificationOf returns a notification as clients get it.
func NotificationOf(n db.Notification, loc *time.Location) Notification {
	out := Notification{
		ID: idText(n.ID), Kind: n.Kind, Severity: n.Severity.String(), Count: n.Count, HappenedAt: moment(n.HappenedAt, loc),
		CreatedAt: moment(n.CreatedAt, loc), Revision: n.Revision, ReadAt: momentOrNil(n.ReadAt, loc), ArchivedAt: momentOrNil(n.ArchivedAt, loc),
		ResolvedAt: momentOrNil(n.ResolvedAt, loc), ReadBy: person(n.ReadBy, n.ReadByName), ArchivedBy: person(n.ArchivedBy, n.ArchivedByName),
	}
	if n.UserID != "" {
		out.UserID = &n.UserID
	}
	if json.Unmarshal(n.Facts, &out.Facts) != nil || out.Facts == nil {
		out.Facts = map[string]json.RawMessage{}
	}
	for name, value := range map[string]sql.NullString{"guestName": n.GuestName, "memberName": n.MemberName, "companyName": n.CompanyName} {
		if value.Valid {
			out.Facts[name], _ = json.Marshal(value.String) // a string always can
		}
	}
	return out
}

func person(id string, name sql.NullString) *Person {
	if id == "" {
		return nil
	}
	p := &Person{ID: id}
	if name.Valid {
		p.Name = &name.String
	}
	return p
}

func idText(id int64) string { return strconv.FormatInt(id, 10) }

// moment writes an instant with its milliseconds.
func moment(t time.Time, loc *time.Location) string {
	return t.In(loc).Format("2006-01-02T15:04:05.000Z07:00")
}

func momentOrNil(t sql.NullTime, loc *time.Location) *string {
	if !t.Valid {
		return nil
	}
	text := moment(t.Time, loc)
	return &text
}
