package handlers

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

const (
	// turnEvents is how many events one turn of a session takes: with their size of some 600 bytes, and sendBuffer, the
	// bound of what a slow connection costs.
	turnEvents = 64
	// DefaultStall is how long a turn's bytes may wait for a client before it is cut as too slow.
	DefaultStall = 10 * time.Second
	// lingerTimeout is how long a cut client may still take what waits for it, so that it learns why.
	lingerTimeout = 10 * time.Second
	// historyTimeout bounds a read of the log for a session that is behind, the waiting in line included.
	historyTimeout = 30 * time.Second
	// tokenWarning is how long before its end a token is announced to be expiring.
	tokenWarning = 60 * time.Second
	// maxControl bounds the control messages that wait for one session: more than that is a client that floods.
	maxControl = 32
)

// transport is all that differs between WebSocket and Server-Sent Events.
type transport interface {
	// frame returns an event as this transport's bytes, shared between all its connections.
	frame(e *realtime.Event) []byte
	// tryWrite writes frames without waiting and reports whether all of them went; flush waits for the rest. It may change
	// frames, but keeps only the bytes in them.
	tryWrite(frames net.Buffers) (done bool, err error)
	flush(deadline time.Time) error
	// ask asks the peer for a sign of life, where the heartbeat's own message does not. heard reports when the peer last
	// gave one, and reached when its kernel last took something; the zero time where that cannot be known.
	ask()
	heard() time.Time
	reached() time.Time
	// close ends the connection with a code, as far as the transport can say it. It may wait for the peer; abort, from
	// any goroutine, does not, and ends such a wait.
	close(e ending)
	abort()
}

// A session's turns: it is at rest, waits for a writer, has its turn, or has its turn and was woken again.
const (
	starting int32 = iota
	resting
	waiting
	running
	rerunning
)

// session is one connection: established, replay, live, heartbeat, goodbye. It holds a cursor and no queue of events. A
// writer gives it turns; what would wait (a slow client, the log) is carried by a goroutine of its own meanwhile.
type session struct {
	// What a turn needs comes first and lies together: see socket.
	turn      atomic.Int32
	mu        sync.Mutex // guards what follows, up to asked
	heartbeat bool       // due
	recheck   bool       // access is to be checked again
	warned    bool       // token_expiring was sent
	stream    *Stream
	transport transport
	first     *realtime.Event // connection_established, until it is sent
	ending    *ending
	control   []*realtime.Event
	sub       realtime.Subscription
	viewer    Viewer
	nextBeat  time.Time
	asked     time.Time // when the last heartbeat was due, until its answer is

	id      string
	ownerID string
	leave   func()        // ends its being counted
	done    chan struct{} // closed when the session has ended and its connection is closed
}

// Ready implements realtime.Reader.
func (s *session) Ready() { s.wake() }

// wake gives the session a turn soon. It never blocks.
func (s *session) wake() {
	for {
		switch s.turn.Load() {
		case resting:
			if s.turn.CompareAndSwap(resting, waiting) {
				s.stream.queue.push(s)
				return
			}
		case running:
			if s.turn.CompareAndSwap(running, rerunning) {
				return
			}
		default:
			return
		}
	}
}

// start gives the first turn.
func (s *session) start() {
	s.turn.Store(waiting)
	s.stream.queue.push(s)
}

// take is one turn in a writer's hands: it never waits.
func (s *session) take(h *hand) {
	s.turn.Store(running)
	if s.advance(h) == mustWait {
		s.stream.carriers.Go(s.carry)
		return
	}
	s.rest()
}

// rest ends a turn, unless the session was woken during it.
func (s *session) rest() {
	if !s.turn.CompareAndSwap(running, resting) {
		s.turn.Store(waiting)
		s.stream.queue.push(s)
	}
}

// outcome is how far a turn came.
type outcome int

const (
	idle     outcome = iota // nothing more at present
	mustWait                // the client, the log or the database must be waited for
)

// advance sends what there is to send without waiting.
func (s *session) advance(h *hand) outcome {
	for {
		more, e, err := s.next(h)
		if err != nil {
			return mustWait
		}
		if len(h.frames) > 0 {
			done, err := s.transport.tryWrite(h.frames)
			if err != nil {
				s.end(lost)
				return mustWait
			}
			if !done {
				return mustWait
			}
		} else if e != nil {
			return mustWait // closing may wait
		}
		if !more {
			return idle // what has come since has woken the session again
		}
	}
}

var errRecheck = errors.New("access must be checked again")

// next takes the frames of the next messages in hand: the first one, control messages, a heartbeat, events. more says
// that it is to be called again; an ending is returned when nothing is left to send before it. An error says that
// something must be waited for.
func (s *session) next(h *hand) (more bool, e *ending, err error) {
	h.frames = h.frames[:0]
	s.mu.Lock()
	if s.first != nil {
		h.frames = append(h.frames, s.transport.frame(s.first))
		s.first = nil
	}
	for _, e := range s.control {
		h.frames = append(h.frames, s.transport.frame(e))
	}
	s.control = nil
	beat, ending, recheck := s.heartbeat, s.ending, s.recheck
	s.heartbeat = false
	s.mu.Unlock()
	if ending != nil {
		return true, ending, nil
	}
	if recheck && len(h.frames) == 0 {
		return true, nil, errRecheck
	}
	if h.events, err = s.sub.Next(h.events[:0], turnEvents); err != nil {
		s.mu.Lock()
		s.heartbeat = s.heartbeat || beat // later: it says where the stream is
		s.mu.Unlock()
		if len(h.frames) > 0 {
			err = nil // first what there is
		}
		return true, nil, err
	}
	for _, e := range h.events {
		h.frames = append(h.frames, s.transport.frame(e))
	}
	s.stream.delivered.Add(int64(len(h.events)))
	if beat {
		h.frames = append(h.frames, s.transport.frame(s.message("heartbeat", map[string]any{"lastEventId": s.sub.LastID()})))
	}
	return recheck || len(h.events) >= turnEvents, nil, nil
}

