package handlers

import (
	"context"
	"crypto/rand"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// returnWithin is within what time clients are told to come back when the server stops.
const returnWithin = 5 * time.Second

// goodbyeTimeout bounds how long a client that came too late may take to be told so.
const goodbyeTimeout = time.Second

// shortestRound and longestRound bound within what time the clock comes to every session once, and clockStep how often it ticks
// in a long one.
const (
	shortestRound = 10 * time.Millisecond
	longestRound  = 500 * time.Millisecond
	clockStep     = 50 * time.Millisecond
)

// Stream admits, counts and waits for browser connections of both transports.
type Stream struct {
	Bus       *realtime.Bus
	Accounts  Accounts
	Authority Authority
	Admission Admission // nil: no limits
	Heartbeat time.Duration
	Stall     time.Duration // how long a client may leave its bytes lying before it is cut as too slow
	Location  *time.Location
	Log       *slog.Logger

	ctx      context.Context // ends when the stream is shut down for good
	cancel   context.CancelFunc
	log      *slog.Logger
	queue    *queue
	carriers sync.WaitGroup // turns that wait
	workers  sync.WaitGroup // writers and the clock

	delivered, tooSlow, opened atomic.Int64
	rechecks                   atomic.Int64 // calls of Recheck

	mu       sync.Mutex // guards what follows
	sessions map[*session]struct{}
	stopping bool
	opening  sync.WaitGroup // requests that are being served
	// readers read from connections that were taken over: in goroutines of their own, because a request's keeps a large
	// stack and all of the request. They are started by requests.
	readers sync.WaitGroup
}

// Start starts the writers and the clock; Shutdown ends them.
func (s *Stream) Start() {
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.log = s.Log
	s.queue = newQueue(writers())
	s.sessions = make(map[*session]struct{})
	for range s.queue.writers {
		s.workers.Go(func() { writer(s.queue) })
	}
	s.workers.Go(s.tick)
}

// Stats are counts of a Stream since its start, and of the sessions open now.
type Stats struct {
	WebSockets, EventStreams            int
	Opened, Delivered, TooSlow, Waiting int64
}

// Stats returns the present counts.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Opened: s.opened.Load(), Delivered: s.delivered.Load(), TooSlow: s.tooSlow.Load()}
	for session := range s.sessions {
		if _, ok := session.transport.(*webSocket); ok {
			st.WebSockets++
		} else {
			st.EventStreams++
		}
	}
	return st
}

// admission is a request that was admitted, before its connection is taken over.
type admission struct {
	session   *session
	recovered bool
	rechecks  int64 // as many calls of Recheck came before the viewer's access was checked
}

// admit counts the connection, checks who asks for what and subscribes. wake may be called before start.
func (s *Stream) admit(ctx context.Context, viewer Viewer, ownerID, lastEventID string) (*admission, *refusal) {
	leave, over := s.connect(ctx, viewer.UserID)
	if over != nil {
		return nil, over.refusal()
	}
	rechecks := s.rechecks.Load()
	id, refused := owner(ctx, s.Accounts, viewer, ownerID)
	if refused != nil {
		leave()
		return nil, refused
	}
	session := &session{id: rand.Text(), ownerID: id, stream: s, viewer: viewer, leave: leave, done: make(chan struct{})}
	recovered, err := s.Bus.Subscribe(ctx, &session.sub, session, id, lastEventID)
	if err != nil {
		leave()
		return nil, refuse(err, "lastEventId")
	}
	return &admission{session, recovered, rechecks}, nil
}

// run registers an admitted session on its transport and lets it begin. When the server is stopping it says goodbye instead,
// and returns false.
func (s *Stream) run(a *admission, t transport, name string) bool {
	session := a.session
	session.transport = t
	now := time.Now()
	session.nextBeat = now.Add(s.phase())
	session.first = session.message("connection_established", map[string]any{
		"ownerId": session.ownerID, "connectionId": session.id, "lastEventId": session.sub.LastID(), "recovered": a.recovered,
		"heartbeatMs": s.Heartbeat.Milliseconds(), "serverTime": now.UnixMilli(), "timezone": s.Location.String(),
	})
	if !a.recovered {
		session.control = append(session.control, session.resync())
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		session.say("server_closing", map[string]any{"retryMs": returnWithin.Milliseconds()})
		var frames net.Buffers
		for _, e := range append([]*realtime.Event{session.first}, session.control...) {
			frames = append(frames, t.frame(e))
		}
		if _, err := t.tryWrite(frames); err == nil {
			t.flush(time.Now().Add(goodbyeTimeout))
		}
		t.close(ending{closeGoingAway, "the server is stopping"})
		return false
	}
	s.sessions[session] = struct{}{}
	s.mu.Unlock()
	if s.rechecks.Load() != a.rechecks { // one of them may have missed it
		session.mu.Lock()
		session.recheck = true
		session.mu.Unlock()
	}
	s.opened.Add(1)
	s.log.Info("connection opened", "connection", session.id, "transport", name, "owner", session.ownerID,
		"user", session.viewer.UserID, "recovered", a.recovered)
	session.start()
	return true
}

