package db

import (
	"context"
	"sync"
)

// keyedLock admits one at a time for each key. The zero value is ready to use.
type keyedLock struct {
	mu      sync.Mutex // guards holders
	holders map[string]*keyHolders
}

type keyHolders struct {
	slot  chan struct{} // holds one
	count int           // who has the slot, or waits for it
}

// enter waits for the key's slot, until ctx ends: then too many ask for it. leave gives the slot
// back.
func (l *keyedLock) enter(ctx context.Context, key string) (leave func(), err error) {
	l.mu.Lock()
	if l.holders == nil {
		l.holders = make(map[string]*keyHolders)
	}
	h := l.holders[key]
	if h == nil {
		h = &keyHolders{slot: make(chan struct{}, 1)}
		l.holders[key] = h
	}
	h.count++
	l.mu.Unlock()
	gone := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.count--; h.count == 0 {
			delete(l.holders, key)
		}
	}
	select {
	case h.slot <- struct{}{}:
		return func() { <-h.slot; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, ErrBusy
	}
}
