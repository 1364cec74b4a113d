package handlers

import (
	"errors"
	"sync"
)

// errPanicked is the error of requests that share a computation which panicked.
var errPanicked = errors.New("a computation of ours panicked")

// flightGroup lets requests that ask the same at the same time share an answer. A request
// that comes while an answer is computed shares the next one, which is begun after it
// came. So no answer is older than its question, and a thousand requests at once cost two
// computations. The singleflight of golang.org/x/sync shares the answer that is under
// way, which may be older than the question.
type flightGroup[T any] struct {
	mu    sync.Mutex // guards calls
	calls map[string]*flightPair[T]
}

// flightPair are the computation that runs and the one that follows it.
type flightPair[T any] struct{ running, next *call[T] }

type call[T any] struct {
	done   chan struct{}
	answer T
	err    error
}

// do returns the answer to key. compute is called in the goroutine of one of the requests.
func (g *flightGroup[T]) do(key string, compute func() (T, error)) (T, error) {
	g.mu.Lock()
	if g.calls == nil {
		g.calls = make(map[string]*flightPair[T])
	}
	pair := g.calls[key]
	mine := &call[T]{done: make(chan struct{}), err: errPanicked}
	switch {
	case pair == nil:
		pair = &flightPair[T]{running: mine}
		g.calls[key] = pair
		g.mu.Unlock()
	case pair.next != nil:
		next := pair.next
		g.mu.Unlock()
		<-next.done
		return next.answer, next.err
	default:
		before := pair.running
		pair.next = mine
		g.mu.Unlock()
		<-before.done
		g.mu.Lock()
		pair.running, pair.next = mine, nil
		g.mu.Unlock()
	}
	defer func() { // also when compute panics: others wait
		g.mu.Lock()
		if pair.next == nil {
			delete(g.calls, key)
		}
		g.mu.Unlock()
		close(mine.done)
	}()
	mine.answer, mine.err = compute()
	return mine.answer, mine.err
}
