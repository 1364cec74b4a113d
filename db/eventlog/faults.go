package eventlog

import (
	"context"
	"fmt"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// FaultReport is what the triggers and the notification queue are up to.
type FaultReport struct {
	// Faults is how many statements our triggers could not log since the installation.
	Faults int64 `db:"faults"`
	// QueueUsage is the share of PostgreSQL's notification queue that is full: 1 makes
	// commits fail.
	QueueUsage float64 `db:"queue_usage"`
	// Lost says that changes were found missing from the log just now, and that the log says so.
	Lost bool `db:"lost"`
	// Renewed says that a new history has begun just now.
	Renewed bool `db:"renewed"`
}

// faultsQuery compares the count of trigger faults with the one seen before. Changes that were not
// logged are as if the log had been cut: everybody loads snapshots again. That is said twice, now
// and when the last transaction has ended that may have had the fault and was not committed yet.
const faultsQuery = `
WITH counted AS (
	SELECT realtime.fault_count() AS faults
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
SELECT counted.faults, pg_notification_queue_usage() AS queue_usage, EXISTS (SELECT FROM said) AS lost,
	(SELECT coalesce(ended = epoch, false) FROM realtime.installation) AS renewed FROM counted`

// CheckFaults looks after the triggers: what they could not log is made known as a loss; and begins
// a new history where one was asked for. Only the server that numbers the log may call it.
func (n *Sequencer) CheckFaults(ctx context.Context) (FaultReport, error) {
	var h FaultReport
	if n.conn == nil {
		return h, ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	if err := n.conn.GetContext(ctx, &h, faultsQuery); err != nil {
		if db.Unavailable(err) {
			n.lose(err)
		}
		return h, fmt.Errorf("look after the triggers: %w", err)
	}
	if h.Renewed {
		if err := n.renew(ctx); err != nil {
			n.lose(err)
			return h, err
		}
	}
	return h, nil
}
