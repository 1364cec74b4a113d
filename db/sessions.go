package db

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// Session is what a user began by signing in, and carries on until they sign out or stay
// away for too long.
type Session struct {
	ID     string `db:"id"`
	UserID string `db:"user_id"`
	// how often it has gone on: its newest refresh token names it
	Generation int64     `db:"turn"`
	Expires    time.Time `db:"expires_at"` // with its newest refresh token
}

// maxSessions is how many sessions of a user go on at once.
const maxSessions = 50

// Ticket stands for an access token, once.
type Ticket struct {
	UserID    string    `json:"userId"`
	OwnerID   string    `json:"ownerId"`
	SessionID string    `json:"sessionId"`
	Issued    time.Time `json:"issued"`  // when the token was signed
	Expires   time.Time `json:"expires"` // when the token ends
}

// Sessions keeps the sessions of users, and tickets. Refresh tokens rotate: each names a
// generation of its session and serves once. A second use tells that it was stolen and ends the
// session (RFC 9700, section 4.14.2).
type Sessions struct {
	store *Store
	// of what anybody may ask for without a token; it holds a part of the pool and no more
	guard Breaker

	mu    sync.Mutex // guards what follows
	about survey
	cost  int // the highest bcrypt cost that was seen
}

// NewSessions returns the Sessions in a Store's database.
func NewSessions(s *Store) *Sessions {
	return &Sessions{store: s, guard: NewBreaker("sign-in", max(1, s.pool.Stats().MaxOpenConnections/signInShare))}
}

// hashOf is under what a secret is kept. The secrets have 130 random bits: no salt and no
// slow hash are needed.
func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// transact runs do in a transaction, unless the database is away. What do wrote is kept also when
// it returns ErrSessionEnded.
func (s *Sessions) transact(ctx context.Context, do func(context.Context, *sqlx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	_, err := Answer(ctx, s.guard, func() (none struct{}, err error) {
		tx, err := beginOwn(ctx, s.store.pool)
		if err != nil {
			return none, err
		}
		defer tx.Rollback()
		err = do(ctx, tx)
		if err != nil && !errors.Is(err, ErrSessionEnded) {
			return none, err
		}
		return none, errors.Join(err, tx.Commit())
	})
	return refusedText(err)
}

// Open begins a session of a user, which goes on for a lifetime, and ends those that went on least
// lately where the user has more than there may be. Of one on a new device a user who had sessions
// before is notified.
func (s *Sessions) Open(ctx context.Context, userID string, lifetime time.Duration, newDevice bool) (Session, error) {
	session := Session{ID: rand.Text(), UserID: userID}
	err := s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &session.Expires, `INSERT INTO realtime.sessions (id, user_id, expires_at)
			VALUES ($1, $2, now() + make_interval(secs => $3)) RETURNING expires_at`, session.ID, userID, lifetime.Seconds())
		if err != nil {
			return err
		}
		if newDevice {
			if err := noteSignIn(ctx, tx, session); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, withDevices(`DELETE FROM realtime.sessions WHERE id IN (SELECT id FROM realtime.sessions
			WHERE user_id = $1 AND ended_at IS NULL AND expires_at > now() ORDER BY expires_at DESC, id <> $2 OFFSET $3)`),
			userID, session.ID, maxSessions)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("open a session: %w", err)
	}
	return session, nil
}

// noteSignIn has a user notified of a session, if they had others.
func noteSignIn(ctx context.Context, tx *sqlx.Tx, session Session) error {
	var others bool
	err := tx.GetContext(ctx, &others, `SELECT EXISTS (SELECT FROM realtime.sessions WHERE user_id = $1 AND id <> $2)`, session.UserID, session.ID)
	if err != nil || !others {
		return err
	}
	return noteNotifications(ctx, tx, NotificationNote{SignIn: &NotificationSignIn{UserID: session.UserID, SessionID: session.ID}})
}

// Rotate uses up the generation of a session that its newest refresh token names, and returns the
// session with its next one. ErrSessionEnded says that it has ended. A generation that is not the
// newest ends it. Of two who come at once the second has an old one.
func (s *Sessions) Rotate(ctx context.Context, id string, generation int64, lifetime time.Duration) (session Session, err error) {
	err = s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &session, `UPDATE realtime.sessions SET turn = turn + 1, expires_at = now() + make_interval(secs => $3)
			WHERE id = $1 AND turn = $2 AND ended_at IS NULL AND expires_at > now()
			RETURNING id, user_id, turn, expires_at`, id, generation, lifetime.Seconds())
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := end(ctx, tx, "id", id); err != nil {
			return err
		}
		return ErrSessionEnded
	})
	if err != nil {
		return Session{}, fmt.Errorf("rotate a refresh token: %w", err)
	}
	return session, nil
}