// carry goes on with a turn that must wait, in a goroutine of its own, until nothing must be waited for any more.
func (s *session) carry() {
	var h hand
	for {
		if err := s.transport.flush(time.Now().Add(s.stream.Stall)); err != nil {
			s.cut(err)
			return
		}
		_, e, err := s.next(&h)
		rechecked := errors.Is(err, errRecheck)
		if err != nil {
			h.frames, err = s.wait(err)
		}
		if err != nil {
			if s.stream.ctx.Err() != nil {
				s.end(ending{closeGoingAway, "the server is stopping"})
			} else {
				s.stream.log.Warn("a session cannot go on; its client may return", "connection", s.id, "error", err)
				s.say("server_closing", map[string]any{"retryMs": returnWithin.Milliseconds()})
				s.end(ending{closeGoingAway, "the database is away for a moment: come back"})
			}
			continue
		}
		if e != nil && len(h.frames) == 0 {
			s.finish(*e)
			return
		}
		if rechecked {
			continue // nothing was looked for yet, and what woke the session is not asked for twice
		}
		if len(h.frames) == 0 {
			s.rest()
			return
		}
		if _, err := s.transport.tryWrite(h.frames); err != nil {
			s.finish(lost)
			return
		}
	}
}

// wait does what a turn must wait for: reads events from the log, begins at the present when it does not reach back,
// or checks access again.
func (s *session) wait(why error) (net.Buffers, error) {
	ctx, cancel := context.WithTimeout(s.stream.ctx, historyTimeout)
	defer cancel()
	if errors.Is(why, errRecheck) {
		return nil, s.checkAccess(ctx)
	}
	if errors.Is(why, realtime.ErrBehind) {
		var events []*realtime.Event
		if events, why = s.sub.Replay(ctx, turnEvents); why == nil {
			var frames net.Buffers
			for _, e := range events {
				frames = append(frames, s.transport.frame(e))
			}
			s.stream.delivered.Add(int64(len(events)))
			return frames, nil
		}
	}
	if !errors.Is(why, db.ErrHistoryGone) {
		return nil, why
	}
	if err := s.sub.Restart(ctx); err != nil {
		return nil, err
	}
	return net.Buffers{s.transport.frame(s.resync())}, nil
}

func (s *session) resync() *realtime.Event {
	return s.message("resync", map[string]any{"lastEventId": s.sub.LastID()})
}

// checkAccess ends the session if its viewer may no longer see the account, or has signed out.
func (s *session) checkAccess(ctx context.Context) error {
	s.mu.Lock()
	s.recheck = false
	caller := s.viewer.Caller()
	s.mu.Unlock()
	role, err := s.stream.Accounts.Access(ctx, caller, s.ownerID)
	switch {
	case errors.Is(err, db.ErrSessionEnded):
		s.say("token_expired", struct{}{})
		s.end(ending{closeUnauthorized, "the session has ended: sign in again"})
		return nil
	case err == nil && role == "":
		s.end(ending{closeForbidden, "this owner account is not yours any more"})
	}
	return err
}

// message makes a control message. Its data always encodes.
func (s *session) message(typ string, data any) *realtime.Event {
	e, err := realtime.NewMessage(typ, s.ownerID, time.Now(), data)
	if err != nil {
		panic(err) // a mistake of ours, and every control message is sent by a test
	}
	return e
}

// say queues a control message. A client that makes us say too much at once is cut.
func (s *session) say(typ string, data any) {
	e := s.message(typ, data)
	s.mu.Lock()
	flooded := len(s.control) >= maxControl
	if !flooded {
		s.control = append(s.control, e)
	}
	s.mu.Unlock()
	if flooded {
		s.end(ending{closeTooMany, "too many messages"})
		return
	}
	s.wake()
}

// end lets the session end after what it has to say. The first ending counts.
func (s *session) end(e ending) {
	s.mu.Lock()
	if s.ending == nil {
		s.ending = &e
	}
	s.mu.Unlock()
	s.wake()
}

// cut ends a session whose client does not take its bytes: for a while it may still take those that wait, and the reason.
func (s *session) cut(err error) {
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		s.finish(lost)
		return
	}
	s.end(tooSlow)
	s.stream.tooSlow.Add(1)
	if s.transport.flush(time.Now().Add(lingerTimeout)) != nil {
		s.finish(ending{code: closeTooSlow})
		return
	}
	s.finish(tooSlow)
}

// finish closes the connection and takes the session out of the books. Its turn never ends.
func (s *session) finish(e ending) {
	s.sub.Close()
	s.transport.close(e)
	s.stream.forget(s, e)
	close(s.done)
}
