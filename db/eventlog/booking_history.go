package eventlog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// historyDepth is how many of an owner's newest rows of the log are searched for one booking's:
// some 50 ms, whatever the log holds.
const historyDepth = 20_000

// bookingHistory lists what the log tells of one booking, oldest first, each row with the moment
// from which on nothing is missing. A transaction that changes a booking waits for the one that
// changed it before, so its rows have ids in the order of the commits. Parameters: 1 owner, 2
// booking, 3 how many rows are searched.
const bookingHistory = `
WITH searched AS MATERIALIZED (
	SELECT id, type, data, at FROM realtime.events WHERE owner_id = $1::text ORDER BY xid DESC LIMIT $3
),
since AS (
	SELECT greatest((SELECT min(b.at) FROM realtime.batches b, realtime.installation i WHERE b.number >= i.floor),
		CASE WHEN (SELECT count(*) FROM searched) >= $3 THEN (SELECT min(at) FROM searched) END) AS at
)
SELECT since.at AS since, found.type, found.data, found.at FROM since LEFT JOIN (
	SELECT * FROM searched WHERE data->>'bookingId' = $2::text AND type <> 'changed'
) found ON true ORDER BY found.id`

// BookingHistory returns what the log still tells of an owner's booking, oldest first, and since
// when it tells everything. The changes have no Position: they are not to be resumed from.
func (l *Log) BookingHistory(ctx context.Context, ownerID, bookingID string) (changes []Change, since time.Time, err error) {
	type history struct {
		changes []Change
		since   time.Time
	}
	h, err := askLog(ctx, l, func(ctx context.Context) (h history, err error) {
		rows, err := l.pool.QueryContext(ctx, bookingHistory, ownerID, bookingID, historyDepth)
		if err != nil {
			return h, fmt.Errorf("read history of a booking of owner %s: %w", ownerID, err)
		}
		defer rows.Close()
		for rows.Next() {
			var typ sql.NullString
			var data sql.RawBytes
			var at sql.NullTime
			if err := rows.Scan(&h.since, &typ, &data, &at); err != nil {
				return h, fmt.Errorf("read history of a booking of owner %s: %w", ownerID, err)
			}
			if typ.Valid {
				h.changes = append(h.changes, Change{OwnerID: ownerID, Type: typ.String, At: at.Time, Data: append(json.RawMessage(nil), data...)})
			}
		}
		return h, rows.Err()
	})
	return h.changes, h.since, err
}
