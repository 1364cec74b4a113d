package relay

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/seal"
)

// fakeBroadcast is a Redis under the clock of a test: what one server publishes, all hear. How long
// heartbeats take on a real one is the machine's affair.
type fakeBroadcast struct {
	counts func(servers int) map[string]int // what each server has to tell

	mu      sync.Mutex
	servers []*server
}

// server is a relay with a speaker in the place of Redis.
type server struct {
	*Relay
	leading atomic.Bool
	said    chan delayedMessage
	stop    func()
}

// delayedMessage is a message, and when it arrives.
type delayedMessage struct {
	message []byte
	at      time.Time
}

// start runs a server. What is said reaches it so much later, and one that is deaf never.
func (s *fakeBroadcast) start(keys *seal.Keyring, leading bool, late time.Duration, deaf bool) *server {
	n := &server{said: make(chan delayedMessage, 1000)}
	n.leading.Store(leading)
	n.Relay = New(Options{
		Address: &Address{hosts: []string{"speaker"}}, Keys: keys, Log: slog.New(slog.DiscardHandler),
		State:  func() State { return State{Leading: n.leading.Load()} },
		Counts: s.counts,
	})
	n.beats.reset()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			subscribed := make(chan struct{}, 1)
			subscribed <- struct{}{}
			n.prove(ctx, subscribed, nil) //nolint:errcheck // it ends with ctx, or begins again
		}
	})
	group.Go(func() {
		for messages := n.out.wait(ctx); len(messages) > 0; messages = n.out.wait(ctx) {
			s.tell(messages)
		}
	})
	group.Go(func() {
		for said := range n.said {
			time.Sleep(time.Until(said.at.Add(late)))
			if !deaf {
				n.receive(said.message)
			}
		}
	})
	s.mu.Lock()
	s.servers = append(s.servers, n)
	s.mu.Unlock()
	n.stop = func() {
		cancel()
		s.mu.Lock()
		s.servers = slices.DeleteFunc(s.servers, func(other *server) bool { return other == n })
		s.mu.Unlock()
		close(n.said)
		group.Wait()
	}
	return n
}

