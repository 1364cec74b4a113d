package db_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// patience is how long these tests wait for a signal that must come.
const patience = time.Minute

// listen runs a listener until stop is called or the test ends; stop waits for the end.
func listen(t *testing.T, databaseURL string) (listener *db.Listener, stop func()) {
	t.Helper()
	return listenThrough(t, databaseURL, databaseURL, &db.Dialer{})
}

func listenThrough(t *testing.T, listenURL, databaseURL string, shared *db.Dialer) (listener *db.Listener, stop func()) {
	t.Helper()
	listener, err := db.NewListener(listenURL, databaseURL, shared, quiet)
	must(t, err)
	return listener, runListener(t, listener)
}

func runListener(t *testing.T, listener *db.Listener) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := listener.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the listener does not end")
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestRelievedListenerRests: while others listen for it, a listener has PostgreSQL signal it
// nothing; afterwards it looks once, and hears again.
func TestRelievedListenerRests(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	var relieved atomic.Bool
	listener, err := db.NewListener(portal.URL, portal.URL, &db.Dialer{}, quiet)
	must(t, err)
	listener.Relieved = relieved.Load
	runListener(t, listener)
	proven(t, listener, true)
	const resting = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'UNLISTEN %_proof_%'`
	rests := func() bool {
		var n int
		must(t, portal.Pool.Get(&n, resting))
		return n == 1
	}
	relieved.Store(true)
	eventually(t, "the end of listening", rests)
	_, err = portal.Pool.Exec(`NOTIFY realtime`)
	must(t, err)
	if !listener.Proven() {
		t.Error("a listener that others listen for counts as deaf")
	}
	relieved.Store(false)
	wakes(t, listener, "it listens again, and may have missed something")
	proven(t, listener, true)
	_, err = portal.Pool.Exec(`NOTIFY realtime`)
	must(t, err)
	wakes(t, listener, "a notification")
	eventually(t, "proof", func() bool { return !rests() && listener.Proven() })
}

// proven waits until a listener has proved itself, or no longer does, and forgets earlier wakes.
func proven(t *testing.T, listener *db.Listener, want bool) {
	t.Helper()
	eventually(t, "the listener's proof", func() bool { return listener.Proven() == want })
	select {
	case <-listener.Wakes():
	default:
	}
}

func wakes(t *testing.T, listener *db.Listener, why string) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-listener.Wakes():
	case <-limit.C:
		t.Fatalf("the listener did not wake: %s", why)
	}
}

// TestProofsAreHeardByTheirOwn has two servers prove that they hear: neither hears the
// other's proofs.
func TestProofsAreHeardByTheirOwn(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	for range 2 {
		listener, _ := listen(t, p.URL)
		proven(t, listener, true)
	}
	const channels = `SELECT count(DISTINCT query)::text || ' ' || count(*)::text FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN "realtime\_proof%'`
	eventually(t, "two sessions listen for proofs on two channels", func() bool { return p.ID(t, channels) == "2 2" })
}

// TestListenerOfALongName proves itself where a schema's name leaves the least room for
// the channel's.
func TestListenerOfALongName(t *testing.T) {
	t.Parallel()
	address, err := db.InSchema(dbtest.New(t).URL, strings.Repeat("s", 40))
	must(t, err)
	listener, _ := listen(t, address)
	proven(t, listener, true)
}

func TestListenerWakes(t *testing.T) {
	t.Parallel()
	r := dbtest.New(t)
	o, guest := r.AddOwner(t, 1), r.AddGuest(t, "Ana", "Reis")
	own, err := db.NewListener(r.URL, r.URL, &db.Dialer{}, quiet)
	must(t, err)
	another := eventlog.NewSequencer(r.Pool, own, quiet)
	_, err = another.Acquire(t.Context(), eventlog.Published{})
	must(t, err)
	defer another.Release()
	listener, _ := listen(t, r.URL)
	wakes(t, listener, "it listens now, and has heard nothing of before")
	proven(t, listener, true)
	r.Book(t, o.Hangars[0], guest)
	wakes(t, listener, "a booking was committed")
	_, err = another.Number(t.Context())
	must(t, err)
	wakes(t, listener, "another server numbered it")
	tx := begin(t, r)
	book(t, tx, o.Hangars[0], guest)
	listener.Ring()
	listener.Ring() // two are one
	wakes(t, listener, "it was rung by hand")
	select {
	case <-listener.Wakes():
		t.Error("a transaction that is still open rang")
	default:
	}
	commit(t, tx)
	wakes(t, listener, "it was committed")
}

