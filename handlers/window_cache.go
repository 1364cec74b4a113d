package handlers

import (
	"context"
	"slices"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// windowCacheSize is how many windows are cached, and windowCacheBytes how large they may
	// be together.
	windowCacheSize  = 1 << 12
	windowCacheBytes = 32 << 20
)

// WindowCache holds windows of calendars, or of trends, that are still true, as of its
// Invalidator's last Sync. Of what no trigger tells, as guests' names, it may be maxCacheAge
// behind.
type WindowCache struct {
	name string
	answers[windowKey]

	// guarded by the lock of answers
	bytes   int
	pending map[*pendingWindow]bool
}

// windowKey is an owner and what was asked for.
type windowKey struct{ ownerID, window string }

// pendingWindow is an entry that is being computed, and what has changed since that began.
type pendingWindow struct {
	cache *WindowCache
	key   windowKey
	news  []db.Changes // guarded by the cache's lock
}

// NewCalendarCache returns an empty cache of calendars, subscribed to an Invalidator.
func NewCalendarCache(invalidator *Invalidator) *WindowCache {
	return newWindowCache("calendar", invalidator)
}

// NewTrendsCache returns an empty cache of trends, subscribed to an Invalidator.
func NewTrendsCache(invalidator *Invalidator) *WindowCache {
	return newWindowCache("trends", invalidator)
}

func newWindowCache(name string, invalidator *Invalidator) *WindowCache {
	c := &WindowCache{name: name, pending: make(map[*pendingWindow]bool)}
	c.setUp(windowCacheSize, func(_ windowKey, entry cacheEntry) { c.bytes -= len(entry.body) })
	invalidator.subscribe(c.invalidate)
	return c
}

// concern reports whether news is about a window of an owner's that shows some hangars.
func concern(n db.Changes, ownerID string, hangars []string) bool {
	return n.Everything || slices.Contains(n.Owners, ownerID) ||
		slices.ContainsFunc(n.Hangars, func(id string) bool { return slices.Contains(hangars, id) })
}

// invalidate drops what news makes doubtful.
func (c *WindowCache) invalidate(n db.Changes) {
	if !n.Everything && len(n.Owners) == 0 && len(n.Hangars) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range c.entries.Keys() {
		if entry, ok := c.entries.Peek(key); ok && concern(n, key.ownerID, entry.validity.Hangars) {
			c.entries.Remove(key)
		}
	}
	for p := range c.pending {
		p.news = append(p.news, n)
	}
}

// begin returns an entry that is about to be computed: news from now on counts against it. end must
// follow.
func (c *WindowCache) begin(key windowKey) *pendingWindow {
	p := &pendingWindow{cache: c, key: key}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[p] = true
	return p
}

// put caches an entry, unless there was news of what is in it.
func (p *pendingWindow) put(entry cacheEntry) {
	c := p.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(p.news, func(n db.Changes) bool { return concern(n, p.key.ownerID, entry.validity.Hangars) }) {
		return
	}
	c.entries.Remove(p.key)
	c.entries.Add(p.key, entry)
	for c.bytes += len(entry.body); c.bytes > windowCacheBytes; {
		c.entries.RemoveOldest()
	}
}

// end says that nothing is computed any more. It is deferred, so that a panic leaves nothing
// behind.
func (p *pendingWindow) end() {
	p.cache.mu.Lock()
	defer p.cache.mu.Unlock()
	delete(p.cache.pending, p)
}

// cachedWindow returns an owner's window: the cached answer while it is true, else a new one,
// computed once for all who ask now. One whose validity has no end is not cached. Its context does
// not end with a request: others may be waiting for the same.
func (s *Snapshot) cachedWindow(ctx context.Context, cache *WindowCache, key windowKey, now time.Time, compute func() (Content, db.Validity, error)) (answer, error) {
	cached := func() (answer, bool) {
		a, ok := cache.get(key, now)
		return a, ok && s.isCurrent(key.ownerID, a)
	}
	if a, ok := cached(); ok {
		return a, nil
	}
	return s.flights.do(key.window+" "+key.ownerID, func() (answer, error) {
		if a, ok := cached(); ok { // computed by the request that was waited for
			return a, nil
		}
		pending := cache.begin(key)
		defer pending.end()
		a, err := s.position(ctx, key.ownerID)
		if err != nil {
			return a, err
		}
		var validity db.Validity
		if a.Content, validity, err = compute(); err != nil {
			return a, err
		}
		if !validity.Until.IsZero() {
			pending.put(cacheEntry{a, now, validity})
		}
		return a, nil
	})
}
