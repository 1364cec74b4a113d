package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"
)

const (
	// NotificationsPage is how many notifications a page has at most, and NotificationsSince how
	// many changes are told to who asks for those after a revision: of more, the list is read
	// again.
	NotificationsPage  = 100
	NotificationsSince = 500
)

// Notification is one notification as a user of its account sees it. The names are read from the
// portal's tables, empty where their rows are gone. Facts are a JSON object of ids, numbers and
// dates. ReadBy and ArchivedBy are users' ids.
type Notification struct {
	ID             int64           `db:"id"`
	UserID         string          `db:"user_id"` // "" for the account's
	Kind           string          `db:"kind"`
	Count          int             `db:"count"`
	Severity       Severity        `db:"severity"`
	Facts          json.RawMessage `db:"facts"`
	Revision       int64           `db:"revision"`
	HappenedAt     time.Time       `db:"happened_at"`
	CreatedAt      time.Time       `db:"created_at"`
	ReadAt         sql.NullTime    `db:"read_at"`
	ReadBy         string          `db:"read_by"`
	ReadByName     sql.NullString  `db:"read_by_name"`
	ArchivedAt     sql.NullTime    `db:"archived_at"`
	ArchivedBy     string          `db:"archived_by"`
	ArchivedByName sql.NullString  `db:"archived_by_name"`
	ResolvedAt     sql.NullTime    `db:"resolved_at"`
	GuestName      sql.NullString  `db:"guest_name"`
	MemberName     sql.NullString  `db:"member_name"`
	CompanyName    sql.NullString  `db:"company_name"`
}

// NotificationPage is a part of a user's notifications of an account, and the counts at the same
// moment. Reset says that the changes after a revision cannot be told: the list is to be read
// again.
type NotificationPage struct {
	Items            []Notification
	Unread, Unseen   int64
	Revision         int64
	ClearedUntil     sql.NullTime
	More, Reset      bool
	floor, lastOfAll int64
}

// NotificationFilter says which notifications are listed: State is unread, all or archived. Before
// is the id before which the page begins, or 0.
type NotificationFilter struct {
	State, Kind, HangarID string
	Before                int64
	Limit                 int
}

// notificationRow is a row of a page. One without a notification has no Some.
type notificationRow struct {
	AccountRevision int64        `db:"account_revision"`
	Floor           int64        `db:"floor"`
	Unread          int64        `db:"unread"`
	Unseen          int64        `db:"unseen"`
	ClearedUntil    sql.NullTime `db:"cleared_until"`
	Some            int64        `db:"some"`
	nullNotification
}

// nullNotification is a Notification of which there may be none.
type nullNotification struct {
	ID             sql.NullInt64  `db:"id"`
	UserID         sql.NullString `db:"user_id"`
	Kind           sql.NullString `db:"kind"`
	Count          sql.NullInt64  `db:"count"`
	Severity       sql.NullInt16  `db:"severity"`
	Facts          []byte         `db:"facts"`
	Revision       sql.NullInt64  `db:"revision"`
	HappenedAt     sql.NullTime   `db:"happened_at"`
	CreatedAt      sql.NullTime   `db:"created_at"`
	ReadAt         sql.NullTime   `db:"read_at"`
	ReadBy         sql.NullString `db:"read_by"`
	ReadByName     sql.NullString `db:"read_by_name"`
	ArchivedAt     sql.NullTime   `db:"archived_at"`
	ArchivedBy     sql.NullString `db:"archived_by"`
	ArchivedByName sql.NullString `db:"archived_by_name"`
	ResolvedAt     sql.NullTime   `db:"resolved_at"`
	GuestName      sql.NullString `db:"guest_name"`
	MemberName     sql.NullString `db:"member_name"`
	CompanyName    sql.NullString `db:"company_name"`
}

func (n nullNotification) notification() Notification {
	return Notification{
		ID: n.ID.Int64, UserID: n.UserID.String, Kind: n.Kind.String, Count: int(n.Count.Int64), Severity: Severity(n.Severity.Int16),
		Facts: n.Facts, Revision: n.Revision.Int64, HappenedAt: n.HappenedAt.Time, CreatedAt: n.CreatedAt.Time,
		ReadAt: n.ReadAt, ReadBy: n.ReadBy.String, ReadByName: n.ReadByName, ArchivedAt: n.ArchivedAt, ArchivedBy: n.ArchivedBy.String,
		ArchivedByName: n.ArchivedByName, ResolvedAt: n.ResolvedAt, GuestName: n.GuestName, MemberName: n.MemberName, CompanyName: n.CompanyName,
	}
}

