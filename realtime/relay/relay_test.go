package relay_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/seal"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
)

func TestParcelsReachEverybody(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := start(t, "redis://"+server.Addr, nodeOptions{}), start(t, "unix://"+server.Socket, nodeOptions{})
	a.awaitProven()
	b.awaitProven()
	for number := range int64(500) {
		a.send(number + 1)
	}
	for _, n := range []*node{a, b} {
		n.await("all parcels came", func() bool { return n.has(500) })
		for number := range int64(500) {
			if n.parcels[number+1] != 1 {
				t.Errorf("parcel %d came %d times", number+1, n.parcels[number+1])
			}
		}
	}
	a.note(func() { a.state.Head, a.state.Leading = 77, true })
	b.await("the head is heard", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.heads[77] })
	members := b.Members()
	if len(members) != 1 || !members[0].Leading || members[0].Head != 77 {
		t.Errorf("the members heard are %+v", members)
	}
	a.stop()
	b.await("the other is gone", func() bool { return len(b.Members()) == 0 })
	if got := server.Do("DBSIZE"); got != ":0" {
		t.Errorf("Redis holds keys: %s", got)
	}
}

func TestLargeParcels(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := start(t, "redis://"+server.Addr, nodeOptions{}), start(t, "redis://"+server.Addr, nodeOptions{})
	a.awaitProven()
	b.awaitProven()
	publish := func(number int64, size int) bool {
		sealed, err := a.keys.Seal(seal.Parcel, a.state.Epoch, number, make([]byte, size), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return a.Publish(sealed)
	}
	if !publish(1, 256<<10) {
		t.Error("a parcel of 256 KiB is refused")
	}
	if publish(2, 256<<10+1) {
		t.Error("a parcel of more is taken")
	}
	b.await("the parcel came", func() bool { return b.has(1) })
}

// Nobody waits for Redis: what has no room is dropped at once.
func TestPublishNeverWaits(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := start(t, "redis://"+server.Addr, nodeOptions{})
	a.awaitProven()
	server.Freeze()
	sealed, err := a.keys.Seal(seal.Parcel, a.state.Epoch, 1, make([]byte, 200<<10), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 10_000 {
		if !a.Publish(sealed) {
			refused++
		}
	}
	if refused < 9_000 || a.Stats().Dropped != uint64(refused) {
		t.Errorf("of 10,000 parcels to a frozen Redis %d were refused, and %d counted", refused, a.Stats().Dropped)
	}
	server.Thaw()
	a.awaitProven()
	passes(a, 1_000_000, a)
}

func TestRedisGoesAndComes(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*redistest.Server){
		"killed and restarted empty": func(s *redistest.Server) { s.Kill(); s.Start() },
		"FLUSHALL":                   func(s *redistest.Server) { s.Do("FLUSHALL") },
		"maxmemory": func(s *redistest.Server) {
			s.Do("CONFIG SET maxmemory 1mb")
			s.Do("CONFIG SET maxmemory-policy noeviction")
		},
		"connections killed": func(s *redistest.Server) { s.Do("CLIENT KILL TYPE normal"); s.Do("CLIENT KILL TYPE pubsub") },
		"DEBUG SLEEP":        func(s *redistest.Server) { s.Do("DEBUG SLEEP 3") },
		"frozen": func(s *redistest.Server) {
			s.Freeze()
			time.Sleep(4 * time.Second) // the fault itself
			s.Thaw()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "enable-debug-command yes")
			a, b := start(t, "redis://"+server.Addr, nodeOptions{}), start(t, "redis://"+server.Addr, nodeOptions{})
			a.awaitProven()
			b.awaitProven()
			passes(a, 1, b)
			losses, subscribed := a.Stats().Losses, subscriptions(server)
			fault(server)
			harmless := name == "FLUSHALL" || name == "maxmemory"
			if !harmless {
				a.await("the fault was noticed", func() bool { return a.Stats().Losses > losses })
			}
			a.awaitProven()
			b.awaitProven()
			passes(a, 1000, b)
			passes(b, 2000, a)
			// A heartbeat may be late on a slow machine. A session that lives on is no loss.
			if now := subscriptions(server); harmless && !slices.Equal(now, subscribed) {
				t.Errorf("the subscriptions were %v and are %v; the log:\n%s", subscribed, now, a.log)
			}
		})
	}
}

