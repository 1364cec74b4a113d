package db

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Session is what a user began by signing in, and carries on until he signs out or stays away for too long.
type Session struct {
	ID      string    `db:"id"`
	UserID  string    `db:"user_id"`
	Expires time.Time `db:"expires_at"` // with its newest refresh token
}

// Ticket stands for an access token, once.
type Ticket struct {
	UserID    string    `json:"userId"`
	OwnerID   string    `json:"ownerId"`
	SessionID string    `json:"sessionId"`
	Issued    time.Time `json:"issued"`  // when the token was signed
	Expires   time.Time `json:"expires"` // when the token ends
}

// Sessions keeps the sessions of users, refresh tokens and tickets. Refresh tokens rotate: each serves once, and a second
// use tells that it was stolen and ends the session (RFC 9700, section 4.14.2).
type Sessions struct {
	store *Store
}

// NewSessions returns the Sessions in a Store's database.
func NewSessions(s *Store) *Sessions { return &Sessions{s} }

// hashOf is under what a secret is kept. The secrets have 130 random bits: no salt and no slow hash are needed.
func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// transact runs do in a transaction, unless the database is away. What do wrote is kept also when it returns ErrSessionEnded.
func (s *Sessions) transact(ctx context.Context, do func(context.Context, *sqlx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	_, err := answerTo(ctx, s.store.guard, func() (none struct{}, err error) {
		tx, err := s.store.pool.BeginTxx(ctx, nil)
		if err != nil {
			return none, fmt.Errorf("begin: %w", err)
		}
		defer tx.Rollback()
		err = do(ctx, tx)
		if err != nil && !errors.Is(err, ErrSessionEnded) {
			return none, err
		}
		return none, errors.Join(err, tx.Commit())
	})
	return err
}

// Open begins a session of a user and returns it with its first refresh token, which serves for a lifetime.
func (s *Sessions) Open(ctx context.Context, userID string, lifetime time.Duration) (Session, string, error) {
	session, token := Session{ID: rand.Text(), UserID: userID}, rand.Text()
	err := s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &session.Expires, `INSERT INTO realtime.sessions (id, user_id, expires_at)
			VALUES ($1, $2, now() + make_interval(secs => $3)) RETURNING expires_at`, session.ID, userID, lifetime.Seconds())
		if err != nil {
			return err
		}
		return keepToken(ctx, tx, token, session)
	})
	if err != nil {
		return Session{}, "", fmt.Errorf("open a session: %w", err)
	}
	return session, token, nil
}