func (s *fakeBroadcast) tell(messages [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.servers {
		for _, m := range messages {
			n.said <- delayedMessage{m, time.Now()}
		}
	}
}

// TestCountsAreToldByBeats has heartbeats come back one time more or less than they are sent, as
// where Redis stalls: counts are told with each second beat nevertheless.
func TestCountsAreToldByBeats(t *testing.T) {
	t.Parallel()
	keys, err := seal.New(bytes.Repeat([]byte{7}, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var counted atomic.Int64
		redis := fakeBroadcast{counts: func(int) map[string]int { counted.Add(1); return nil }}
		n := redis.start(keys, false, 0, false)
		defer n.stop()
		time.Sleep(beatInterval)
		synctest.Wait()
		for range 4 {
			before := counted.Load()
			time.Sleep(6 * beatInterval)
			synctest.Wait()
			if told := counted.Load() - before; told != 6/gossipEvery {
				t.Errorf("counts are told %d times with 6 heartbeats", told)
			}
			n.beats.back <- struct{}{}
			synctest.Wait()
		}
	})
}

// TestRelieved has two servers listen for all: the one that numbers the log, and the lowest of the
// others.
func TestRelieved(t *testing.T) {
	t.Parallel()
	keys, err := seal.New(bytes.Repeat([]byte{7}, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var redis fakeBroadcast
		servers := make([]*server, 4)
		for i := range servers {
			servers[i] = redis.start(keys, false, 0, false)
		}
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		relieved := func() (count int) {
			for _, n := range servers {
				if n.Relieved() {
					count++
				}
			}
			return count
		}
		pass(2 * beatInterval)
		for _, n := range servers {
			if members := n.Members(); len(members) != 3 || !n.Proven() {
				t.Fatalf("proven %t, and hears %+v", n.Proven(), members)
			}
		}
		if relieved() != 0 {
			t.Error("servers rely on others, and none numbers the log")
		}

		unproven := redis.start(keys, true, 0, true) // what it says passes, what it hears does not
		pass(2 * beatInterval)
		leader := servers[0]
		if !slices.ContainsFunc(leader.Members(), func(m Member) bool { return m.Leading && !m.Proven }) {
			t.Errorf("the deaf one is heard as %+v", leader.Members())
		}
		if relieved() != 0 {
			t.Error("servers rely on one that cannot know whether Redis takes what it publishes")
		}
		unproven.stop()
		pass(memberAge + beatInterval)
		if members := leader.Members(); len(members) != 3 {
			t.Errorf("a server that has gone is heard: %+v", members)
		}

		leader.leading.Store(true)
		pass(2 * beatInterval)
		if relieved() != 2 || leader.Relieved() {
			t.Errorf("%d of four are relieved, the one that numbers the log: %t", relieved(), leader.Relieved())
		}
		slow := redis.start(keys, false, 2*slowBeat, false)
		pass(4 * beatInterval)
		if !slow.Proven() || len(slow.Members()) != 4 || slow.Relieved() {
			t.Errorf("by a Redis that is slower than PostgreSQL: proven %t, hears %d, relieved %t", slow.Proven(), len(slow.Members()), slow.Relieved())
		}
		slow.stop()
		leader.stop()
		pass(leaderAge + beatInterval)
		if relieved() != 0 {
			t.Error("servers rely on one that has gone")
		}
		for _, n := range servers[1:] {
			n.stop()
		}
	})
}

// TestLogOfWhatIsToChange has a network be slow first, and then Redis refuse: what somebody has to
// change is logged at once, and each of the two once a minute.
func TestLogOfWhatIsToChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := New(Options{Address: &Address{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		lines := func(what string) int { return bytes.Count(log.Bytes(), []byte(what)) }
		time.Sleep(logAfter)
		for second := range 60 {
			r.away(context.DeadlineExceeded)
			r.away(misconfigured{ErrRefused})
			if n, refused := lines("cannot be reached"), lines(ErrRefused.Error()); n != 1 || refused != 1 {
				t.Fatalf("after %d s: away %d times, refused %d times", second, n, refused)
			}
			time.Sleep(time.Second)
		}
		r.away(context.DeadlineExceeded)
		r.away(misconfigured{ErrRefused})
		if lines("\n") != 4 {
			t.Errorf("after a minute:\n%s", log.String())
		}
	})
}

// TestLogOfFlapping has Redis be lost for moments: once is not worth a line, again within a minute
// is, once a minute, and what else is to be said is said beside it.
func TestLogOfFlapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := New(Options{Address: &Address{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		told := func() int { return bytes.Count(log.Bytes(), []byte("again and again")) }
		flap := func() {
			r.change(true)
			time.Sleep(beatInterval)
			r.change(false)
			r.away(errUnproven)
		}
		for range 5 {
			flap()
			time.Sleep(logInterval)
		}
		if told() != 0 {
			t.Fatalf("a loss in more than a minute:\n%s", log.String())
		}
		for range 80 {
			flap()
			time.Sleep(time.Second)
		}
		if told() != 2 || !bytes.Contains(log.Bytes(), []byte("losses=2 ")) || !bytes.Contains(log.Bytes(), []byte("losses=40 within=58.5s")) {
			t.Errorf("80 losses in two minutes:\n%s", log.String())
		}
		lines := bytes.Count(log.Bytes(), []byte("Redis is away"))
		r.away(errUnproven)
		if bytes.Count(log.Bytes(), []byte("Redis is away")) != lines+1 {
			t.Errorf("one that stays away is not told:\n%s", log.String())
		}
		time.Sleep(logInterval)
		flap()
		flap()
		if told() != 3 {
			t.Errorf("more losses a minute later:\n%s", log.String())
		}
	})
}
