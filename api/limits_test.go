package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

func from(key string) context.Context {
	return context.WithValue(context.Background(), clientKey{}, client{key: key})
}

func TestGateCounts(t *testing.T) {
	t.Parallel()
	g := NewGate(Limits{Connections: 5, ConnectionsPerUser: 2, ConnectionsPerAddress: 3, UnauthenticatedPerAddress: 1})
	enter := func(user, address string, wanted bool) (leave func()) {
		t.Helper()
		leave, err := g.Connect(from(address), user)
		if (err == nil) != wanted {
			t.Errorf("%s from %s: %v, wanted in: %t", user, address, err, wanted)
		}
		return leave
	}
	first := enter("ana", "a", true)
	enter("ana", "b", true)
	enter("ana", "c", false) // her third
	enter("bia", "a", true)
	enter("caio", "a", true)
	enter("davi", "a", false) // the fourth from there
	first()
	first() // leaving twice frees one place
	enter("davi", "a", true)
	enter("eva", "a", false)
	knocked, err := g.Knock(from("k"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Knock(from("l")); err == nil {
		t.Error("one more than all may have is let in")
	}
	knocked()
	own := context.WithValue(context.Background(), clientKey{}, client{key: "a", own: true})
	leave, err := g.Connect(own, "ana")
	if err != nil {
		t.Errorf("a program of this machine is held to an address's limit: %v", err)
	}
	if _, err := g.Connect(own, "ana"); err == nil {
		t.Error("a program of this machine is not counted in total")
	}
	leave()
	if _, err := g.Knock(own); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Knock(from("a")); err == nil || err.RetryAfter <= 0 {
		t.Errorf("a second stranger from one address: %v", err)
	}
}

// TestGateForgetsWhoIsGone has many users come and go at once: nothing of them stays, and no limit is passed meanwhile.
func TestGateForgetsWhoIsGone(t *testing.T) {
	t.Parallel()
	g := NewGate(Limits{Connections: 50, ConnectionsPerUser: 3, ConnectionsPerAddress: 10, UnauthenticatedPerAddress: 2})
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range 500 {
				ctx := from(fmt.Sprint("address", (n+i)%7))
				if leave, err := g.Connect(ctx, fmt.Sprint("user", i%11)); err == nil {
					g.mu.Lock()
					if g.total > 50 || g.ofUser[fmt.Sprint("user", i%11)] > 3 {
						t.Error("a limit is passed")
					}
					g.mu.Unlock()
					leave()
				}
				if leave, err := g.Knock(ctx); err == nil {
					leave()
				}
			}
		})
	}
	all.Wait()
	if g.total != 0 || len(g.ofUser)+len(g.ofAddress)+len(g.ofStranger) != 0 {
		t.Errorf("left behind: %d, %v %v %v", g.total, g.ofUser, g.ofAddress, g.ofStranger)
	}
}

func TestPaces(t *testing.T) {
	t.Parallel()
	p := newPaces(60)
	now := time.Now()
	for i := range 60 {
		if wait := p.count("a", now); wait != 0 {
			t.Fatalf("request %d of 60 must wait %s", i+1, wait)
		}
	}
	for range 3 { // refused requests take nothing
		if wait := p.count("a", now); wait <= 0 || wait > time.Second {
			t.Errorf("the next must wait %s, want up to 1s", wait)
		}
	}
	if wait := p.count("b", now); wait != 0 {
		t.Errorf("another must wait %s", wait)
	}
	if wait := p.count("a", now.Add(time.Second)); wait != 0 {
		t.Errorf("a second later it must wait %s", wait)
	}
	if wait := newPaces(0).count("a", now); wait != 0 {
		t.Errorf("without a limit it must wait %s", wait)
	}
}

func TestPacesAreBounded(t *testing.T) {
	t.Parallel()
	p := newPaces(60)
	now := time.Now()
	for i := range 2 * maxPaces {
		p.count(fmt.Sprint(i), now)
	}
	if n := p.seen.Len(); n != maxPaces {
		t.Errorf("%d keys are kept, want %d", n, maxPaces)
	}
	later := now.Add(time.Hour)
	for range maxPaces {
		p.count("one", later)
	}
	if n := p.seen.Len(); n != 1 {
		t.Errorf("%d keys are kept of those who are silent for an hour and one, want 1", n)
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
	proxies, err := ParseProxies([]string{"10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(Limits{ConnectionsPerAddress: 2})
	watch := g.watch(proxies)
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
	if len(g.ofPeer) != 2 {
		t.Errorf("counted are %v", g.ofPeer)
	}
}

var _ handlers.Admission = (*Gate)(nil)
