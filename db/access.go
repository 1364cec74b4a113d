package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrSessionEnded says that a user signed out of the session, or of all sessions, that a
// token belongs to.
var ErrSessionEnded = errors.New("the session has ended")

// Role is what a user may do in an owner account; the empty Role is nothing.
type Role string

// Roles, each of which may all that the next one may. A viewer sees the business; a manager also
// adds and removes viewers; an owner decides about everybody.
const (
	RoleOwner   Role = "owner"
	RoleManager Role = "manager"
	RoleViewer  Role = "viewer"
)

// Caller is who asks for something, by which token.
type Caller struct {
	UserID string
	// of the session that the token belongs to; "" for one that was signed elsewhere
	SessionID string
	Issued    time.Time // when a token without a session was signed; zero where it does not say
}

// accountQueries are the questions about who may do what. They end with the parameters of
// endedCondition.
const (
	// endedCondition is true for a caller whose session has ended. A token that belongs
	// to none has ended when it may have been signed before its user signed out of all:
	// by a clock that is a minute ahead, or at a time that it does not say. Parameters: 2
	// user, 3 session, 4 when the token was issued.
	endedCondition = `CASE WHEN $3::text <> '' THEN NOT EXISTS (SELECT FROM realtime.sessions
			WHERE id = $3::text AND user_id = $2::text AND ended_at IS NULL AND expires_at > now())
		ELSE EXISTS (SELECT FROM realtime.revocations WHERE user_id = $2::text AND not_before > $4::timestamptz - interval '60 s') END`

	// accessQuery asks for a role. Who is no user of the portal any more is no member either.
	accessQuery = `SELECT coalesce((
			SELECT CASE WHEN o.user_id {=} {ownerUserKey:$2::text} THEN 'owner' ELSE (
				SELECT m.role FROM realtime.members m WHERE m.owner_id = $1::text AND m.user_id = $2::text
					AND EXISTS (SELECT FROM {users} u WHERE u.id {=} {userKey:$2::text})) END
			FROM {owners} o WHERE o.id {=} $1::text::{ownerType}), '') AS role, ` + endedCondition + ` AS ended`

	// accountsQuery lists a user's own accounts, then those that were shared with them, found one
	// by one, by their index: OFFSET has them not joined at once. Parameter: 1 user.
	accountsQuery = `SELECT owner_id, company_name, role, own FROM (
			SELECT o.id, o.id::text AS owner_id, coalesce(o.company_name::text, '') AS company_name, 'owner' AS role, true AS own
			FROM {owners} o WHERE o.user_id {=} {ownerUserKey:$1::text}
			UNION ALL
			SELECT o.id, o.id::text, coalesce(o.company_name::text, ''), m.role, false
			FROM realtime.members m JOIN LATERAL (SELECT * FROM {owners} WHERE id {=} {ownerKey:m.owner_id} OFFSET 0) o ON true
			WHERE m.user_id = $1::text AND o.user_id::text IS DISTINCT FROM $1::text
				AND EXISTS (SELECT FROM {users} u WHERE u.id {=} {userKey:$1::text})) a
		ORDER BY own DESC, id`
)

// Access returns what a caller may do in an owner account, nothing in one that does not
// exist, or ErrSessionEnded.
func (s *Store) Access(ctx context.Context, c Caller, ownerID string) (Role, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	answer, err := s.access.Load(ctx, accessKey{c, ownerID})
	if err = cmp.Or(err, answer.err); err != nil {
		return "", fmt.Errorf("check access to owner %s: %w", ownerID, err)
	}
	if answer.Ended {
		return "", ErrSessionEnded
	}
	return answer.Role, nil
}

// SignedIn returns ErrSessionEnded when a caller's session has ended.
func (s *Store) SignedIn(ctx context.Context, c Caller) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var ended bool
	if err := s.get(ctx, &ended, always(`SELECT $1::text IS NULL OR `+endedCondition), "", c.UserID, c.SessionID, c.Issued); err != nil {
		return fmt.Errorf("check a session: %w", err)
	}
	if ended {
		return ErrSessionEnded
	}
	return nil
}

// Accounts returns the owner accounts that a user may see, with what they may do there:
// first their own.
func (s *Store) Accounts(ctx context.Context, userID string) ([]Account, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	answer, err := s.accounts.Load(ctx, userID)
	if err = cmp.Or(err, answer.err); err != nil {
		return nil, fmt.Errorf("read accounts of user: %w", err)
	}
	return append([]Account{}, answer.accounts...), nil // others may have the same answer
}
