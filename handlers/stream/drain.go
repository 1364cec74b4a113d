package stream

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// returnWithin is within what time clients are told to come back when the server stops.
	returnWithin = 4 * time.Second
	// returnSoonWithin is the same for streams that arrive while it stops: a balancer has chosen
	// this server a moment too late, and another one is there.
	returnSoonWithin = 250 * time.Millisecond
	// hurriedRate is how many a second are told so. Where there is no other server they all come
	// back here, until it is gone: the rest is told returnWithin.
	hurriedRate = 500
)

// Stopping reports whether goodbyes are being said: a new stream is better off with another server.
func (s *Server) Stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// Connections returns how many streams are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Drain says goodbye to all clients, in random order and evenly over a time: all of them
// come back, and not all at once.
func (s *Server) Drain(ctx context.Context, over time.Duration) {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	sessions := s.shuffled()
	begun := time.Now()
	for i, session := range sessions {
		session.sendClosing(returnWithin)
		session.end(goingAway)
		if i+1 == len(sessions) {
			return // nobody is left for whom to wait
		}
		next := begun.Add(time.Duration(float64(over) * float64(i+1) / float64(len(sessions))))
		wait := time.Until(next)
		if wait < time.Millisecond || ctx.Err() != nil {
			continue // what a timer is too coarse for, the next pauses make up
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// shuffled returns the sessions in random order, so that those who came together do not leave
// together. Iterating over a map promises no order, which is not a random one: a small one is told
// in the order of arrival, from anywhere on.
func (s *Server) shuffled() []*session {
	sessions := s.list()
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	return sessions
}

// Shutdown waits until every session has ended, or ctx does; what is left then is closed
// at once. Drain comes first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	var err error
	for _, session := range s.list() {
		select {
		case <-session.done:
		case <-ctx.Done():
			err = ctx.Err()
			session.transport.abort()
		}
	}
	s.cancel()
	for _, session := range s.list() {
		<-session.done
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.abortHandshaken)()
	s.requests.Wait()
	s.goroutines.Wait()
	s.queue.close()
	s.workers.Wait()
	return err
}

// abortHandshaken ends the WebSockets that are no session, and those to come.
func (s *Server) abortHandshaken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted = true
	for ws := range s.handshaken {
		ws.abort()
	}
}

// handshake notes a WebSocket that is no session yet, until it is one or its request ends.
func (s *Server) handshake(ws *webSocket) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handshaken[ws] = struct{}{}
	if s.aborted {
		ws.abort()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.handshaken, ws)
	}
}

// track counts a request as being served; Shutdown waits for it. It is false when no more are.
func (s *Server) track() (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	s.requests.Add(1)
	return s.requests.Done, true
}

// returnSoon returns within what time a stream that arrives while the server stops is
// told to come back.
func (s *Server) returnSoon() time.Duration {
	if s.hurried.Allow() {
		return returnSoonWithin
	}
	return returnWithin
}

// RefuseStopping answers a request for a stream while the server stops. A client that can read an
// HTTP status gets 503 with Retry-After, also for its balancer, which may ask another server. To
// others, a plain EventSource among them, that would be final (HTML Standard, section 9.2.3): their
// stream begins, says server_closing and ends.
func (s *Server) RefuseStopping(w http.ResponseWriter, r *http.Request, readsStatus bool) {
	if readsStatus {
		s.refuseEarly(w, r, handlers.Stopping)
		return
	}
	if !IsUpgrade(r) {
		eventStreamHeaders(w.Header())
		w.Write(eventFrame(closingMessage("", s.returnSoon()), false))
		return
	}
	leave, ok := s.track()
	if !ok {
		s.refuseEarly(w, r, handlers.Stopping)
		return
	}
	defer leave()
	if wrong := checkHandshake(w.Header(), r); wrong != nil {
		s.refuseEarly(w, r, wrong)
		return
	}
	release, over := s.acquireAnonymous(r.Context())
	if over != nil {
		s.refuseEarly(w, r, handlers.Stopping)
		return
	}
	defer release()
	ws, err := s.accept(w, r)
	if err != nil {
		return // the library has answered
	}
	defer s.handshake(ws)()
	// flushed with the close frame
	ws.tryWrite(net.Buffers{textFrame(closingMessage("", s.returnSoon()))})
	ws.close(goingAway)
}
