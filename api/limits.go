package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

const (
	// limitRetry is how long a client is told to wait for whose connection there is no room.
	limitRetry = 10 * time.Second
	// anonymousShare is what part of Connections there may be of WebSockets without a token, beside
	// those: one of so many. A whole IPv6 /48, which is what a household or a company is given (RFC
	// 6177), may have siteShare times as many of them as an address.
	anonymousShare = 20
	siteShare      = 4
)

// Limits are how much may be asked for. Zero is no limit. A field is named as its setting is, which
// the text of a refusal ends with, in parentheses: refusals are counted by it.
type Limits struct {
	MaxConnections               int // streams open at once, of everybody
	MaxConnectionsPerUser        int
	MaxConnectionsPerAddress     int // also of connections that carry no stream
	MaxUnauthenticatedPerAddress int // WebSockets that have sent no token yet
	RequestsPerMinutePerUser     int
	RequestsPerMinutePerAddress  int
	MaxConnectionsWithoutStream  int `refuses:"nobody"` // of everybody; others give way
}

// totalKey is the key under which everything of a kind is counted: no address.
const totalKey = "*"

// counter counts by key: by user, by address, or everything under totalKey.
type counter map[string]int

// Limiter counts connections and requests against Limits. An address is an IPv4 address or an IPv6
// /64. What exempt addresses ask for counts only in total, and where no token was sent.
type Limiter struct {
	limits                  atomic.Pointer[Limits]
	userRates, addressRates atomic.Pointer[rateLimits] // nil: no limit
	// Others count what users and addresses have open on other servers, and how many requests those
	// took of them. May be nil.
	Others Others

	refused labelled // by limit

	mu        sync.Mutex // guards what follows
	streams   counter    // streams of everybody
	ofUser    counter
	ofAddress counter
	anonymous counter             // WebSockets that have sent no token: by address, and in total
	peers     counter             // connections that carry no stream, by address
	counted   map[net.Conn]string // those, and under which key
}

// Others are the other servers of an installation, as far as they are heard.
type Others interface {
	// Elsewhere returns how many they count together under a key of Shared.
	Elsewhere(key string) int
}

// The keys of Shared begin with what they count, and by what.
const (
	sharedUser            = "user "
	sharedAddress         = "address "
	sharedUserRequests    = "requests of user "
	sharedAddressRequests = "requests of address "
)

// Shared returns what other servers need to know, of which there are so many with this one: how
// many connections a user or an address has here, and how many of their requests were taken within
// the last minute, where that is more than a quarter of a server's share. What nobody tells lets a
// user have a quarter more than the limit at most.
func (l *Limiter) Shared(servers int) map[string]int {
	shared, now := l.sharedConnections(servers), time.Now()
	l.userRates.Load().share(shared, sharedUserRequests, servers, now)
	l.addressRates.Load().share(shared, sharedAddressRequests, servers, now)
	return shared
}

func (l *Limiter) sharedConnections(servers int) map[string]int {
	limits := l.limits.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	shared := map[string]int{}
	for prefix, one := range map[string]limit{
		sharedUser:    {counter: l.ofUser, most: limits.MaxConnectionsPerUser},
		sharedAddress: {counter: l.ofAddress, most: limits.MaxConnectionsPerAddress},
	} {
		for key, count := range one.counter {
			if one.most > 0 && 4*servers*count > one.most {
				shared[prefix+key] = count
			}
		}
	}
	return shared
}

// NewLimiter returns a Limiter.
func NewLimiter(limits Limits) *Limiter {
	l := &Limiter{
		refused: newLabelled(limitNames), streams: make(counter), ofUser: make(counter), ofAddress: make(counter),
		anonymous: make(counter), peers: make(counter), counted: make(map[net.Conn]string),
	}
	l.limits.Store(&Limits{})
	l.Set(limits)
	return l
}

// limit is the most that one key of a counter may have. 0 is no limit.
type limit struct {
	counter counter
	key     string
	most    int
	reached string // what is answered beyond it, with the setting's name
	shared  string // the key by which other servers count too; empty where they do not
}

// Acquire implements stream.Limiter.
func (l *Limiter) Acquire(ctx context.Context, userID string) (release func(), err *handlers.LimitError) {
	c, set := clientOf(ctx), l.limits.Load()
	limits := []limit{{l.streams, totalKey, set.MaxConnections,
		"the server has as many connections as it takes: try again later (MAX_CONNECTIONS)", ""}}
	if !c.exempt {
		limits = append(limits,
			limit{l.ofUser, userID, set.MaxConnectionsPerUser,
				"you have too many connections open: close some and try again (MAX_CONNECTIONS_PER_USER)", sharedUser + userID},
			limit{l.ofAddress, c.key, set.MaxConnectionsPerAddress,
				"too many connections from your network: try again later (MAX_CONNECTIONS_PER_ADDRESS)", sharedAddress + c.key})
	}
	return withStream(ctx)(l.acquire(limits))
}

