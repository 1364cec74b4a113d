package harness

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Proxy is a TCP proxy that can misbehave as networks do. It stands before PostgreSQL or
// before our server.
type Proxy struct {
	listener        net.Listener
	network, target string
	relays          sync.WaitGroup

	mu     sync.Mutex // guards what follows
	mode   ProxyMode
	open   map[*relayed]struct{}
	change chan struct{} // closed when the mode changes
}

// ProxyMode is what a proxy does with bytes and connections.
type ProxyMode int

const (
	// Pass lets everything through. Connections whose bytes were lost stay dead.
	Pass ProxyMode = iota
	// Hold keeps all bytes until it passes again: a network that is away for a while.
	Hold
	// Blackhole takes all bytes and delivers none, ever, on connections of before and of
	// now, which stay open.
	Blackhole
	// Refuse closes new connections at once, and leaves those of before alone.
	Refuse
)

// relayed is one connection through the proxy, and its other half.
type relayed struct {
	near, far net.Conn
	dead      bool // guarded by the proxy: its bytes were lost
}

// NewProxy returns a proxy before an address that passes. It ends with the test.
func NewProxy(t testing.TB, network, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, network: network, target: target, open: make(map[*relayed]struct{}), change: make(chan struct{})}
	p.relays.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.Set(Pass) // what is held is let go
		p.Cut()
		p.relays.Wait()
	})
	return p
}

// BeforeDatabase returns a proxy before the database of a URL, and the URL that leads through it.
func BeforeDatabase(t testing.TB, databaseURL string) (*Proxy, string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	p := NewProxy(t, "unix", q.Get("host")+"/.s.PGSQL."+q.Get("port"))
	host, port, _ := net.SplitHostPort(p.Address())
	q.Set("host", host)
	q.Set("port", port)
	u.RawQuery = q.Encode()
	return p, u.String()
}

// BeforeServer returns a proxy before a server, and the server as it looks through it.
func BeforeServer(t testing.TB, s *Program) (*Proxy, *Program) {
	t.Helper()
	p := NewProxy(t, "tcp", hostOf(s.Base))
	through := *s
	through.Base = "http://" + p.Address() + "/"
	return p, &through
}

// hostOf returns host and port of a server's address.
func hostOf(base string) string { return strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/") }

// Address is where clients of the proxy connect to.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Set changes the mode. Swallowing kills what is open for good.
func (p *Proxy) Set(m ProxyMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	if m == Blackhole {
		for r := range p.open {
			r.dead = true
		}
	}
	close(p.change)
	p.change = make(chan struct{})
}

// Cut closes what is open.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.open {
		r.near.Close()
		if r.far != nil {
			r.far.Close()
		}
	}
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		if p.mode == Refuse {
			p.mu.Unlock()
			near.Close()
			continue
		}
		r := &relayed{near: near, dead: p.mode == Blackhole}
		if !r.dead {
			if r.far, err = net.Dial(p.network, p.target); err != nil {
				p.mu.Unlock()
				near.Close()
				continue
			}
		}
		p.open[r] = struct{}{}
		p.mu.Unlock()
		p.relays.Go(func() { p.relay(r) })
	}
}

// relay carries both directions until one ends.
func (p *Proxy) relay(r *relayed) {
	var both sync.WaitGroup
	if r.far == nil {
		io.Copy(io.Discard, r.near)
	} else {
		both.Go(func() { p.carry(r, r.far, r.near) })
		both.Go(func() { p.carry(r, r.near, r.far) })
		both.Wait()
		r.far.Close()
	}
	r.near.Close()
	p.mu.Lock()
	delete(p.open, r)
	p.mu.Unlock()
}

// carry copies one direction in the ways of the mode.
func (p *Proxy) carry(r *relayed, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.dead(r) {
			if _, writeErr := to.Write(buffer[:n]); writeErr != nil {
				err = errors.Join(err, writeErr)
			}
		}
		if err != nil {
			if !p.dead(r) { // a dead network does not tell the other side
				to.Close()
			}
			return
		}
	}
}

// dead reports whether a connection lost bytes. It waits while the proxy holds.
func (p *Proxy) dead(r *relayed) bool {
	for {
		p.mu.Lock()
		dead, held, change := r.dead, p.mode == Hold, p.change
		p.mu.Unlock()
		if dead || !held {
			return dead
		}
		<-change
	}
}
