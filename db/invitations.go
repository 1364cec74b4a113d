package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// maxInvitations is how many invitations of an account may be open at once; a few more when
	// they come at the same time.
	maxInvitations = 100
	// invitationLife is how long an invitation may be accepted, as an SQL interval.
	invitationLife = `interval '14 days'`
)

// ErrTooMany says that there are as many of something as there may be.
var ErrTooMany = errors.New("there are as many as there may be")

// Invitation asks a user to see an owner account. It is whose e-mail address it names
// when it is read.
type Invitation struct {
	ID            string    `db:"id"`
	OwnerID       string    `db:"owner_id"`
	CompanyName   string    `db:"company_name"`
	Email         string    `db:"email"`
	Role          Role      `db:"role"`
	InvitedBy     string    `db:"invited_by"` // a user's id
	InvitedByName string    `db:"invited_by_name"`
	CreatedAt     time.Time `db:"created_at"`
	ExpiresAt     time.Time `db:"expires_at"`
}

// invitationColumns are those of an Invitation i to the account o, with who invited, u: found one
// by one, by their indexes.
const invitationColumns = `SELECT i.id, i.owner_id, coalesce(o.company_name::text, '') AS company_name, i.email, i.role, i.invited_by,
		coalesce(pg_catalog.btrim(pg_catalog.concat_ws(' ', u.first_name, u.last_name)), '') AS invited_by_name, i.created_at, i.expires_at
	FROM realtime.invitations i JOIN LATERAL (SELECT * FROM {owners} WHERE id {=} {ownerKey:i.owner_id} OFFSET 0) o ON true
		LEFT JOIN LATERAL (SELECT * FROM {users} WHERE id {=} {userKey:i.invited_by} OFFSET 0) u ON true`

// invitationsQuery lists the open invitations of an account. Parameter: 1 owner.
const invitationsQuery = invitationColumns + `
	WHERE i.owner_id = $1::text AND i.expires_at > now() ORDER BY i.created_at DESC, i.id`

// addressedCondition is true for an open invitation that a user may accept: it names their address,
// who sent it may still give the role, and it is worth something. Parameter: 1 user.
const addressedCondition = `i.expires_at > now()
		AND pg_catalog.lower(i.email COLLATE "C") = (SELECT pg_catalog.lower(pg_catalog.btrim(email::text) COLLATE "C") FROM {users} WHERE id {=} {userKey:$1::text} AND pg_catalog.btrim(email::text) <> '')
		AND o.user_id::text IS DISTINCT FROM $1::text
		AND (o.user_id {=} {ownerUserKey:i.invited_by} OR u.id IS NOT NULL AND EXISTS (SELECT FROM realtime.members s
			WHERE s.owner_id = i.owner_id AND s.user_id = i.invited_by AND (s.role = 'owner' OR s.role = 'manager' AND i.role = 'viewer')))`

// addressedQuery lists what a user may accept, the 50 newest, the newest first. Parameter: 1 user.
const addressedQuery = invitationColumns + ` WHERE ` + addressedCondition + `
	ORDER BY i.created_at DESC, i.id LIMIT 50`

// addressedOneQuery finds one of them, whichever number it has in the list, and locks it.
// Parameters: 1 user, 2 invitation.
const addressedOneQuery = invitationColumns + ` WHERE ` + addressedCondition + ` AND i.id = $2 FOR UPDATE OF i`

// Invitations returns the open invitations of an account, the newest first.
func (s *Store) Invitations(ctx context.Context, ownerID string) ([]Invitation, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	list := []Invitation{}
	if err := s.listFor(ctx, s.account, &list, func(q *queries) string { return q.invitations }, ownerID); err != nil {
		return nil, fmt.Errorf("read invitations of owner %s: %w", ownerID, err)
	}
	return list, nil
}

// Addressed returns the invitations that a user may accept, the newest first.
func (s *Store) Addressed(ctx context.Context, userID string) ([]Invitation, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	list := []Invitation{}
	if err := s.listFor(ctx, s.account, &list, func(q *queries) string { return q.addressed }, userID); err != nil {
		return nil, fmt.Errorf("read a user's invitations: %w", err)
	}
	return list, nil
}

// replaceable is true for an invitation i that the one who invites, an owner if $5, may replace.
const replaceable = `($5 OR i.role = 'viewer' OR i.expires_at <= now())`

