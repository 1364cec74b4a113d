package db

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

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
