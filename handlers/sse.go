package handlers

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// eventStreamFrames is the number of this transport's frames in an Event.
const eventStreamFrames = 1

// eventFrame writes an event as Server-Sent Events do (HTML Standard, section 9.2). The JSON has no line break.
func eventFrame(e *realtime.Event) []byte {
	var b bytes.Buffer
	b.Grow(len(e.JSON) + len(e.ID) + len(e.Type) + 24)
	if e.ID != "" {
		fmt.Fprintf(&b, "id: %s\n", e.ID)
	}
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", e.Type, e.JSON)
	return b.Bytes()
}

// errorFrame is an event that ends a stream with a close code.
func errorFrame(ownerID string, e ending) []byte {
	m, err := realtime.NewMessage("error", ownerID, time.Now(), map[string]any{"code": e.code, "message": e.reason})
	if err != nil {
		panic(err) // a mistake of ours, shown by any test
	}
	return eventFrame(m)
}

// eventStream is the Server-Sent Events transport over HTTP/1.1: the response's head is written once, and then the
// connection is ours.
type eventStream struct {
	socket
	ownerID string
}

func (*eventStream) frame(e *realtime.Event) []byte { return e.Frame(eventStreamFrames, eventFrame) }

// ask does nothing: the peer's kernel acknowledges the heartbeat itself.
func (*eventStream) ask() {}

// heard is as far as this transport can know: a client never says anything, but its kernel, or that of a proxy before
// it, acknowledges what arrives.
func (es *eventStream) heard() time.Time { return es.acknowledged() }

func (es *eventStream) reached() time.Time { return es.acknowledged() }

func (es *eventStream) close(e ending) {
	if e.code != 0 && e.reason != "" && e.code != closeNormal {
		if _, err := es.tryWrite(net.Buffers{errorFrame(es.ownerID, e)}); err == nil {
			es.flush(time.Now().Add(time.Second))
		}
	}
	es.Close()
}

func (es *eventStream) abort() { es.Close() }

// responseStream is the same over a ResponseWriter that cannot be taken over: HTTP/2. Every write waits, in a carrier.
type responseStream struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	ownerID string
	gone    chan struct{} // closed to let the handler return
	once    sync.Once
	backlog net.Buffers // only the session's turn touches it
}

func (*responseStream) frame(e *realtime.Event) []byte { return e.Frame(eventStreamFrames, eventFrame) }

func (*responseStream) ask() {}

func (*responseStream) heard() time.Time { return time.Time{} }

func (*responseStream) reached() time.Time { return time.Time{} }

func (rs *responseStream) tryWrite(frames net.Buffers) (bool, error) {
	rs.backlog = append(rs.backlog, frames...)
	return false, nil
}

func (rs *responseStream) flush(deadline time.Time) error {
	if len(rs.backlog) == 0 {
		return nil
	}
	if err := rs.ctl.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := rs.backlog.WriteTo(rs.w); err != nil {
		return err
	}
	return rs.ctl.Flush()
}

func (rs *responseStream) close(e ending) {
	if e.code != 0 && e.reason != "" && e.code != closeNormal {
		rs.tryWrite(net.Buffers{errorFrame(rs.ownerID, e)})
		rs.flush(time.Now().Add(time.Second))
	}
	rs.abort()
}

func (rs *responseStream) abort() { rs.once.Do(func() { close(rs.gone) }) }

// ServeEvents serves the stream as Server-Sent Events.
func (s *Stream) ServeEvents(w http.ResponseWriter, r *http.Request) {
	leave, ok := s.enter()
	if !ok {
		RespondProblem(w, http.StatusServiceUnavailable, "the server is stopping: come back shortly", "")
		return
	}
	defer leave()
	viewer, refused := known(r.Context())
	viewer.Early = viewer.Early || refused != nil && viewer.Rejected == ""
	var admitted *admission
	if refused == nil {
		lastEventID := r.Header.Get(positionHeader) // a browser that returns knows better than the address it was given
		if lastEventID == "" {
			lastEventID = r.URL.Query().Get("lastEventId")
		}
		admitted, refused = s.admit(r.Context(), viewer, r.URL.Query().Get("ownerId"), lastEventID)
	}
	if refused != nil && (viewer.Early || refused.status >= http.StatusInternalServerError) {
		s.refuseEarly(w, r, refused)
		return
	}
	eventStreamHeaders(w.Header())
	if refused != nil {
		w.Write(errorFrame("", ending{refused.code, refused.detail}))
		return
	}
	if r.ProtoMajor == 1 {
		s.serveTakenOver(w, r, admitted)
		return
	}
	s.serveResponse(w, r, admitted)
}

func eventStreamHeaders(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // a proxy must not hold anything back
}

// serveTakenOver streams over the hijacked connection.
func (s *Stream) serveTakenOver(w http.ResponseWriter, r *http.Request, a *admission) {
	session := a.session
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		a.cancel()
		s.refuseEarly(w, r, refuse(err, ""))
		return
	}
	es := &eventStream{ownerID: session.ownerID}
	es.open(conn, 2*s.Heartbeat)
	es.session.Store(session)
	if _, err := es.tryWrite(net.Buffers{responseHead(w.Header())}); err != nil || !s.run(a, es, "sse") {
		a.cancel()
		es.Close()
		return
	}
	s.readers.Go(func() {
		session.end(es.awaitEnd())
		<-session.done
	})
}

// responseHead is the head of a response whose body ends with the connection (RFC 9112, section 6.3).
func responseHead(h http.Header) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n")
	fmt.Fprintf(&b, "Date: %s\r\n", time.Now().UTC().Format(http.TimeFormat))
	h.Write(&b)
	b.WriteString("\r\n")
	return b.Bytes()
}

// serveResponse streams through the ResponseWriter.
func (s *Stream) serveResponse(w http.ResponseWriter, r *http.Request, a *admission) {
	session := a.session
	rs := &responseStream{w: w, ctl: http.NewResponseController(w), ownerID: session.ownerID, gone: make(chan struct{})}
	w.WriteHeader(http.StatusOK)
	if rs.ctl.Flush() != nil || !s.run(a, rs, "sse") {
		a.cancel()
		return
	}
	select {
	case <-r.Context().Done():
		session.end(lost)
	case <-rs.gone:
	}
	<-session.done
}
