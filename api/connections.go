package api

import (
	"container/list"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// longAnswer is after what time a request that is still being answered may be cut, if
	// nothing that is silent is left to make room. No answer of ours takes as long unless
	// its reader lets it wait.
	longAnswer = 10 * time.Second
	// adminLimit is how many connections the admin port has, and any port before
	// the server is ready.
	adminLimit = 64
	// evictionNotice is how often it is told that connections are closed to make room.
	evictionNotice = time.Minute
)

// adminConnections is the limit of such a port.
func adminConnections() int { return adminLimit }

// connTable bounds a server's connections that carry no stream. Each of them holds a file
// descriptor from the moment at which it is accepted, whether it ever says anything or not. A new
// connection is always taken while there is one to close for it. The first is that which has been
// silent for longest, where a head or a body that has not come whole is silence. The next is the
// one whose answer has been under way for longest, if that is longer than longAnswer. So
// connections that say nothing push out each other, and never a request that is being served.
type connTable struct {
	limit   func() int // 0: none
	log     *slog.Logger
	notice  rate.Sometimes
	evicted atomic.Int64

	mu     sync.Mutex // guards what follows, and the connections' own fields
	conns  map[net.Conn]*tracked
	silent *list.List // of *tracked, the longest silent first
	served *list.List // of *tracked, the longest served first
}

// tracked is a connection that a connTable knows.
type tracked struct {
	table   *connTable
	conn    net.Conn
	since   time.Time     // it is silent, or served
	serving int           // requests that are being answered
	streams int           // event streams that it carries (HTTP/2): those are counted elsewhere
	in      *list.List    // silent, served, or nil while it carries a stream
	element *list.Element // in that list
}

type trackedKey struct{}

func newConnTable(limit func() int, log *slog.Logger) *connTable {
	return &connTable{limit: limit, log: log, notice: rate.Sometimes{Interval: evictionNotice},
		conns: make(map[net.Conn]*tracked), silent: list.New(), served: list.New()}
}

// guard has the table watch a server, beside whatever hook it has already.
func (t *connTable) guard(server *http.Server) {
	before := server.ConnState
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if before != nil {
			before(conn, state)
		}
		t.observe(conn, state)
	}
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, trackedKey{}, t.find(conn))
	}
}

func (t *connTable) find(conn net.Conn) *tracked {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.findLocked(conn)
}

func (t *connTable) findLocked(conn net.Conn) *tracked {
	c, ok := t.conns[conn]
	if !ok { // ConnContext is asked before StateNew
		c = &tracked{table: t, conn: conn}
		t.conns[conn] = c
	}
	return c
}

// observe follows a connection from state to state.
func (t *connTable) observe(conn net.Conn, state http.ConnState) {
	t.mu.Lock()
	c := t.findLocked(conn)
	var victim *tracked
	switch state {
	case http.StateNew:
		c.requeue()
		victim = t.victim(time.Now())
	case http.StateActive, http.StateIdle:
		c.requeue()
	case http.StateHijacked, http.StateClosed:
		t.remove(c)
	}
	t.mu.Unlock()
	if victim == nil {
		return
	}
	t.evicted.Add(1)
	t.notice.Do(func() {
		t.log.Warn("connections that carry no stream are closed to make room for new ones: "+
			"raise MAX_CONNECTIONS_WITHOUT_STREAM if these are no attack", "limit", t.limit())
	})
	abort(victim.conn)
}

// victim takes out the connection that must go, nil if there is room. The caller holds the lock.
func (t *connTable) victim(now time.Time) *tracked {
	if limit := t.limit(); limit <= 0 || t.silent.Len()+t.served.Len() <= limit {
		return nil
	}
	oldest := t.silent.Front()
	if longest := t.served.Front(); longest != nil && t.silent.Len() <= 1 {
		if now.Sub(longest.Value.(*tracked).since) > longAnswer {
			oldest = longest
		}
	}
	if oldest == nil {
		return nil
	}
	c := oldest.Value.(*tracked)
	t.remove(c)
	return c
}

// requeue puts a connection at the end of the list that it belongs into now. The caller
// holds the lock.
func (c *tracked) requeue() {
	var into *list.List
	switch {
	case c.table.conns[c.conn] != c || c.streams > 0:
	case c.serving > 0:
		into = c.table.served
	default:
		into = c.table.silent
	}
	c.since = time.Now()
	if c.in == into && into != nil {
		into.MoveToBack(c.element)
		return
	}
	if c.in != nil {
		c.in.Remove(c.element)
	}
	if c.in, c.element = into, nil; into != nil {
		c.element = into.PushBack(c)
	}
}

// remove forgets a connection. The caller holds the lock.
func (t *connTable) remove(c *tracked) {
	delete(t.conns, c.conn)
	c.requeue()
}

// change changes what a connection does, and moves it where that belongs.
func (c *tracked) change(serving, streams int) {
	if c == nil {
		return
	}
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	idle := c.serving == 0
	c.serving, c.streams = c.serving+serving, c.streams+streams
	if streams != 0 || idle || c.serving == 0 { // what is served already keeps its age
		c.requeue()
	}
}

// serving marks the connection of a request as one that is being served. A request whose body is
// still on its way is none yet.
func serving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(trackedKey{}).(*tracked)
		c.change(1, 0)
		defer c.change(-1, 0)
		next.ServeHTTP(w, r)
	})
}

// withStream takes the connection of a request out of those that carry no stream, until
// the stream leaves.
func withStream(ctx context.Context) func(leave func(), err *handlers.LimitError) (func(), *handlers.LimitError) {
	return func(leave func(), err *handlers.LimitError) (func(), *handlers.LimitError) {
		c, known := ctx.Value(trackedKey{}).(*tracked)
		if err != nil || !known {
			return leave, err
		}
		c.change(0, 1)
		return sync.OnceFunc(func() { c.change(0, -1); leave() }), nil
	}
}

// abort closes a connection at once: the goodbye of TLS would wait for a peer that does not read.
func abort(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	conn.Close()
}

// Collect implements stats.Collector.
func (t *connTable) Collect() []stats.Stat {
	return []stats.Stat{stats.Counter("hangarshare_connections_evicted_total", "Connections without a stream that were closed to make room.", t.evicted.Load())}
}
