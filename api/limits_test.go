package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

func from(key string) context.Context {
	return context.WithValue(context.Background(), clientKey{}, client{key: key})
}

func TestLimiterCounts(t *testing.T) {
	t.Parallel()
	l := NewLimiter(Limits{MaxConnections: 5, MaxConnectionsPerUser: 2, MaxConnectionsPerAddress: 3, MaxUnauthenticatedPerAddress: 1})
	enter := func(user, address string, wanted bool) (leave func()) {
		t.Helper()
		leave, err := l.Acquire(from(address), user)
		if (err == nil) != wanted {
			t.Errorf("%s from %s: %v, wanted in: %t", user, address, err, wanted)
		}
		return leave
	}
	first := enter("ana", "a", true)
	enter("ana", "b", true)
	enter("ana", "c", false) // a third
	enter("bia", "a", true)
	enter("caio", "a", true)
	enter("davi", "a", false) // the fourth from there
	first()
	first() // leaving twice frees one place
	enter("davi", "a", true)
	enter("eva", "a", false)
	knocked, err := l.AcquireAnonymous(from("k"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AcquireAnonymous(from("l")); err == nil {
		t.Error("one more than all may have is let in")
	}
	knocked()
	exempt := context.WithValue(context.Background(), clientKey{}, client{key: "a", exempt: true})
	leave, err := l.Acquire(exempt, "ana")
	if err != nil {
		t.Errorf("an exempt address is held to an address's limit: %v", err)
	}
	if _, err := l.Acquire(exempt, "ana"); err == nil {
		t.Error("an exempt address is not counted in total")
	}
	leave()
	if _, err := l.AcquireAnonymous(exempt); err != nil {
		t.Fatal(err)
	}
	if _, err := l.AcquireAnonymous(from("a")); err == nil || err.RetryAfter <= 0 {
		t.Errorf("a second stranger from one address: %v", err)
	}
}

// TestRefusalsAreCountedBySetting: the label limit has each setting that refuses anybody.
func TestRefusalsAreCountedBySetting(t *testing.T) {
	t.Parallel()
	want := append([]string{"max_connections", "max_connections_per_user", "max_connections_per_address", "max_unauthenticated_per_address",
		"requests_per_minute_per_user", "requests_per_minute_per_address"}, handlers.Limits...)
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(limitNames)); !slices.Equal(got, want) {
		t.Errorf("counted: %v, wanted %v", got, want)
	}
}

// TestAnonymousConnectionsCountApart has sockets without a token fill all that they may have, from
// one network and from many: those with a token do not notice.
func TestAnonymousConnectionsCountApart(t *testing.T) {
	t.Parallel()
	l := NewLimiter(Limits{MaxConnections: 400, MaxUnauthenticatedPerAddress: 3})
	knock := func(address string) error {
		leave, over := l.AcquireAnonymous(from(address))
		if over != nil {
			return over
		}
		t.Cleanup(leave)
		return nil
	}
	in := 0
	for i := range 100 { // a site has 65,536 networks
		if knock(fmt.Sprintf("2001:db8:1:%x::/64", i)) == nil {
			in++
		}
	}
	if in != 3*siteShare {
		t.Errorf("%d sockets of one IPv6 /48 are let in, want %d", in, 3*siteShare)
	}
	for i := range 100 {
		if knock(fmt.Sprintf("203.0.113.%d", i)) == nil {
			in++
		}
	}
	if in != 400/anonymousShare {
		t.Errorf("%d sockets without a token are let in, want %d", in, 400/anonymousShare)
	}
	for i := range 400 {
		if _, err := l.Acquire(from("a"), fmt.Sprint(i)); err != nil {
			t.Fatalf("connection %d with a token finds no place: %v", i, err)
		}
	}
	if err := knock("203.0.113.200"); err == nil {
		t.Error("one stranger more is let in")
	}
}

// TestGateForgetsWhoIsGone has many users come and go at once: nothing of them stays, and
// no limit is passed meanwhile.
func TestGateForgetsWhoIsGone(t *testing.T) {
	t.Parallel()
	l := NewLimiter(Limits{MaxConnections: 50, MaxConnectionsPerUser: 3, MaxConnectionsPerAddress: 10, MaxUnauthenticatedPerAddress: 2})
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range 500 {
				ctx := from(fmt.Sprint("address", (n+i)%7))
				if leave, err := l.Acquire(ctx, fmt.Sprint("user", i%11)); err == nil {
					l.mu.Lock()
					if l.streams[totalKey] > 50 || l.ofUser[fmt.Sprint("user", i%11)] > 3 {
						t.Error("a limit is passed")
					}
					l.mu.Unlock()
					leave()
				}
				if leave, err := l.AcquireAnonymous(ctx); err == nil {
					leave()
				}
			}
		})
	}
	all.Wait()
	if len(l.streams)+len(l.ofUser)+len(l.ofAddress)+len(l.anonymous) != 0 {
		t.Errorf("left behind: %v %v %v %v", l.streams, l.ofUser, l.ofAddress, l.anonymous)
	}
}

// remote is a connection from an address.
type remote struct {
	net.Conn
	address string
	closed  bool
}

func (r *remote) RemoteAddr() net.Addr {
	address, _ := net.ResolveTCPAddr("tcp", r.address)
	return address
}

func (r *remote) Close() error { r.closed = true; return nil }

func TestSilentConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	proxies, err := ParseNetworks([]string{"10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	l := NewLimiter(Limits{MaxConnectionsPerAddress: 2})
	watch := l.countPeers(func(peer netip.Addr) bool { return proxies.contain(peer) || Loopback.contain(peer) })
	open := func(address string, wanted bool) *remote {
		t.Helper()
		r := &remote{address: address}
		if watch(r, http.StateNew); r.closed == wanted {
			t.Errorf("a connection from %s stays: %t, want %t", address, !r.closed, wanted)
		}
		return r
	}
	first, second := open("203.0.113.9:1", true), open("203.0.113.9:2", true)
	third := open("203.0.113.9:3", false)
	watch(third, http.StateClosed)
	open("203.0.113.8:1", true)
	watch(first, http.StateActive)
	watch(first, http.StateHijacked) // a stream now, which is counted as such
	watch(second, http.StateClosed)
	open("203.0.113.9:4", true)
	open("203.0.113.9:5", true)
	for port := range 5 {
		open(fmt.Sprint("10.0.0.1:", port+1), true)
		open(fmt.Sprint("127.0.0.1:", port+1), true)
	}
	if len(l.peers) != 2 {
		t.Errorf("counted are %v", l.peers)
	}
}

var _ stream.Limiter = (*Limiter)(nil)
