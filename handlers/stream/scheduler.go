package stream

import (
	"net"
	"runtime"
	"sync"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// maxPopped is how many sessions a worker pops at once: that spares it locking for each of them.
const maxPopped = 32

// runQueue holds the sessions that wait to be run, each at most once.
type runQueue struct {
	mu       sync.Mutex // guards what follows
	nonEmpty sync.Cond
	sessions []*session
	next     int // in sessions, which is filled from its start again when all have been popped
	workers  int
	closed   bool
}

func newRunQueue(workers int) *runQueue {
	q := &runQueue{workers: workers}
	q.nonEmpty.L = &q.mu
	return q
}

func (q *runQueue) push(s *session) {
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

// pop waits for sessions and replaces those in popped by one worker's share of them. An empty share
// says that the queue was closed.
func (q *runQueue) pop(popped []*session) []*session {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.next == len(q.sessions) && !q.closed {
		q.nonEmpty.Wait()
	}
	waiting := q.sessions[q.next:]
	share := waiting[:min((len(waiting)+q.workers-1)/q.workers, maxPopped)]
	popped = append(popped[:0], share...)
	clear(share)
	q.next += len(share)
	if q.next == len(q.sessions) {
		q.sessions, q.next = q.sessions[:0], 0
	}
	return popped
}

func (q *runQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.nonEmpty.Broadcast()
}

// workers is how many workers run all sessions. None of them ever waits for a connection, so that
// the processors are the bound.
func workers() int { return runtime.GOMAXPROCS(0) }

// batch is what a session is about to write. A worker uses the same one for session after session.
type batch struct {
	events []*realtime.Event
	frames net.Buffers
}

// runWorker runs sessions until the queue is closed.
func runWorker(q *runQueue) {
	var b batch
	for popped := q.pop(nil); len(popped) > 0; popped = q.pop(popped) {
		for _, s := range popped {
			s.run(&b)
		}
	}
}
