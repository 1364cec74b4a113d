package soak

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

const (
	// dialLimit bounds a connection's way to connection_established, as a browser's client does.
	dialLimit = 5 * time.Second
	// firstBackoff and lastBackoff bound the pauses before a client tries again.
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 500 * time.Millisecond
)

// soakClient is a browser as the server sees one: it keeps the last id that it received and comes
// back with it, on either transport, to any server.
type soakClient struct {
	soak         *soak
	number       int
	owner        *soakOwner
	random       *rand.Rand
	late         bool // it comes while writers write, and knows nothing of before
	slow         bool // it takes its time for each message
	proxied      bool
	balanced     bool // it comes through nginx
	webSocket    bool
	stalledUntil atomic.Int64 // Unix nanoseconds: it reads nothing until then
	halfOpen     []net.Conn   // connections that it left without a word

	mu          sync.Mutex // guards what follows
	first, last string     // positions: where it began, and of the last event received
	events      []int32    // what it received, as numbers of its owner's received events
	metrics     []byte     // the last metrics_updated
	overview    []byte     // the last overview_updated
}

func newSoakClient(s *soak, number int, owner *soakOwner) *soakClient {
	r := s.random("client", number)
	return &soakClient{
		soak: s, number: number, owner: owner, random: r,
		late: r.IntN(5) == 0, slow: r.IntN(10) == 0, proxied: r.IntN(3) == 0, webSocket: number%2 == 0,
		balanced: s.between != nil && r.IntN(3) == 0,
	}
}

// position returns the last id, or where the client began.
func (c *soakClient) position() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// settled reports whether the faults have ended.
func (c *soakClient) settled() bool {
	select {
	case <-c.soak.settled:
		return true
	default:
		return false
	}
}

// errLeft says that the client left of its own will.
var errLeft = errors.New("left")

// run connects, stays, leaves or is thrown out, and comes back, until ctx ends.
func (c *soakClient) run(ctx context.Context) {
	defer func() {
		for _, conn := range c.halfOpen {
			conn.Close()
		}
	}()
	backoff := firstBackoff
	for visits := 0; ctx.Err() == nil; visits++ {
		if visits > 0 {
			c.soak.report.reconnects.Add(1)
		}
		before := c.position()
		err := c.session(ctx)
		pause := backoff/2 + upTo(c.random, backoff/2)
		backoff = min(2*backoff, lastBackoff)
		if c.position() != before {
			backoff = firstBackoff
		}
		if errors.Is(err, errLeft) && !c.settled() {
			pause = upTo(c.random, c.soak.plan.absence)
		}
		rest(pause, ctx.Done(), c.soak.settled)
		if c.settled() {
			rest(firstBackoff+upTo(c.random, firstBackoff), ctx.Done())
		}
	}
}

// session is one connection from dialling to its end.
func (c *soakClient) session(ctx context.Context) error {
	if c.random.IntN(3) == 0 {
		c.webSocket = !c.webSocket
	}
	w, err := c.dial(ctx)
	if err != nil {
		return err
	}
	closed := context.AfterFunc(ctx, func() { w.Conn.Close() })
	defer closed()
	connected, until := time.Now(), time.Now().Add(upTo(c.random, c.soak.plan.stay))
	hasty := c.settled()
	for established := false; ; {
		c.delayRead(ctx, established)
		leaving := !c.settled()
		if c.slow && !leaving && !hasty { // slowness ends with the faults
			w.Conn.Close()
			return errLeft
		}
		deadline := time.Now().Add(c.soak.plan.heartbeat*5/2 + time.Second)
		if leaving && until.Before(deadline) {
			deadline = until
		}
		if !established {
			deadline = connected.Add(dialLimit)
		}
		w.Conn.SetReadDeadline(deadline)
		text, err := w.Next()
		if err != nil {
			if leaving && established && !time.Now().Before(until) && ctx.Err() == nil {
				c.leave(w)
				return errLeft
			}
			c.ended(err)
			w.Conn.Close()
			return err
		}
		if !established {
			if err := c.establish(text); err != nil {
				c.soak.fail("client %d: %v", c.number, err)
				w.Conn.Close()
				return err
			}
			established = true
			continue
		}
		c.receive(text, connected)
	}
}

