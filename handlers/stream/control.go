package stream

import (
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// maxControl bounds the control messages that wait for one session: beyond it a client is flooding.
const maxControl = 32

// message makes a control message. Its data always encodes.
func (s *session) message(typ string, data any) *realtime.Event {
	e, err := realtime.NewMessage(typ, s.ownerID, time.Now(), data)
	if err != nil {
		panic(err) // a mistake of ours, and every control message is sent by a test
	}
	return e
}

// positionMessage makes a control message that says where the stream is. A client of Server-Sent
// Events that comes back by itself resumes from there.
func (s *session) positionMessage(typ string) *realtime.Event {
	id := s.sub.LastID()
	e := s.message(typ, map[string]any{"lastEventId": id})
	e.ID = id
	return e
}

func (s *session) resync() *realtime.Event { return s.positionMessage("resync") }

// sendControl queues a control message. A client that causes too many at once is disconnected.
func (s *session) sendControl(typ string, data any) { s.enqueue(s.message(typ, data)) }

// sendClosing says that the stream ends through no fault of the client, which should come back
// after a random part of a time.
func (s *session) sendClosing(within time.Duration) {
	s.enqueue(closingMessage(s.ownerID, within))
}

func (s *session) enqueue(e *realtime.Event) {
	s.mu.Lock()
	flooded := len(s.control) >= maxControl
	if !flooded {
		s.control = append(s.control, e)
	}
	s.mu.Unlock()
	if flooded {
		s.end(Disconnect{handlers.CloseTooMany, "too many messages"})
		return
	}
	s.wake()
}
