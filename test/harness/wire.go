package harness

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// Wire is a client of either transport on the bare connection. It reads as slowly as a test wants,
// costs little, and takes no more into its buffers than it is told.
type Wire struct {
	Conn     *net.TCPConn
	Reader   *bufio.Reader
	Upgraded bool // a WebSocket
}

// WireOptions say what a wire asks for.
type WireOptions struct {
	WebSocket            bool // instead of Server-Sent Events
	OwnerID, LastEventID string
	ReadBuffer           int // bytes that the kernel may hold for it; 0 leaves that to the kernel
}

// DialWire opens a wire and reads the head of the response.
func (p *Program) DialWire(t testing.TB, token string, o WireOptions) *Wire {
	t.Helper()
	w, err := patiently(func() (*Wire, error) { return p.TryWire(token, o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Conn.Close() })
	return w
}

// TryWire is DialWire where the server may refuse: the error holds the status line.
func (p *Program) TryWire(token string, o WireOptions) (*Wire, error) {
	return p.TryWireUntil(time.Time{}, token, o)
}

// TryWireUntil is TryWire with a moment at which the connection gives up; zero for none. It holds
// until another one is set.
func (p *Program) TryWireUntil(deadline time.Time, token string, o WireOptions) (*Wire, error) {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.Dial("tcp", hostOf(p.Base))
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(deadline) //nolint:errcheck // it is open
	w := &Wire{Conn: conn.(*net.TCPConn), Reader: bufio.NewReaderSize(conn, 4<<10), Upgraded: o.WebSocket}
	if o.ReadBuffer > 0 {
		w.Conn.SetReadBuffer(o.ReadBuffer)
		w.Reader = bufio.NewReaderSize(conn, 16)
	}
	path, more := "sse", ""
	if o.WebSocket {
		path = "ws"
		more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	}
	fmt.Fprintf(conn, "GET /api/%s?ownerId=%s&lastEventId=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n",
		path, o.OwnerID, o.LastEventID, hostOf(p.Base), token, more)
	head := textproto.NewReader(w.Reader)
	status, err := head.ReadLine()
	var fields textproto.MIMEHeader
	if err == nil {
		fields, err = head.ReadMIMEHeader()
	}
	if err == nil && !strings.Contains(status, " 101 ") && !strings.Contains(status, " 200 ") {
		var code int
		fmt.Sscanf(status, "HTTP/1.1 %d", &code)
		refused := refusal{error: fmt.Errorf("GET /api/%s: %s", path, status)}
		refused.wait, refused.later = laterBy(code, http.Header(fields))
		err = refused
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

// CloseError is what a stream ended with.
type CloseError struct{ Code int }

// Error implements error.
func (c CloseError) Error() string { return fmt.Sprint("closed with ", c.Code) }

// Next returns the JSON of the next message. A WebSocket's close frame and an event stream's error
// message are a CloseError. It answers pings.
func (w *Wire) Next() ([]byte, error) {
	if w.Upgraded {
		return w.nextFrame()
	}
	for {
		line, err := w.Reader.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		text, isData := bytes.CutPrefix(line, []byte("data: "))
		if !isData {
			continue
		}
		if bytes.Contains(text, []byte(`"type":"error"`)) {
			var m Message
			if err := json.Unmarshal(text, &m); err != nil {
				return nil, err
			}
			var code int
			fmt.Sscan(m.Field("code"), &code)
			return nil, CloseError{code}
		}
		return bytes.TrimSpace(text), nil
	}
}

func (w *Wire) nextFrame() ([]byte, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(w.Reader, head[:]); err != nil {
			return nil, err
		}
		size := uint64(head[1])
		if size == 126 {
			var long [2]byte
			if _, err := io.ReadFull(w.Reader, long[:]); err != nil {
				return nil, err
			}
			size = uint64(binary.BigEndian.Uint16(long[:]))
		}
		if size > 0xFFFF {
			return nil, fmt.Errorf("a frame of head %v", head)
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(w.Reader, payload); err != nil {
			return nil, err
		}
		switch head[0] {
		case 0x81:
			return payload, nil
		case 0x89: // ping: a masked pong, with a mask of zeros
			w.Conn.Write([]byte{0x8a, 0x80, 0, 0, 0, 0})
		case 0x88:
			w.Conn.Write([]byte{0x88, 0x82, 0, 0, 0, 0, payload[0], payload[1]})
			return nil, CloseError{int(binary.BigEndian.Uint16(payload))}
		default:
			return nil, fmt.Errorf("a frame of head %v", head)
		}
	}
}

// IDOf returns the id that a message begins with, or "".
func IDOf(text []byte) string {
	rest, found := bytes.CutPrefix(text, []byte(`{"id":"`))
	if !found {
		return ""
	}
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

// IsOf reports whether a message is of a type.
func IsOf(text []byte, typ string) bool {
	return bytes.Contains(text[:min(len(text), 160)], []byte(`"type":"`+typ+`"`))
}

// History reads an owner's events after a position from REST: the truth that streams are
// compared with.
func (p *Program) History(t testing.TB, token, ownerID, after string) (ids []string) {
	t.Helper()
	for {
		_, _, page := p.Get(t, "owners/"+ownerID+"/events?limit=1000&after="+after, token)
		if page["events"] == nil || page["resync"] == true {
			t.Fatalf("events after %q: %v", after, page)
		}
		for _, e := range page["events"].([]any) {
			ids = append(ids, e.(map[string]any)["id"].(string))
		}
		after = page["lastEventId"].(string)
		if page["hasMore"] != true {
			return ids
		}
	}
}

// ParseMessage reads a whole message.
func ParseMessage(text []byte) (m Message) {
	if err := json.Unmarshal(text, &m); err != nil {
		m.Type = err.Error()
	}
	return m
}
