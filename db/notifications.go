package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
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

// NotificationCounts are how many notifications of an account nobody has read, and how many of them
// a user has not seen.
type NotificationCounts struct {
	UserID       string   `json:"userId"`
	Unread       int64    `json:"unread"`
	Unseen       int64    `json:"unseen"`
	ClearedUntil *int64   `json:"clearedUntil"` // Unix milliseconds
	Hidden       []string `json:"hidden"`       // kinds that they do not want in the page
}

// NotificationNews is what is new about an account's notifications, for some of its users at once.
// Items are of all of them: a personal one is its user's alone. More says that there are further
// changes.
type NotificationNews struct {
	Revision, Floor int64
	People          []NotificationCounts
	Items           []Notification
	More            bool
}

// NewsQuestion asks what is new about an account's notifications: the counts of some of its users,
// and what changed after a revision; no changes where After is below 0.
type NewsQuestion struct {
	OwnerID string   `json:"owner_id"`
	UserIDs []string `json:"user_ids"`
	After   int64    `json:"after"`
}

// NotificationNews returns what is new by account, in one statement for all, of each at most limit
// changes, the newest first. An account that cannot be asked about is an error for all.
func (s *Store) NotificationNews(ctx context.Context, questions []NewsQuestion, limit int) (map[string]NotificationNews, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	about, err := newsQuestions(questions)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		OwnerID         string `db:"owner_id"`
		AccountRevision int64  `db:"account_revision"`
		Floor           int64  `db:"floor"`
		People          []byte `db:"people"`
		Some            int64  `db:"some"`
		nullNotification
	}
	if err := s.list(ctx, &rows, func(q *queries) string { return q.notifications.news }, about, limit+1); err != nil {
		return nil, fmt.Errorf("read what is new for %d owners: %w", len(questions), err)
	}
	found := make(map[string]NotificationNews, len(questions))
	for _, r := range rows {
		news := found[r.OwnerID]
		if len(r.People) > 0 {
			if err := json.Unmarshal(r.People, &news.People); err != nil {
				return nil, fmt.Errorf("read the counts of owner %s: %w", r.OwnerID, err)
			}
		}
		news.Revision, news.Floor = r.AccountRevision, r.Floor
		switch {
		case r.Some == 0:
		case len(news.Items) == limit:
			news.More = true
		default:
			news.Items = append(news.Items, r.notification())
		}
		found[r.OwnerID] = news
	}
	return found, nil
}

// newsQuestions is questions as the query has them. JSON would make other text of what is none.
func newsQuestions(questions []NewsQuestion) (string, error) {
	for _, q := range questions {
		for _, id := range append([]string{q.OwnerID}, q.UserIDs...) {
			if err := checkText([]any{id}); err != nil {
				return "", fmt.Errorf("ask what is new for owner %q: %w", q.OwnerID, err)
			}
		}
	}
	text, err := json.Marshal(questions)
	if err != nil {
		return "", fmt.Errorf("ask what is new for %d owners: %w", len(questions), err)
	}
	return string(text), nil
}

// NotificationNote is what servers tell each other of notifications, in a row of the log: whose
// changed, and perhaps what was marked read at once.
type NotificationNote struct {
	Owners []string          `json:"owners,omitempty"`
	Read   *NotificationRead `json:"read,omitempty"`
	// Invitations says that somebody was invited, SignIn that somebody signed in on a new device:
	// notifications are to be made of it.
	Invitations bool                `json:"invitations,omitempty"`
	SignIn      *NotificationSignIn `json:"signIn,omitempty"`
}

// NotificationRead says that everything up to a notification was marked read, by whom and when.
type NotificationRead struct {
	ID int64     `json:"id"`
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// NotificationSignIn is a sign-in on a device that had not been seen.
type NotificationSignIn struct {
	UserID    string `json:"userId"`
	SessionID string `json:"sessionId"`
}

// TypeNote is the type of the rows of the log that hold a NotificationNote.
const TypeNote = ".note"

// noteNotifications writes a note into the log, in a transaction that changed what it is about.
func noteNotifications(ctx context.Context, tx asker, note NotificationNote) error {
	text, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("encode a note: %w", err)
	}
	if _, err = tx.ExecContext(ctx, noteQuery, string(text)); err != nil {
		return fmt.Errorf("tell of notifications: %w", err)
	}
	return nil
}

