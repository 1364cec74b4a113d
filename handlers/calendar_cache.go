package handlers

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// calendarCacheSize is how many windows are cached, and calendarCacheBytes how large they may
	// be together.
	calendarCacheSize  = 1 << 12
	calendarCacheBytes = 32 << 20
)

// CalendarCache holds windows of calendars, or of trends, that are still true, as of its
// Invalidator's last Sync. Of what no trigger tells, as guests' names, it may be maxCacheAge
// behind.
type CalendarCache struct {
	name string
	hits hits

	mu      sync.Mutex // guards what follows
	entries *simplelru.LRU[calendarKey, calendarEntry]
	bytes   int
	pending map[*pendingCalendar]bool
}

// calendarKey is an owner and what was asked for.
type calendarKey struct{ ownerID, window string }

// calendarEntry is an answer, the hangars in it, and when it is true, if there is no news.
type calendarEntry struct {
	answer
	hangars     []string
	from, until time.Time
}

// pendingCalendar is an entry that is being computed, and what has changed since that began.
type pendingCalendar struct {
	cache *CalendarCache
	key   calendarKey
	news  []db.Changes // guarded by the cache's lock
}

// NewCalendarCache returns an empty cache of calendars, subscribed to an Invalidator.
func NewCalendarCache(invalidator *Invalidator) *CalendarCache {
	return newWindowCache("calendar", invalidator)
}

// NewTrendsCache returns an empty cache of trends, subscribed to an Invalidator.
func NewTrendsCache(invalidator *Invalidator) *CalendarCache {
	return newWindowCache("trends", invalidator)
}

func newWindowCache(name string, invalidator *Invalidator) *CalendarCache {
	c := &CalendarCache{name: name, pending: make(map[*pendingCalendar]bool)}
	entries, err := simplelru.NewLRU(calendarCacheSize, func(_ calendarKey, entry calendarEntry) { c.bytes -= len(entry.body) })
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	c.entries = entries
	invalidator.subscribe(c.invalidate)
	return c
}

// concern reports whether news is about an owner's calendar.
func concern(n db.Changes, ownerID string, hangars []string) bool {
	return n.Everything || slices.Contains(n.Owners, ownerID) ||
		slices.ContainsFunc(n.Hangars, func(id string) bool { return slices.Contains(hangars, id) })
}

// invalidate drops what news makes doubtful.
func (c *CalendarCache) invalidate(n db.Changes) {
	if !n.Everything && len(n.Owners) == 0 && len(n.Hangars) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range c.entries.Keys() {
		if entry, ok := c.entries.Peek(key); ok && concern(n, key.ownerID, entry.hangars) {
			c.entries.Remove(key)
		}
	}
	for p := range c.pending {
		p.news = append(p.news, n)
	}
}

// get returns the answer that is true at the instant now.
func (c *CalendarCache) get(key calendarKey, now time.Time) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries.Get(key)
	ok = ok && !now.Before(entry.from) && now.Before(entry.until)
	c.hits.count(ok)
	return entry.answer, ok
}

// begin returns an entry that is about to be computed: news from now on counts against it. end must
// follow.
func (c *CalendarCache) begin(key calendarKey) *pendingCalendar {
	p := &pendingCalendar{cache: c, key: key}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[p] = true
	return p
}

// put caches an answer up to an instant, unless there was news of what is in it.
func (p *pendingCalendar) put(a answer, hangars []string, from, until time.Time) {
	c := p.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(p.news, func(n db.Changes) bool { return concern(n, p.key.ownerID, hangars) }) {
		return
	}
	if limit := from.Add(maxCacheAge); until.After(limit) {
		until = limit
	}
	c.entries.Remove(p.key)
	c.entries.Add(p.key, calendarEntry{a, hangars, from, until})
	for c.bytes += len(a.body); c.bytes > calendarCacheBytes; {
		c.entries.RemoveOldest()
	}
}

// end says that nothing is computed any more. It is deferred, so that a panic leaves nothing
// behind.
func (p *pendingCalendar) end() {
	p.cache.mu.Lock()
	defer p.cache.mu.Unlock()
	delete(p.cache.pending, p)
}