// subscriptions returns the numbers of the connections that are subscribed.
func subscriptions(s *redistest.Server) (ids []string) {
	for line := range strings.Lines(s.Do("CLIENT LIST TYPE pubsub")) {
		if id, _, found := strings.Cut(line, " "); found {
			ids = append(ids, id)
		}
	}
	return ids
}

// A Redis that stands still is noticed by the heartbeat, long before a connection shows it.
func TestFrozenRedisIsNoticedSoon(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := start(t, "redis://"+server.Addr, nodeOptions{})
	a.awaitProven()
	server.Freeze()
	began := time.Now()
	a.awaitUnproven()
	t.Logf("noticed after %v", time.Since(began))
	server.Thaw()
	began = time.Now()
	a.awaitProven()
	t.Logf("proven again after %v", time.Since(began))
	if a.ProvenFor() <= 0 || a.ProvenFor() > patience {
		t.Errorf("proven for %v", a.ProvenFor())
	}
}

func TestChannelsDiffer(t *testing.T) {
	t.Parallel()
	keys := keyring(t)
	other, err := seal.New([]byte(strings.Repeat("x", seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	channels := map[string]bool{}
	for _, channel := range []string{relay.Channel(keys, "realtime"), relay.Channel(keys, "other"), relay.Channel(other, "realtime")} {
		if !strings.HasPrefix(channel, "hangarshare:") {
			t.Errorf("the channel %q is outside of hangarshare:*", channel)
		}
		channels[channel] = true
	}
	if len(channels) != 3 {
		t.Errorf("of three channels some are one: %v", channels)
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b, c := start(t, "redis://"+server.Addr, nodeOptions{}), start(t, "redis://"+server.Addr, nodeOptions{}), start(t, "redis://"+server.Addr, nodeOptions{})
	a.note(func() { a.counts = map[string]int{"user 1": 30, "user 2": 7} })
	b.note(func() { b.counts = map[string]int{"user 1": 12} })
	// A copy of the database has the same secret, and so the same channel.
	copied := start(t, "redis://"+server.Addr, nodeOptions{epoch: "of a copy"})
	copied.note(func() { copied.counts = map[string]int{"user 1": 100, "user 3": 1} })
	c.await("both counts came", func() bool { return c.Elsewhere("user 1") == 42 && c.Elsewhere("user 2") == 7 })
	c.await("the copy's server is heard", func() bool { return len(c.Members()) == 3 })
	received := c.Stats().Received
	c.await("everybody told counts again", func() bool { return c.Stats().Received > received+20 })
	if got := c.Elsewhere("user 1"); got != 42 {
		t.Errorf("with a copy's server that counts 100 there are %d", got)
	}
	if got := c.Elsewhere("user 3"); got != 0 {
		t.Errorf("a user of whom nobody spoke counts %d", got)
	}
	b.note(func() { b.counts = nil })
	c.await("a count ended", func() bool { return c.Elsewhere("user 1") == 30 })
	server.Kill()
	c.await("counts are forgotten", func() bool { return c.Elsewhere("user 1") == 0 })
}

// A connection that answers, and over which nothing comes any more that is published, as by a proxy
// that lost its own way to Redis: everything is made anew, by new connections.
func TestConnectionThatWentDeaf(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	between := redistest.NewProxy(t, server.Addr)
	a := start(t, "redis://"+between.Addr, nodeOptions{})
	a.awaitProven()
	deaf := subscriptions(server)
	between.Set(redistest.Fault{Lie: func([]byte) [][]byte { return nil }})
	a.await("other connections", func() bool {
		now := subscriptions(server)
		return len(now) > 0 && !slices.Equal(now, deaf)
	})
	between.Set(redistest.Fault{})
	a.awaitProven()
	passes(a, 1, a)
}
