package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// readBuffer holds a common message; longer ones are copied.
	readBuffer = 4 << 10
	// maxMessage bounds a message that is read.
	maxMessage = 1 << 20
	// writeTimeout bounds the writing of a pong or a goodbye.
	writeTimeout = time.Second
	// lostWithoutCode is the close code of a connection that ended without one (RFC
	// 6455, section 7.1.5).
	lostWithoutCode = 1006
)

// ended is how a server ended a connection.
type ended struct{ code int }

func (e ended) Error() string { return fmt.Sprintf("closed with code %d", e.code) }

// stream reads one transport's messages. A message is valid until the next is read.
type stream interface {
	next() ([]byte, error)
}

// connection is one of the load test's connections. Its own goroutine reads it.
type connection struct {
	run    *run
	who    Subscriber
	index  *eventIndex
	conn   net.Conn
	stream stream

	start    string // the position it starts after
	startAt  time.Time
	received []uint32     // numbers of the index, in the order of their arrival
	last     atomic.Int64 // the newest of them; -1 for none
	over     atomic.Bool  // it has ended
	resynced atomic.Bool  // the server said that history had a gap
	code     int          // of an error message, the way an event stream says why it ends
	cutOff   bool         // the server ended it
}

// connect opens the connection and reads its first message.
func (c *connection) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	base := c.run.api.base
	dialer := &net.Dialer{}
	conn, err := dialer.DialContext(ctx, "tcp", authority(base))
	if err != nil {
		return err
	}
	c.conn = conn
	if base.Scheme == "https" {
		c.conn = tls.Client(conn, &tls.Config{ServerName: base.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12})
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := c.handshake(); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if err := c.establish(); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if !stop() || !c.run.adopt(c) {
		return context.Canceled
	}
	return nil
}

// authority is where a server listens.
func authority(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// handshake asks for the stream and reads the answer's head.
func (c *connection) handshake() error {
	path, key := "/api/ws", newKey()
	if c.run.Transport == EventStream {
		path = "/api/sse"
	}
	request := &http.Request{Method: http.MethodGet, Host: c.run.api.base.Host, Header: http.Header{
		"Authorization": {"Bearer " + c.who.Token},
	}, URL: &url.URL{Path: path, RawQuery: url.Values{"ownerId": {c.who.OwnerID}}.Encode()}}
	if c.run.Transport == WebSocket {
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket",
			"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, "Sec-WebSocket-Protocol": "hangarshare.v1"} {
			request.Header[name] = []string{value}
		}
	} else {
		request.Header.Set("Accept", "text/event-stream")
	}
	if err := request.Write(c.conn); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(c.conn, readBuffer)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return fmt.Errorf("read the answer's head: %w", err)
	}
	if c.run.Transport == WebSocket {
		if response.StatusCode != http.StatusSwitchingProtocols {
			return &refusal{"GET " + path, response.StatusCode, detailOf(io.LimitReader(response.Body, maxMessage))}
		}
		if !strings.EqualFold(response.Header.Get("Upgrade"), "websocket") || response.Header.Get("Sec-Websocket-Accept") != acceptOf(key) {
			return errors.New("the answer is no WebSocket handshake")
		}
		c.stream = &webSocket{reader: reader, conn: c.conn}
		return nil
	}
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return &refusal{"GET " + path, response.StatusCode, detailOf(io.LimitReader(response.Body, maxMessage))}
	}
	// through a proxy, or from a server that frames by chunks
	if len(response.TransferEncoding) > 0 {
		reader = bufio.NewReaderSize(response.Body, readBuffer)
	}
	c.stream = &eventStream{reader: reader}
	return nil
}

// establish reads the first message, which says where the stream begins.
func (c *connection) establish() error {
	text, err := c.stream.next()
	if err != nil {
		return fmt.Errorf("read the first message: %w", err)
	}
	var first struct {
		Type string
		Data struct {
			OwnerID, LastEventID, Message string
			Code                          int
		}
	}
	if err := json.Unmarshal(text, &first); err != nil {
		return fmt.Errorf("read the first message: %w", err)
	}
	switch {
	case first.Type == typeError:
		return fmt.Errorf("refused with code %d: %s", first.Data.Code, first.Data.Message)
	case first.Type != typeEstablished:
		return fmt.Errorf("the first message is %s instead of %s", first.Type, typeEstablished)
	case first.Data.LastEventID == "":
		return errors.New("the first message says no lastEventId")
	}
	c.start, c.startAt = first.Data.LastEventID, time.Now()
	return nil
}

// receive takes messages until the connection ends.
func (c *connection) receive() {
	defer c.conn.Close()
	for {
		text, err := c.stream.next()
		if err != nil {
			c.end(err)
			return
		}
		c.note(text)
	}
}

// end notes how the connection ended, unless that was our doing.
func (c *connection) end(err error) {
	c.run.open.Add(-1)
	c.over.Store(true)
	if c.run.closing.Load() {
		return
	}
	c.cutOff = true
	var e ended
	if !errors.As(err, &e) {
		e.code = lostWithoutCode
		if c.code != 0 {
			e.code = c.code
		}
	}
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	c.run.disconnects[e.code]++
}

// note notes one message.
func (c *connection) note(text []byte) {
	m, ok := read(text)
	if !ok {
		c.run.unreadable.Add(1)
		return
	}
	if len(m.ownerID) > 0 && string(m.ownerID) != c.who.OwnerID {
		c.run.foreign.Add(1)
	}
	switch {
	case len(m.id) > 0:
		c.noteEvent(m)
	case string(m.typ) == typeMetrics:
		c.run.deliveries.Add(1)
	case string(m.typ) == typeResync:
		c.resynced.Store(true)
	case string(m.typ) == typeError && c.run.Transport == EventStream:
		var body struct{ Code int }
		if json.Unmarshal(m.data, &body) == nil {
			c.code = body.Code
		}
	}
}

// noteEvent notes an event, which is history: it has an id, and its place among the others.
func (c *connection) noteEvent(m message) {
	now := time.Now()
	r := c.run
	r.deliveries.Add(1)
	if r.measuring.Load() {
		r.latency.add(now.Sub(time.UnixMilli(m.timestamp)))
	}
	if r.Rate > 0 && bytes.Equal(m.typ, []byte(typeCreated)) {
		if at, ours := r.marks.get(bookingID(m.data)); ours {
			r.commitLatency.add(now.Sub(at))
		}
	}
	if r.recorded.Add(1) > maxRecorded {
		r.recordedOnce.Do(func() { close(r.recordedAll) })
		c.resynced.Store(true) // from here on it cannot be compared
		return
	}
	number := c.index.number(m.id, uint32(c.last.Load()+1))
	c.received = append(c.received, number)
	c.last.Store(int64(number))
}

// leave says goodbye and closes.
func (c *connection) leave() {
	if c.run.Transport == WebSocket && !c.over.Load() {
		c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		// it is closed in any case
		c.conn.Write(clientFrame(opClose, []byte{1000 >> 8, 1000 & 0xFF}))
	}
	c.conn.Close()
}
