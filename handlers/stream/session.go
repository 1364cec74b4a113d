package stream

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

const (
	// batchEvents is how many events a session writes at once: with their size of some 600 bytes,
	// and sendBuffer, the bound of what a slow connection costs.
	batchEvents = 64
	// DefaultStall is how long a batch may wait for a client before it is disconnected as too slow.
	DefaultStall = 10 * time.Second
	// slowGrace is how long a client that was disconnected so may still read, to learn why.
	slowGrace = 10 * time.Second
	// historyTimeout bounds a read of the log for a session that is behind, the waiting
	// in line included.
	historyTimeout = 30 * time.Second
)

// A session's states in the run queue.
const (
	created     int32 = iota
	parked            // nothing to write
	queued            // waits for a worker
	running           // a worker, or a goroutine of its own, writes for it
	rescheduled       // running, and was woken again
)

// session is one connection: established, replay, live, heartbeat, goodbye. It holds a cursor and
// no queue of events. A worker runs it when it is behind; what would wait (a slow client, the log)
// is done by a goroutine of its own meanwhile.
type session struct {
	// What a run needs comes first and lies together: see socket.
	state        atomic.Int32
	mu           sync.Mutex // guards what follows, up to nextConfirm
	heartbeatDue bool
	recheckDue   bool // access must be checked again
	confirmDue   bool // and before it, who the viewer is
	warned       bool // token_expiring was sent
	stream       *Server
	transport    transport
	established  *realtime.Event // connection_established, until it is sent
	disconnect   *Disconnect
	control      []*realtime.Event
	sub          realtime.Subscription
	viewer       handlers.Viewer
	life         time.Duration // of the viewer's token

	nextHeartbeat time.Time
	pingedAt      time.Time // when the last heartbeat was due, until its answer is
	nextConfirm   time.Time // when to ask again who the viewer is

	// when it began to wait for its client, in Unix nanoseconds; 0 where it does not
	waitingSince atomic.Int64

	id      string
	ownerID string
	since   time.Time
	release func()        // gives back its share of the limits
	done    chan struct{} // closed when the session has ended and its connection is closed
}

// Ready implements realtime.Reader.
func (s *session) Ready() { s.wake() }

// wake has the session run soon. It never blocks.
func (s *session) wake() {
	for {
		switch s.state.Load() {
		case parked:
			if s.state.CompareAndSwap(parked, queued) {
				s.stream.queue.push(s)
				return
			}
		case running:
			if s.state.CompareAndSwap(running, rescheduled) {
				return
			}
		default:
			return
		}
	}
}

// schedule puts the session into the run queue.
func (s *session) schedule() {
	s.state.Store(queued)
	s.stream.queue.push(s)
}

// run is called by a worker. It never waits.
func (s *session) run(b *batch) {
	s.state.Store(running)
	if s.advance(b) == blocked {
		s.stream.goroutines.Go(s.runBlocking)
		return
	}
	s.park()
}

// park ends a run. A session that was woken meanwhile runs again.
func (s *session) park() {
	if !s.state.CompareAndSwap(running, parked) {
		s.schedule()
	}
}

// outcome is how far a run came.
type outcome int

const (
	caughtUp outcome = iota // nothing more at present
	blocked                 // the client, the log or the database must be waited for
)

// advance sends what there is to send without waiting.
func (s *session) advance(b *batch) outcome {
	for {
		more, d, err := s.fill(b)
		if err != nil {
			return blocked
		}
		if len(b.frames) > 0 {
			s.stream.countBytes(b.frames)
			done, err := s.transport.tryWrite(b.frames)
			if err != nil {
				s.end(connectionLost)
				return blocked
			}
			if !done {
				return blocked
			}
		} else if d != nil {
			return blocked // closing may wait
		}
		if !more {
			return caughtUp // what has come since has woken the session again
		}
	}
}

var errRecheck = errors.New("access must be checked again")

