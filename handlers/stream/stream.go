// Package stream serves browsers' connections: WebSocket and Server-Sent Events, which share one
// session. A session is a cursor in its owner's log; a scheduler gives it turns when it is behind.
//
// It promises that a session sends each event once and in order, and that a slow
// connection costs bounded memory and delays nobody else. It knows nothing of paths, JWT,
// cookies, SQL or the environment.
package stream

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

	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// shortestRound and longestRound bound within what time the clock comes to every session once, and
// clockStep how often it ticks in a long one.
const (
	shortestRound = 10 * time.Millisecond
	longestRound  = 500 * time.Millisecond
	clockStep     = 50 * time.Millisecond
)

// Server admits, counts and waits for browser connections of both transports.
type Server struct {
	Bus       *realtime.Bus
	Accounts  handlers.Accounts
	Authority handlers.Authority
	Limiter   Limiter // nil: no limits
	Heartbeat time.Duration
	// how long a client may leave its bytes lying before it is cut as too slow
	Stall    time.Duration
	Location *time.Location
	// OnOpen is called when a stream was let in. It must not block; nil: nobody is told.
	OnOpen   func(ctx context.Context, userID, ownerID string)
	Measures *realtime.Measures // nil: nothing is measured
	Log      *slog.Logger

	ctx     context.Context // ends when the stream is shut down for good
	cancel  context.CancelFunc
	log     *slog.Logger
	queue   *runQueue
	workers sync.WaitGroup // they and the clock

	ticks   atomic.Uint64
	hurried *rate.Limiter // of streams that are told to come back at once

	delivered, tooSlow, opened atomic.Int64
	rechecks                   atomic.Int64 // calls of Recheck
	full                       atomic.Bool  // no new streams
	refusedFull                atomic.Int64
	counts                     counts

	mu       sync.Mutex // guards what follows
	sessions map[*session]struct{}
	stopping bool // goodbyes are being said: no session begins any more
	closed   bool // and no WebSocket either
	aborted  bool // and those that are no session yet are aborted
	// handshaken are WebSockets that are no session yet, or never will be one.
	handshaken map[*webSocket]struct{}
	requests   sync.WaitGroup // requests that are being served
	// goroutines are those of connections: readers, which are started by requests and not the
	// requests' own, since those keep a large stack and all of the request; and runs that wait.
	goroutines sync.WaitGroup
}

// Start starts the workers and the clock; Shutdown ends them.
func (s *Server) Start() {
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.log = s.Log
	s.queue = newRunQueue(workers())
	s.sessions, s.handshaken = make(map[*session]struct{}), make(map[*webSocket]struct{})
	s.hurried = rate.NewLimiter(hurriedRate, hurriedRate)
	for range s.queue.workers {
		s.workers.Go(func() {
			defer crash.Report("stream worker")
			runWorker(s.queue)
		})
	}
	s.workers.Go(s.tick)
	if s.Measures != nil {
		s.goroutines.Go(s.runCanary)
	}
}

// admitted is a request that was admitted, before its connection is hijacked.
type admitted struct {
	session   *session
	recovered bool
	rechecks  int64 // as many calls of Recheck came before the viewer's access was checked
}

// admit counts the connection, checks who asks for what and subscribes. wake may be called before
// the session is scheduled.
func (s *Server) admit(ctx context.Context, viewer handlers.Viewer, ownerID, lastEventID string) (*admitted, error) {
	if s.Full() {
		s.refusedFull.Add(1)
		return nil, fullRefusal()
	}
	leave, over := s.acquire(ctx, viewer.UserID)
	if over != nil {
		return nil, over
	}
	if err := handlers.AwaitBus(ctx, s.Bus); err != nil {
		leave()
		return nil, err
	}
	rechecks := s.rechecks.Load()
	id, err := handlers.ResolveOwner(ctx, s.Accounts, viewer, ownerID)
	if err != nil {
		leave()
		return nil, err
	}
	session := &session{id: rand.Text(), ownerID: id, stream: s, viewer: viewer, release: leave, done: make(chan struct{})}
	recovered, err := s.Bus.SubscribeAs(ctx, &session.sub, session, id, viewer.UserID, lastEventID)
	s.countResume(id, lastEventID, recovered, err)
	if err != nil {
		leave()
		return nil, handlers.RefusalOf(err, "lastEventId")
	}
	if s.OnOpen != nil {
		s.OnOpen(ctx, viewer.UserID, id)
	}
	return &admitted{session, recovered, rechecks}, nil
}

