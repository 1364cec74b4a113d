package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/lib/pq"
)

// pruneQuery chooses what is removed in one step: first what is too old, then the oldest of
// accounts that have too many, of which the counts tell. Parameters: 1 how many, 2 how many an
// account keeps.
const pruneQuery = `
SELECT id FROM (
	(SELECT id FROM realtime.notifications WHERE expires_at < now() ORDER BY expires_at LIMIT $1)
	UNION
	(SELECT o.id FROM (SELECT owner_id, sum(total) - $2 AS above FROM realtime.notification_counts GROUP BY owner_id HAVING sum(total) > $2) a CROSS JOIN LATERAL (
		SELECT n.id FROM realtime.notifications n WHERE n.owner_id = a.owner_id ORDER BY n.created_at, n.id LIMIT least(a.above, $1)) o LIMIT $1)) old LIMIT $1`

// Prune removes notifications that are too old, and the oldest of accounts that have too many, a
// step at a time. Clients of those accounts read their lists again.
func (n *Notices) Prune(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	var ids []int64
	err = n.store.pool.SelectContext(ctx, &ids, pruneQuery, pruneStep, keptNotifications)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	tx, err := beginOwn(ctx, n.store.pool)
	if err != nil {
		return false, fmt.Errorf("remove old notifications: %w", Explain(err))
	}
	defer tx.Rollback()
	var owners []string
	if err = tx.SelectContext(ctx, &owners, `SELECT DISTINCT owner_id FROM realtime.notifications WHERE id = ANY ($1::bigint[])`, pq.Array(ids)); err == nil {
		slices.Sort(owners)
		if _, err = nextRevisions(ctx, tx, owners); err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE realtime.notification_accounts SET floor = revision WHERE owner_id = ANY ($1::text[])`, pq.Array(owners))
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `DELETE FROM realtime.notifications WHERE id = ANY ($1::bigint[])`, pq.Array(ids))
	}
	if err == nil {
		err = noteNotifications(ctx, tx, NotificationNote{Owners: owners})
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return false, fmt.Errorf("remove old notifications: %w", Explain(err))
	}
	return len(ids) >= pruneStep, nil
}
