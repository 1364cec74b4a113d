package db

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrSessionEnded says that a user signed out of the session, or of all sessions, that a token belongs to.
var ErrSessionEnded = errors.New("the session has ended")

// Role is what a user may do in an owner account; the empty Role is nothing.
type Role string

// Roles, each of which may all that the next one may. A viewer sees the business; a manager also adds and removes viewers;
// an owner decides about everybody.
const (
	RoleOwner   Role = "owner"
	RoleManager Role = "manager"
	RoleViewer  Role = "viewer"
)

// Caller is who asks for something, by which token.
type Caller struct {
	UserID    string
	SessionID string    // of the session that the token belongs to; "" for one that was signed elsewhere
	Issued    time.Time // when a token without a session was signed
}

// accountQueries are the questions about who may do what. They end with the parameters of endedCondition.
const (
	// endedCondition is true for a caller whose session has ended. Parameters: 2 user, 3 session, 4 when the token was issued.
	endedCondition = `CASE WHEN $3::text <> '' THEN NOT EXISTS (SELECT FROM realtime.sessions
			WHERE id = $3::text AND user_id = $2::text AND ended_at IS NULL AND expires_at > now())
		ELSE EXISTS (SELECT FROM realtime.revocations WHERE user_id = $2::text AND not_before > $4::timestamptz) END`

	accessQuery = `SELECT coalesce((
			SELECT CASE WHEN o.user_id::text = $2::text THEN 'owner' ELSE m.role END
			FROM {owners} o LEFT JOIN realtime.members m ON m.owner_id = $1::text AND m.user_id = $2::text
			WHERE o.id = $1::text::{ownerType}), '') AS role, ` + endedCondition + ` AS ended`

	accountsQuery = `SELECT o.id::text AS owner_id, coalesce(o.company_name::text, '') AS company_name,
			CASE WHEN o.user_id::text = $1 THEN 'owner' ELSE m.role END AS role
		FROM {owners} o LEFT JOIN realtime.members m ON m.owner_id = o.id::text AND m.user_id = $1
		WHERE o.user_id::text = $1 OR o.id IN (SELECT owner_id::{ownerType} FROM realtime.members WHERE user_id = $1)
		ORDER BY o.id`
)

// Access returns what a caller may do in an owner account, nothing in one that does not exist, or ErrSessionEnded.
func (s *Store) Access(ctx context.Context, c Caller, ownerID string) (Role, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var row struct {
		Role  Role
		Ended bool
	}
	if err := s.get(ctx, &row, s.sql.access, ownerID, c.UserID, c.SessionID, c.Issued); err != nil {
		return "", fmt.Errorf("check access to owner %s: %w", ownerID, err)
	}
	if row.Ended {
		return "", ErrSessionEnded
	}
	return row.Role, nil
}

// SignedIn returns ErrSessionEnded when a caller's session has ended.
func (s *Store) SignedIn(ctx context.Context, c Caller) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var ended bool
	if err := s.get(ctx, &ended, `SELECT $1::text IS NULL OR `+endedCondition, "", c.UserID, c.SessionID, c.Issued); err != nil {
		return fmt.Errorf("check a session: %w", err)
	}
	if ended {
		return ErrSessionEnded
	}
	return nil
}

// Accounts returns the owner accounts that a user may see, with what he may do there.
func (s *Store) Accounts(ctx context.Context, userID string) ([]Account, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	accounts := []Account{}
	if err := s.list(ctx, &accounts, s.sql.accounts, userID); err != nil {
		return nil, fmt.Errorf("read accounts of user: %w", err)
	}
	return accounts, nil
}
