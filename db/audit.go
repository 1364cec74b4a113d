package db

import (
	"context"
	"fmt"
)

// Health is what the triggers and the notification queue are up to.
type Health struct {
	// Faults is how many statements our triggers could not log since the installation.
	Faults int64 `db:"faults"`
	// QueueUsage is the share of PostgreSQL's notification queue that is full: 1 makes commits fail.
	QueueUsage float64 `db:"queue_usage"`
	// Lost says that changes were found missing from the log just now, and that the log says so.
	Lost bool `db:"lost"`
}

// auditQuery compares the count of trigger faults with the one seen before. Changes that were not logged are as if the
// log had been cut: everybody loads snapshots again. That is said twice, now and when the last transaction has ended that
// may have had the fault and was not committed yet.
const auditQuery = `
WITH counted AS (
	SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END AS faults FROM realtime.faults
),
found AS (
	UPDATE realtime.installation SET faults_seen = faults, faults_until = pg_current_xact_id()
	FROM counted WHERE faults_seen < faults RETURNING 1
),
settled AS (
	UPDATE realtime.installation SET faults_until = NULL
	WHERE faults_until <= pg_snapshot_xmin(pg_current_snapshot()) AND NOT EXISTS (SELECT FROM found) RETURNING 1
),
said AS (
	INSERT INTO realtime.events (type) SELECT 'truncated' WHERE EXISTS (SELECT FROM found) OR EXISTS (SELECT FROM settled) RETURNING 1
)
SELECT counted.faults, pg_notification_queue_usage() AS queue_usage, EXISTS (SELECT FROM said) AS lost FROM counted`

// Audit looks after the triggers: what they could not log is made known as a loss. Only the server that numbers the log
// may call it.
func (n *Numbering) Audit(ctx context.Context) (Health, error) {
	var h Health
	if n.conn == nil {
		return h, ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(ctx, numberTimeout)
	defer cancel()
	if err := n.conn.GetContext(ctx, &h, auditQuery); err != nil {
		if Unavailable(err) {
			n.Release()
		}
		return h, fmt.Errorf("look after the triggers: %w", err)
	}
	return h, nil
}
