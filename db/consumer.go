package db

import "time"

// Consumer is a projection that is derived from the log. It is registered with whatever trims the
// log, as replication slots are in PostgreSQL; but rows that it has not applied may be removed all
// the same, and then it has to start over. Its texts are
// SQL of this program.
type Consumer struct {
	// Applied is a query for `after`, the pg_snapshot of which every row was applied. It has no row
	// while the consumer is being built.
	Applied string
	// Invalidate is an UPDATE without a condition that has the consumer start over.
	Invalidate string
	// BuildTime bounds how long a consumer may be built before it has applied anything.
	BuildTime time.Duration
}

// ProjectionConsumer is the projection as a consumer of the log.
func ProjectionConsumer() Consumer {
	return Consumer{
		Applied:    `SELECT after FROM realtime.ledger_marks ORDER BY number DESC LIMIT 1`,
		Invalidate: `UPDATE realtime.ledger_generation SET number = number + 1`,
		BuildTime:  2 * projectionBuildTimeout,
	}
}
