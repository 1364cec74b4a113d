package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

const (
	// eventStreamFrames is the number of this transport's frames in an Event.
	eventStreamFrames = 1
	// neverRetry is what an EventSource is told to wait that need not come back: it cannot be told
	// to stay away. A day, in the unit of the field retry.
	neverRetry = 24 * time.Hour
	// minRetry is how soon an EventSource is asked to come back at least, where it may.
	minRetry = time.Second
)

// lastChunk ends a chunked body (RFC 9112, section 7.1).
var lastChunk = []byte("0\r\n\r\n")

// jitter returns a random part of a time, drawn for each stream: those who were told the
// same come back spread over it.
func jitter(whole time.Duration) time.Duration {
	least := min(minRetry, whole)
	return least + rand.N(whole-least+1)
}

// writeEvent writes an event as Server-Sent Events do (HTML Standard, section 9.2). The
// JSON has no line break.
func writeEvent(b *bytes.Buffer, e *realtime.Event) {
	if e.Retry > 0 {
		fmt.Fprintf(b, "retry: %d\n", e.Retry.Milliseconds())
	}
	if e.ID != "" {
		fmt.Fprintf(b, "id: %s\n", e.ID)
	}
	fmt.Fprintf(b, "event: %s\ndata: %s\n\n", e.Type, e.JSON)
}

// chunk is an event as one chunk of a body (RFC 9112, section 7.1), made once for all connections.
func chunk(e *realtime.Event) []byte {
	var plain, b bytes.Buffer
	writeEvent(&plain, e)
	b.Grow(plain.Len() + 10)
	fmt.Fprintf(&b, "%x\r\n", plain.Len())
	plain.WriteTo(&b)
	b.WriteString("\r\n")
	return b.Bytes()
}

// eventFrame returns an event for Server-Sent Events: with its chunk's ends for a chunked body,
// else the part of the same bytes between them.
func eventFrame(e *realtime.Event, chunked bool) []byte {
	b := e.Frame(eventStreamFrames, chunk)
	if chunked {
		return b
	}
	return b[bytes.IndexByte(b, '\n')+1 : len(b)-2]
}

// eventStream is the Server-Sent Events transport over HTTP/1: the response's head is written once,
// and then the connection is ours.
type eventStream struct {
	socket
	ownerID string
	chunked bool // HTTP/1.1: the end of the stream can be told from a lost connection
}

func (es *eventStream) frame(e *realtime.Event) []byte { return eventFrame(e, es.chunked) }

// ping does nothing: the peer's kernel acknowledges the heartbeat itself.
func (*eventStream) ping() {}

// lastRead is as far as this transport can know: a client never says anything, but its kernel, or
// that of a proxy before it, acknowledges what arrives.
func (es *eventStream) lastRead() time.Time { return es.acknowledged() }

func (es *eventStream) lastAck() time.Time { return es.acknowledged() }

func (es *eventStream) close(e Disconnect) {
	if e.Code != 0 && e.Reason != "" {
		var last net.Buffers
		if e.Code != handlers.CloseNormal {
			last = append(last, es.frame(errorMessage(es.ownerID, e, 0)))
		}
		if es.chunked {
			last = append(last, lastChunk)
		}
		es.writeLast(last)
		if es.flush() == nil {
			es.lingeringClose(e.Code == handlers.CloseTooMany)
		}
	}
	es.abort()
}

// responseStream is the same over a ResponseWriter that cannot be taken over: HTTP/2.
// Every write waits, in runBlocking.
type responseStream struct {
	w            http.ResponseWriter
	ctl          *http.ResponseController
	ownerID      string
	writeTimeout time.Duration // how long a write may wait for the peer
	gone         chan struct{} // closed to let the handler return
	once         sync.Once
	backlog      net.Buffers // only the session's run touches it
}

func (*responseStream) frame(e *realtime.Event) []byte { return eventFrame(e, false) }

func (*responseStream) ping() {}

func (*responseStream) lastRead() time.Time { return time.Time{} }

func (*responseStream) lastAck() time.Time { return time.Time{} }

func (rs *responseStream) tryWrite(frames net.Buffers) (bool, error) {
	rs.backlog = append(rs.backlog, frames...)
	return false, nil
}

func (rs *responseStream) flush() error {
	if len(rs.backlog) == 0 {
		return nil
	}
	if err := rs.ctl.SetWriteDeadline(time.Now().Add(rs.writeTimeout)); err != nil {
		return err
	}
	if _, err := rs.backlog.WriteTo(rs.w); err != nil {
		return err
	}
	return rs.ctl.Flush()
}

func (rs *responseStream) close(e Disconnect) {
	if e.Code != 0 && e.Reason != "" && e.Code != handlers.CloseNormal {
		rs.tryWrite(net.Buffers{rs.frame(errorMessage(rs.ownerID, e, 0))})
		rs.writeTimeout = closeTimeout
		rs.flush()
	}
	rs.abort()
}