// AcquireAnonymous implements stream.Limiter. Connections without a token are counted apart: they
// leave no less for those with one.
func (l *Limiter) AcquireAnonymous(ctx context.Context) (release func(), err *handlers.LimitError) {
	const reached = "too many connections from your network have not sent a token: try again shortly (MAX_UNAUTHENTICATED_PER_ADDRESS)"
	set, most := l.limits.Load(), 0
	if set.MaxConnections > 0 {
		most = max(1, set.MaxConnections/anonymousShare)
	}
	key, perAddress := clientOf(ctx).key, set.MaxUnauthenticatedPerAddress
	limits := []limit{
		{l.anonymous, totalKey, most, "too many connections have not sent a token: try again shortly (MAX_CONNECTIONS)", ""},
		{l.anonymous, key, perAddress, reached, ""},
	}
	if site := siteKey(key); site != "" {
		limits = append(limits, limit{l.anonymous, site, siteShare * perAddress, reached, ""})
	}
	return l.acquire(limits)
}

// siteKey names the IPv6 /48 of an address in limits; "" where it has none.
func siteKey(key string) string {
	prefix, err := netip.ParsePrefix(key)
	if err != nil {
		return ""
	}
	site, err := prefix.Addr().Prefix(48)
	if err != nil || !prefix.Addr().Is6() {
		return ""
	}
	return site.String()
}

// acquire counts one more against each of limits, or none where one of them is reached.
func (l *Limiter) acquire(limits []limit) (release func(), err *handlers.LimitError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range limits {
		if one.most > 0 && one.counter[one.key]+l.elsewhere(one.shared) >= one.most {
			return nil, l.refuse(one.reached, limitRetry)
		}
	}
	for _, one := range limits {
		one.counter[one.key]++
	}
	return sync.OnceFunc(func() { l.release(limits) }), nil
}

// elsewhere returns how many connections the other servers have under a key.
func (l *Limiter) elsewhere(key string) int {
	if key == "" || l.Others == nil {
		return 0
	}
	return l.Others.Elsewhere(key)
}

func (l *Limiter) release(limits []limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range limits {
		one.counter.decrement(one.key)
	}
}

// countPeers returns a hook for http.Server.ConnState: it closes a new connection of an address
// that has too many which carry no stream. A trusted proxy's are those of many clients, and those
// of exempt addresses count only in total: free says so of an address.
func (l *Limiter) countPeers(free func(netip.Addr) bool) func(net.Conn, http.ConnState) {
	return func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			peer, most := peerOf(conn.RemoteAddr().String()), l.limits.Load().MaxConnectionsPerAddress
			if most <= 0 || free(peer) {
				return
			}
			key := limitKey(peer)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.counted[conn] = key
			if l.peers[key]++; l.peers[key] > most {
				defer abort(conn) // StateClosed follows
			}
		case http.StateHijacked, http.StateClosed:
			l.mu.Lock()
			defer l.mu.Unlock()
			if key, counts := l.counted[conn]; counts {
				delete(l.counted, conn)
				l.peers.decrement(key)
			}
		}
	}
}

// decrement forgets a key that counts nothing any more.
func (c counter) decrement(key string) {
	if c[key]--; c[key] <= 0 {
		delete(c, key)
	}
}

// countRequest counts a request of a key, or says how long it must wait.
func (l *Limiter) countRequest(rates *rateLimits, shared, key string) (wait time.Duration) {
	if rates == nil {
		return 0
	}
	return rates.count(key, l.elsewhere(shared+key), time.Now())
}

// limitAddresses refuses requests of an address that has sent too many.
func (s *Server) limitAddresses(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := clientOf(r.Context())
		if s.Limiter == nil || c.exempt {
			next.ServeHTTP(w, r)
			return
		}
		if wait := s.Limiter.countRequest(s.Limiter.addressRates.Load(), sharedAddressRequests, c.key); wait > 0 {
			s.tooMany(w, r, s.Limiter.refuse("too many requests from your network: wait before the next (REQUESTS_PER_MINUTE_PER_ADDRESS)", wait))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitUsers refuses requests of a user who has sent too many.
func (s *Server) limitUsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		viewer, known := handlers.ViewerFrom(r.Context())
		if known && viewer.UserID != "" {
			if over := s.limitUser(r, viewer.UserID); over != nil {
				s.tooMany(w, r, over)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// limitUser counts a request of a user, or says that they have sent too many.
func (s *Server) limitUser(r *http.Request, userID string) *handlers.LimitError {
	if s.Limiter == nil || clientOf(r.Context()).exempt {
		return nil
	}
	wait := s.Limiter.countRequest(s.Limiter.userRates.Load(), sharedUserRequests, userID)
	if wait <= 0 {
		return nil
	}
	return s.Limiter.refuse("too many requests: wait before the next (REQUESTS_PER_MINUTE_PER_USER)", wait)
}

// tooMany refuses a request: by 429, or, for a stream of a browser, which could not read
// that, by 4429 in the stream.
func (s *Server) tooMany(w http.ResponseWriter, r *http.Request, why *handlers.LimitError) {
	if isStream(r) && !credentialOf(r).fromHeader && (stream.IsUpgrade(r) || r.Header.Get("Accept") == "text/event-stream") {
		s.Stream.RefuseOverLimit(w, r, why)
		return
	}
	why.Respond(w)
}

// isStream reports whether a request asks for one of the two streams.
func isStream(r *http.Request) bool {
	return r.URL.Path == "/api/ws" || r.URL.Path == "/api/sse"
}
