package handlers

import (
	"errors"
	"sync"
)

// errPanicked is what those get who share a computation that panicked.
var errPanicked = errors.New("a computation of ours panicked")

// coalescer lets requests that ask the same at the same time share an answer. Whoever comes while an answer is being
// computed shares the next one, which is computed after he came: nobody gets an answer older than his question, and a
// thousand who ask at once cost two computations.
type coalescer[T any] struct {
	mu    sync.Mutex // guards calls
	calls map[string]*turns[T]
}

// turns are the computation that runs and the one that follows it.
type turns[T any] struct{ running, next *call[T] }

type call[T any] struct {
	done   chan struct{}
	answer T
	err    error
}

// do returns the answer to key. compute is called in the goroutine of one of those who ask.
func (c *coalescer[T]) do(key string, compute func() (T, error)) (T, error) {
	c.mu.Lock()
	if c.calls == nil {
		c.calls = make(map[string]*turns[T])
	}
	t := c.calls[key]
	mine := &call[T]{done: make(chan struct{}), err: errPanicked}
	switch {
	case t == nil:
		t = &turns[T]{running: mine}
		c.calls[key] = t
		c.mu.Unlock()
	case t.next != nil:
		next := t.next
		c.mu.Unlock()
		<-next.done
		return next.answer, next.err
	default:
		before := t.running
		t.next = mine
		c.mu.Unlock()
		<-before.done
		c.mu.Lock()
		t.running, t.next = mine, nil
		c.mu.Unlock()
	}
	defer func() { // also when compute panics: others wait
		c.mu.Lock()
		if t.next == nil {
			delete(c.calls, key)
		}
		c.mu.Unlock()
		close(mine.done)
	}()
	mine.answer, mine.err = compute()
	return mine.answer, mine.err
}
