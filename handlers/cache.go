package handlers

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

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

// answers are cached answers by key.
type answers[K comparable] struct {
	hits hits

	mu      sync.Mutex // guards what follows, and what a cache keeps beside it
	entries *simplelru.LRU[K, cacheEntry]
}

// setUp makes room for as many entries. evicted is called, locked, for each that leaves.
func (a *answers[K]) setUp(size int, evicted func(K, cacheEntry)) {
	entries, err := simplelru.NewLRU(size, evicted)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	a.entries = entries
}

// get returns the answer that is true at the instant now.
func (a *answers[K]) get(key K, now time.Time) (answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entry, ok := a.entries.Get(key)
	ok = ok && entry.holds(now)
	a.hits.count(ok)
	return entry.answer, ok
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
