package db

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// CountDifference is a count of notifications that is kept, and what it should be.
type CountDifference struct {
	UserID        string `db:"user_id"` // "" for the account's
	Kind          string `db:"kind"`
	Kept          int64  `db:"kept"`
	KeptUnread    int64  `db:"kept_unread"`
	Counted       int64  `db:"counted"`
	CountedUnread int64  `db:"counted_unread"`
}

// String says what differs. Whose it is is left out.
func (d CountDifference) String() string {
	return fmt.Sprintf("%s: kept %d, %d unread; counted %d, %d unread", d.Kind, d.Kept, d.KeptUnread, d.Counted, d.CountedUnread)
}

// countDifferencesQuery compares what is kept of an account's counts with its notifications, in one
// snapshot: each writer changes both in one transaction. Parameter: 1 the account.
const countDifferencesQuery = `
SELECT coalesce(k.user_id, c.user_id) AS user_id, coalesce(k.kind, c.kind) AS kind, coalesce(k.total, 0) AS kept, coalesce(k.unread, 0) AS kept_unread,
	coalesce(c.total, 0) AS counted, coalesce(c.unread, 0) AS counted_unread
FROM (SELECT user_id, kind, total, unread FROM realtime.notification_counts WHERE owner_id = $1) k
FULL JOIN (SELECT coalesce(n.user_id, '') AS user_id, n.kind, count(*) AS total, count(*) FILTER (WHERE ` + isUnread + `) AS unread
	FROM realtime.notifications n WHERE n.owner_id = $1 GROUP BY 1, 2) c ON c.user_id = k.user_id AND c.kind = k.kind
WHERE coalesce(k.total, 0) <> coalesce(c.total, 0) OR coalesce(k.unread, 0) <> coalesce(c.unread, 0)
ORDER BY 1, 2`

// mendCountsQuery adds to counts what they lack. What others add meanwhile is left in. Parameters:
// 1 the account; 2 to 5 users, kinds, and what their counts lack.
const mendCountsQuery = `INSERT INTO realtime.notification_counts AS c (owner_id, user_id, kind, total, unread)
	SELECT $1, * FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::int[]), pg_catalog.unnest($5::int[])) AS lacks
	ON CONFLICT (owner_id, user_id, kind) DO UPDATE SET total = c.total + excluded.total, unread = c.unread + excluded.unread`

// NextCounted returns the account after one of whose notifications counts are kept, "" after the
// last.
func (n *Notices) NextCounted(ctx context.Context, after string) (ownerID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	err = n.store.pool.GetContext(ctx, &ownerID, `SELECT coalesce(least(
		(SELECT min(owner_id) FROM realtime.notification_accounts WHERE owner_id > $1), (SELECT min(owner_id) FROM realtime.notification_counts WHERE owner_id > $1)), '')`, after)
	if err != nil {
		return "", fmt.Errorf("read whose notifications are counted: %w", Explain(err))
	}
	return ownerID, nil
}

// Recount compares the counts that are kept of an account with its notifications. It returns what
// differed, and has put that right: the account's screens are told.
func (n *Notices) Recount(ctx context.Context, ownerID string) (found []CountDifference, err error) {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	if err = n.store.pool.SelectContext(ctx, &found, countDifferencesQuery, ownerID); err == nil && len(found) > 0 {
		found, err = n.mendCounts(ctx, ownerID)
	}
	if err != nil {
		return nil, fmt.Errorf("count the notifications of owner %s: %w", ownerID, Explain(err))
	}
	return found, nil
}

// mendCounts puts counts right. Of two servers that do so at a time the second finds nothing: the
// first has the lock of the account.
func (n *Notices) mendCounts(ctx context.Context, ownerID string) (found []CountDifference, err error) {
	tx, err := beginOwn(ctx, n.store.pool)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	if _, err := nextRevisions(ctx, tx, []string{ownerID}); err != nil {
		return nil, err
	}
	if err := tx.SelectContext(ctx, &found, countDifferencesQuery, ownerID); err != nil || len(found) == 0 {
		return nil, err
	}
	if err := addLacking(ctx, tx, ownerID, found); err != nil {
		return nil, err
	}
	if err := noteNotifications(ctx, tx, NotificationNote{Owners: []string{ownerID}}); err != nil {
		return nil, err
	}
	return found, tx.Commit()
}

func addLacking(ctx context.Context, tx *sqlx.Tx, ownerID string, found []CountDifference) error {
	var users, kinds []string
	var totals, unread []int64
	for _, d := range found {
		users, kinds = append(users, d.UserID), append(kinds, d.Kind)
		totals, unread = append(totals, d.Counted-d.Kept), append(unread, d.CountedUnread-d.KeptUnread)
	}
	_, err := tx.ExecContext(ctx, mendCountsQuery, ownerID, pq.Array(users), pq.Array(kinds), pq.Array(totals), pq.Array(unread))
	if err == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM realtime.notification_counts WHERE owner_id = $1 AND total = 0 AND unread = 0`, ownerID)
	}
	return err
}
