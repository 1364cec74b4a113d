// Package frametest holds a server of the stream to the rules of RFC 6455: a table of frames, right
// and wrong, with what must come back, and a client that sends exactly those bytes.
//
// It promises that a case which passes saw every byte that the server sent until the connection's
// end. It knows nothing of how the server is made: the connection it is given may be plain or TLS,
// to this process or to any other.
package frametest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
)

// patience bounds each wait for the server: it is never reached unless something is broken.
const patience = time.Minute

// Opcodes (RFC 6455, section 5.2).
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	Close        = 0x8
	Ping         = 0x9
	Pong         = 0xA

	final = 0x80
)

// mask is the masking key of frames that are not about masks.
var mask = [4]byte{0x37, 0xFA, 0x21, 0x3D}

// Frame builds a masked frame. head is its first byte: the bits and the opcode.
func Frame(head byte, payload []byte) []byte {
	b := []byte{head}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xFFFF:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return masked(b, mask, payload)
}

// masked appends a mask and a payload under it to a head.
func masked(head []byte, mask [4]byte, payload []byte) []byte {
	b := append(slices.Clip(head), mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// CloseFrame builds a client's close frame.
func CloseFrame(code uint16, reason string) []byte {
	return Frame(final|Close, append(binary.BigEndian.AppendUint16(nil, code), reason...))
}

// Client is a WebSocket of a test, on which it sends whatever it wants.
type Client struct {
	net.Conn
	Reader *bufio.Reader
}

// Open upgrades a connection at a path with its query; Await connection_established follows, where
// the request says who asks. header holds whole lines.
func Open(conn net.Conn, target string, header ...string) (*Client, error) {
	c := &Client{Conn: conn, Reader: bufio.NewReader(conn)}
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", target)
	for _, line := range header {
		fmt.Fprintf(conn, "%s\r\n", line)
	}
	io.WriteString(conn, "\r\n")
	response, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("upgrade: %s", response.Status)
	}
	return c, nil
}

// Await reads until a message of a type, and fails on a close frame.
func (c *Client) Await(typ string) error {
	for {
		got, err := c.Next()
		switch {
		case err != nil:
			return fmt.Errorf("wait for %s: %w", typ, err)
		case got == "text "+typ:
			return nil
		case len(got) >= 5 && got[:5] == "close":
			return fmt.Errorf("wait for %s: got %s", typ, got)
		}
	}
}

// Next reads a frame and tells it in words: "text TYPE", "ping PAYLOAD", "pong
// PAYLOAD", "close", or "close CODE".
func (c *Client) Next() (string, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	var head [2]byte
	if _, err := io.ReadFull(c.Reader, head[:]); err != nil {
		return "", err
	}
	if head[0]&0xF0 != final || head[1]&0x80 != 0 {
		return "", fmt.Errorf("a server's frame begins with % x", head)
	}
	size := uint64(head[1])
	switch size {
	case 126:
		var long [2]byte
		if _, err := io.ReadFull(c.Reader, long[:]); err != nil {
			return "", err
		}
		size = uint64(binary.BigEndian.Uint16(long[:]))
	case 127:
		return "", errors.New("a server's frame of more than 64 KiB")
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(c.Reader, payload); err != nil {
		return "", err
	}
	switch head[0] & 0x0F {
	case Text:
		var m struct{ Type string }
		if err := json.Unmarshal(payload, &m); err != nil {
			return "", fmt.Errorf("a message that is not JSON: %.80s", payload)
		}
		return "text " + m.Type, nil
	case Ping:
		return "ping " + string(payload), nil
	case Pong:
		return "pong " + string(payload), nil
	case Close:
		switch {
		case len(payload) == 0:
			return "close", nil
		case len(payload) == 1:
			return "", errors.New("a close frame with half a code")
		}
		return fmt.Sprint("close ", binary.BigEndian.Uint16(payload)), nil
	}
	return "", fmt.Errorf("a server's frame begins with % x", head)
}

// End reads the connection to its end, which must come in order and without another byte.
func (c *Client) End() error {
	c.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(c.Reader)
	if err != nil {
		return fmt.Errorf("after the close frame: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("after the close frame came % x", rest[:min(len(rest), 32)])
	}
	return nil
}

// Run plays a case on an established stream, to the end of the connection.
func (c *Client) Run(test Case) error {
	for _, piece := range test.Send {
		if _, err := c.Write(piece); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	if test.HalfClose {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}
	got, err := c.collect(len(test.Want))
	if err != nil {
		return fmt.Errorf("after %q: %w", got, err)
	}
	want := slices.Clone(test.Want)
	if !test.ends() { // the connection goes on as if nothing had been
		if _, err := c.Write(slices.Concat(Frame(final|Text, ping), CloseFrame(1000, ""))); err != nil {
			return fmt.Errorf("go on: %w", err)
		}
		more, err := c.collect(2)
		if got = append(got, more...); err != nil {
			return fmt.Errorf("going on after %q: %w", got, err)
		}
		want = append(want, "text pong", "close 1000")
	}
	last := len(want) - 1
	slices.Sort(want[:last]) // a pong may overtake a message, and be overtaken; a close comes last
	slices.Sort(got[:last])
	if !slices.Equal(got, want) {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	if test.ends() && !test.HalfClose {
		c.Write(CloseFrame(1000, "")) // the answer of a client that did not close first
	}
	return c.End()
}

// collect reads frames that answer, leaving out what the stream says by itself.
func (c *Client) collect(n int) (got []string, err error) {
	for len(got) < n {
		frame, err := c.Next()
		if err != nil {
			return got, err
		}
		switch frame {
		case "text metrics_updated", "text overview_updated", "text notifications_updated", "text heartbeat", "ping ":
			continue
		}
		got = append(got, frame)
	}
	return got, nil
}

// ping is a message that is answered by pong.
var ping = []byte(`{"type":"ping"}`)

// padded is a ping of a size.
func padded(size int) []byte {
	return slices.Concat(ping[:len(ping)-1], bytes.Repeat([]byte(" "), size-len(ping)), ping[len(ping)-1:])
}
