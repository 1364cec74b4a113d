package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrConflict says that something is already so, or cannot be changed.
var ErrConflict = errors.New("conflict")

// Member is a user who may see an owner account.
type Member struct {
	UserID string    `db:"user_id"`
	Name   string    `db:"name"`
	Email  string    `db:"email"`
	Role   Role      `db:"role"`
	Since  time.Time `db:"since"` // zero for the account's own user
}

// membersQuery lists the account's own user and the members in the order in which they came. A
// member who is no user of the portal any more is none. Users are found one by one, by their index.
// Parameters: 1 owner; 2 user, "" for all.
const membersQuery = `WITH m AS (
		SELECT o.user_id::text AS user_id, 'owner' AS role, '-infinity'::timestamptz AS since
		FROM {owners} o WHERE o.id {=} $1::text::{ownerType} AND o.user_id IS NOT NULL
		UNION ALL
		SELECT m.user_id, m.role, m.since FROM realtime.members m JOIN {owners} o ON o.id {=} $1::text::{ownerType}
		WHERE m.owner_id = $1::text AND m.user_id IS DISTINCT FROM o.user_id::text)
	SELECT m.user_id, pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)) AS name, coalesce(u.email::text, '') AS email, m.role,
		CASE WHEN isfinite(m.since) THEN m.since ELSE '0001-01-01Z' END AS since
	FROM m LEFT JOIN LATERAL (SELECT * FROM {users} WHERE id {=} {userKey:m.user_id} OFFSET 0) u ON true
	WHERE $2::text IN ('', m.user_id) AND (u.id IS NOT NULL OR NOT isfinite(m.since)) ORDER BY m.since, u.id`

// Members returns who may see an account: its own user first.
func (s *Store) Members(ctx context.Context, ownerID string) ([]Member, error) {
	return s.members(ctx, ownerID, "")
}

func (s *Store) members(ctx context.Context, ownerID, userID string) ([]Member, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	members := []Member{}
	if userID != "" {
		if err := checkText([]any{userID}); err != nil {
			return nil, err
		}
		canonical, err := s.CanonicalUserID(userID)
		if err != nil {
			return members, nil // nobody has such an id
		}
		userID = canonical
	}
	if err := s.listFor(ctx, s.account, &members, func(q *queries) string { return q.members }, ownerID, userID); err != nil {
		return nil, fmt.Errorf("read members of owner %s: %w", ownerID, err)
	}
	return members, nil
}

// Member returns one member of an account, or ErrNotFound.
func (s *Store) Member(ctx context.Context, ownerID, userID string) (Member, error) {
	members, err := s.members(ctx, ownerID, userID)
	if err == nil && len(members) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Member{}, err
	}
	return members[0], nil
}

// actedBy is a condition that is always true, and has what triggers log say which user it was.
const actedBy = `pg_catalog.set_config('realtime.actor', $4, true) IS NOT NULL`

// ChangeMember gives a member who is in the role was another role, because the user by wants it.
// ErrNotFound: there is none such.
func (s *Store) ChangeMember(ctx context.Context, ownerID, userID string, was, role Role, by string) (Member, error) {
	err := s.write(ctx, `UPDATE realtime.members SET role = $5 WHERE owner_id = $1 AND user_id = $2 AND role = $3 AND `+actedBy,
		ownerID, userID, was, by, role)
	if err != nil {
		return Member{}, fmt.Errorf("change a member of owner %s: %w", ownerID, err)
	}
	return s.Member(ctx, ownerID, userID)
}

// RemoveMember takes a member who is in the role was out of an account, and the invitations that
// they sent, because the user by wants it. ErrNotFound: there is none such.
func (s *Store) RemoveMember(ctx context.Context, ownerID, userID string, was Role, by string) error {
	err := s.write(ctx, `WITH void AS (DELETE FROM realtime.invitations WHERE owner_id = $1 AND invited_by = $2
			AND EXISTS (SELECT FROM realtime.members WHERE owner_id = $1 AND user_id = $2 AND role = $3))
		DELETE FROM realtime.members WHERE owner_id = $1 AND user_id = $2 AND role = $3 AND `+actedBy, ownerID, userID, was, by)
	if err != nil {
		return fmt.Errorf("remove a member of owner %s: %w", ownerID, err)
	}
	return nil
}

// write changes one row, unless the database is away; ErrNotFound when there is none.
func (s *Store) write(ctx context.Context, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if err := checkText(args); err != nil {
		return err
	}
	result, err := Answer(ctx, s.account, func() (sql.Result, error) { return s.pool.ExecContext(ctx, statement, args...) })
	if err != nil {
		return refusedText(err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrNotFound)
	}
	return nil
}
