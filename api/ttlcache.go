package api

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// ttlCache keeps a bounded number of values, each for a while. It needs no goroutine to forget.
type ttlCache[K comparable, V any] struct {
	entries *lru.Cache[K, ttlEntry[V]]
}

// ttlEntry is a value, and until when it is.
type ttlEntry[V any] struct {
	value V
	until time.Time
}

func newTTLCache[K comparable, V any](size int) ttlCache[K, V] {
	entries, err := lru.New[K, ttlEntry[V]](size)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return ttlCache[K, V]{entries}
}

// get returns what is remembered under a key.
func (m ttlCache[K, V]) get(key K) (value V, ok bool) {
	entry, ok := m.entries.Get(key)
	if !ok || !time.Now().Before(entry.until) {
		return value, false
	}
	return entry.value, true
}

// put remembers a value under a key for a while.
func (m ttlCache[K, V]) put(key K, value V, lasting time.Duration) {
	m.entries.Add(key, ttlEntry[V]{value, time.Now().Add(lasting)})
}
