package db

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/lib/pq"
)

// newsTimeout bounds the look for news, which comes before every answer: it is how long a request waits for a database that is
// away without saying so.
const newsTimeout = 3 * time.Second

// newsLimit is from how many rows of the log on it is not told one by one what they concern.
const newsLimit = 2000

// newsQuery looks for rows of the log that this snapshot sees and a former one did not, through the index on xid, and says
// what must be the same for both to be compared: what the ledger's validity depends on, the server process (a promoted copy has
// transactions of its own under the same ids), its last checkpoint (after a crash there is one, and ids that were not on disk are
// given again), and the log's floor (rows were removed). While a trigger's fault is not settled, whose transaction may commit at any
// time without a row in the log, everything is news. Parameters: 1 the upper transaction id
// of the former snapshot, 2 those under way in it.
const newsQuery = `
WITH found AS (
	(SELECT owner_id, type, data FROM realtime.events WHERE xid >= $1::xid8 ORDER BY xid LIMIT {limit})
	UNION ALL
	(SELECT owner_id, type, data FROM realtime.events WHERE xid = ANY ($2::xid8[]) AND xid < $1::xid8 ORDER BY xid LIMIT {limit})
),
fresh AS MATERIALIZED (
	SELECT owner_id, data->>'hangarId' AS hangar_id, type = 'changed' AND data->>'hangarId' IS NULL AS anywhere, type = 'access' AS access,
		CASE WHEN type = 'access' AND owner_id = '' THEN data->>'userId' END AS user_id FROM found
)
SELECT pg_current_snapshot()::text AS after,
	concat_ws(' ', {place}, pg_postmaster_start_time(), (SELECT checkpoint_lsn FROM pg_control_checkpoint()), g.number, {faults}, i.floor) AS life,
	ARRAY(SELECT DISTINCT owner_id FROM fresh WHERE owner_id <> '' AND NOT access) AS owners,
	ARRAY(SELECT DISTINCT hangar_id FROM fresh WHERE hangar_id IS NOT NULL) AS hangars,
	ARRAY(SELECT DISTINCT owner_id FROM fresh WHERE owner_id <> '' AND access) AS accounts,
	ARRAY(SELECT DISTINCT user_id FROM fresh WHERE user_id <> '') AS users,
	(SELECT count(*) >= {limit} OR coalesce(bool_or(owner_id IS NULL OR anywhere
		OR access AND owner_id = '' AND coalesce(user_id, '') = ''), false)
		FROM fresh) OR i.faults_seen <> {faults} OR i.faults_until IS NOT NULL AS everything
FROM realtime.ledger_generation g, realtime.installation i, realtime.faults`

// Mark is what one snapshot of the database saw; the zero Mark saw nothing. After is a pg_snapshot, Life what must be the same for
// it to mean anything.
type Mark struct{ Life, After string }

// News tells what may have been changed by what was committed between two marks: Everything, as by payouts, which name no hangar,
// and then the lists are empty; or the numbers of Owners and of whoever owns Hangars, who may see Accounts, and the sessions of
// Users. A transaction names the owner it knew; where a hangar has changed hands meanwhile, only the hangar leads to the present one.
type News struct {
	Mark                             Mark
	Owners, Hangars, Accounts, Users []string
	Everything                       bool
}

// News returns what is new since a mark, up to a snapshot that is taken now. It knows only what the log tells, as the ledger does.
func (s *Store) News(ctx context.Context, since Mark) (News, error) {
	ctx, cancel := context.WithTimeout(ctx, newsTimeout)
	defer cancel()
	before := snapshot{upper: strconv.FormatInt(math.MaxInt64, 10), open: []string{}}
	if since != (Mark{}) {
		var err error
		if before, err = parseSnapshot(since.After); err != nil {
			return News{}, err
		}
	}
	var row struct {
		After, Life                      string
		Owners, Hangars, Accounts, Users pq.StringArray
		Everything                       bool
	}
	if err := s.get(ctx, &row, s.sql.ledger.news, before.upper, pq.Array(before.open)); err != nil {
		return News{}, fmt.Errorf("look for news: %w", err)
	}
	mark := Mark{row.Life, row.After}
	if row.Everything || row.Life != since.Life {
		return News{Mark: mark, Everything: true}, nil
	}
	return News{Mark: mark, Owners: row.Owners, Hangars: row.Hangars, Accounts: row.Accounts, Users: row.Users}, nil
}