func (rs *responseStream) abort() { rs.once.Do(func() { close(rs.gone) }) }

// ServeEvents serves the stream as Server-Sent Events.
func (s *Server) ServeEvents(w http.ResponseWriter, r *http.Request) {
	viewer, refused := handlers.RequireViewer(r.Context())
	readsStatus := viewer.Early
	viewer.Early = viewer.Early || refused != nil && viewer.Rejected == "" && viewer.Later == nil
	if s.Stopping() {
		s.RefuseStopping(w, r, readsStatus)
		return
	}
	leave, ok := s.track()
	if !ok {
		s.RefuseStopping(w, r, readsStatus)
		return
	}
	defer leave()
	if r.Method == http.MethodHead { // what GET would answer, without a stream
		if refused == nil {
			_, refused = handlers.ResolveOwner(r.Context(), s.Accounts, viewer, r.URL.Query().Get("ownerId"))
		}
		if refused == nil {
			eventStreamHeaders(w.Header())
			return
		}
	}
	var admitted *admitted
	if refused == nil {
		// a browser that returns knows better than the address it was given
		lastEventID := r.Header.Get(handlers.PositionHeader)
		if lastEventID == "" {
			lastEventID = r.URL.Query().Get("lastEventId")
		}
		admitted, refused = s.admit(r.Context(), viewer, r.URL.Query().Get("ownerId"), lastEventID)
	}
	if refused != nil {
		s.refuseEvents(w, r, viewer, refused)
		return
	}
	eventStreamHeaders(w.Header())
	if r.ProtoMajor == 1 {
		s.serveTakenOver(w, r, admitted)
		return
	}
	s.serveResponse(w, r, admitted)
}

// refuseEvents answers a request for a stream that will not be. An EventSource reads no
// status, and never comes back after most of them: it gets a stream that ends at once,
// and is told in it when to return.
func (s *Server) refuseEvents(w http.ResponseWriter, r *http.Request, viewer handlers.Viewer, why error) {
	if viewer.Early {
		s.refuseEarly(w, r, why)
		return
	}
	refused := handlers.RefusalOf(why, "")
	if refused.Cause != nil && r.Context().Err() == nil {
		s.Log.ErrorContext(r.Context(), "stream not served", "error", refused.Cause)
	}
	eventStreamHeaders(w.Header())
	if refused.Code == handlers.CloseGoingAway {
		w.Write(eventFrame(closingMessage("", refused.RetryAfter), false))
	}
	w.Write(eventFrame(refusalMessage(refused, ""), false))
}

// Postpone answers a request for an event stream, whose sender reads no status, that it is to come
// back shortly.
func Postpone(w http.ResponseWriter, detail string) {
	eventStreamHeaders(w.Header())
	w.Write(eventFrame(errorMessage("", Disconnect{handlers.CloseTryAgain, detail}, 0), false))
}

func eventStreamHeaders(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // a proxy must not hold anything back
}

// serveTakenOver streams over the hijacked connection.
func (s *Server) serveTakenOver(w http.ResponseWriter, r *http.Request, a *admitted) {
	session := a.session
	conn, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		a.cancel()
		s.refuseEarly(w, r, err)
		return
	}
	es := &eventStream{ownerID: session.ownerID, chunked: r.ProtoAtLeast(1, 1)}
	es.open(conn, 2*s.Heartbeat, s.Stall+slowGrace)
	if _, err := es.tryWrite(net.Buffers{responseHead(w.Header(), es.chunked)}); err != nil || !s.run(a, es, "sse") {
		es.close(goingAway)
		a.cancel()
		return
	}
	stray := brw.Reader.Buffered()
	s.goroutines.Go(func() {
		defer crash.Report("stream")
		session.end(es.awaitClose(stray))
		<-session.done
	})
}

// responseHead is the head of a response that is the connection's last. Without chunks its body
// ends with the connection (RFC 9112, section 6.3), which is all that HTTP/1.0 understands.
func responseHead(h http.Header, chunked bool) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n")
	if chunked {
		b.WriteString("Transfer-Encoding: chunked\r\n")
	}
	fmt.Fprintf(&b, "Date: %s\r\n", time.Now().UTC().Format(http.TimeFormat))
	h.Write(&b)
	b.WriteString("\r\n")
	return b.Bytes()
}

// serveResponse streams through the ResponseWriter.
func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request, a *admitted) {
	session := a.session
	rs := &responseStream{w: w, ctl: http.NewResponseController(w), ownerID: session.ownerID,
		writeTimeout: s.Stall + slowGrace, gone: make(chan struct{})}
	w.WriteHeader(http.StatusOK)
	if rs.ctl.Flush() != nil || !s.run(a, rs, "sse") {
		rs.close(goingAway)
		a.cancel()
		return
	}
	select {
	case <-r.Context().Done():
		session.end(connectionLost)
	case <-rs.gone:
	}
	<-session.done
}
