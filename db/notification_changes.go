package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

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
	until.Time = finite(until.Time)
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
