package db

import (
	"context"
	"net"
	"sync"
	"time"
)

// Dialer dials for lib/pq, remembers what is open, and can cut all of it: a query on a connection that is open and
// dead ends at once instead of at its time limit. It implements pq.Dialer and pq.DialerContext.
type Dialer struct {
	mu    sync.Mutex // guards conns
	conns map[*dialed]time.Time
}

// dialed is a connection that its dialer knows while it is open.
type dialed struct {
	net.Conn
	dialer *Dialer
}

// Close implements net.Conn.
func (c *dialed) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
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
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &dialed{conn, d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conns == nil {
		d.conns = make(map[*dialed]time.Time)
	}
	d.conns[c] = time.Now()
	return c, nil
}

// Cut closes every connection that was dialled before a moment. Whoever waits on one gets an error.
func (d *Dialer) Cut(before time.Time) {
	d.mu.Lock()
	var old []*dialed
	for c, at := range d.conns {
		if at.Before(before) {
			old = append(old, c)
		}
	}
	d.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}
