package db

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/xid"
)

// changesTimeout bounds the look for news, which comes before every answer: it is how long a
// request waits for a database that is away without saying so.
const changesTimeout = 3 * time.Second

// changesLimit is from how many rows of the log on it is not told one by one what they concern.
const changesLimit = 2000

// changesQuery looks for rows of the log that this snapshot sees and a former one did not, through
// the index on xid. It also says what must be the same for both to be compared: what the
// projection's validity depends on; the server process, since a promoted copy has transactions of
// its own under the same ids; its last checkpoint, since after a crash there is one, and ids that
// were not on disk are given again; and the low watermark of the log, below which rows were
// removed. While a trigger's fault is not settled, whose transaction may commit at any time without
// a row in the log, everything is news. Parameters: 1 the upper transaction id of the former
// snapshot, 2 those under way in it.
const changesQuery = `
WITH ` + xid.Gaps + `, found AS (` + xid.Fresh + `
),
fresh AS MATERIALIZED (
	SELECT owner_id, data->>'hangarId' AS hangar_id, type = 'changed' AND data->>'hangarId' IS NULL AS anywhere, type = 'access' AS access,
		CASE WHEN type = 'access' AND owner_id = '' THEN data->>'userId' END AS user_id FROM found
)
SELECT pg_current_snapshot()::text AS after,
	pg_catalog.concat_ws(' ', {place}, pg_postmaster_start_time(), {checkpoint}, g.number, f.faults, i.floor) AS incarnation,
	ARRAY(SELECT DISTINCT owner_id FROM fresh WHERE owner_id <> '' AND NOT access) AS owners,
	ARRAY(SELECT DISTINCT hangar_id FROM fresh WHERE hangar_id IS NOT NULL) AS hangars,
	ARRAY(SELECT DISTINCT owner_id FROM fresh WHERE owner_id <> '' AND access) AS accounts,
	ARRAY(SELECT DISTINCT user_id FROM fresh WHERE user_id <> '') AS users,
	(SELECT count(*) >= {limit} OR coalesce(bool_or(owner_id IS NULL OR anywhere
		OR access AND owner_id = '' AND coalesce(user_id, '') = ''), false)
		FROM fresh) OR i.faults_seen <> f.faults OR i.faults_until IS NOT NULL AS everything,
	(SELECT shape FROM realtime.watched) AS shape
FROM realtime.ledger_generation g, realtime.installation i, (SELECT realtime.fault_count() AS faults OFFSET 0) f`

// Version is what one snapshot of the database saw; the zero Version saw nothing. Snapshot is a
// pg_snapshot, Incarnation what must be the same for it to mean anything.
type Version struct{ Incarnation, Snapshot string }

// Changes tells what may have been changed by what was committed between two versions. Everything
// may, as by payouts, which name no hangar; then the lists are empty. Otherwise it is the numbers
// of Owners and of the owners of Hangars, who may see Accounts, and the sessions of Users. A
// transaction names the owner it knew; where a hangar has changed hands meanwhile, only the hangar
// leads to the present one.
type Changes struct {
	Version                          Version
	Owners, Hangars, Accounts, Users []string
	Everything                       bool
}

// ChangesSince returns what is new since a version, up to a snapshot that is taken now. It knows
// only what the log tells, as the projection does.
func (s *Store) ChangesSince(ctx context.Context, since Version) (Changes, error) {
	ctx, cancel := context.WithTimeout(ctx, changesTimeout)
	defer cancel()
	before := xid.Snapshot{Upper: math.MaxInt64}
	if since != (Version{}) {
		var err error
		if before, err = xid.Parse(since.Snapshot); err != nil {
			return Changes{}, err
		}
	}
	var row struct {
		After, Incarnation               string
		Owners, Hangars, Accounts, Users pq.StringArray
		Everything                       bool
		Shape                            int64
	}
	err := s.asking(ctx, func(w *written) error {
		err := s.getBy(ctx, w, s.guard, &row, w.sql.projection.changes, strconv.FormatUint(before.Upper, 10), pq.Array(xid.Decimals(before.Open)))
		if err == nil && row.Shape != w.shape.number {
			err = errOtherShape
		}
		return err
	})
	if err != nil && !errors.Is(err, errOtherShape) {
		return Changes{}, fmt.Errorf("read changes: %w", err)
	}
	version := Version{row.Incarnation, row.After}
	if row.Everything || row.Incarnation != since.Incarnation {
		return Changes{Version: version, Everything: true}, nil
	}
	return Changes{Version: version, Owners: row.Owners, Hangars: row.Hangars, Accounts: row.Accounts, Users: row.Users}, nil
}
