package handlers

import (
	"sync/atomic"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// hits counts what a cache was asked for.
type hits struct{ found, missed atomic.Int64 }

func (h *hits) count(found bool) {
	if found {
		h.found.Add(1)
	} else {
		h.missed.Add(1)
	}
}

func (h *hits) collect(cache string) []stats.Stat {
	of := func(hit string, n int64) stats.Stat {
		return stats.Counter("hangarshare_remembered_total", "Questions to what is kept in memory, by whether the answer was there.", n).
			With("cache", cache, "hit", hit)
	}
	return []stats.Stat{of("true", h.found.Load()), of("false", h.missed.Load())}
}

// Collect implements stats.Collector.
func (c *MetricsCache) Collect() []stats.Stat { return c.hits.collect("metrics") }

// Collect implements stats.Collector.
func (c *AccessCache) Collect() []stats.Stat { return c.hits.collect("access") }

// Collect implements stats.Collector.
func (c *CalendarCache) Collect() []stats.Stat {
	c.mu.Lock()
	bytes := c.bytes
	c.mu.Unlock()
	return append(c.hits.collect(c.name),
		stats.Gauge("hangarshare_remembered_bytes", "Bytes of the answers that are kept in memory, by which.", float64(bytes)).With("cache", c.name))
}