// Invite asks whose address it is to see an account in a role, for 14 days. Who is asked again has
// the newer role, unless the older is one that only owners give and the newer is not an owner's. It
// is ErrTooMany when too many are open.
func (s *Store) Invite(ctx context.Context, ownerID, email string, role Role, by string, byOwner bool) error {
	err := s.write(ctx, `INSERT INTO realtime.invitations AS i (owner_id, email, role, invited_by, expires_at)
		SELECT $1::text, $2::text, $3::text, $4::text, now() + `+invitationLife+`
		WHERE (SELECT count(*) FROM realtime.invitations WHERE owner_id = $1::text AND expires_at > now()
			AND pg_catalog.lower(email COLLATE "C") <> pg_catalog.lower($2::text COLLATE "C")) < $6
		ON CONFLICT (owner_id, pg_catalog.lower(email COLLATE "C")) DO UPDATE SET
			role = CASE WHEN `+replaceable+` THEN excluded.role ELSE i.role END,
			invited_by = CASE WHEN `+replaceable+` THEN excluded.invited_by ELSE i.invited_by END,
			created_at = CASE WHEN `+replaceable+` THEN now() ELSE i.created_at END,
			expires_at = CASE WHEN `+replaceable+` THEN excluded.expires_at ELSE i.expires_at END`,
		ownerID, email, role, by, byOwner, maxInvitations)
	if errors.Is(err, ErrNotFound) {
		return ErrTooMany
	}
	if err != nil {
		return fmt.Errorf("invite to owner %s: %w", ownerID, err)
	}
	return s.noteInvitations(ctx)
}

// noteInvitations has it looked who is to be told of invitations. Should it fail, that comes within
// the hour.
func (s *Store) noteInvitations(ctx context.Context) error {
	return s.Note(ctx, NotificationNote{Invitations: true})
}

// Invitation returns an open invitation of an account, or ErrNotFound.
func (s *Store) Invitation(ctx context.Context, ownerID, id string) (Invitation, error) {
	list, err := s.Invitations(ctx, ownerID)
	if err != nil {
		return Invitation{}, err
	}
	for _, i := range list {
		if i.ID == id {
			return i, nil
		}
	}
	return Invitation{}, ErrNotFound
}

// Withdraw takes an invitation to a role back. ErrNotFound: there is none such, or it was answered.
func (s *Store) Withdraw(ctx context.Context, ownerID, id string, was Role) error {
	err := s.write(ctx, `DELETE FROM realtime.invitations WHERE owner_id = $1 AND id = $2 AND role = $3`, ownerID, id, was)
	if err != nil {
		return fmt.Errorf("withdraw an invitation of owner %s: %w", ownerID, err)
	}
	return s.noteInvitations(ctx)
}

// Accept makes a user a member by an invitation that names their address, and returns the
// account. A member keeps the higher role. ErrNotFound: it is not theirs, was answered or
// withdrawn, or has ended.
func (s *Store) Accept(ctx context.Context, userID, id string) (account Account, err error) {
	err = s.answer(ctx, userID, id, func(ctx context.Context, tx *sqlx.Tx, i Invitation) error {
		account = Account{OwnerID: i.OwnerID, CompanyName: i.CompanyName}
		if _, err := tx.ExecContext(ctx, `SELECT pg_catalog.set_config('realtime.actor', $1, true)`, userID); err != nil {
			return err
		}
		return tx.GetContext(ctx, &account.Role, `INSERT INTO realtime.members AS m (owner_id, user_id, role) VALUES ($1, $2, $3)
			ON CONFLICT (owner_id, user_id) DO UPDATE SET role = CASE
				WHEN 'owner' IN (m.role, excluded.role) THEN 'owner'
				WHEN 'manager' IN (m.role, excluded.role) THEN 'manager' ELSE 'viewer' END
			RETURNING role`, i.OwnerID, userID, i.Role)
	})
	return account, err
}

// Decline answers an invitation that names the user's address by no. Its errors are those
// of Accept.
func (s *Store) Decline(ctx context.Context, userID, id string) error {
	return s.answer(ctx, userID, id, func(context.Context, *sqlx.Tx, Invitation) error { return nil })
}

// answer uses an invitation up and does what the user wants. Of those who answer or withdraw it at
// once one comes first, and the others find none.
func (s *Store) answer(ctx context.Context, userID, id string, do func(context.Context, *sqlx.Tx, Invitation) error) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	if err := checkText([]any{userID, id}); err != nil {
		return err
	}
	_, err := Answer(ctx, s.account, func() (none struct{}, err error) {
		tx, err := beginOwn(ctx, s.pool)
		if err != nil {
			return none, err
		}
		defer tx.Rollback()
		var i Invitation
		err = tx.GetContext(ctx, &i, s.now.Load().sql.addressedOne, userID, id)
		if errors.Is(err, sql.ErrNoRows) {
			return none, ErrNotFound
		}
		if err != nil {
			return none, err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM realtime.invitations WHERE id = $1`, i.ID); err != nil {
			return none, err
		}
		if err := do(ctx, tx, i); err != nil {
			return none, err
		}
		if err := noteNotifications(ctx, tx, NotificationNote{Invitations: true}); err != nil {
			return none, err
		}
		return none, tx.Commit()
	})
	if err != nil {
		return fmt.Errorf("answer an invitation: %w", refusedText(err))
	}
	return nil
}