// Note writes a note into the log.
func (s *Store) Note(ctx context.Context, note NotificationNote) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	_, err := Answer(ctx, s.account, func() (none struct{}, err error) { return none, noteNotifications(ctx, s.pool, note) })
	return err
}

// changeNotifications runs do in a transaction that has the next revision of an account, and the
// lock that makes revisions the order of commits. When do changed nothing, nothing is written. It
// returns the account's revision.
func (s *Store) changeNotifications(ctx context.Context, ownerID string, do func(context.Context, *sqlx.Tx, int64) (note *NotificationNote, err error)) (revision int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	_, err = Answer(ctx, s.account, func() (none struct{}, err error) {
		tx, err := beginOwn(ctx, s.pool)
		if err != nil {
			return none, err
		}
		defer tx.Rollback()
		err = tx.GetContext(ctx, &revision, `INSERT INTO realtime.notification_accounts AS a (owner_id, revision) VALUES ($1, 1)
			ON CONFLICT (owner_id) DO UPDATE SET revision = a.revision + 1 RETURNING revision`, ownerID)
		if err != nil {
			return none, err
		}
		note, err := do(ctx, tx, revision)
		if err != nil {
			return none, err
		}
		if note == nil {
			revision--
			return none, nil
		}
		note.Owners = []string{ownerID}
		if err := noteNotifications(ctx, tx, *note); err != nil {
			return none, err
		}
		return none, tx.Commit()
	})
	return revision, refusedText(err)
}

// NotificationPatch changes what is nil not.
type NotificationPatch struct{ Read, Archived *bool }

