package api

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// maxPaces bounds how many users, and how many addresses, requests are counted for: some 20 MB each. Beyond it the one
	// that has been silent for longest is forgotten.
	maxPaces = 1 << 16
	// placeRetry is how long whoever found no place for a connection is told to wait.
	placeRetry = 10 * time.Second
)

// Limits are how much may be asked for. Zero is no limit.
type Limits struct {
	Connections                 int // streams open at once, of everybody
	ConnectionsPerUser          int
	ConnectionsPerAddress       int // also of connections that have sent no request yet
	UnauthenticatedPerAddress   int // WebSockets that have sent no token yet
	RequestsPerMinutePerUser    int
	RequestsPerMinutePerAddress int
}

// Gate counts connections and requests against Limits. An address is an IPv4 address or an IPv6 /64. What programs of this
// machine ask for counts only in total, and where nobody has said who he is.
type Gate struct {
	limits           Limits
	users, addresses *paces

	mu                                    sync.Mutex // guards what follows
	total                                 int
	ofUser, ofAddress, ofStranger, ofPeer map[string]int
}

// NewGate returns a Gate.
func NewGate(limits Limits) *Gate {
	return &Gate{
		limits: limits,
		users:  newPaces(limits.RequestsPerMinutePerUser), addresses: newPaces(limits.RequestsPerMinutePerAddress),
		ofUser: make(map[string]int), ofAddress: make(map[string]int), ofStranger: make(map[string]int), ofPeer: make(map[string]int),
	}
}

// place is one of the counts that a connection takes part in.
type place struct {
	count map[string]int
	key   string
	limit int
	full  string // what whoever finds no place is told
}

// Connect implements handlers.Admission.
func (g *Gate) Connect(ctx context.Context, userID string) (leave func(), err *handlers.TooMany) {
	c := clientOf(ctx)
	if c.own {
		return g.take()
	}
	return g.take(
		place{g.ofUser, userID, g.limits.ConnectionsPerUser, "you have too many connections open: close some and try again"},
		place{g.ofAddress, c.key, g.limits.ConnectionsPerAddress, "too many connections from your network: try again later"})
}

// Knock implements handlers.Admission.
func (g *Gate) Knock(ctx context.Context) (leave func(), err *handlers.TooMany) {
	return g.take(place{g.ofStranger, clientOf(ctx).key, g.limits.UnauthenticatedPerAddress,
		"too many connections from your network have not sent a token: try again shortly"})
}

// take takes a place in total and in each of places, or in none.
func (g *Gate) take(places ...place) (leave func(), err *handlers.TooMany) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limits.Connections > 0 && g.total >= g.limits.Connections {
		return nil, &handlers.TooMany{Detail: "the server has as many connections as it takes: try again later", RetryAfter: placeRetry}
	}
	for _, p := range places {
		if p.limit > 0 && p.count[p.key] >= p.limit {
			return nil, &handlers.TooMany{Detail: p.full, RetryAfter: placeRetry}
		}
	}
	g.total++
	for _, p := range places {
		p.count[p.key]++
	}
	return sync.OnceFunc(func() { g.release(places) }), nil
}

func (g *Gate) release(places []place) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	for _, p := range places {
		decrement(p.count, p.key)
	}
}

// watch returns a hook for http.Server.ConnState: it closes a new connection of an address that has too many which carry no
// stream, so that nobody can hold all of the server's files with connections that say nothing. A trusted proxy's are those
// of many clients.
func (g *Gate) watch(trusted Proxies) func(net.Conn, http.ConnState) {
	return func(conn net.Conn, state http.ConnState) {
		peer := peerOf(conn.RemoteAddr().String())
		if peer.IsLoopback() || trusted.contain(peer) || g.limits.ConnectionsPerAddress <= 0 {
			return
		}
		key := limitKey(peer)
		g.mu.Lock()
		defer g.mu.Unlock()
		switch state {
		case http.StateNew:
			if g.ofPeer[key]++; g.ofPeer[key] > g.limits.ConnectionsPerAddress {
				defer conn.Close() // StateClosed follows
			}
		case http.StateHijacked, http.StateClosed:
			decrement(g.ofPeer, key)
		}
	}
}

// decrement forgets a key that counts nothing any more.
func decrement(count map[string]int, key string) {
	if count[key]--; count[key] <= 0 {
		delete(count, key)
	}
}

// paces are the request rates of many keys: for each a bucket that holds a minute's requests and fills evenly.
type paces struct {
	limit rate.Limit
	burst int

	mu   sync.Mutex // guards what follows
	seen *simplelru.LRU[string, *rate.Limiter]
}

// newPaces returns paces, nil for no limit.
func newPaces(perMinute int) *paces {
	if perMinute <= 0 {
		return nil
	}
	seen, err := simplelru.NewLRU[string, *rate.Limiter](maxPaces, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &paces{limit: rate.Limit(float64(perMinute) / time.Minute.Seconds()), burst: perMinute, seen: seen}
}

// count counts a request of a key, or says how long it must wait.
func (p *paces) count(key string, now time.Time) (wait time.Duration) {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	bucket, ok := p.seen.Get(key)
	if !ok {
		bucket = rate.NewLimiter(p.limit, p.burst)
		p.seen.Add(key, bucket)
	}
	reservation := bucket.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// forget removes the two keys that have been silent for longest, where their buckets are full again: they are as if they
// had never been. Two for one that comes: the keys become fewer than those that were seen within a minute.
func (p *paces) forget(now time.Time) {
	for range 2 {
		_, bucket, ok := p.seen.GetOldest()
		if !ok || bucket.TokensAt(now) < float64(p.burst) {
			return
		}
		p.seen.RemoveOldest()
	}
}

// limitAddresses refuses requests of an address that has sent too many.
func (s *Server) limitAddresses(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := clientOf(r.Context())
		if s.Gate == nil || c.own {
			next.ServeHTTP(w, r)
			return
		}
		if wait := s.Gate.addresses.count(c.key, time.Now()); wait > 0 {
			s.tooMany(w, r, &handlers.TooMany{Detail: "too many requests from your network: wait before the next", RetryAfter: wait})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitUsers refuses requests of a user who has sent too many.
func (s *Server) limitUsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		viewer, known := handlers.ViewerFrom(r.Context())
		if s.Gate == nil || !known || viewer.UserID == "" || clientOf(r.Context()).own {
			next.ServeHTTP(w, r)
			return
		}
		if wait := s.Gate.users.count(viewer.UserID, time.Now()); wait > 0 {
			s.tooMany(w, r, &handlers.TooMany{Detail: "too many requests: wait before the next", RetryAfter: wait})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tooMany refuses a request: by 429, or, for a stream of a browser, which could not read that, by 4429 in the stream.
func (s *Server) tooMany(w http.ResponseWriter, r *http.Request, why *handlers.TooMany) {
	if isStream(r) && r.Header.Get("Authorization") == "" && (isUpgrade(r) || r.Header.Get("Accept") == "text/event-stream") {
		s.Stream.TurnAway(w, r, why)
		return
	}
	why.Respond(w)
}

// isStream reports whether a request asks for one of the two streams.
func isStream(r *http.Request) bool {
	return r.URL.Path == "/api/ws" || r.URL.Path == "/api/sse"
}