// Notifications returns a page of what a user sees of an account, the newest first.
func (s *Store) Notifications(ctx context.Context, ownerID, userID string, f NotificationFilter) (NotificationPage, error) {
	ask := func(q *queries) string { return q.notifications.listed }
	switch f.State {
	case "unread":
		ask = func(q *queries) string { return q.notifications.unread }
	case "archived":
		ask = func(q *queries) string { return q.notifications.archived }
	}
	return s.notificationPage(ctx, ask, f.Limit, ownerID, userID, f.Kind, f.HangarID, f.Before)
}

// NotificationsSince returns what changed after a revision, at most NotificationsSince, in the
// order of the changes; archived ones are among them.
func (s *Store) NotificationsSince(ctx context.Context, ownerID, userID string, revision int64) (NotificationPage, error) {
	p, err := s.notificationPage(ctx, func(q *queries) string { return q.notifications.changed }, NotificationsSince, ownerID, userID, revision)
	if err == nil && (p.More || revision < p.floor || revision > p.Revision) {
		p.Items, p.More, p.Reset = nil, false, true
	}
	return p, err
}

// Notification returns one notification that a user may see, or ErrNotFound.
func (s *Store) Notification(ctx context.Context, ownerID, userID string, id int64) (Notification, error) {
	p, err := s.notificationPage(ctx, func(q *queries) string { return q.notifications.one }, 1, ownerID, userID, id)
	if err == nil && len(p.Items) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Notification{}, err
	}
	return p.Items[0], nil
}

func (s *Store) notificationPage(ctx context.Context, ask question, limit int, ownerID, userID string, args ...any) (p NotificationPage, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if err := checkText([]any{ownerID, userID}); err != nil {
		return p, err
	}
	var rows []notificationRow
	if err := s.list(ctx, &rows, ask, append([]any{ownerID, pq.Array([]string{userID}), limit + 1}, args...)...); err != nil {
		return p, fmt.Errorf("read notifications of owner %s: %w", ownerID, err)
	}
	for _, r := range rows {
		p.Revision, p.floor, p.Unread, p.Unseen, p.ClearedUntil = r.AccountRevision, r.Floor, r.Unread, r.Unseen, r.ClearedUntil
		if r.Some != 0 {
			p.Items = append(p.Items, r.notification())
		}
	}
	if p.More = len(p.Items) > limit; p.More {
		p.Items = p.Items[:limit]
	}
	return p, nil
}

// AccountCounts are the counts of one of a user's accounts.
type AccountCounts struct {
	OwnerID string `json:"ownerId" db:"owner_id"`
	Unread  int64  `json:"unread" db:"unread"`
	Unseen  int64  `json:"unseen" db:"unseen"`
}

// accountCountsQuery counts for many accounts of one user at once. Parameters: 1 user, 2 accounts.
const accountCountsQuery = `
SELECT w.owner_id, w.unread, realtime.count_unseen(w.owner_id, $1::text, w.hidden, w.seen, w.since, w.unread) AS unseen FROM (
	SELECT v.*, coalesce((SELECT sum(k.unread) FROM realtime.notification_counts k
		WHERE k.owner_id = v.owner_id AND k.user_id IN ('', $1::text) AND k.kind <> ALL (v.hidden)), 0)::bigint AS unread
	FROM (
		SELECT a.o AS owner_id, coalesce(s.seen_through, 0) AS seen, coalesce(m.since, '-infinity') AS since,
			ARRAY(SELECT p.kind FROM realtime.preferences p WHERE p.user_id = $1::text AND p.owner_id = a.o AND p.channel = 'inApp' AND p.mode = 'off') AS hidden, a.n
		FROM pg_catalog.unnest($2::text[]) WITH ORDINALITY AS a(o, n)
		LEFT JOIN realtime.notification_views s ON s.owner_id = a.o AND s.user_id = $1::text
		LEFT JOIN realtime.members m ON m.owner_id = a.o AND m.user_id = $1::text OFFSET 0
	) v OFFSET 0
) w ORDER BY w.n`

// AccountCounts returns the counts of some accounts, all of one user.
func (s *Store) AccountCounts(ctx context.Context, userID string, ownerIDs []string) ([]AccountCounts, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	counts := []AccountCounts{}
	if err := s.list(ctx, &counts, always(accountCountsQuery), userID, pq.Array(ownerIDs)); err != nil {
		return nil, fmt.Errorf("count a user's notifications: %w", err)
	}
	return counts, nil
}