// delayRead is how slow readers read.
func (c *soakClient) delayRead(ctx context.Context, established bool) {
	if !established {
		return
	}
	if stall := time.Until(time.Unix(0, c.stalledUntil.Load())); stall > 0 {
		rest(stall, ctx.Done(), c.soak.settled)
	}
	if c.slow {
		rest(upTo(c.random, 30*time.Millisecond), ctx.Done(), c.soak.settled)
	}
}

// dial asks a server for the stream after the last id, and reads the head of its answer.
func (c *soakClient) dial(ctx context.Context) (*harness.Wire, error) {
	server := c.soak.someServer(c.random)
	address := server.address
	switch {
	case c.balanced:
		address = c.soak.between.public
	case c.proxied && !c.settled():
		address = server.public.Address()
	}
	dialer := net.Dialer{Timeout: dialLimit}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w := &harness.Wire{Conn: conn.(*net.TCPConn), Reader: bufio.NewReaderSize(conn, 2<<10), Upgraded: c.webSocket}
	if c.slow && !c.settled() {
		w.Conn.SetReadBuffer(2 << 10)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(dialLimit))
	fmt.Fprint(conn, c.request(server.address))
	head := textproto.NewReader(w.Reader)
	status, err := head.ReadLine()
	var header textproto.MIMEHeader
	if err == nil {
		header, err = head.ReadMIMEHeader()
	}
	code := 0
	fmt.Sscanf(status, "HTTP/1.1 %d", &code)
	if err == nil && code != 101 && code != 200 {
		err = fmt.Errorf("answered by %s", status)
		// nginx says 502 while it finds no server, and 504 for one that does not answer.
		if code != 503 && code != 429 && !(c.balanced && (code == 502 || code == 504)) {
			c.soak.fail("client %d was %v", c.number, err)
		}
	}
	if header.Get("Transfer-Encoding") == "chunked" { // whose pieces nginx divides as they come
		w.Reader = bufio.NewReaderSize(httputil.NewChunkedReader(w.Reader), 2<<10)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return w, nil
}

// request is the head of a request. An event stream names the last id in the header or in the
// address, as browsers do.
func (c *soakClient) request(host string) string {
	position := c.position()
	var b strings.Builder
	switch {
	case c.webSocket:
		fmt.Fprintf(&b, "GET /api/ws?ownerId=%s&lastEventId=%s HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", c.owner.ID, position)
	case c.random.IntN(2) == 0 && position != "":
		fmt.Fprintf(&b, "GET /api/sse?ownerId=%s HTTP/1.1\r\nLast-Event-ID: %s\r\n", c.owner.ID, position)
	default:
		fmt.Fprintf(&b, "GET /api/sse?ownerId=%s&lastEventId=%s HTTP/1.1\r\n", c.owner.ID, position)
	}
	fmt.Fprintf(&b, "Host: %s\r\nAuthorization: Bearer %s\r\n\r\n", host, c.owner.token)
	return b.String()
}

// leave ends a connection in one of the ways in which browsers do.
func (c *soakClient) leave(w *harness.Wire) {
	switch c.random.IntN(4) {
	case 0: // a word of farewell
		if w.Upgraded {
			w.Conn.SetDeadline(time.Now().Add(time.Second))
			w.Conn.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8})
			for err := error(nil); err == nil; {
				_, err = w.Next()
			}
		}
		w.Conn.Close()
	case 1: // cut: a reset
		w.Conn.SetLinger(0)
		w.Conn.Close()
	case 2: // without a word: the connection stays open and nobody reads it
		c.soak.report.abandoned.Add(1)
		c.halfOpen = append(c.halfOpen, w.Conn)
		if len(c.halfOpen) > 2 {
			c.halfOpen[0].Close()
			c.halfOpen = c.halfOpen[1:]
		}
	default:
		w.Conn.Close()
	}
}
