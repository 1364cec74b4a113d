//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package handlers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

const (
	// Subprotocol is what a client offers and the server answers (RFC 6455, section 1.9).
	Subprotocol = "hangarshare.v1"
	// maxMessage is the most bytes that a client may send at once.
	maxMessage = 4 << 10
	// authTimeout is how long a connection may stay without a token.
	authTimeout = 10 * time.Second
	// messageRate and messageBurst are how many messages a second a client may send, and how many at once.
	messageRate  = 10
	messageBurst = 30
	// readBuffer is large enough for a pong and for a short message; a token is read past it.
	readBuffer = 128
	// controlBuffer holds the largest control frame (RFC 6455, section 5.5), so that each goes out as one write.
	controlBuffer = 144
	// webSocketFrames is the number of this transport's frames in an Event.
	webSocketFrames = 0
)

// webSocket is the WebSocket transport: the library does handshake, reading, pong and close; events are written past it,
// straight to the socket.
type webSocket struct {
	socket
	conn *websocket.Conn
}

// frame builds one unmasked text frame (RFC 6455, section 5.2).
func (*webSocket) frame(e *realtime.Event) []byte { return e.Frame(webSocketFrames, textFrame) }

func textFrame(e *realtime.Event) []byte {
	n := len(e.JSON)
	b := make([]byte, 0, n+10)
	b = append(b, 0x81) // final, text
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

// pingFrame is an empty ping (RFC 6455, section 5.5.2): every peer answers it, and the answer counts as a sign of life.
var pingFrame = []byte{0x89, 0}

func (ws *webSocket) ask() { ws.interject(pingFrame) } // an error shows in the next turn

func (ws *webSocket) heard() time.Time { return time.Unix(0, ws.lastRead.Load()) }

func (ws *webSocket) reached() time.Time { return ws.acknowledged() }

func (ws *webSocket) close(e ending) {
	switch {
	case e.code == 0 || e.reason == "":
		ws.conn.CloseNow()
	case e == deaf:
		ws.interject(closeFrame(e))
		ws.conn.CloseNow()
	default:
		ws.last.Store(true)
		ws.conn.Close(websocket.StatusCode(e.code), e.reason)
	}
}

// closeFrame says a code and a reason (RFC 6455, section 5.5.1), for where the library would wait for an answer.
func closeFrame(e ending) []byte {
	b := append(make([]byte, 0, len(e.reason)+4), 0x88, byte(len(e.reason)+2))
	b = binary.BigEndian.AppendUint16(b, uint16(e.code))
	return append(b, e.reason...)
}

func (ws *webSocket) abort() { ws.Close() }

// takeover is a ResponseWriter whose Hijack gives the library our socket in place of the connection.
type takeover struct {
	http.ResponseWriter
	silence   time.Duration
	webSocket *webSocket // when it has been taken over
}

// Hijack implements http.Hijacker, with buffers just large enough for a client's short messages.
func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, brw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ws := &webSocket{}
	ws.open(conn, t.silence)
	t.webSocket = ws
	var source io.Reader = ws
	early, _ := brw.Reader.Peek(brw.Reader.Buffered())
	if len(early) > 0 {
		source = io.MultiReader(bytes.NewReader(bytes.Clone(early)), ws)
	}
	reader := bufio.NewReaderSize(source, max(readBuffer, len(early)))
	reader.Peek(len(early)) // the library keeps what is buffered, and nothing else
	return ws, bufio.NewReadWriter(reader, bufio.NewWriterSize(ws, controlBuffer)), nil
}

