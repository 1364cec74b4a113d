package db

import (
	"github.com/jmoiron/sqlx"
	"github.com/sony/gobreaker/v2"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// Pools tells how many connections to the database a server has, and what they do.
type Pools []*sqlx.DB

// Collect implements stats.Collector.
func (p Pools) Collect() []stats.Stat {
	var inUse, idle, most int
	var waited int64
	seen := map[*sqlx.DB]bool{}
	for _, pool := range p {
		if seen[pool] {
			continue
		}
		seen[pool] = true
		s := pool.Stats()
		inUse, idle, most, waited = inUse+s.InUse, idle+s.Idle, most+s.MaxOpenConnections, waited+s.WaitCount
	}
	of := func(state string, n int) stats.Stat {
		return stats.Gauge("hangarshare_db_pool", "Connections to the database by state; most: how many there may be. Listener and proof are not among them.",
			float64(n)).With("state", state)
	}
	return []stats.Stat{of("in_use", inUse), of("idle", idle), of("most", most),
		stats.Counter("hangarshare_db_waits_total", "Questions that had to wait for a connection to the database.", waited)}
}

// Collect implements stats.Collector.
func (b Breaker) Collect() []stats.Stat {
	open := b.circuit.State() != gobreaker.StateClosed
	return []stats.Stat{stats.Flag("hangarshare_breaker_open", "1 from when the database did not answer such questions until it answers one again, by purpose.", open).
		With("purpose", b.circuit.Name())}
}

// Collect implements stats.Collector.
func (s *Store) Collect() []stats.Stat { return append(s.guard.Collect(), s.account.Collect()...) }

// Collect implements stats.Collector.
func (s *Sessions) Collect() []stats.Stat { return s.guard.Collect() }
