package handlers

import (
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// cacheEntry is an answer, from when on it is true, and until when if there is no news.
type cacheEntry struct {
	answer
	from     time.Time
	validity db.Validity
}

// holds reports whether the answer is true at an instant, as far as is known without news.
func (e cacheEntry) holds(at time.Time) bool {
	return !at.Before(e.from) && at.Before(e.validity.Until) && at.Sub(e.from) < maxCacheAge
}

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
func (c *WindowCache) Collect() []stats.Stat {
	c.mu.Lock()
	bytes := c.bytes
	c.mu.Unlock()
	return append(c.hits.collect(c.name),
		stats.Gauge("hangarshare_remembered_bytes", "Bytes of the answers that are kept in memory, by which.", float64(bytes)).With("cache", c.name))
}
