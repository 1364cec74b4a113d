package handlers

import "sync"

// coalescer lets requests that ask the same at the same time share an answer. Whoever comes while an answer is being
// computed shares the next one, which is computed after he came: nobody gets an answer older than his question, and a
// thousand who ask at once cost two computations.
type coalescer struct {
	mu    sync.Mutex // guards calls
	calls map[string]*turns
}

// turns are the computation that runs and the one that follows it.
type turns struct{ running, next *call }

type call struct {
	done   chan struct{}
	answer answer
}

// do returns the answer to key. compute is called in the goroutine of one of those who ask.
func (c *coalescer) do(key string, compute func() answer) answer {
	c.mu.Lock()
	if c.calls == nil {
		c.calls = make(map[string]*turns)
	}
	t := c.calls[key]
	mine := &call{done: make(chan struct{})}
	switch {
	case t == nil:
		t = &turns{running: mine}
		c.calls[key] = t
		c.mu.Unlock()
	case t.next != nil:
		next := t.next
		c.mu.Unlock()
		<-next.done
		return next.answer
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
	mine.answer = answer{refused: refuse(errPanicked, "")}
	mine.answer = compute()
	return mine.answer
}
