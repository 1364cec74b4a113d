package main

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
)

// wire is a client of either transport that works on the bare connection: it reads as slowly as a test wants, costs
// little, and takes no more into its buffers than it is told.
type wire struct {
	conn     *net.TCPConn
	reader   *bufio.Reader
	upgraded bool // a WebSocket
}

// wireOptions say what a wire asks for. readBuffer is what the kernel may hold for it; zero leaves that to the kernel.
type wireOptions struct {
	webSocket            bool
	ownerID, lastEventID string
	readBuffer           int
}

// dialWire opens a wire and reads the head of the response.
func (p *program) dialWire(t testing.TB, token string, o wireOptions) *wire {
	t.Helper()
	w, err := p.tryWire(token, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	return w
}

func (p *program) tryWire(token string, o wireOptions) (*wire, error) {
	conn, err := net.Dial("tcp", hostOf(p.base))
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn.(*net.TCPConn), reader: bufio.NewReaderSize(conn, 4<<10), upgraded: o.webSocket}
	if o.readBuffer > 0 {
		w.conn.SetReadBuffer(o.readBuffer)
		w.reader = bufio.NewReaderSize(conn, 16)
	}
	path, more := "sse", ""
	if o.webSocket {
		path = "ws"
		more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	}
	fmt.Fprintf(conn, "GET /api/%s?ownerId=%s&lastEventId=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n",
		path, o.ownerID, o.lastEventID, hostOf(p.base), token, more)
	head := textproto.NewReader(w.reader)
	status, err := head.ReadLine()
	if err == nil {
		_, err = head.ReadMIMEHeader()
	}
	if err == nil && !strings.Contains(status, " 101 ") && !strings.Contains(status, " 200 ") {
		err = fmt.Errorf("GET /api/%s: %s", path, status)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

// closing is what a stream ended with.
type closing struct{ code int }

// Error implements error.
func (c closing) Error() string { return fmt.Sprint("closed with ", c.code) }

// next returns the JSON of the next message. A WebSocket's close frame, and an event stream's error message, are a
// closing. It answers pings.
func (w *wire) next() ([]byte, error) {
	if w.upgraded {
		return w.nextFrame()
	}
	for {
		line, err := w.reader.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		text, isData := bytes.CutPrefix(line, []byte("data: "))
		if !isData {
			continue
		}
		if bytes.Contains(text, []byte(`"type":"error"`)) {
			var m message
			if err := json.Unmarshal(text, &m); err != nil {
				return nil, err
			}
			var code int
			fmt.Sscan(m.field("code"), &code)
			return nil, closing{code}
		}
		return bytes.TrimSpace(text), nil
	}
}

func (w *wire) nextFrame() ([]byte, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(w.reader, head[:]); err != nil {
			return nil, err
		}
		size := uint64(head[1])
		if size == 126 {
			var long [2]byte
			if _, err := io.ReadFull(w.reader, long[:]); err != nil {
				return nil, err
			}
			size = uint64(binary.BigEndian.Uint16(long[:]))
		}
		if size > 0xFFFF {
			return nil, fmt.Errorf("a frame of head %v", head)
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(w.reader, payload); err != nil {
			return nil, err
		}
		switch head[0] {
		case 0x81:
			return payload, nil
		case 0x89: // ping: a masked pong, with a mask of zeros
			w.conn.Write([]byte{0x8a, 0x80, 0, 0, 0, 0})
		case 0x88:
			w.conn.Write([]byte{0x88, 0x82, 0, 0, 0, 0, payload[0], payload[1]})
			return nil, closing{int(binary.BigEndian.Uint16(payload))}
		default:
			return nil, fmt.Errorf("a frame of head %v", head)
		}
	}
}

// idOf returns the id that a message begins with, or "".
func idOf(text []byte) string {
	rest, found := bytes.CutPrefix(text, []byte(`{"id":"`))
	if !found {
		return ""
	}
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

// isOf reports whether a message is of a type.
func isOf(text []byte, typ string) bool {
	return bytes.Contains(text[:min(len(text), 160)], []byte(`"type":"`+typ+`"`))
}

// history reads an owner's events after a position from REST: the truth that streams are compared with.
func (p *program) history(t testing.TB, token, ownerID, after string) (ids []string) {
	t.Helper()
	for {
		var page map[string]any
		eventually(t, "answered", func() bool { // shortly after an outage it is still refused
			status, _, body := p.get(t, "owners/"+ownerID+"/events?limit=1000&after="+after, token)
			page = body
			return status != http.StatusServiceUnavailable
		})
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

// parse reads a whole message.
func parse(text []byte) (m message) {
	if err := json.Unmarshal(text, &m); err != nil {
		m.Type = err.Error()
	}
	return m
}