// enter counts a request as being served; Shutdown waits for it. It is false when the server is stopping.
func (s *Stream) enter() (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil, false
	}
	s.opening.Add(1)
	return s.opening.Done, true
}

// forget takes an ended session out of the books.
func (s *Stream) forget(session *session, e ending) {
	s.mu.Lock()
	delete(s.sessions, session)
	s.mu.Unlock()
	session.leave()
	s.log.Info("connection closed", "connection", session.id, "owner", session.ownerID, "code", int(e.code), "reason", e.reason)
}

// Recheck has sessions check again whether their viewers may see what they see: those of an owner account or, when it is
// empty, those of a user; all when both are.
func (s *Stream) Recheck(ownerID, userID string) {
	s.rechecks.Add(1)
	for _, session := range s.open() {
		session.mu.Lock()
		concerned := ownerID != "" && session.ownerID == ownerID || ownerID == "" && (userID == "" || session.viewer.UserID == userID)
		session.recheck = session.recheck || concerned
		session.mu.Unlock()
		if concerned {
			session.wake()
		}
	}
}

func (s *Stream) open() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.sessions))
	for session := range s.sessions {
		list = append(list, session)
	}
	return list
}

// phase returns after what part of the interval the next session's first heartbeat is due: those of a crowd that has come at
// once spread evenly, as the fractions of multiples of the golden ratio do (Weyl's equidistribution theorem).
func (s *Stream) phase() time.Duration {
	_, fraction := math.Modf(float64(s.opened.Load()) * math.Phi)
	return time.Duration(fraction * float64(s.Heartbeat))
}

// tick is the one clock of all sessions. It comes to each of them once in a while, to a part at a time: what many of them have
// to do, they must not do in one moment.
func (s *Stream) tick() {
	round := min(max(s.Heartbeat/8, shortestRound), longestRound)
	parts := max(int(round/clockStep), 1)
	ticker := time.NewTicker(round / time.Duration(parts))
	defer ticker.Stop()
	tidy := newTidy()
	var list []*session
	for part := 0; ; part = (part + 1) % parts {
		select {
		case <-s.ctx.Done():
			return
		case now := <-ticker.C:
			if part == 0 {
				list = s.open()
				tidy.look(2*s.opened.Load() - int64(len(list)))
			}
			for _, session := range list[part*len(list)/parts : (part+1)*len(list)/parts] {
				session.tick(now)
			}
		}
	}
}

// Drain says goodbye to everybody, spread evenly over a time: all clients come back, and not all at once.
func (s *Stream) Drain(ctx context.Context, over time.Duration) {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	sessions := s.open()
	if len(sessions) == 0 {
		return
	}
	pause := time.NewTicker(max(over/time.Duration(len(sessions)), time.Microsecond))
	defer pause.Stop()
	for _, session := range sessions {
		session.say("server_closing", map[string]any{"retryMs": returnWithin.Milliseconds()})
		session.end(ending{closeGoingAway, "the server is stopping"})
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

// Shutdown waits until every session has ended, or ctx does; what is left then is closed at once. Drain comes first.
func (s *Stream) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	var err error
	for _, session := range s.open() {
		select {
		case <-session.done:
		case <-ctx.Done():
			err = ctx.Err()
			session.transport.abort()
		}
	}
	s.cancel()
	for _, session := range s.open() {
		<-session.done
	}
	s.opening.Wait()
	s.readers.Wait()
	s.carriers.Wait()
	s.queue.close()
	s.workers.Wait()
	return err
}

// refuseEarly answers a request that was not admitted, by HTTP.
func (s *Stream) refuseEarly(w http.ResponseWriter, r *http.Request, refused *refusal) {
	respondRefusal(r.Context(), w, s.Log, refused)
}