func keepToken(ctx context.Context, tx *sqlx.Tx, token string, session Session) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO realtime.refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)`,
		hashOf(token), session.ID, session.Expires)
	return err
}

// Rotate takes a refresh token and returns its session with the next one. ErrSessionEnded says that the token is unknown or
// too old, or that its session has ended; a token that was used before ends it.
func (s *Sessions) Rotate(ctx context.Context, token string, lifetime time.Duration) (session Session, next string, err error) {
	next = rand.Text()
	err = s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		session, err = take(ctx, tx, token)
		if err != nil {
			return err
		}
		err = tx.GetContext(ctx, &session, `UPDATE realtime.sessions SET expires_at = now() + make_interval(secs => $2)
			WHERE id = $1 AND ended_at IS NULL RETURNING id, user_id, expires_at`, session.ID, lifetime.Seconds())
		if errors.Is(err, sql.ErrNoRows) {
			return ErrSessionEnded
		}
		if err != nil {
			return err
		}
		return keepToken(ctx, tx, next, session)
	})
	if err != nil {
		return Session{}, "", fmt.Errorf("rotate a refresh token: %w", err)
	}
	return session, next, nil
}

// take uses a refresh token up. Two who bring it at once wait for each other, and the second has used it again.
func take(ctx context.Context, tx *sqlx.Tx, token string) (Session, error) {
	var row struct {
		Session
		Used bool `db:"used"`
		Live bool `db:"live"`
	}
	err := tx.GetContext(ctx, &row, `SELECT s.id, s.user_id, s.expires_at, t.used_at IS NOT NULL AS used,
			s.ended_at IS NULL AND t.expires_at > now() AS live
		FROM realtime.refresh_tokens t JOIN realtime.sessions s ON s.id = t.session_id WHERE t.hash = $1 FOR UPDATE OF t`, hashOf(token))
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && !row.Live:
		return Session{}, ErrSessionEnded
	case err != nil:
		return Session{}, err
	case row.Used:
		if err := end(ctx, tx, "id", row.ID); err != nil {
			return Session{}, err
		}
		return Session{}, ErrSessionEnded
	}
	_, err = tx.ExecContext(ctx, `UPDATE realtime.refresh_tokens SET used_at = now() WHERE hash = $1`, hashOf(token))
	return row.Session, err
}

// end ends the sessions whose column has a value.
func end(ctx context.Context, tx sqlx.ExecerContext, column, value string) error {
	_, err := tx.ExecContext(ctx, `UPDATE realtime.sessions SET ended_at = now() WHERE ended_at IS NULL AND `+column+` = $1`, value)
	return err
}

// Find returns the session that a refresh token belongs to, whether the token was used or not, or ErrSessionEnded.
func (s *Sessions) Find(ctx context.Context, token string) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var session Session
	err := s.store.get(ctx, &session, `SELECT s.id, s.user_id, s.expires_at FROM realtime.sessions s
		JOIN realtime.refresh_tokens t ON t.session_id = s.id
		WHERE t.hash = $1 AND s.ended_at IS NULL AND s.expires_at > now()`, hashOf(token))
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

// EndAll ends all sessions of a user, and every token of his that was signed until now.
func (s *Sessions) EndAll(ctx context.Context, userID string) error {
	err := s.transact(ctx, func(ctx context.Context, tx *sqlx.Tx) error {
		if err := end(ctx, tx, "user_id", userID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO realtime.revocations (user_id, not_before) VALUES ($1, now())
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
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	err = s.store.get(ctx, &expires, `INSERT INTO realtime.tickets (hash, viewer, expires_at)
		VALUES ($1, $2, now() + make_interval(secs => $3)) RETURNING expires_at`, hashOf(ticket), viewer, lifetime.Seconds())
	if err != nil {
		return "", time.Time{}, fmt.Errorf("issue a ticket: %w", err)
	}
	return ticket, expires, nil
}

// RedeemTicket takes a ticket and returns what it stands for, or ErrNotFound when it is unknown, too old, or was taken.
func (s *Sessions) RedeemTicket(ctx context.Context, ticket string) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var viewer []byte
	err := s.store.get(ctx, &viewer, `DELETE FROM realtime.tickets WHERE hash = $1 AND expires_at > now() RETURNING viewer`, hashOf(ticket))
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

// Sweep removes one step of what has served its time: sessions, refresh tokens, tickets and counts of failures.
func (s *Sessions) Sweep(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	for _, expired := range []string{
		// Refresh tokens go with their session; one that was used is kept until it would have ended, to be recognised.
		`realtime.sessions WHERE id IN (SELECT id FROM realtime.sessions WHERE expires_at < now() LIMIT $1)`,
		`realtime.refresh_tokens WHERE hash IN (SELECT hash FROM realtime.refresh_tokens WHERE expires_at < now() LIMIT $1)`,
		`realtime.tickets WHERE hash IN (SELECT hash FROM realtime.tickets WHERE expires_at < now() LIMIT $1)`,
		`realtime.failures WHERE hash IN (SELECT hash FROM realtime.failures WHERE until < now() - ` + forgetAfter + ` LIMIT $1)`,
	} {
		result, err := s.store.pool.ExecContext(ctx, `DELETE FROM `+expired, retentionStep)
		if err != nil {
			return false, fmt.Errorf("remove what has served its time: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return false, fmt.Errorf("count what was removed: %w", err)
		}
		more = more || n == retentionStep
	}
	return more, nil
}