// run registers an admitted session on its transport and lets it begin. When the server is stopping
// it says goodbye instead, and returns false: the caller closes.
func (s *Server) run(a *admitted, t transport, name string) bool {
	session := a.session
	session.transport = t
	now := time.Now()
	session.since = now
	session.nextHeartbeat = now.Add(s.heartbeatPhase())
	session.life = session.viewer.TokenLifetime(now)
	position := session.sub.LastID()
	session.established = session.message("connection_established", map[string]any{
		"ownerId": session.ownerID, "connectionId": session.id, "lastEventId": position, "recovered": a.recovered,
		"heartbeatMs": s.Heartbeat.Milliseconds(), "serverTime": now.UnixMilli(), "timezone": s.Location.String(),
	})
	session.established.Retry = jitter(returnWithin) // should the server be gone without a word
	if a.recovered {
		session.established.ID = position
	} else { // resync carries it: a cut between the two would hide the loss
		session.control = append(session.control, session.resync())
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		session.sendClosing(s.returnSoon())
		var frames net.Buffers
		for _, e := range append([]*realtime.Event{session.established}, session.control...) {
			frames = append(frames, t.frame(e))
		}
		t.tryWrite(frames) // its close flushes them
		return false
	}
	s.sessions[session] = struct{}{}
	s.mu.Unlock()
	if s.rechecks.Load() != a.rechecks { // one of them may have missed it
		session.mu.Lock()
		session.recheckDue = true
		session.mu.Unlock()
	}
	s.opened.Add(1)
	s.counts.open[transportOf(t)].Add(1)
	s.log.Info("connection opened", "connection", session.id, "transport", name, "owner", session.ownerID,
		"user", session.viewer.UserID, "recovered", a.recovered)
	session.schedule()
	return true
}

// remove forgets an ended session.
func (s *Server) remove(session *session, e Disconnect) {
	if session.ownerID == realtime.CanaryOwner {
		return
	}
	s.mu.Lock()
	delete(s.sessions, session)
	s.mu.Unlock()
	session.release()
	s.counts.open[transportOf(session.transport)].Add(-1)
	s.counts.countEnd(session.transport, e)
	s.log.Info("connection closed", "connection", session.id, "owner", session.ownerID, "code", int(e.Code), "reason", e.Reason)
}

// Recheck has sessions check again whether their viewers may see what they see: those of an owner
// account or, when it is empty, those of a user; all when both are.
func (s *Server) Recheck(ownerID, userID string) {
	s.rechecks.Add(1)
	for _, session := range s.list() {
		session.mu.Lock()
		concerned := ownerID != "" && session.ownerID == ownerID || ownerID == "" && (userID == "" || session.viewer.UserID == userID)
		session.recheckDue = session.recheckDue || concerned
		session.mu.Unlock()
		if concerned {
			session.wake()
		}
	}
}

func (s *Server) list() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.sessions))
	for session := range s.sessions {
		list = append(list, session)
	}
	return list
}

// heartbeatPhase returns after what part of the interval the next session's first heartbeat is due:
// those of a crowd that has come at once spread evenly, as the fractions of multiples of the golden
// ratio do (Weyl's equidistribution theorem).
func (s *Server) heartbeatPhase() time.Duration {
	_, fraction := math.Modf(float64(s.opened.Load()) * math.Phi)
	return time.Duration(fraction * float64(s.Heartbeat))
}

// tick is the one clock of all sessions. It comes to each of them once in a while, to a part at a
// time: what many of them have to do, they must not do in one moment.
func (s *Server) tick() {
	defer crash.Report("clock of the streams")
	round := min(max(s.Heartbeat/8, shortestRound), longestRound)
	parts := max(int(round/clockStep), 1)
	ticker := time.NewTicker(round / time.Duration(parts))
	defer ticker.Stop()
	memory := newScavenger()
	var list []*session
	for part := 0; ; part = (part + 1) % parts {
		select {
		case <-s.ctx.Done():
			return
		case now := <-ticker.C:
			s.ticks.Add(1)
			if part == 0 {
				list = s.list()
				memory.observe(2*s.opened.Load() - int64(len(list)))
			}
			for _, session := range list[part*len(list)/parts : (part+1)*len(list)/parts] {
				session.tick(now)
			}
		}
	}
}

// Ticks counts what the clock has done: it grows while no session holds the clock up.
func (s *Server) Ticks() uint64 { return s.ticks.Load() }

// refuseEarly answers a request that was not admitted, by HTTP.
func (s *Server) refuseEarly(w http.ResponseWriter, r *http.Request, why error) {
	handlers.RespondError(w, r, s.Log, why)
}
