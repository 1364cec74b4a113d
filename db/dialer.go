package db

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// Dialer dials for lib/pq, remembers what is open, and can cut all of it: a query on a
// connection that is open and dead ends at once instead of at its time limit. It
// implements pq.Dialer and pq.DialerContext.
type Dialer struct {
	mu     sync.Mutex // guards what follows, and the Conn of those that are being dialled
	conns  map[*dialed]time.Time
	shares []*share // of the pools that dial through it
	closed bool

	within atomic.Int64 // see Expect
}

// Expect bounds how long each connection waits for an answer from the next question on; 0 is for
// ever. In a network that swallows what is sent lib/pq waits on, whatever its caller's context
// says. Who serves finds that out by a Listener. This is for those who have none yet.
func (d *Dialer) Expect(within time.Duration) { d.within.Store(int64(within)) }

// resize sets how many connections a pool has at most.
func (d *Dialer) resize(pool *sqlx.DB, n int) {
	d.mu.Lock()
	shares := slices.Clone(d.shares)
	d.mu.Unlock()
	for _, s := range shares {
		if s.pool == pool.DB {
			s.setMost(n)
		}
	}
}

// yield has the pools make room for a connection outside of them.
func (d *Dialer) yield() {
	d.mu.Lock()
	shares := slices.Clone(d.shares)
	d.mu.Unlock()
	for _, s := range shares {
		s.yield()
	}
}

// dialed is a connection, or the attempt at one, that its dialer knows until it is closed.
type dialed struct {
	net.Conn
	dialer *Dialer
	cancel context.CancelFunc
	to     string       // network and address
	heard  atomic.Int64 // when it last brought anything, as Unix nanoseconds

	limit atomic.Pointer[time.Time] // what lib/pq has set
	bound atomic.Bool               // an answer is expected in time
}

// Write implements net.Conn: an answer is expected from now on.
func (c *dialed) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.expect()
	return n, err
}

// Read implements net.Conn: there may be more of an answer.
func (c *dialed) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		c.heard.Store(time.Now().UnixNano())
		c.expect()
	}
	return n, err
}

// SetDeadline implements net.Conn.
func (c *dialed) SetDeadline(t time.Time) error {
	c.limit.Store(&t)
	return c.Conn.SetDeadline(t)
}

// expect bounds the next reads as the dialer says. Where that fails, the connection has ended.
func (c *dialed) expect() {
	within := time.Duration(c.dialer.within.Load())
	if within <= 0 && !c.bound.Load() {
		return
	}
	var until time.Time
	if limit := c.limit.Load(); limit != nil {
		until = *limit
	}
	if end := time.Now().Add(within); within > 0 && (until.IsZero() || end.Before(until)) {
		until = end
	}
	c.bound.Store(within > 0)
	c.Conn.SetReadDeadline(until) //nolint:errcheck // the next read tells
}

// Close implements net.Conn.
func (c *dialed) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	conn := c.Conn
	c.dialer.mu.Unlock()
	c.cancel()
	if conn == nil {
		return nil
	}
	return conn.Close()
}

// Dial implements pq.Dialer.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, connectTimeout)
}

// DialTimeout implements pq.Dialer.
func (d *Dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &dialed{dialer: d, cancel: cancel, to: network + " " + address}
	d.mu.Lock()
	if d.conns == nil {
		d.conns = make(map[*dialed]time.Time)
	}
	if !d.closed {
		d.conns[c] = time.Now()
	}
	d.mu.Unlock()
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		c.Close()
		return nil, err
	}
	d.mu.Lock()
	c.Conn = conn
	_, wanted := d.conns[c]
	d.mu.Unlock()
	if !wanted { // cut before it was there
		c.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// Cut closes every connection that was dialled before a moment, and ends the attempts.
// What waits on one gets an error.
func (d *Dialer) Cut(before time.Time) {
	for c := range d.dialledBefore(before) {
		c.Close()
	}
}

// cutSilent is Cut, but leaves those to an address of which one that is no younger has brought
// anything since a moment. What ends connections without a word ends all that are there, so these
// live, and who waits on one waits for a slow answer. To cut it would be an error, and one more
// session to set up for a database that is slow already.
func (d *Dialer) cutSilent(before, since time.Time) {
	old := d.dialledBefore(before)
	alive := make(map[string]time.Time) // when the oldest was dialled that has, by address
	for c, at := range old {
		if oldest, found := alive[c.to]; c.heard.Load() >= since.UnixNano() && (!found || at.Before(oldest)) {
			alive[c.to] = at
		}
	}
	for c, at := range old {
		if oldest, found := alive[c.to]; !found || at.Before(oldest) {
			c.Close()
		}
	}
}

// dialledBefore returns the connections that were dialled before a moment, and the attempts, and
// when each was.
func (d *Dialer) dialledBefore(moment time.Time) map[*dialed]time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := maps.Clone(d.conns)
	maps.DeleteFunc(old, func(_ *dialed, at time.Time) bool { return !at.Before(moment) })
	return old
}

// Close cuts everything and dials no more.
func (d *Dialer) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.Cut(time.Now())
}

// cutAtEnd cuts everything of the dialer when ctx ends before stop is called. Without it a
// connection that swallows what is sent keeps its caller beyond the context: lib/pq looks at that
// only while the network answers.
func (d *Dialer) cutAtEnd(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { d.Cut(time.Now()) })
}

// cutAfter is cutAtEnd for those who can stop by themselves while the network answers, and keep a
// lock on their connection until then: they have the grace for it.
func (d *Dialer) cutAfter(ctx context.Context, grace time.Duration) (stop func()) {
	wanted, stop := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(wanted, grace)
		defer cancel()
		<-late.Done()
		if wanted.Err() == nil {
			d.Cut(time.Now())
		}
	})
	return stop
}