func TestListenerLosesItsConnection(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	o, guest := p.AddOwner(t, 1), p.AddGuest(t, "Ana", "Reis")
	listener, _ := listen(t, p.URL)
	proven(t, listener, true)
	for range 2 {
		var killed int
		must(t, p.Pool.Get(&killed, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE 'LISTEN%'`))
		if killed != 1 {
			t.Fatalf("%d connections were listening", killed)
		}
		wakes(t, listener, "the connection was lost and is back")
		proven(t, listener, true)
		p.Book(t, o.Hangars[0], guest)
		wakes(t, listener, "a booking was committed after that")
	}
}

func TestListenerWhileAway(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	listener, stop := listen(t, server.URL())
	proven(t, listener, true)
	for _, mode := range []devdb.Mode{devdb.Fast, devdb.Kill} {
		must(t, server.Halt(t.Context(), mode))
		proven(t, listener, false)
		must(t, server.Resume(t.Context()))
		wakes(t, listener, "PostgreSQL is back")
		proven(t, listener, true)
	}
	must(t, server.Halt(t.Context(), devdb.Fast))
	proven(t, listener, false)
	stop()
}

// blackholeProxy is a TCP proxy before a PostgreSQL's socket that passes everything on until it is
// told to swallow: from then on it takes all bytes, on connections of before and new ones, and
// delivers none. When it heals, new connections work, and those that were swallowed stay dead.
type blackholeProxy struct {
	url string // the database's, through the proxy

	mu       sync.Mutex // guards what follows, and whether a relay is dead
	swallows bool
	late     time.Duration // how long a new connection waits for its first byte
	// gets a value for each connection that was swallowed from its beginning
	taken     chan struct{}
	relays    []*relay
	running   sync.WaitGroup
	listening net.Listener
}

// relay is one connection through the proxy.
type relay struct {
	near, far net.Conn
	dead      bool
}

func newBlackholeProxy(t *testing.T, databaseURL string) *blackholeProxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	must(t, err)
	q := u.Query()
	socket := q.Get("host") + "/.s.PGSQL." + q.Get("port")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	host, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	q.Set("host", host)
	q.Set("port", port)
	u.RawQuery = q.Encode()
	s := &blackholeProxy{url: u.String(), taken: make(chan struct{}, 1000), listening: l}
	s.running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", socket)
			if err != nil {
				near.Close()
				continue
			}
			s.relay(near, far)
		}
	})
	t.Cleanup(s.close)
	return s
}

func (s *blackholeProxy) relay(near, far net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &relay{near, far, s.swallows}
	s.relays = append(s.relays, r)
	if s.swallows {
		s.taken <- struct{}{}
	}
	late := s.late
	s.running.Go(func() {
		time.Sleep(late) // is what it is about: a slow network
		s.pass(r, far, near)
	})
	s.running.Go(func() { s.pass(r, near, far) })
}

// pass ends one direction of a relay, and with it the other, when either side closes.
func (s *blackholeProxy) pass(r *relay, to, from net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		s.mu.Lock()
		dead := r.dead
		s.mu.Unlock()
		if dead && err == nil {
			continue
		}
		if !dead && err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			if !dead {
				to.Close()
			}
			return
		}
	}
}

func (s *blackholeProxy) swallow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swallows = true
	for _, r := range s.relays {
		r.dead = true
	}
}

// tries waits for attempts to connect that were swallowed.
func (s *blackholeProxy) tries(t *testing.T, n int) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for range n {
		select {
		case <-s.taken:
		case <-limit.C:
			t.Fatal("there was no other attempt to connect")
		}
	}
}

// delay makes new connections wait for their first byte.
func (s *blackholeProxy) delay(late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = late
}

func (s *blackholeProxy) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swallows = false
}

func (s *blackholeProxy) close() {
	s.listening.Close()
	s.mu.Lock()
	for _, r := range s.relays {
		r.near.Close()
		r.far.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// TestListenerHalfOpen lets a network swallow everything for a while: the connections of before are
// open and dead for ever, and new ones work again.
func TestListenerHalfOpen(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	o, guest := p.AddOwner(t, 1), p.AddGuest(t, "Ana", "Reis")
	s := newBlackholeProxy(t, p.URL)
	listener, _ := listen(t, s.url)
	proven(t, listener, true)
	s.swallow()
	proven(t, listener, false)
	p.Book(t, o.Hangars[0], guest)
	s.heal()
	wakes(t, listener, "the network is back")
	proven(t, listener, true)
	p.Book(t, o.Hangars[0], guest)
	wakes(t, listener, "a booking was committed after that")
}

// TestListenerBackBetweenTwoLooks lets the network come back while the listener does not find out
// by a connection of its own that new ones work: here they take too long for that. What waits on a
// dead connection of the pool is told all the same.
func TestListenerBackBetweenTwoLooks(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	listening, main := newBlackholeProxy(t, p.URL), newBlackholeProxy(t, p.URL)
	dialer := &db.Dialer{}
	pool, err := db.OpenThrough(t.Context(), main.url, dialer)
	must(t, err)
	t.Cleanup(func() { dialer.Close(); pool.Close() })
	listener, _ := listenThrough(t, listening.url, main.url, dialer)
	proven(t, listener, true)
	// longer than the listener tries, shorter than a connection may take
	listening.delay(1500 * time.Millisecond)
	main.swallow()
	ended := make(chan error, 1)
	go func() {
		_, err := pool.ExecContext(t.Context(), `SELECT 1`)
		ended <- err
	}()
	proven(t, listener, false)
	main.tries(t, 2)
	select {
	case err := <-ended:
		t.Fatalf("the pool's connection was cut while there was no other: %v", err)
	default:
	}
	main.heal()
	proven(t, listener, true)
	select {
	case <-ended: // by an error, or on another connection
	case <-time.After(patience):
		t.Fatal("a question on a dead connection waits on")
	}
}

// TestListenerLeavesWhatAnswers has proofs be lost while a connection of the pool goes on
// answering, as on a machine that is slow, and come back: that connection is not cut. One to
// another address, on which nothing came meanwhile, is, although a later one to there works.
func TestListenerLeavesWhatAnswers(t *testing.T) {
	t.Parallel()
	for name, atOnce := range map[string]bool{"found at once": true, "found between two looks": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dbtest.New(t)
			listening, dead := newBlackholeProxy(t, p.URL), newBlackholeProxy(t, p.URL)
			dialer := &db.Dialer{}
			pool, err := db.OpenThrough(t.Context(), p.URL, dialer)
			must(t, err)
			other, err := db.OpenThrough(t.Context(), dead.url, dialer)
			must(t, err)
			t.Cleanup(func() { dialer.Close(); pool.Close(); other.Close() })
			listener, _ := listenThrough(t, listening.url, p.URL, dialer)
			proven(t, listener, true)
			old, err := pool.Connx(t.Context())
			must(t, err)
			defer old.Close()
			dead.swallow()
			ended := make(chan error, 1)
			go func() {
				_, err := other.ExecContext(t.Context(), `SELECT 1`)
				ended <- err
			}()
			eventually(t, "something waits on a dead connection", func() bool { return other.Stats().InUse == 1 })
			dead.heal()
			later, err := other.Connx(t.Context())
			must(t, err)
			defer later.Close()
			answers := func() {
				t.Helper()
				for _, conn := range []*sqlx.Conn{old, later} {
					if _, err := conn.ExecContext(t.Context(), `SELECT 1`); err != nil {
						t.Fatalf("a connection that answers was cut: %v", err)
					}
				}
			}
			answers()
			listening.swallow()
			if atOnce {
				listening.heal()
			}
			eventually(t, "proofs are lost", func() bool { answers(); return !listener.Proven() })
			listening.heal()
			eventually(t, "proofs come back", func() bool { answers(); return listener.Proven() })
			eventually(t, "what is dead is cut", func() bool {
				answers()
				select {
				case <-ended: // by an error, or on another connection
					return true
				default:
					return false
				}
			})
		})
	}
}

// TestListenerEnds ends listeners whose network swallows everything, at any moment of their life.
// That no goroutine is left is checked after all tests.
func TestListenerEnds(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	for name, until := range map[string]func(*testing.T, *blackholeProxy, *db.Listener){
		"at once":            func(*testing.T, *blackholeProxy, *db.Listener) {},
		"proven":             func(t *testing.T, _ *blackholeProxy, l *db.Listener) { proven(t, l, true) },
		"swallowed just now": func(t *testing.T, s *blackholeProxy, l *db.Listener) { proven(t, l, true); s.swallow() },
		"swallowed a while ago": func(t *testing.T, s *blackholeProxy, l *db.Listener) {
			proven(t, l, true)
			s.swallow()
			proven(t, l, false)
		},
		"while it connects again": func(t *testing.T, s *blackholeProxy, l *db.Listener) { proven(t, l, true); s.swallow(); s.tries(t, 3) },
		"from the start":          func(t *testing.T, s *blackholeProxy, _ *db.Listener) { s.tries(t, 1) },
		"after some attempts":     func(t *testing.T, s *blackholeProxy, _ *db.Listener) { s.tries(t, 4) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newBlackholeProxy(t, p.URL)
			if name == "from the start" || name == "after some attempts" {
				s.swallow()
			}
			listener, stop := listen(t, s.url)
			until(t, s, listener)
			stop()
		})
	}
}
