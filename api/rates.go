package api

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	// maxBuckets bounds how many users, and how many addresses, requests are counted for: some 20
	// MB each. Beyond it the one that has been silent for longest is forgotten.
	maxBuckets = 1 << 16
	// busyShare is from what part of a minute's requests on a key is looked at for other servers:
	// one of so many. What is less is told to nobody.
	busyShare = 64
	// maxShared bounds the keys that other servers are told of; those with most requests are told.
	maxShared = 1000
)

// rateLimits are the request rates of many keys: for each a bucket that holds a minute's
// requests and fills evenly. Where other servers take requests of a key too, all together take no
// more than those of a minute within one.
type rateLimits struct {
	limit rate.Limit
	burst int

	mu   sync.Mutex // guards what follows
	seen *simplelru.LRU[string, *bucket]
	busy map[string]*bucket // those of seen that took more than a busyShare lately
}

// bucket is what is known of a key's requests.
type bucket struct {
	*rate.Limiter
	minute        time.Time // when the present minute of the count began
	before, taken int       // requests that were taken in the minute before, and in this one
}

// newRateLimits returns rateLimits, nil for no limit.
func newRateLimits(perMinute int) *rateLimits {
	if perMinute <= 0 {
		return nil
	}
	p := &rateLimits{limit: rate.Limit(float64(perMinute) / time.Minute.Seconds()), burst: perMinute, busy: map[string]*bucket{}}
	seen, err := simplelru.NewLRU(maxBuckets, func(key string, _ *bucket) { delete(p.busy, key) })
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	p.seen = seen
	return p
}

// count counts a request of a key, or says how long it must wait. Other servers took so many of it
// within the last minute.
func (p *rateLimits) count(key string, elsewhere int, now time.Time) (wait time.Duration) {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	b, ok := p.seen.Get(key)
	if !ok {
		b = &bucket{Limiter: rate.NewLimiter(p.limit, p.burst), minute: now}
		p.seen.Add(key, b)
	}
	lately := b.lately(now)
	if over := lately + elsewhere - p.burst; elsewhere > 0 && over >= 0 {
		return max(time.Second, min(time.Minute, time.Duration(over+1)*time.Minute/time.Duration(p.burst)))
	}
	reservation := b.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return wait
	}
	b.taken++
	if busyShare*(lately+1) > p.burst {
		p.busy[key] = b
	}
	return 0
}

// lately returns how many requests were taken within the last minute, as if those of the minute
// before had come evenly.
func (b *bucket) lately(now time.Time) int {
	switch age := now.Sub(b.minute); {
	case age >= 2*time.Minute:
		b.minute, b.before, b.taken = now, 0, 0
	case age >= time.Minute:
		b.minute, b.before, b.taken = b.minute.Add(time.Minute), b.taken, 0
	}
	left := time.Minute - now.Sub(b.minute)
	return b.taken + int(int64(b.before)*int64(left)/int64(time.Minute))
}

// share adds to what other servers are told how many requests were taken of each key within the
// last minute, where that is more than a quarter of a server's share.
func (p *rateLimits) share(with map[string]int, prefix string, servers int, now time.Time) {
	if p == nil {
		return
	}
	p.mu.Lock()
	counts := map[string]int{}
	for key, b := range p.busy {
		count := b.lately(now)
		if busyShare*count <= p.burst {
			delete(p.busy, key)
		}
		if 4*servers*count > p.burst {
			counts[key] = count
		}
	}
	p.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for _, key := range keys[:min(len(keys), maxShared)] {
		with[prefix+key] = counts[key]
	}
}

// forget removes the two keys that have been silent for longest, where their buckets are full again
// and nothing was taken lately: they are as if they had never been. Two for one that comes: the
// keys become fewer than those that were seen within two minutes.
func (p *rateLimits) forget(now time.Time) {
	for range 2 {
		_, oldest, ok := p.seen.GetOldest()
		if !ok || oldest.TokensAt(now) < float64(p.burst) || oldest.lately(now) > 0 {
			return
		}
		p.seen.RemoveOldest()
	}
}
