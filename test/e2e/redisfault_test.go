package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// throughRedis starts three servers with a Redis, and an oracle over them.
func throughRedis(t *testing.T, redisURL string) (*oracle, []*harness.Program) {
	t.Helper()
	portal := dbtest.New(t)
	servers := serveThree(t, portal, "--redis-url", redisURL)
	awaitRedis(t, servers, true)
	return newOracle(t, portal, servers, 12, 20*time.Millisecond), servers
}

// awaitResting waits until so many servers leave listening in PostgreSQL to others.
func awaitResting(t *testing.T, portal *dbtest.Portal, want int) {
	t.Helper()
	harness.Eventually(t, "resting in PostgreSQL as many as it should", func() bool {
		var resting int
		harness.Must(t, portal.Pool.Get(&resting, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'UNLISTEN %'`))
		return resting == want
	})
}

// TestNothingIsLostWhateverRedisDoes books without end while Redis goes, comes, stands still, is
// emptied and runs out of memory: every client of every server is told everything once.
func TestNothingIsLostWhateverRedisDoes(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "enable-debug-command yes")
	o, servers := throughRedis(t, "redis://"+redis.Addr)
	awaitResting(t, o.portal, 1)
	report := o.watch("all is well")
	for range 5 {
		o.awaitMore()
	}
	report()
	for _, fault := range []struct {
		name  string
		harms bool // so much that it is noticed
		begin func()
		end   func()
	}{
		{"killed", true, func() { redis.Kill(); awaitResting(t, o.portal, 0) }, redis.Start},
		{"emptied", false, func() { redis.Do("FLUSHALL") }, func() {}},
		{"without memory", false, func() { redis.Do("CONFIG SET maxmemory 1mb") }, func() {}},
		{"connections killed", false, func() { redis.Do("CLIENT KILL TYPE pubsub"); redis.Do("CLIENT KILL TYPE normal") }, func() {}},
		{"asleep", false, func() { redis.Do("DEBUG SLEEP 3") }, func() {}},
		{"frozen", true, func() { awaitResting(t, o.portal, 1); redis.Freeze() }, redis.Thaw},
	} {
		report := o.watch(fault.name)
		fault.begin()
		if fault.harms {
			awaitRedis(t, servers, false)
		}
		o.awaitMore()
		report()
		fault.end()
		awaitRedis(t, servers, true)
		report = o.watch(fault.name + ", over")
		o.awaitMore()
		report()
	}
	o.verify()
	if keys := redis.Do("DBSIZE"); keys != ":0" {
		t.Errorf("Redis holds keys: %s", keys)
	}
}

// TestThreeServersInCalm is A1 in its long form, for as long as CALM says: 220 clients who change
// servers follow what is booked, while nothing is wrong.
func TestThreeServersInCalm(t *testing.T) {
	text := os.Getenv("CALM")
	if text == "" {
		t.Skip("CALM=10m has 220 clients follow three servers for ten minutes")
	}
	whole, err := time.ParseDuration(text)
	harness.Must(t, err)
	redis, portal := redistest.Start(t), dbtest.New(t)
	servers := serveThree(t, portal, "--redis-url", "redis://"+redis.Addr)
	awaitRedis(t, servers, true)
	o := newOracle(t, portal, servers, 220, 100*time.Millisecond)
	awaitResting(t, portal, 1)
	report := o.watch("all is well, and the first server numbers the log")
	<-time.After(whole)
	report()
	o.verify()
}

// TestNothingIsLostBehindABadNetwork is the same where one server's way to Redis swallows, holds,
// crawls and delays.
func TestNothingIsLostBehindABadNetwork(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	between := redistest.NewProxy(t, redis.Addr)
	portal := dbtest.New(t)
	servers := []*harness.Program{
		harness.Serve(t, portal, "--redis-url", "redis://"+between.Addr),
		harness.Serve(t, portal, "--redis-url", "redis://"+between.Addr),
		harness.Serve(t, portal, "--redis-url", "redis://"+redis.Addr),
	}
	awaitRedis(t, servers, true)
	o := newOracle(t, portal, servers, 12, 20*time.Millisecond)
	calm := o.watch("all is well")
	for range 5 {
		o.awaitMore()
	}
	calm()
	for name, fault := range map[string]redistest.Fault{
		"swallowed": {Drop: true}, "held": {Hold: make(chan struct{})}, "a byte a second": {Slow: true},
	} {
		report := o.watch(name)
		between.Set(fault)
		awaitRedis(t, servers[:2], false)
		o.awaitMore()
		report()
		between.Set(redistest.Fault{})
		awaitRedis(t, servers, true)
		o.awaitMore()
	}
	between.Set(redistest.Fault{Delay: 200 * time.Millisecond})
	report := o.watch("200 ms late")
	o.awaitMore()
	o.awaitMore()
	report()
	o.verify()
}

// TestLyingRedisForgesNothing is the same where Redis drops, repeats, reorders, replays, flips bits
// and invents, and then breaks its protocol.
func TestLyingRedisForgesNothing(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	between := redistest.NewProxy(t, redis.Addr)
	o, servers := throughRedis(t, "redis://"+between.Addr)
	var mu sync.Mutex
	var kept [][]byte
	between.Set(redistest.Fault{Lie: func(message []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if len(kept) < 500 {
			kept = append(kept, message)
		}
		switch rand.IntN(10) {
		case 0:
			return nil
		case 1:
			return [][]byte{message, message}
		case 2:
			return [][]byte{kept[rand.IntN(len(kept))], message}
		case 3:
			flipped := bytes.Clone(message)
			flipped[rand.IntN(len(flipped))] ^= 1 << rand.IntN(8)
			return [][]byte{flipped}
		case 4:
			return [][]byte{[]byte(`{"ownerId":"1","type":"booking_created"}`), bytes.Repeat([]byte{1}, 200), message}
		case 5:
			late := kept[len(kept)-1]
			kept[len(kept)-1] = message
			return [][]byte{late}
		}
		return [][]byte{message}
	}})
	report := o.watch("lies")
	for range 6 {
		o.awaitMore()
	}
	report()
	between.Set(redistest.Fault{Flip: 0.001})
	for range 3 {
		o.awaitMore()
	}
	between.Set(redistest.Fault{})
	awaitRedis(t, servers, true)
	o.awaitMore()
	o.verify()
	for i, p := range servers {
		if strings.Contains(p.Output.String(), "panic") {
			t.Errorf("server %d panicked: %s", i, p.Output)
		}
	}
}

// TestServersThatDoNotHearEachOther: with a Redis of its own each, servers are proven and do not
// hear each other. They listen in PostgreSQL then, and lose nothing.
func TestServersThatDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	var servers []*harness.Program
	for range 3 {
		servers = append(servers, harness.Serve(t, portal, "--redis-url", "redis://"+redistest.Start(t).Addr))
	}
	awaitRedis(t, servers, true)
	o := newOracle(t, portal, servers, 6, 20*time.Millisecond)
	report := o.watch("three servers, each with a Redis of its own")
	for range 5 {
		o.awaitMore()
	}
	report()
	o.verify()
}

// TestFrozenSubscriberCatchesUp stops a server's process under load, until Redis gives up what it
// does not fetch: it catches up from the log, and its clients miss nothing.
func TestFrozenSubscriberCatchesUp(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "client-output-buffer-limit pubsub 256kb 128kb 1")
	portal := dbtest.New(t)
	servers := []*harness.Program{harness.Serve(t, portal, "--redis-url", "redis://"+redis.Addr), harness.Serve(t, portal, "--redis-url", "redis://"+redis.Addr)}
	// By its socket, since the system holds some megabytes for a TCP connection.
	process := harness.Launch(t, nil, harness.OwnBinary(t), harness.ServeFlags(portal.URL, "--redis-url", "unix://"+redis.Socket, "--limit-exempt", "127.0.0.0/8")...)
	frozen := &harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: harness.Client, Portal: portal, Output: process.Output}
	frozen.Ready(t)
	servers = append(servers, frozen)
	awaitRedis(t, servers, true)
	o := newOracle(t, portal, servers, 9, 50*time.Millisecond)
	o.awaitMore()
	clients := func() int { return strings.Count(redis.Do("CLIENT LIST TYPE pubsub"), "name=hangarshare") }
	harness.Eventually(t, "subscribed by three servers", func() bool { return clients() == 3 })
	probe := servers[0].Connect(t, harness.TokenFor(t, o.owners[0].UserID, time.Hour), o.owners[0].ID, "")
	probe.Next(harness.OfType("connection_established"))
	if err := syscall.Kill(process.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	rows := strings.Repeat(dbtest.BookingValues(o.owners[0].Hangars[0], o.guest)+", ", 199) + dbtest.BookingValues(o.owners[0].Hangars[0], o.guest)
	harness.Eventually(t, "cut off by Redis", func() bool {
		portal.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+rows)
		for range 200 { // more rows in one batch would not fit a parcel
			probe.Next(harness.OfType("booking_created"))
		}
		return clients() < 3
	})
	if err := syscall.Kill(process.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	report := o.watch("after a server stood still")
	awaitRedis(t, servers, true)
	o.awaitMore()
	report()
	o.verify()
}

// TestTwoHalvesKeepApart has a copy of a database, with the same secret, on the same Redis: servers
// of one never tell what the other's log holds, although owners, numbers and channel are the same.
func TestTwoHalvesKeepApart(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	halves := []*dbtest.Portal{dbtest.New(t), dbtest.New(t)}
	for _, portal := range halves {
		var out bytes.Buffer
		if code := harness.Run(t.Context(), []string{"migrate", "--database-url", portal.URL}, &out, &out); code != 0 {
			t.Fatalf("migrate: %s", out.String())
		}
	}
	var secret []byte
	harness.Must(t, halves[0].Pool.Get(&secret, `SELECT relay_key FROM realtime.installation`))
	halves[1].Exec(t, `UPDATE realtime.installation SET relay_key = $1`, secret)
	var oracles []*oracle
	for _, portal := range halves {
		servers := []*harness.Program{harness.Serve(t, portal, "--redis-url", "redis://"+redis.Addr), harness.Serve(t, portal, "--redis-url", "redis://"+redis.Addr)}
		awaitRedis(t, servers, true)
		oracles = append(oracles, newOracle(t, portal, servers, 6, 30*time.Millisecond))
	}
	if a, b := oracles[0].owners[0].ID, oracles[1].owners[0].ID; a != b {
		t.Fatalf("the owners are %s and %s, and cannot be mistaken for each other", a, b)
	}
	for i, o := range oracles {
		report := o.watch("half " + strconv.Itoa(i))
		for range 4 {
			o.awaitMore()
		}
		report()
	}
	for _, o := range oracles {
		o.verify()
	}
}

// TestSequencerIsLostWhileOthersRest stops the server that numbers the log for some seconds, or
// ends it, while others rest: one of them numbers soon, and nobody misses anything.
func TestSequencerIsLostWhileOthersRest(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]syscall.Signal{"stopped": syscall.SIGSTOP, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			portal := dbtest.New(t)
			process := harness.Launch(t, nil, harness.OwnBinary(t),
				harness.ServeFlags(portal.URL, "--redis-url", "redis://"+redis.Addr, "--limit-exempt", "127.0.0.0/8")...)
			first := &harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: harness.Client, Portal: portal, Output: process.Output}
			first.Ready(t)
			servers := serveThree(t, portal, "--redis-url", "redis://"+redis.Addr)
			awaitRedis(t, append(servers, first), true)
			numbers := func() (count int) {
				for _, p := range servers {
					count += strings.Count(p.Output.String(), "this server numbers the log")
				}
				return count
			}
			if numbers() != 0 {
				t.Fatal("the first server does not number the log")
			}
			o := newOracle(t, portal, servers, 9, 20*time.Millisecond)
			awaitResting(t, portal, 2)
			report := o.watch("without the server that numbered")
			began := time.Now()
			if err := syscall.Kill(process.PID(), fault); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, "numbered by another", func() bool { return numbers() > 0 })
			t.Logf("another server numbers %v later", time.Since(began).Round(10*time.Millisecond))
			o.awaitMore()
			report()
			if fault == syscall.SIGSTOP {
				if err := syscall.Kill(process.PID(), syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			o.awaitMore()
			o.verify()
		})
	}
}
