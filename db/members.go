package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"
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

// membersQuery lists the account's own user and the members in the order in which they came. Parameters: 1 owner; 2 user, ""
// for all.
const membersQuery = `WITH m AS (
		SELECT o.user_id::text AS user_id, 'owner' AS role, '-infinity'::timestamptz AS since
		FROM {owners} o WHERE o.id = $1::text::{ownerType}
		UNION ALL
		SELECT m.user_id, m.role, m.since FROM realtime.members m JOIN {owners} o ON o.id = $1::text::{ownerType}
		WHERE m.owner_id = $1::text AND m.user_id IS DISTINCT FROM o.user_id::text)
	SELECT m.user_id, btrim(concat_ws(' ', u.first_name, u.last_name)) AS name, coalesce(u.email::text, '') AS email, m.role,
		CASE WHEN isfinite(m.since) THEN m.since ELSE '0001-01-01Z' END AS since
	FROM m JOIN {users} u ON u.id::text = m.user_id WHERE $2::text IN ('', m.user_id) ORDER BY m.since, u.id`

// Members returns who may see an account: its own user first.
func (s *Store) Members(ctx context.Context, ownerID string) ([]Member, error) {
	return s.members(ctx, ownerID, "")
}

func (s *Store) members(ctx context.Context, ownerID, userID string) ([]Member, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	members := []Member{}
	if err := s.list(ctx, &members, s.sql.members, ownerID, userID); err != nil {
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

// AddMember makes the user with an e-mail address a member of an account. ErrNotFound: nobody has that address; ErrConflict:
// he is a member already.
func (s *Store) AddMember(ctx context.Context, ownerID, email string, role Role) (Member, error) {
	credentials, err := s.Credentials(ctx, email)
	switch {
	case err != nil:
		return Member{}, err
	case credentials.ID == "":
		return Member{}, ErrNotFound
	}
	switch _, err := s.Member(ctx, ownerID, credentials.ID); {
	case err == nil:
		return Member{}, ErrConflict
	case !errors.Is(err, ErrNotFound):
		return Member{}, err
	}
	err = s.write(ctx, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, $3)`, ownerID, credentials.ID, role)
	var pqErr *pq.Error
	if errors.As(err, &pqErr) && pqErr.Code.Name() == "unique_violation" {
		return Member{}, ErrConflict
	}
	if err != nil {
		return Member{}, fmt.Errorf("add a member to owner %s: %w", ownerID, err)
	}
	return s.Member(ctx, ownerID, credentials.ID)
}

// ChangeMember gives a member who is in the role was another role. ErrNotFound: there is none such.
func (s *Store) ChangeMember(ctx context.Context, ownerID, userID string, was, role Role) (Member, error) {
	err := s.write(ctx, `UPDATE realtime.members SET role = $4 WHERE owner_id = $1 AND user_id = $2 AND role = $3`,
		ownerID, userID, was, role)
	if err != nil {
		return Member{}, fmt.Errorf("change a member of owner %s: %w", ownerID, err)
	}
	return s.Member(ctx, ownerID, userID)
}

// RemoveMember takes a member who is in the role was out of an account. ErrNotFound: there is none such.
func (s *Store) RemoveMember(ctx context.Context, ownerID, userID string, was Role) error {
	err := s.write(ctx, `DELETE FROM realtime.members WHERE owner_id = $1 AND user_id = $2 AND role = $3`, ownerID, userID, was)
	if err != nil {
		return fmt.Errorf("remove a member of owner %s: %w", ownerID, err)
	}
	return nil
}

// write changes one row, unless the database is away; ErrNotFound when there is none.
func (s *Store) write(ctx context.Context, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	result, err := answerTo(ctx, s.guard, func() (sql.Result, error) { return s.pool.ExecContext(ctx, statement, args...) })
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrNotFound)
	}
	return nil
}