// withDevices is a statement that ends sessions, and has the devices that get their messages
// forgotten with them.
func withDevices(ending string) string {
	return `WITH ended AS (` + ending + ` RETURNING id)
		DELETE FROM realtime.push_subscriptions WHERE session_id IN (SELECT id FROM ended)`
}

// end ends the sessions whose column has a value.
func end(ctx context.Context, tx sqlx.ExecerContext, column, value string) error {
	_, err := tx.ExecContext(ctx, withDevices(`UPDATE realtime.sessions SET ended_at = now(), expires_at = least(expires_at, now())
		WHERE ended_at IS NULL AND `+column+` = $1`), value)
	return err
}

// Find returns a session by its id, or ErrSessionEnded.
func (s *Sessions) Find(ctx context.Context, id string) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var session Session
	err := s.store.getFor(ctx, s.guard, &session, always(`SELECT id, user_id, turn, expires_at FROM realtime.sessions
		WHERE id = $1 AND ended_at IS NULL AND expires_at > now()`), id)
	if errors.Is(err, sql.ErrNoRows) {
		return session, ErrSessionEnded
	}
	if err != nil {
		return session, fmt.Errorf("find a session: %w", err)
	}
	return session, nil
}

// End ends a session: its tokens count no more, and its streams end. One that has ended stays so.
func (s *Sessions) End(ctx context.Context, sessionID string) error {
	err := s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error { return end(ctx, tx, "id", sessionID) })
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// EndAll ends all sessions of a user, and every token of theirs that was signed until now. Devices
// that they added without a session are forgotten too.
func (s *Sessions) EndAll(ctx context.Context, userID string) error {
	err := s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		if err := end(ctx, tx, "user_id", userID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `WITH forgotten AS (DELETE FROM realtime.push_subscriptions WHERE user_id = $1)
			INSERT INTO realtime.revocations (user_id, not_before) VALUES ($1, now())
			ON CONFLICT (user_id) DO UPDATE SET not_before = excluded.not_before`, userID)
		return err
	})
	if err != nil {
		return fmt.Errorf("end all sessions of a user: %w", err)
	}
	return nil
}

// IssueTicket returns a text that RedeemTicket takes once, within a lifetime.
func (s *Sessions) IssueTicket(ctx context.Context, t Ticket, lifetime time.Duration) (ticket string, expires time.Time, err error) {
	ticket = rand.Text()
	viewer, err := json.Marshal(t)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("write a ticket: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	err = s.store.getFor(ctx, s.store.account, &expires, always(`INSERT INTO realtime.tickets (hash, viewer, expires_at)
		VALUES ($1, $2, now() + make_interval(secs => $3)) RETURNING expires_at`), hashOf(ticket), viewer, lifetime.Seconds())
	if err != nil {
		return "", time.Time{}, fmt.Errorf("issue a ticket: %w", err)
	}
	return ticket, expires, nil
}

// RedeemTicket takes a ticket and returns what it stands for, or ErrNotFound when it is
// unknown, too old, or was taken.
func (s *Sessions) RedeemTicket(ctx context.Context, ticket string) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var viewer []byte
	err := s.store.getFor(ctx, s.store.account, &viewer, always(`DELETE FROM realtime.tickets WHERE hash = $1 AND expires_at > now() RETURNING viewer`), hashOf(ticket))
	if errors.Is(err, sql.ErrNoRows) {
		return Ticket{}, ErrNotFound
	}
	var t Ticket
	if err == nil {
		err = json.Unmarshal(viewer, &t)
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("redeem a ticket: %w", err)
	}
	return t, nil
}

// sweptRows is how many rows of each kind one step of Sweep removes at most.
const sweptRows = 2000

// Sweep removes one step of what has served its time: sessions, invitations, tickets and
// counts of failures.
func (s *Sessions) Sweep(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	for _, expired := range []string{
		`realtime.sessions WHERE id IN (SELECT id FROM realtime.sessions WHERE expires_at < now() LIMIT $1)`,
		`realtime.invitations WHERE id IN (SELECT id FROM realtime.invitations WHERE expires_at < now() LIMIT $1)`,
		`realtime.tickets WHERE hash IN (SELECT hash FROM realtime.tickets WHERE expires_at < now() LIMIT $1)`,
		`realtime.failures WHERE hash IN (SELECT hash FROM realtime.failures WHERE until < now() - ` + forgetAfter + ` LIMIT $1)`,
	} {
		result, err := s.store.pool.ExecContext(ctx, `DELETE FROM `+expired, sweptRows)
		if err != nil {
			return false, fmt.Errorf("remove what has served its time: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return false, fmt.Errorf("count what was removed: %w", err)
		}
		more = more || n == sweptRows
	}
	return more, nil
}
