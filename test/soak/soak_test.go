package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

const (
	// soakEnvironment holds how long TestSoak is to last; without it the short form runs.
	soakEnvironment = "SOAK"
	// settling is how long everything may take to catch up after the last fault, on a busy machine.
	settling = time.Minute
)

// soakPlan says what a soak is made of. Everything random in it follows from the seed, except for
// what the scheduler and the network do.
type soakPlan struct {
	seed                                       uint64
	duration                                   time.Duration
	owners, hangars, clients, writers, servers int
	heartbeat                                  time.Duration
	// a writer's mean pause between two transactions
	thinking time.Duration
	// how long a transaction is held open at most
	held time.Duration
	// of a thousand transactions, so many are
	holding int
	// how long a client stays connected, and away, at most
	stay, absence time.Duration
	// how long a slow reader reads nothing at most
	stalled   time.Duration
	outage    time.Duration // how long a fault lasts at most
	frozen    time.Duration // how long a server is stopped by SIGSTOP at most
	injectors int           // faults that may happen at once
	// an injector's mean pause between two faults
	calm   time.Duration
	faults []fault
}

// shortSoak is the plan that runs with all other tests.
func shortSoak(seed uint64) soakPlan {
	return soakPlan{
		seed: seed, duration: 9 * time.Second, owners: 10, hangars: 3, clients: 30, writers: 4, servers: 1,
		heartbeat: time.Second, thinking: 50 * time.Millisecond, held: 2 * time.Second, holding: 30,
		stay: 5 * time.Second, absence: time.Second, stalled: 2 * time.Second, outage: time.Second,
		injectors: 2, calm: 300 * time.Millisecond, faults: allFaults,
	}
}

// severalServers is shortSoak with three servers, Redis between and nginx before them.
func severalServers(seed uint64) soakPlan {
	plan := shortSoak(seed)
	plan.servers, plan.frozen, plan.calm, plan.faults = 3, 5*time.Second, 150*time.Millisecond, slices.Concat(allFaults, clusterFaults)
	plan.injectors = 3
	return plan
}

// longSoak is the plan of `make soak`.
func longSoak(seed uint64, duration time.Duration) soakPlan {
	return soakPlan{
		seed: seed, duration: duration, owners: 10, hangars: 4, clients: 220, writers: 16, servers: 3,
		heartbeat: 5 * time.Second, thinking: 150 * time.Millisecond, held: 40 * time.Second, holding: 6,
		stay: time.Minute, absence: 15 * time.Second, stalled: 45 * time.Second, outage: 5 * time.Second, frozen: 10 * time.Second,
		injectors: 2, calm: 10 * time.Second, faults: slices.Concat(allFaults, clusterFaults),
	}
}

// TestSoak is the delivery oracle: random writers do ordinary SQL on the portal's tables, many
// clients on both transports drop and return, and faults happen at random. At the end every
// client's list of events must equal the log, in order and each once, and the state it made of
// them must equal a query of the tables.
func TestSoak(t *testing.T) {
	if text := os.Getenv(soakEnvironment); text != "" {
		duration, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		runSoak(t, longSoak(soakSeed(t), duration))
		return
	}
	t.Run("fixed seed", func(t *testing.T) {
		t.Parallel()
		runSoak(t, shortSoak(42))
	})
	t.Run("three servers, random seed", func(t *testing.T) {
		t.Parallel()
		runSoak(t, severalServers(soakSeed(t)))
	})
}

// soakSeed is a random seed, or the one of an earlier run that SOAK_SEED names.
func soakSeed(t *testing.T) (seed uint64) {
	t.Helper()
	text := os.Getenv("SOAK_SEED")
	if text == "" {
		return rand.Uint64()
	}
	if _, err := fmt.Sscan(text, &seed); err != nil {
		t.Fatalf("SOAK_SEED=%q: %v", text, err)
	}
	return seed
}

// TestServerKilledDuringFanOut kills the server with signal 9 again and again, while it
// sends; all clients resume.
func TestServerKilledDuringFanOut(t *testing.T) {
	plan := shortSoak(7)
	plan.duration, plan.clients, plan.owners, plan.thinking = 6*time.Second, 40, 4, 20*time.Millisecond
	plan.stay, plan.calm = time.Minute, 100*time.Millisecond // no client leaves by itself
	plan.faults = []fault{{"server killed while sending", killWhileSending}}
	r := runSoak(t, plan)
	if r.faults["server killed while sending"] == 0 {
		t.Error("the server was never killed")
	}
}

// soak is one run of the oracle.
type soak struct {
	t          testing.TB
	plan       soakPlan
	postgres   *devdb.Server
	portal     *dbtest.Portal
	owners     []*soakOwner
	guests     []string
	servers    []*soakServer
	between    *between // nil with one server
	clients    []*soakClient
	settled    chan struct{} // closed when the faults have ended: clients come and stay
	commits    commitTimes
	live       liveBookings
	notes      notes
	faultTimes faultTimes
	sequence   faultSequence
	report     soakReport
}

// soakOwner is an owner account and what its clients were told.
type soakOwner struct {
	dbtest.Owner
	token    string
	received *receivedEvents
}

// random returns the random numbers of one actor.
func (s *soak) random(actor string, number int) *rand.Rand {
	sum := uint64(number)
	for _, b := range []byte(actor) {
		sum = sum*1099511628211 + uint64(b)
	}
	return rand.New(rand.NewPCG(s.plan.seed, sum))
}