// PatchNotification marks one notification that a user may see as read or unread, or archives it or
// takes it back. What is so already is left as it is, and who made it so. ErrNotFound: there is
// none such.
func (s *Store) PatchNotification(ctx context.Context, ownerID, userID string, id int64, p NotificationPatch) (Notification, error) {
	_, err := s.changeNotifications(ctx, ownerID, func(ctx context.Context, tx *sqlx.Tx, revision int64) (*NotificationNote, error) {
		var now struct{ Read, Archived bool }
		err := tx.GetContext(ctx, &now, `SELECT read_at IS NOT NULL AS read, archived_at IS NOT NULL AS archived FROM realtime.notifications
			WHERE id = $1 AND owner_id = $2 AND (user_id IS NULL OR user_id = $3)`, id, ownerID, userID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		read, archived := p.Read != nil && *p.Read != now.Read, p.Archived != nil && *p.Archived != now.Archived
		if !read && !archived {
			return nil, nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE realtime.notifications SET revision = $2,
				read_at = CASE WHEN NOT $4 THEN read_at WHEN $5 THEN now() END, read_by = CASE WHEN NOT $4 THEN read_by WHEN $5 THEN $3 END,
				archived_at = CASE WHEN NOT $6 THEN archived_at WHEN $7 THEN now() END,
				archived_by = CASE WHEN NOT $6 THEN archived_by WHEN $7 THEN $3 END
			WHERE id = $1`, id, revision, userID, read, p.Read != nil && *p.Read, archived, p.Archived != nil && *p.Archived)
		return &NotificationNote{}, err
	})
	if err != nil {
		return Notification{}, fmt.Errorf("change a notification of owner %s: %w", ownerID, err)
	}
	return s.Notification(ctx, ownerID, userID, id)
}

// ReadNotifications marks everything up to a notification as read that a user may see: of one kind
// unless that is "", and, where shown is not 0, nothing that changed after that revision. It
// returns the account's revision.
func (s *Store) ReadNotifications(ctx context.Context, ownerID, userID string, through int64, kind string, shown int64) (revision int64, err error) {
	revision, err = s.changeNotifications(ctx, ownerID, func(ctx context.Context, tx *sqlx.Tx, revision int64) (*NotificationNote, error) {
		var changed, left int64
		err := tx.QueryRowContext(ctx, `
			WITH hidden AS (SELECT p.kind FROM realtime.preferences p WHERE p.user_id = $2 AND p.owner_id = $1 AND p.channel = 'inApp' AND p.mode = 'off'),
			open AS MATERIALIZED (
				SELECT n.id, n.user_id IS NOT DISTINCT FROM $2 OR n.user_id IS NULL AS mine,
					(n.user_id IS NULL OR n.user_id = $2) AND ($4 = '' OR n.kind = $4) AND ($5::bigint = 0 OR n.news <= $5::bigint)
						AND n.kind NOT IN (SELECT h.kind FROM hidden h) AS chosen
				FROM realtime.notifications n WHERE n.owner_id = $1 AND n.id <= $3 AND `+isUnread+`
			),
			marked AS (
				UPDATE realtime.notifications n SET read_at = now(), read_by = $2, revision = $6 FROM open o WHERE n.id = o.id AND o.chosen RETURNING 1
			)
			SELECT (SELECT count(*) FROM marked), (SELECT count(*) FROM open WHERE NOT chosen)`,
			ownerID, userID, through, kind, shown, revision).Scan(&changed, &left)
		if err != nil || changed == 0 {
			return nil, err
		}
		note := NotificationNote{}
		if left == 0 {
			note.Read = &NotificationRead{ID: through, By: userID}
			err = tx.GetContext(ctx, &note.Read.At, `SELECT now()`)
		}
		return &note, err
	})
	if err != nil {
		return 0, fmt.Errorf("mark notifications of owner %s read: %w", ownerID, err)
	}
	return revision, nil
}

// SeeNotifications notes that a user has seen an account's notifications up to one; where shown is
// not 0, as of that revision. What was seen stays so.
func (s *Store) SeeNotifications(ctx context.Context, ownerID, userID string, through, shown int64) error {
	return s.changeView(ctx, ownerID, `INSERT INTO realtime.notification_views AS v (owner_id, user_id, seen_through)
		SELECT $1, $2, CASE WHEN $4::bigint > 0 THEN least($4::bigint, coalesce((SELECT revision FROM realtime.notification_accounts WHERE owner_id = $1), 0))
			ELSE coalesce((SELECT max(news) FROM realtime.notifications WHERE owner_id = $1 AND (user_id IS NULL OR user_id = $2) AND id <= $3::bigint), 0) END
		ON CONFLICT (owner_id, user_id) DO UPDATE SET seen_through = excluded.seen_through WHERE v.seen_through < excluded.seen_through`,
		ownerID, userID, through, shown)
}

// ClearLists notes up to when a user cleared the two lists of their page; an invalid time takes
// that back.
func (s *Store) ClearLists(ctx context.Context, ownerID, userID string, until sql.NullTime) error {
	return s.changeView(ctx, ownerID, `INSERT INTO realtime.notification_views AS v (owner_id, user_id, cleared_until) VALUES ($1, $2, $3)
		ON CONFLICT (owner_id, user_id) DO UPDATE SET cleared_until = excluded.cleared_until WHERE v.cleared_until IS DISTINCT FROM excluded.cleared_until`,
		ownerID, userID, until)
}

// changeView changes what is a user's own about an account, and has their screens told.
func (s *Store) changeView(ctx context.Context, ownerID, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	_, err := Answer(ctx, s.account, func() (none struct{}, err error) {
		tx, err := beginOwn(ctx, s.pool)
		if err != nil {
			return none, err
		}
		defer tx.Rollback()
		result, err := tx.ExecContext(ctx, statement, args...)
		if err != nil {
			return none, err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return none, err
		}
		if err := noteNotifications(ctx, tx, NotificationNote{Owners: []string{ownerID}}); err != nil {
			return none, err
		}
		return none, tx.Commit()
	})
	if err != nil {
		return fmt.Errorf("note what a user saw of owner %s: %w", ownerID, refusedText(err))
	}
	return nil
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
