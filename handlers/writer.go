package handlers

import (
	"net"
	"runtime"
	"sync"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// turnsAtOnce is how many sessions a writer takes from the queue at most, to go there seldom.
const turnsAtOnce = 32

// queue is the sessions that wait for a turn, each at most once.
type queue struct {
	mu       sync.Mutex // guards what follows
	nonEmpty sync.Cond
	sessions []*session
	next     int // in sessions, which is used again from the start when all had their turn
	writers  int
	closed   bool
}

func newQueue(writers int) *queue {
	q := &queue{writers: writers}
	q.nonEmpty.L = &q.mu
	return q
}

func (q *queue) push(s *session) {
	q.mu.Lock()
	if len(q.sessions) == cap(q.sessions) && q.next > len(q.sessions)/2 {
		left := copy(q.sessions, q.sessions[q.next:])
		clear(q.sessions[left:])
		q.sessions, q.next = q.sessions[:left], 0
	}
	q.sessions = append(q.sessions, s)
	q.mu.Unlock()
	q.nonEmpty.Signal()
}

// pop waits for sessions and replaces those in turns by a writer's share of them; none say that the queue was closed.
func (q *queue) pop(turns []*session) []*session {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.next == len(q.sessions) && !q.closed {
		q.nonEmpty.Wait()
	}
	waiting := q.sessions[q.next:]
	share := waiting[:min((len(waiting)+q.writers-1)/q.writers, turnsAtOnce)]
	turns = append(turns[:0], share...)
	clear(share)
	q.next += len(share)
	if q.next == len(q.sessions) {
		q.sessions, q.next = q.sessions[:0], 0
	}
	return turns
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.nonEmpty.Broadcast()
}

// writers is how many writers carry all sessions: none of them ever waits for a connection, so the processors are the
// bound.
func writers() int { return runtime.GOMAXPROCS(0) }

// hand holds what a turn is about to write. A writer uses the same one for turn after turn.
type hand struct {
	events []*realtime.Event
	frames net.Buffers
}

// writer gives turns to sessions until the queue is closed.
func writer(q *queue) {
	var h hand
	for turns := q.pop(nil); len(turns) > 0; turns = q.pop(turns) {
		for _, s := range turns {
			s.take(&h)
		}
	}
}