// rest waits for a time, or until one of the interruptions.
func rest(d time.Duration, interruptions ...<-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	first, second := interruptions[0], (<-chan struct{})(nil)
	if len(interruptions) > 1 {
		second = interruptions[1]
	}
	select {
	case <-timer.C:
	case <-first:
	case <-second:
	}
}

// upTo is a random time between nothing and d.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }

// around is a random pause with a mean, and a bound of five times that.
func around(r *rand.Rand, mean time.Duration) time.Duration {
	return min(time.Duration(r.ExpFloat64()*float64(mean)), 5*mean)
}

// runSoak lives through a plan and compares.
func runSoak(t *testing.T, plan soakPlan) *soakReport {
	t.Helper()
	t.Logf("seed %d (SOAK_SEED repeats its choices)", plan.seed)
	s := &soak{t: t, plan: plan, settled: make(chan struct{})}
	s.report.begin(plan)
	s.setUp(t)
	all, end := context.WithCancel(context.Background())
	var group sync.WaitGroup
	t.Cleanup(func() { end(); group.Wait() })
	for _, server := range s.servers {
		group.Go(func() { server.run(all, t) })
		server.awaitReady(t)
	}
	for _, c := range s.clients {
		if !c.late {
			group.Go(func() { c.run(all) })
		}
	}
	s.await("first connections", func() bool { return s.all(func(c *soakClient) bool { return c.late || c.position() != "" }) })
	for _, c := range s.clients {
		if c.late {
			delay := upTo(s.random("late", c.number), plan.duration*3/4)
			group.Go(func() { rest(delay, all.Done()); c.run(all) })
		}
	}

	work, stopWork := context.WithTimeout(all, plan.duration)
	defer stopWork()
	var writing, injecting sync.WaitGroup
	for i := range plan.writers {
		writing.Go(func() { s.newWriter(i).work(work) })
	}
	for i := range plan.injectors {
		injecting.Go(func() { s.inject(work, s.random("faults", i)) })
	}
	injecting.Wait()
	writing.Wait()
	for _, server := range s.servers {
		server.awaitReady(t)
	}
	s.newWriter(plan.writers).writeLast()
	close(s.settled)
	s.compare(all)
	t.Logf("%s", &s.report)
	return &s.report
}

// setUp makes the database, the accounts, the servers before it and the clients.
func (s *soak) setUp(t *testing.T) {
	t.Helper()
	binary := harness.OwnBinary(t)
	s.postgres = dbtest.Private(t)
	s.portal = harness.PrivatePortal(t, s.postgres)
	s.portal.Exec(t, `CREATE SCHEMA soak`)
	s.portal.Exec(t, `CREATE TABLE soak.journal (token bigint PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id())`)
	r := s.random("accounts", 0)
	for range s.plan.owners {
		o := &soakOwner{Owner: s.portal.AddOwner(t, s.plan.hangars)}
		o.token, o.received = harness.TokenFor(t, o.UserID, 100*time.Hour), newReceivedEvents(o.ID, &s.commits)
		s.owners = append(s.owners, o)
	}
	s.portal.Exec(t, `UPDATE hangar_listings SET total_spaces = 1 + id % 3`)
	for i := range travellers {
		s.portal.Exec(t, `INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
			VALUES ($1, $2, 'SBJD', 'Jundiaí', 'Jundiaí', 'SP', 90)`, s.owners[r.IntN(len(s.owners))].ID, fmt.Sprint("T", i+1))
	}
	for _, name := range []string{"Ana", "Bento", "Célia", "Davi", "Elis"} {
		s.guests = append(s.guests, s.portal.AddGuest(t, name, "Moura"))
	}
	if s.plan.servers > 1 {
		s.between = newBetween(t, s.plan.servers)
	}
	for i := range s.plan.servers {
		server := newSoakServer(t, fmt.Sprint("server ", i+1), binary, s.postgres.URL(), s.plan.heartbeat)
		if s.between != nil {
			server.arguments = append(server.arguments, "--redis-url", "redis://"+s.between.proxies[i].Addr, "--trusted-proxies", "127.0.0.1")
		}
		s.servers = append(s.servers, server)
	}
	if s.between != nil {
		s.between.balance(t, s.servers)
	}
	for i := range s.plan.clients {
		s.clients = append(s.clients, newSoakClient(s, i, s.owners[i%len(s.owners)]))
	}
}

// all reports whether something is true of all clients.
func (s *soak) all(is func(*soakClient) bool) bool {
	for _, c := range s.clients {
		if !is(c) {
			return false
		}
	}
	return true
}

// within reports whether something became true in time.
func within(d time.Duration, is func() bool) bool {
	deadline := time.Now().Add(d)
	for tick := time.NewTicker(20 * time.Millisecond); !is(); <-tick.C {
		if time.Now().After(deadline) {
			tick.Stop()
			return false
		}
	}
	return true
}

// await waits for what must become true.
func (s *soak) await(what string, is func() bool) {
	s.t.Helper()
	if !within(settling, is) {
		s.t.Fatalf("no %s after %s: %s\n%s", what, settling, s.report.behind, s.diagnosis())
	}
}

// diagnosis is what the servers said last.
func (s *soak) diagnosis() (text string) {
	for _, server := range s.servers {
		text += fmt.Sprintf("%s said last:\n%s\n", server.name, server.said())
	}
	return text
}
