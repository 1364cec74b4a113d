package handlers

import (
	"slices"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// metricsCacheSize is how many answers are cached: at some 500 bytes each, 8 MB.
const metricsCacheSize = 1 << 14

// MetricsCache holds answers about owners' numbers that are still true, as of its
// Invalidator's last Sync.
type MetricsCache struct {
	answers[string] // by owner

	// guarded by the lock of answers
	hangars map[string]string          // the owner whose answer a hangar is in
	pending map[string]*pendingMetrics // by owner
}

// pendingMetrics is an entry that is being computed, and what has changed since that began.
type pendingMetrics struct {
	cache   *MetricsCache
	ownerID string
	owner   bool            // the owner's rows changed; guarded by the cache's lock, as the next
	hangars map[string]bool // those of these hangars did
}

// NewMetricsCache returns an empty cache, subscribed to an Invalidator.
func NewMetricsCache(invalidator *Invalidator) *MetricsCache {
	c := &MetricsCache{hangars: make(map[string]string), pending: make(map[string]*pendingMetrics)}
	c.setUp(metricsCacheSize, func(ownerID string, entry cacheEntry) {
		for _, id := range entry.validity.Hangars {
			if c.hangars[id] == ownerID {
				delete(c.hangars, id)
			}
		}
	})
	invalidator.subscribe(c.invalidate)
	return c
}

// invalidate drops what news makes doubtful.
func (c *MetricsCache) invalidate(n db.Changes) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.Everything {
		c.entries.Purge()
		for _, p := range c.pending {
			p.owner = true
		}
	}
	for _, id := range n.Owners {
		c.entries.Remove(id)
		if p := c.pending[id]; p != nil {
			p.owner = true
		}
	}
	for _, id := range n.Hangars {
		c.entries.Remove(c.hangars[id])
		for _, p := range c.pending {
			p.hangars[id] = true
		}
	}
}

// begin returns an entry for an owner that is about to be computed: news from now on counts against
// it. It must not be called for one owner twice at the same time, and end must follow.
func (c *MetricsCache) begin(ownerID string) *pendingMetrics {
	p := &pendingMetrics{cache: c, ownerID: ownerID, hangars: make(map[string]bool)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[ownerID] = p
	return p
}

// put caches an answer for as long as it is valid, unless there was news of what is in it.
func (p *pendingMetrics) put(entry cacheEntry) {
	c := p.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := func(id string) bool { return p.hangars[id] }
	if p.owner || slices.ContainsFunc(entry.validity.Hangars, changed) {
		return
	}
	c.entries.Remove(p.ownerID)
	if !entry.from.Before(entry.validity.Until) {
		return
	}
	c.entries.Add(p.ownerID, entry)
	for _, id := range entry.validity.Hangars {
		c.hangars[id] = p.ownerID
	}
}

// end says that nothing is computed any more. It is deferred, so that a panic leaves
// nothing behind.
func (p *pendingMetrics) end() {
	p.cache.mu.Lock()
	defer p.cache.mu.Unlock()
	delete(p.cache.pending, p.ownerID)
}
