package handlers

import (
	"runtime"
	"sync"
)

// queue is the sessions that wait for a turn, each at most once.
type queue struct {
	mu       sync.Mutex // guards what follows
	nonEmpty sync.Cond
	sessions []*session
	closed   bool
}

func newQueue() *queue {
	q := &queue{}
	q.nonEmpty.L = &q.mu
	return q
}

func (q *queue) push(s *session) {
	q.mu.Lock()
	q.sessions = append(q.sessions, s)
	q.mu.Unlock()
	q.nonEmpty.Signal()
}

// pop waits for a session; nil says that the queue was closed.
func (q *queue) pop() *session {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.sessions) == 0 && !q.closed {
		q.nonEmpty.Wait()
	}
	if len(q.sessions) == 0 {
		return nil
	}
	s := q.sessions[0]
	q.sessions[0] = nil
	q.sessions = q.sessions[1:]
	return s
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.nonEmpty.Broadcast()
}

// writers is how many writers carry all sessions: none of them ever waits for a connection, so the processors are the
// bound.
func writers() int { return max(2, runtime.GOMAXPROCS(0)) }

// writer gives turns to sessions until the queue is closed.
func writer(q *queue) {
	for s := q.pop(); s != nil; s = q.pop() {
		s.take()
	}
}
