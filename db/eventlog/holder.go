package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/xid"
)

const (
	// holderSilence is after what time a holder of the numbering counts as gone that did not say
	// anything: it numbers, or looks whether there is anything to, each second. Its server vanished
	// without a word, and PostgreSQL would keep its session, and the lock, for hours.
	holderSilence = 3 * time.Second
	// holderCheckInterval is how often a server that waits for the numbering looks after
	// its holder.
	holderCheckInterval = time.Second
	// holderTries is how often the lock is tried after its silent holder was ended, and holderPause
	// the pause before each try: the session has to come to its end.
	holderTries = 20
	holderPause = 25 * time.Millisecond
	// holderLooks is at how many looks before this one a holder must have been found as it is. A
	// server that was stopped itself, or whose whole machine was, has looked no more often than it
	// lived, whatever the clocks say: so the holder has had time of its own to say something.
	holderLooks = 3
)

// sighting is a holder's session as it was found at some looks in a row.
type sighting struct {
	session string // which session, and since when it does what it does
	looks   int
}

// add takes in what another look has found.
func (s *sighting) add(session string) {
	if session != s.session {
		*s = sighting{session: session}
	}
	s.looks++
}

// unchanged returns the session if it was found often enough, so that it may count as silent.
func (s *sighting) unchanged() string {
	if s.looks < holderLooks {
		return ""
	}
	return s.session
}

// inspectQuery finds who holds the lock, and ends that session if it is ours and silent: idle for
// too long, or, because its client does not read, unable to send (PostgreSQL ends such a session
// only by this), and as it was at former looks, which $3 says. It returns whether the lock is held,
// how many sessions it ended, how many strangers hold the lock, how the session was found, and
// whether something was committed that is in no batch. Each server that does not number asks it
// each second, so it is prepared, and only the holder's session is looked up.
var inspectQuery = db.Fill(`
WITH holders AS MATERIALIZED (
	SELECT a.pid, a.pid = i.holder_pid AND a.backend_start = i.holder_since AS own,
		(a.state LIKE 'idle%' OR a.state = 'active' AND a.wait_event = 'ClientWrite')
			AND a.state_change < clock_timestamp() - make_interval(secs => $2) AS silent,
		pg_catalog.concat_ws(' ', a.pid, a.backend_start, a.state_change) AS session
	FROM realtime.installation i, pg_locks l CROSS JOIN LATERAL pg_stat_get_activity(l.pid) a
	WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid::bigint << 32 | l.objid::bigint = $1::bigint AND l.objsubid = 1
),
head AS (SELECT after FROM realtime.batches ORDER BY number DESC LIMIT 1),`+xid.Gaps+`
SELECT count(*) > 0 AS held, count(*) FILTER (WHERE CASE WHEN own AND silent AND session = $3 THEN pg_terminate_backend(pid) ELSE false END) AS ended,
	count(*) FILTER (WHERE NOT own) AS strangers, coalesce(max(session) FILTER (WHERE own), '') AS session,
	EXISTS (SELECT FROM (`+xid.Fresh+`) fresh) AS backlogged
FROM holders`, "{columns}", "xid", "{which}", "true", "{upper}", "(SELECT pg_snapshot_xmax(after) FROM head)",
	"{open}", "ARRAY(SELECT pg_snapshot_xip(after) FROM head)", "{limit}", "1")

// lockState is what inspectQuery found.
type lockState struct {
	Held             bool
	Ended, Strangers int
	Session          string
	Backlogged       bool
}

// inspect finds out who holds the lock. It ends the session of a holder that has fallen silent: the
// next that asks gets the numbering. Should the holder live after all, it finds out before it
// writes anything more. Looks that follow each other too soon end nobody.
func (n *Sequencer) inspect(ctx context.Context) (found lockState, err error) {
	if n.inspection == nil {
		if n.inspection, err = n.pool.PreparexContext(ctx, inspectQuery); err != nil {
			return found, fmt.Errorf("prepare looking after the holder of the numbering: %w", db.Explain(err))
		}
	}
	due := time.Since(n.holderChecked) >= holderCheckInterval
	unchanged := ""
	if due {
		n.holderChecked, unchanged = time.Now(), n.holder.unchanged()
	}
	if err := n.inspection.GetContext(ctx, &found, n.lock(), holderSilence.Seconds(), unchanged); err != nil {
		return found, fmt.Errorf("look after the holder of the numbering: %w", db.Explain(err))
	}
	n.backlogged = found.Backlogged
	if due {
		n.holder.add(found.Session)
	}
	if found.Ended > 0 {
		n.ended.Add(1)
		n.log.Warn("the holder of the numbering fell silent; its session was ended", "after", holderSilence)
	}
	if found.Strangers > 0 && !n.foreign {
		n.log.Error("a session that is not ours holds the advisory lock of the numbering: nothing is told until it lets go", "key", n.lock())
	}
	n.foreign = found.Strangers > 0
	return found, nil
}

// Backlogged reports whether, while another server numbers or nobody does, something was there to
// be numbered at the last look.
func (n *Sequencer) Backlogged() bool { return n.conn == nil && n.backlogged }