// fill puts the next messages into a batch: the first one, control messages, a heartbeat, events.
// more says that it is to be called again. A Disconnect is returned when nothing is left to send
// before it. An error says that something must be waited for.
func (s *session) fill(b *batch) (more bool, d *Disconnect, err error) {
	b.frames = b.frames[:0]
	s.mu.Lock()
	if s.established != nil {
		b.frames = append(b.frames, s.transport.frame(s.established))
		s.established = nil
	}
	for _, e := range s.control {
		b.frames = append(b.frames, s.transport.frame(e))
	}
	s.control = nil
	heartbeat, disconnect, recheck := s.heartbeatDue, s.disconnect, s.recheckDue
	s.heartbeatDue = false
	s.mu.Unlock()
	if disconnect != nil {
		return true, disconnect, nil
	}
	if recheck && len(b.frames) == 0 {
		return true, nil, errRecheck
	}
	b.events, err = s.sub.Next(b.events[:0], batchEvents)
	for _, e := range b.events {
		b.frames = append(b.frames, s.transport.frame(e))
	}
	s.stream.delivered.Add(int64(len(b.events)))
	s.stream.Measures.Sent(b.events)
	switch {
	case heartbeat && (err == nil || errors.Is(err, realtime.ErrBehind)):
		b.frames = append(b.frames, s.transport.frame(s.positionMessage("heartbeat")))
	case heartbeat: // later: it says where the stream is
		s.mu.Lock()
		s.heartbeatDue = true
		s.mu.Unlock()
	}
	if err != nil {
		if len(b.frames) > 0 {
			err = nil // first what there is
		}
		return true, nil, err
	}
	return recheck || len(b.events) >= batchEvents, nil, nil
}

// runBlocking goes on with a run that must wait, in a goroutine of its own, until it need
// not any more.
func (s *session) runBlocking() {
	defer crash.Report("stream")
	var b batch
	for {
		if err := s.flush(); err != nil {
			s.failWrite(err)
			return
		}
		_, d, err := s.fill(&b)
		rechecked := errors.Is(err, errRecheck)
		if err != nil {
			b.frames, err = s.catchUp(err)
		}
		if err != nil {
			if s.stream.ctx.Err() != nil {
				s.end(goingAway)
			} else {
				s.stream.log.Error("a session cannot go on; its client may return", "connection", s.id, "error", err)
				s.sendClosing(returnWithin)
				s.end(Disconnect{handlers.CloseGoingAway, "the database is away for a moment: come back"})
			}
			continue
		}
		if d != nil && len(b.frames) == 0 {
			s.finish(*d)
			return
		}
		if rechecked {
			continue // events were not asked for yet, and what woke the session does so once
		}
		if len(b.frames) == 0 {
			s.park()
			return
		}
		s.stream.countBytes(b.frames)
		if _, err := s.transport.tryWrite(b.frames); err != nil {
			s.finish(connectionLost)
			return
		}
	}
}

// catchUp does what a run must wait for: it reads events from the log, begins at the present where
// the log does not reach back, or checks access again.
func (s *session) catchUp(why error) (net.Buffers, error) {
	ctx, cancel := context.WithTimeout(s.stream.ctx, historyTimeout)
	defer cancel()
	if errors.Is(why, errRecheck) {
		return nil, s.checkAccess(ctx)
	}
	if errors.Is(why, realtime.ErrBehind) {
		var events []*realtime.Event
		if events, why = s.sub.Replay(ctx, batchEvents); why == nil {
			var frames net.Buffers
			for _, e := range events {
				frames = append(frames, s.transport.frame(e))
			}
			s.stream.delivered.Add(int64(len(events)))
			return frames, nil
		}
	}
	if !errors.Is(why, eventlog.ErrHistoryGone) {
		return nil, why
	}
	if err := s.sub.Restart(ctx); err != nil {
		return nil, err
	}
	return net.Buffers{s.transport.frame(s.resync())}, nil
}

// end disconnects the session after what it has to send. The first Disconnect counts.
func (s *session) end(d Disconnect) {
	s.mu.Lock()
	if s.disconnect == nil {
		s.disconnect = &d
	}
	s.mu.Unlock()
	s.wake()
}

// flush waits for the client to read what was written. After Stall it is told that it is too slow,
// if it still reads what waits before that.
func (s *session) flush() error {
	s.waitingSince.Store(time.Now().UnixNano())
	defer s.waitingSince.Store(0)
	slow := time.AfterFunc(s.stream.Stall, func() {
		s.stream.tooSlow.Add(1)
		s.end(tooSlow)
	})
	defer slow.Stop()
	return s.transport.flush()
}

// failWrite ends a session whose client does not read.
func (s *session) failWrite(err error) {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		s.finish(Disconnect{Code: handlers.CloseTooSlow})
		return
	}
	s.finish(connectionLost)
}

// finish closes the connection and removes the session. It never runs again.
func (s *session) finish(d Disconnect) {
	s.sub.Close()
	s.transport.close(d)
	s.stream.remove(s, d)
	close(s.done)
}
