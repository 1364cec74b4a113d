package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/seal"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay"
)

// patience bounds each wait of a test: a loaded machine is slow, and nobody wants to wait for ever.
const patience = 60 * time.Second

// installation is what the servers of one installation share.
var secret = bytes.Repeat([]byte{7}, seal.SecretSize)

func keyring(t testing.TB) *seal.Keyring {
	t.Helper()
	keys, err := seal.New(secret)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// node is one server with a relay.
type node struct {
	*relay.Relay
	t    testing.TB
	keys *seal.Keyring
	log  *lines
	stop func()

	mu      sync.Mutex
	state   relay.State
	counts  map[string]int
	parcels map[int64]int // how often each number came
	forged  int
	heads   map[int64]bool
	news    chan struct{} // closed and made anew when something came
}

// nodeOptions is what differs between the nodes of a test.
type nodeOptions struct {
	files relay.Files
	epoch string
}

func newNode(t testing.TB, redisURL string, options nodeOptions) *node {
	t.Helper()
	address, err := relay.ParseAddress(redisURL, options.files)
	if err != nil {
		t.Fatal(err)
	}
	address.DialTimeout = patience / 4 // a busy machine's attempts must not all be over too soon
	n := &node{t: t, keys: keyring(t), log: &lines{}, counts: map[string]int{}, parcels: map[int64]int{}, heads: map[int64]bool{}, news: make(chan struct{})}
	n.state.Epoch = n.keys.EpochID(options.epoch)
	n.Relay = relay.New(relay.Options{
		Address: address, Channel: relay.Channel(n.keys, "realtime"), Keys: n.keys,
		State:   func() relay.State { n.mu.Lock(); defer n.mu.Unlock(); return n.state },
		Receive: n.receive,
		Heard:   func(_ seal.EpochID, head int64) { n.note(func() { n.heads[head] = true }) },
		Counts:  func(int) map[string]int { n.mu.Lock(); defer n.mu.Unlock(); return n.counts },
		Changed: func(bool) { n.note(func() {}) },
		Log:     slog.New(slog.NewTextHandler(n.log, nil)),
	})
	return n
}

// start has a node run until the test ends, or until it is told to stop.
func start(t testing.TB, redisURL string, options nodeOptions) *node {
	t.Helper()
	n := newNode(t, redisURL, options)
	n.run()
	return n
}

func (n *node) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Run(ctx) //nolint:errcheck // it returns nil
	}()
	n.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			n.t.Error("the relay does not stop")
		}
	})
	n.t.Cleanup(n.stop)
}

func (n *node) receive(sealed []byte) {
	message, err := n.keys.Open(sealed, time.Now())
	n.note(func() {
		if err != nil || message.Epoch != n.state.Epoch {
			n.forged++
			return
		}
		n.parcels[message.Number]++
	})
}

// note changes what is known, and wakes who waits for news.
func (n *node) note(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	close(n.news)
	n.news = make(chan struct{})
}

// await waits until something is so, which is asked whenever there is news, and now and then.
func (n *node) await(what string, so func() bool) {
	n.t.Helper()
	deadline := time.After(patience)
	for {
		n.mu.Lock()
		news := n.news
		n.mu.Unlock()
		if so() {
			return
		}
		select {
		case <-news:
		case <-time.After(20 * time.Millisecond): // what becomes true by time alone
		case <-deadline:
			n.t.Fatalf("waited in vain until %s; its log:\n%s", what, n.log)
		}
	}
}

func (n *node) awaitProven() { n.t.Helper(); n.await("the relay is proven", n.Proven) }
func (n *node) awaitUnproven() {
	n.t.Helper()
	n.await("the relay is not proven", func() bool { return !n.Proven() })
}

// send publishes a parcel with a number.
func (n *node) send(number int64) {
	n.t.Helper()
	n.mu.Lock()
	epoch := n.state.Epoch
	n.mu.Unlock()
	sealed, err := n.keys.Seal(seal.Parcel, epoch, number, fmt.Appendf(nil, "parcel %d", number), time.Now())
	if err != nil {
		n.t.Fatal(err)
	}
	n.Publish(sealed)
}

// has reports whether a parcel came.
func (n *node) has(number int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.parcels[number] > 0
}

// passes sends parcels from one node to others, and waits until all have one. Until a subscription
// holds, what is published is heard by nobody: so more than one may have to be sent.
func passes(from *node, number int64, to ...*node) {
	from.t.Helper()
	for _, receiver := range to {
		for deadline := time.Now().Add(patience); !receiver.has(number); number++ {
			if time.Now().After(deadline) {
				from.t.Fatalf("no parcel passes; the logs:\n%s\n%s", from.log, receiver.log)
			}
			from.send(number)
			receiver.mu.Lock()
			news := receiver.news
			receiver.mu.Unlock()
			if receiver.has(number) {
				break
			}
			select {
			case <-news:
			case <-time.After(200 * time.Millisecond):
			}
			if receiver.has(number) {
				break
			}
		}
	}
}

// lines is a log of which a test asks.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(what string) int { return strings.Count(l.String(), what) }