// ServeWebSocket serves the stream as a WebSocket.
func (s *Stream) ServeWebSocket(w http.ResponseWriter, r *http.Request) {
	leave, ok := s.enter()
	if !ok {
		RespondProblem(w, http.StatusServiceUnavailable, "the server is stopping: come back shortly", "")
		return
	}
	defer leave()
	ctx := r.Context()
	viewer, known := ViewerFrom(ctx)
	ownerID, lastEventID := r.URL.Query().Get("ownerId"), r.URL.Query().Get("lastEventId")
	var admitted *admission
	var refused *refusal
	if viewer.Rejected != "" {
		refused = unauthorized(viewer.Rejected)
	} else if known {
		admitted, refused = s.admit(ctx, viewer, ownerID, lastEventID)
	}
	if refused != nil && viewer.Early {
		s.refuseEarly(w, r, refused)
		return
	}
	if !wantsUpgrade(r) {
		admitted.cancel()
		w.Header().Set("Upgrade", "websocket")
		RespondProblem(w, http.StatusUpgradeRequired, "this address speaks WebSocket; for Server-Sent Events use /api/sse", "")
		return
	}
	if admitted == nil { // until it is, or until its client has taken in why it will not be
		leave, over := s.knock(ctx)
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
	ctx = context.WithoutCancel(ctx)
	if admitted == nil && refused == nil {
		if viewer, ownerID, refused = s.awaitAuth(ctx, ws.conn, ownerID); refused == nil {
			admitted, refused = s.admit(ctx, viewer, ownerID, lastEventID)
		}
	}
	if refused != nil {
		s.turnAway(ws.conn, refused)
		return
	}
	session := admitted.session
	ws.session.Store(session)
	if !s.run(admitted, ws, "websocket") {
		admitted.cancel()
		return
	}
	s.readers.Go(func() {
		session.end(session.receive(context.Background(), ws.conn))
		<-session.done
	})
}

// accept does the handshake. Its error has been answered already.
func (s *Stream) accept(w http.ResponseWriter, r *http.Request) (*webSocket, error) {
	take := &takeover{ResponseWriter: w, silence: 2 * s.Heartbeat}
	conn, err := websocket.Accept(take, r, &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // the origin was checked before us, by the rules of the whole server
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1) // readMessage has its own
	take.webSocket.conn = conn
	return take.webSocket, nil
}

// turnAway closes a connection with the code of a refusal.
func (s *Stream) turnAway(conn *websocket.Conn, refused *refusal) {
	if refused.cause != nil {
		s.Log.Error("connection not served", "error", refused.cause)
	}
	conn.Close(websocket.StatusCode(refused.code), refused.detail)
}

// clientMessage is anything that a client may send.
type clientMessage struct {
	Type    string `json:"type"`
	OwnerID string `json:"ownerId"`
	Token   string `json:"token"`
}

// awaitAuth reads the token that a connection without one must send first.
func (s *Stream) awaitAuth(ctx context.Context, conn *websocket.Conn, ownerID string) (Viewer, string, *refusal) {
	late := time.AfterFunc(authTimeout, func() {
		conn.Close(websocket.StatusCode(closeUnauthorized), "no token within 10 seconds")
	})
	defer late.Stop()
	data, e := readMessage(ctx, conn)
	if e != nil {
		return Viewer{}, "", &refusal{code: e.code, detail: e.reason}
	}
	var m clientMessage
	if err := json.Unmarshal(data, &m); err != nil || m.Type != "auth" || m.Token == "" {
		return Viewer{}, "", unauthorized(`the first message must be {"type":"auth","ownerId":"…","token":"…"}`)
	}
	viewer, err := s.Authority.Verify(ctx, m.Token)
	if err != nil {
		return Viewer{}, "", unauthorized(err.Error())
	}
	if m.OwnerID != "" {
		ownerID = m.OwnerID
	}
	return viewer, ownerID, nil
}

// readMessage reads one text message of bounded size. An ending says why there is none.
func readMessage(ctx context.Context, conn *websocket.Conn) ([]byte, *ending) {
	typ, reader, err := conn.Reader(ctx)
	if err != nil {
		e := lost
		if code := websocket.CloseStatus(err); code != -1 {
			e.reason = "closed by the client"
		}
		return nil, &e
	}
	data, err := io.ReadAll(io.LimitReader(reader, maxMessage+1))
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, &lost
	case len(data) > maxMessage:
		return nil, &ending{closeTooBig, "a message may have 4096 bytes"}
	case typ != websocket.MessageText:
		return nil, &ending{closeProtocol, "messages are JSON text"}
	}
	return data, nil
}

// receive handles what the client sends until the connection ends, and returns why it did.
func (s *session) receive(ctx context.Context, conn *websocket.Conn) ending {
	limit := rate.NewLimiter(messageRate, messageBurst)
	for {
		data, e := readMessage(ctx, conn)
		if e != nil {
			return *e
		}
		if !limit.Allow() {
			return ending{closeTooMany, "too many messages"}
		}
		var m clientMessage
		if err := json.Unmarshal(data, &m); err != nil {
			s.complain("that is not a JSON object with a type")
			continue
		}
		switch m.Type {
		case "ping":
			s.say("pong", struct{}{})
		case "auth", "refresh":
			s.renew(ctx, m)
		default:
			s.complain("unknown type: auth, refresh and ping are known")
		}
	}
}

// complain answers a message that is skipped.
func (s *session) complain(message string) {
	s.stream.log.Warn("client message skipped", "connection", s.id, "reason", message)
	s.say("error", map[string]any{"code": closeProtocol, "message": message})
}

// renew takes a new token for this connection.
func (s *session) renew(ctx context.Context, m clientMessage) {
	if m.OwnerID != "" && m.OwnerID != s.ownerID {
		s.complain("this connection belongs to another owner account: open a new one")
		return
	}
	viewer, err := s.stream.Authority.Verify(ctx, m.Token)
	if err != nil {
		s.say("error", map[string]any{"code": closeUnauthorized, "message": err.Error()})
		return
	}
	if !s.extend(viewer) {
		s.say("error", map[string]any{"code": closeForbidden, "message": "the new token is another user's"})
		return
	}
	s.say("refreshed", map[string]any{"expiresAt": viewer.Expires.UnixMilli()})
}
