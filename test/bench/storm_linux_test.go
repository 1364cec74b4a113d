package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

const (
	// stormRate is how many bookings a second are committed meanwhile, each of a random owner.
	stormRate = 50
	// stormGiveUp is after what time a client gives up a try that has no answer, as ours does.
	stormGiveUp = 10 * time.Second
	// stormPatience bounds the wait until the last is back.
	stormPatience = 2 * time.Minute
	// stormCounted is for how long transactions are counted without a storm, and after it: a
	// backend of PostgreSQL that does nothing any more tells its counts after ten seconds.
	stormCounted = 12 * time.Second
)

// stormOwner is the first owner's number; the others follow. Users and hangars have the same.
const stormOwner = 100001

// BenchmarkStorm kills a server by SIGKILL that serves thousands of owners' WebSockets, and
// measures how soon all are back and what that costs PostgreSQL: one server that starts again, and
// one of three whose clients go to the others. Clients come back as the product's own does: after a
// random part of 1, 2, 4 … 30 s, with their last id. Transactions are counted in a storm of its
// own, where nobody books: those until each client has its numbers and its notifications again,
// beyond what is committed in the same time when nobody comes back.
func BenchmarkStorm(b *testing.B) {
	clients := 5000
	if testing.Short() {
		clients = 300
	}
	for _, servers := range []int{1, 3} {
		b.Run(fmt.Sprintf("servers=%d/back", servers), func(b *testing.B) {
			for b.Loop() {
				newStorm(b, clients, servers).run(b)
			}
			b.ReportMetric(0, "ns/op")
		})
		b.Run(fmt.Sprintf("servers=%d/transactions", servers), func(b *testing.B) {
			for b.Loop() {
				newStorm(b, clients, servers).count(b)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// storm is one run.
type storm struct {
	portal   *dbtest.Portal
	binary   string
	bases    []string
	server   *harness.Process // the one that is killed: the last
	clients  []*stormClient
	done     sync.WaitGroup
	booked   atomic.Int64
	answered atomic.Int64 // tries that ended with a stream
	gaveUp   atomic.Int64
	refused  atomic.Int64 // told to come back later
}

// stormClient is a browser, as far as a server sees it.
type stormClient struct {
	owner, token string
	at           int // the server that is tried next
	last         string

	mu     sync.Mutex      // guards what follows
	since  time.Time       // when the present connection was established; zero without one
	told   map[string]bool // the types of what it was told since
	seen   map[string]int
	unwell []string // what must not be
}

func newStorm(b *testing.B, clients, servers int) *storm {
	b.Helper()
	server, err := devdb.Start(b.Context(), devdb.Options{
		Dir: dbtest.Dir(b), Log: slog.New(slog.DiscardHandler), Temporary: true, Settings: map[string]string{"fsync": "on"},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Stop(context.Background()) }) //nolint:errcheck // it ends with the benchmark in any case
	portal, _, _ := benchPortal(b, server, "storm")
	s := &storm{portal: portal, binary: harness.OwnBinary(b)}
	for _, statement := range []string{
		`INSERT INTO users (id, first_name, last_name, email, password_hash) SELECT i, 'a', 'b', 's' || i || '@owner.example', '!' FROM generate_series($1::int, $2::int) i`,
		`INSERT INTO hangar_owners (id, user_id, company_name) SELECT i, i, 'Storm ' || i FROM generate_series($1::int, $2::int) i`,
		`INSERT INTO hangar_listings (id, owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
			SELECT i, i, 'S' || i, 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100 FROM generate_series($1::int, $2::int) i`,
	} {
		portal.Exec(b, statement, stormOwner, stormOwner+clients-1)
	}
	for range servers {
		s.bases = append(s.bases, harness.FreeAddress(b))
		s.start(b, len(s.bases)-1)
	}
	for i := range clients {
		owner := fmt.Sprint(stormOwner + i)
		s.clients = append(s.clients, &stormClient{owner: owner, token: harness.TokenFor(b, owner, time.Hour), at: i % servers, seen: map[string]int{}})
	}
	return s
}

// start runs a server at its address, and waits until it is ready.
func (s *storm) start(b *testing.B, i int) {
	b.Helper()
	s.server = harness.Launch(b, nil, s.binary, harness.ServeFlags(s.portal.URL, "--addr", s.bases[i], "--limit-exempt", "127.0.0.0/8",
		"--max-database-connections", "14")...)
	harness.Eventually(b, "ready", func() bool {
		response, err := http.Get("http://" + s.bases[i] + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// run lets them come, kills, waits until all are back, and reports.
func (s *storm) run(b *testing.B) {
	began := time.Now()
	ctx, leave := s.come(b)
	defer leave()
	var first []time.Duration
	for _, c := range s.clients {
		first = append(first, c.established().Sub(began))
	}
	writing, stopWriting := context.WithCancel(ctx)
	defer stopWriting()
	var writers sync.WaitGroup
	writers.Go(func() { s.book(writing) })
	harness.Eventually(b, "booked for some seconds", func() bool { return s.booked.Load() >= 4*stormRate })
	s.answered.Store(0)
	s.gaveUp.Store(0) // of the first coming
	s.refused.Store(0)
	killed, lost := s.kill(b)
	back := s.await(b, killed)
	stopWriting()
	writers.Wait()
	s.verify(b)
	slices.Sort(back)
	slices.Sort(first)
	at := func(of []time.Duration, share float64) float64 { return of[int(share*float64(len(of)-1))].Seconds() }
	b.ReportMetric(at(first, 0.99), "first-p99-s")
	b.ReportMetric(at(back, 0.50), "back-p50-s")
	b.ReportMetric(at(back, 0.99), "back-p99-s")
	b.ReportMetric(at(back, 1), "back-last-s")
	b.ReportMetric(float64(s.gaveUp.Load()), "given-up")
	b.ReportMetric(float64(s.refused.Load()), "told-to-come-back")
	b.Logf("%d of %d clients lost their server; %d streams; %d bookings", lost, len(s.clients), s.answered.Load(), s.booked.Load())
}

// count does the same without bookings, and reports what PostgreSQL committed for each who came
// back.
func (s *storm) count(b *testing.B) {
	_, leave := s.come(b)
	defer leave()
	s.settle(b)
	<-time.After(stormCounted)
	calm, since := s.transactions(b), time.Now()
	<-time.After(stormCounted)
	before := s.transactions(b)
	perSecond := float64(before-calm) / time.Since(since).Seconds()
	killed, lost := s.kill(b)
	back := s.await(b, killed)
	s.settle(b)
	<-time.After(stormCounted)
	committed, took := s.transactions(b)-before, time.Since(killed)
	b.ReportMetric((float64(committed)-perSecond*took.Seconds())/float64(len(back)), "transactions/client")
	b.Logf("%d of %d clients lost their server; %d transactions in %s, %.1f a second without a storm", lost, len(s.clients), committed, took.Round(time.Millisecond), perSecond)
}

// come has all clients come. They stay as long as the context that is returned, until leave.
func (s *storm) come(b *testing.B) (ctx context.Context, leave func()) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	for i, c := range s.clients {
		s.done.Go(func() { s.follow(ctx, c, time.Duration(i)*time.Millisecond/2) })
	}
	s.await(b, time.Time{})
	return ctx, func() {
		stop()
		s.done.Wait()
	}
}

// kill ends a server, and starts it again where it is the only one. It returns how many clients
// that had.
func (s *storm) kill(b *testing.B) (at time.Time, lost int) {
	b.Helper()
	for _, c := range s.clients {
		if c.at%len(s.bases) == len(s.bases)-1 {
			lost++
		}
	}
	at = time.Now()
	s.server.End(syscall.SIGKILL)
	if len(s.bases) == 1 {
		s.start(b, 0)
	}
	return at, lost
}

// settle waits until each client was told its numbers and its notifications.
func (s *storm) settle(b *testing.B) {
	b.Helper()
	harness.Eventually(b, "told its state", func() bool {
		return !slices.ContainsFunc(s.clients, func(c *stormClient) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return !c.told["metrics_updated"] || !c.told["notifications_updated"]
		})
	})
}

// transactions returns how many transactions the database has committed.
func (s *storm) transactions(b *testing.B) (n int64) {
	b.Helper()
	if err := s.portal.Pool.Get(&n, `SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`); err != nil {
		b.Fatal(err)
	}
	return n
}

// await waits until every client has a connection, and returns how long those were away that were
// cut at a moment.
func (s *storm) await(b *testing.B, cut time.Time) (away []time.Duration) {
	b.Helper()
	deadline := time.Now().Add(stormPatience)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		away = nil
		missing := 0
		for _, c := range s.clients {
			switch at := c.established(); {
			case at.IsZero():
				missing++
			case at.After(cut) && !cut.IsZero():
				away = append(away, at.Sub(cut))
			}
		}
		if missing == 0 && (cut.IsZero() || len(away) > 0) {
			tick.Stop()
			return away
		}
		if time.Now().After(deadline) {
			b.Fatalf("%d clients are not there after %s", missing, stormPatience)
		}
	}
}

// book commits bookings of random owners.
func (s *storm) book(ctx context.Context) {
	tick := time.NewTicker(time.Second / stormRate)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		hangar := stormOwner + rand.IntN(len(s.clients))
		if _, err := s.portal.Pool.ExecContext(ctx, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+
			dbtest.BookingValues(fmt.Sprint(hangar), fmt.Sprint(stormOwner))); err == nil {
			s.booked.Add(1)
		}
	}
}

// verify waits until all bookings were told, and compares: each to its owner, once.
func (s *storm) verify(b *testing.B) {
	b.Helper()
	var rows []struct{ ID, Owner string }
	if err := s.portal.Pool.Select(&rows, `SELECT id::text, hangar_id::text AS owner FROM bookings WHERE hangar_id >= $1`, stormOwner); err != nil {
		b.Fatal(err)
	}
	wanted := map[string][]string{}
	for _, row := range rows {
		wanted[row.Owner] = append(wanted[row.Owner], row.ID)
	}
	lost, doubled, foreign := 0, 0, 0
	harness.Eventually(b, "told of everything", func() bool {
		lost, doubled, foreign = 0, 0, 0
		for _, c := range s.clients {
			c.mu.Lock()
			for _, id := range wanted[c.owner] {
				switch n := c.seen[id]; {
				case n == 0:
					lost++
				case n > 1:
					doubled++
				}
			}
			foreign += max(0, len(c.seen)-len(wanted[c.owner]))
			c.mu.Unlock()
		}
		return lost == 0
	})
	if doubled+foreign > 0 {
		b.Errorf("%d bookings were told twice, %d to others", doubled, foreign)
	}
	for _, c := range s.clients {
		if len(c.unwell) > 0 {
			b.Errorf("owner %s: %v", c.owner, c.unwell)
		}
	}
}

func (c *stormClient) established() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since
}

// follow is a client's life.
func (s *storm) follow(ctx context.Context, c *stormClient, begin time.Duration) {
	wait := time.Second
	for pause := begin; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if s.visit(ctx, c) {
			wait = time.Second
		}
		c.mu.Lock()
		c.since = time.Time{}
		c.mu.Unlock()
		c.at++
		pause, wait = rand.N(wait), min(2*wait, 30*time.Second)
	}
}

// visit is one connection, from dialling to its end. It reports whether there was a stream.
func (s *storm) visit(ctx context.Context, c *stormClient) (established bool) {
	p := &harness.Program{Base: "http://" + s.bases[c.at%len(s.bases)] + "/"}
	w, err := p.TryWireUntil(time.Now().Add(stormGiveUp), c.token, harness.WireOptions{WebSocket: true, OwnerID: c.owner, LastEventID: c.last})
	if err != nil {
		if strings.Contains(err.Error(), "timeout") {
			s.gaveUp.Add(1)
		}
		return false
	}
	defer w.Conn.Close()
	end := context.AfterFunc(ctx, func() { w.Conn.Close() })
	defer end()
	for {
		text, err := w.Next()
		if err != nil {
			if !established && strings.Contains(err.Error(), "timeout") {
				s.gaveUp.Add(1)
			}
			return established
		}
		if !established {
			w.Conn.SetDeadline(time.Time{}) //nolint:errcheck // it is open
		}
		established = s.hear(c, text) || established
	}
}

// hear takes in a message, and reports whether it says that the stream is there.
func (s *storm) hear(c *stormClient, text []byte) (established bool) {
	var m struct {
		ID, Type string
		Data     struct {
			BookingID   string `json:"bookingId"`
			LastEventID string `json:"lastEventId"`
			Recovered   bool
		}
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.Type {
	case "connection_established":
		s.answered.Add(1)
		if c.last == "" {
			c.last = m.Data.LastEventID
		} else if !m.Data.Recovered {
			c.unwell = append(c.unwell, "what came between was not recovered")
		}
		c.since, c.told, established = time.Now(), map[string]bool{}, true
	case "server_closing":
		s.refused.Add(1)
	case "resync":
		c.unwell = append(c.unwell, "told to load again")
	case "booking_created":
		c.seen[m.Data.BookingID]++
	}
	if m.ID != "" {
		c.last = m.ID
	}
	if c.told != nil {
		c.told[m.Type] = true
	}
	return established
}
