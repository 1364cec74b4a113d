//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package stream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"
	"unicode/utf8"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

const (
	// Subprotocol is what a client offers and the server answers (RFC 6455, section 1.9).
	Subprotocol = "hangarshare.v1"
	// readBuffer is large enough for a pong and for a short message; a token is read past it.
	readBuffer = 128
	// controlBuffer holds the largest control frame (RFC 6455, section 5.5), so that each
	// goes out as one write.
	controlBuffer = 144
	// webSocketFrames is the number of this transport's frames in an Event.
	webSocketFrames = 0
)

// webSocket is the WebSocket transport. The library does handshake, reading and pong; events are
// written past it, straight to the socket. It never has the connection itself: what it reads has
// passed framing, and what it writes is held to what may still leave.
type webSocket struct {
	socket
	conn     *websocket.Conn
	framing  framing
	buffered []byte // what came with the request's head
	// the library's to the client's close frame; guarded by the socket's lock
	closeReply []byte
	// closed when the reader has read all that it will; nil while close reads itself
	reading chan struct{}
}

// frame builds one unmasked text frame (RFC 6455, section 5.2).
func (*webSocket) frame(e *realtime.Event) []byte { return e.Frame(webSocketFrames, textFrame) }

func textFrame(e *realtime.Event) []byte {
	n := len(e.JSON)
	b := make([]byte, 0, n+10)
	b = append(b, 0x80|opText)
	switch {
	case n < 126:
		b = append(b, byte(n))
	case n <= 0xFFFF:
		b = append(b, 126)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b = append(b, 127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return append(b, e.JSON...)
}

// pingFrame is an empty ping (RFC 6455, section 5.5.2): every peer answers it, and the answer
// counts as a sign of life.
var pingFrame = []byte{0x80 | opPing, 0}

func (ws *webSocket) ping() { ws.writeControl(pingFrame) }

func (ws *webSocket) lastRead() time.Time { return time.Unix(0, ws.readAt.Load()) }

func (ws *webSocket) lastAck() time.Time { return ws.acknowledged() }

// Read implements net.Conn for the library. What breaks a rule does not reach it.
func (ws *webSocket) Read(p []byte) (n int, err error) {
	if ws.framing.fault != nil {
		return 0, errFraming
	}
	if len(ws.buffered) > 0 {
		n = copy(p, ws.buffered)
		ws.buffered = ws.buffered[n:]
	} else {
		n, err = ws.socket.Read(p)
	}
	n = ws.framing.check(p[:n], time.Now())
	if n == 0 && ws.framing.fault != nil {
		return 0, errFraming
	}
	return n, err
}

// Write implements net.Conn for the library's control frames, each of which is one call. It never
// waits. The library answers a close frame at once, and also where we closed first; what leaves is
// one close frame, as the last (RFC 6455, section 5.5.1), and only close knows when it is time.
func (ws *webSocket) Write(p []byte) (int, error) {
	if len(p) > 0 && p[0]&0x0F == opClose {
		ws.mu.Lock()
		ws.closeReply = bytes.Clone(p)
		ws.mu.Unlock()
	} else {
		ws.writeControl(p)
	}
	return len(p), nil
}

// Close implements net.Conn for the library, which has nothing to close: see close and abort.
func (*webSocket) Close() error { return nil }

// close says why the connection ends, waits for the client's own close frame (RFC 6455,
// section 7.1.1) and closes it. Where the client closed first it gets the answer, and a
// lost connection nothing.
func (ws *webSocket) close(e Disconnect) {
	ws.mu.Lock()
	last := ws.closeReply
	ws.mu.Unlock()
	if e.Code != 0 && e.Reason != "" {
		last = closeFrame(e)
	}
	if last != nil {
		ws.writeLast(net.Buffers{last})
	}
	if ws.isFinished() && ws.flush() == nil {
		if e != unresponsive { // nobody would answer
			ws.SetReadDeadline(time.Now().Add(closeTimeout))
			if ws.reading == nil {
				ws.discard()
			} else {
				<-ws.reading
			}
		}
		ws.lingeringClose(e != unresponsive && ws.framing.fault != nil && !ws.framing.closed)
	}
	ws.abort()
	ws.conn.CloseNow() // lets go of what the library holds
}

// discard reads on until the client has closed, or cannot be followed. Who is cut off while it
// sends has not closed in order: a browser says so to its page where anything was left to send.
func (ws *webSocket) discard() {
	var nothing [512]byte
	f := &ws.framing
	for !f.closed && f.fault == nil {
		if _, err := ws.Read(nothing[:]); err != nil && f.fault == nil {
			return
		}
	}
	if f.fault == nil {
		return
	}
	f.follow(ws.buffered)
	ws.buffered = nil
	for read := 0; !f.closed && !f.lost && read < maxFollowed; {
		n, err := ws.socket.Read(nothing[:])
		f.follow(nothing[:n])
		if read += n; err != nil {
			return
		}
	}
}

// closeFrame says a code and a reason (RFC 6455, section 5.5.1), of which it takes as
// much as there is room for.
func closeFrame(e Disconnect) []byte {
	reason := e.Reason
	for len(reason) > maxControlPayload-2 || !utf8.ValidString(reason) {
		reason = reason[:len(reason)-1]
	}
	b := append(make([]byte, 0, len(reason)+4), 0x80|opClose, byte(len(reason)+2))
	b = binary.BigEndian.AppendUint16(b, uint16(e.Code))
	return append(b, reason...)
}

// hijacker is a ResponseWriter whose Hijack gives the library our socket in place of the
// connection.
type hijacker struct {
	http.ResponseWriter
	silence, writeTimeout time.Duration
	webSocket             *webSocket // when it has been taken over
}

// Hijack implements http.Hijacker, with buffers just large enough for a client's short messages.
func (t *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, brw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ws := &webSocket{}
	ws.open(conn, t.silence, t.writeTimeout)
	ws.framing.begin()
	early, _ := brw.Reader.Peek(brw.Reader.Buffered())
	ws.buffered = bytes.Clone(early)
	t.webSocket = ws
	return ws, bufio.NewReadWriter(bufio.NewReaderSize(ws, readBuffer), bufio.NewWriterSize(ws, controlBuffer)), nil
}

// accept does the handshake. Its error has been answered already.
func (s *Server) accept(w http.ResponseWriter, r *http.Request) (*webSocket, error) {
	hijack := &hijacker{ResponseWriter: w, silence: 2 * s.Heartbeat, writeTimeout: s.Stall + slowGrace}
	conn, err := websocket.Accept(hijack, r, &websocket.AcceptOptions{
		Subprotocols: []string{Subprotocol},
		// the origin was checked before us, by the rules of the whole server
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1) // framing has its own
	hijack.webSocket.conn = conn
	return hijack.webSocket, nil
}

// ServeWebSocket serves the stream as a WebSocket.
func (s *Server) ServeWebSocket(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	viewer, known := handlers.ViewerFrom(ctx)
	if s.Stopping() {
		s.RefuseStopping(w, r, viewer.Early)
		return
	}
	leave, ok := s.track()
	if !ok {
		s.refuseEarly(w, r, handlers.Stopping)
		return
	}
	defer leave()
	ownerID, lastEventID := r.URL.Query().Get("ownerId"), r.URL.Query().Get("lastEventId")
	var admitted *admitted
	refused := viewer.Refused()
	if known && refused == nil {
		admitted, refused = s.admit(ctx, viewer, ownerID, lastEventID)
	}
	if refused != nil && viewer.Early {
		s.refuseEarly(w, r, refused)
		return
	}
	if wrong := checkHandshake(w.Header(), r); wrong != nil {
		admitted.cancel()
		s.refuseEarly(w, r, wrong)
		return
	}
	if admitted == nil { // until it is, or until its client has taken in why it will not be
		leave, over := s.acquireAnonymous(ctx)
		if over != nil {
			over.Respond(w)
			return
		}
		defer leave()
	}
	ws, err := s.accept(w, r)
	if err != nil {
		admitted.cancel()
		return // the library has answered
	}
	defer s.handshake(ws)()
	ctx = context.WithoutCancel(ctx)
	if admitted == nil && refused == nil {
		if viewer, ownerID, refused = s.awaitAuth(ctx, ws, ownerID); refused == nil {
			admitted, refused = s.admit(ctx, viewer, ownerID, lastEventID)
		}
	}
	if refused != nil {
		s.refuseAccepted(ws, refused)
		return
	}
	session := admitted.session
	ws.reading = make(chan struct{})
	if !s.run(admitted, ws, "websocket") {
		ws.reading = nil
		ws.close(goingAway)
		admitted.cancel()
		return
	}
	s.goroutines.Go(func() {
		defer crash.Report("stream")
		session.end(session.receive(context.Background(), ws))
		ws.discard()
		close(ws.reading)
		<-session.done
	})
}

// refuseAccepted closes a connection with the code of a refusal. One that may be undone
// later says when.
func (s *Server) refuseAccepted(ws *webSocket, why error) {
	refused := handlers.RefusalOf(why, "")
	if refused.Cause != nil {
		s.Log.Error("connection not served", "error", refused.Cause)
	}
	switch refused.Code {
	case handlers.CloseGoingAway:
		ws.tryWrite(net.Buffers{textFrame(closingMessage("", refused.RetryAfter))})
	case handlers.CloseTryAgain:
		// flushed with the close frame
		ws.tryWrite(net.Buffers{textFrame(refusalMessage(refused, ""))})
	}
	ws.close(Disconnect{refused.Code, refused.Detail})
}

// readMessage reads one text message. An ending says why there is none.
func (ws *webSocket) readMessage(ctx context.Context) ([]byte, *Disconnect) {
	typ, reader, err := ws.conn.Reader(ctx)
	var data []byte
	if err == nil {
		data, err = io.ReadAll(reader) // framing bounds it
	}
	switch {
	case err != nil && ws.framing.fault != nil: // it may lie behind a message that is whole
		return nil, ws.framing.fault
	case err != nil && ws.framing.closed:
		return nil, &Disconnect{Reason: "closed by the client"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &noToken
	case err != nil:
		return nil, &connectionLost
	case typ != websocket.MessageText:
		return nil, &Disconnect{handlers.CloseProtocol, "messages are JSON text"}
	case !utf8.Valid(data):
		return nil, &Disconnect{handlers.CloseBadText, "a text that is not UTF-8"}
	}
	return data, nil
}
