package e2e

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// recording is what a stream brought, and when.
type recording struct {
	mu       sync.Mutex // guards what follows
	bookings []string
	arrived  []time.Time
	others   []string // messages that a stream has only when something was lost
}

// record takes everything from a stream until it ends.
func record(s *harness.Stream) *recording {
	g := &recording{}
	go func() {
		for m := range s.Messages {
			g.mu.Lock()
			switch {
			case m.Type == "booking_created":
				g.bookings = append(g.bookings, m.Field("bookingId"))
				g.arrived = append(g.arrived, time.Now())
			case m.ID != "" || m.Type == "resync" || m.Type == "error" || m.Type == "server_closing":
				g.others = append(g.others, m.Type)
			}
			g.mu.Unlock()
		}
		g.mu.Lock()
		g.others = append(g.others, "end")
		g.mu.Unlock()
	}()
	return g
}

// await waits for a number of bookings and returns when the last of them arrived.
func (g *recording) await(t *testing.T, n int) time.Time {
	t.Helper()
	harness.Eventually(t, "told of all bookings", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.bookings) >= n
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.arrived[n-1]
}

// readiness yields what /readyz answers, whenever that changes.
func readiness(t *testing.T, p *harness.Program) <-chan int {
	changes, done := make(chan int, 256), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		last, client := http.StatusOK, http.Client{Timeout: harness.Timeout}
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			response, err := client.Get(p.Base + "readyz")
			if err != nil {
				continue
			}
			response.Body.Close()
			if response.StatusCode != last {
				last = response.StatusCode
				select {
				case changes <- last:
				default: // nobody asks
				}
			}
		}
	})
	t.Cleanup(func() { close(done); group.Wait() })
	return changes
}

func awaitStatus(t *testing.T, changes <-chan int, want int) {
	t.Helper()
	late := time.After(harness.Timeout)
	for {
		select {
		case status := <-changes:
			if status == want {
				return
			}
		case <-late:
			t.Fatalf("/readyz does not turn to %d", want)
		}
	}
}

// outage is one way to lose the database.
type outage struct {
	inject, repair func(*testing.T)
	unready        bool // the server must notice
	away           bool // nothing can be asked meanwhile
	writable       bool // the test can still write meanwhile: only the server is cut off
}

// testOutage lives through an outage on open streams: everything arrives once and in order.
func testOutage(t *testing.T, s harness.Setup, o outage) {
	t.Helper()
	status := readiness(t, s.Program)
	streams := map[string]*recording{
		"WebSocket":    record(s.Connect(t, s.Token, s.Owner.ID, "")),
		"event stream": record(s.Listen(t, s.Token, "?ownerId="+s.Owner.ID)),
	}
	harness.Eventually(t, "subscribed", func() bool { return strings.Count(s.Output.String(), "connection opened") >= 2 })
	first := booked(t, s)
	book(t, s, 5)
	for _, g := range streams {
		g.await(t, 5)
	}
	lost := losses(s.Program)
	o.inject(t)
	if o.writable {
		book(t, s, 20)
	}
	switch {
	case o.unready && o.away:
		awaitStatus(t, status, http.StatusServiceUnavailable)
	case o.unready: // it is soon ready again, sooner than a slow machine asks
		harness.Eventually(t, "noticed", func() bool { return losses(s.Program) > lost })
	}
	if o.away {
		refusesQuickly(t, s)
	}
	o.repair(t)
	healed := time.Now()
	if !o.writable {
		book(t, s, 1) // the first that is possible again
	}
	missed := len(booked(t, s)) - len(first)
	for name, g := range streams {
		t.Logf("%s: caught up %s after the return", name, g.await(t, missed).Sub(healed).Round(time.Millisecond))
	}
	if o.unready {
		s.Ready(t)
		t.Logf("ready %s after the return", time.Since(healed).Round(time.Millisecond))
	}
	book(t, s, 5)
	truth := booked(t, s)[len(first):]
	for name, g := range streams {
		g.await(t, len(truth))
		g.mu.Lock()
		if !slices.Equal(g.bookings, truth) || len(g.others) > 0 {
			t.Errorf("%s: %s; besides it was told %v", name, harness.Difference(g.bookings, truth), g.others)
		}
		g.mu.Unlock()
	}
	if got := s.History(t, s.Token, s.Owner.ID, ""); len(got) != len(first)+len(truth) {
		t.Errorf("REST knows %d events, want %d", len(got), len(first)+len(truth))
	}
}

// losses returns how often a server has said that it lost its listening connection.
func losses(p *harness.Program) int { return strings.Count(p.Output.String(), "connecting again") }

// book books one after the other, each until it is committed.
func book(t *testing.T, s harness.Setup, n int) {
	t.Helper()
	for range n {
		harness.Eventually(t, "booked", func() bool {
			_, err := s.Portal.Pool.ExecContext(t.Context(),
				`INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+dbtest.BookingValues(s.Owner.Hangars[0], s.Guest))
			return err == nil
		})
	}
}

// booked returns the bookings in the order of their commits: there is one writer.
func booked(t *testing.T, s harness.Setup) (ids []string) {
	t.Helper()
	harness.Eventually(t, "counted", func() bool {
		return s.Portal.Pool.SelectContext(t.Context(), &ids, `SELECT id::text FROM bookings ORDER BY bookings.id`) == nil
	})
	return ids
}

// refusesQuickly asks while the database is away: the answer comes by itself, before the client
// gives up. What waits for the database without a limit waits for ever.
func refusesQuickly(t *testing.T, s harness.Setup) {
	t.Helper()
	asked := time.Now()
	status, header, body := s.WithoutRetries().Get(t, "owners/"+s.Owner.ID+"/metrics", s.Token)
	took := time.Since(asked)
	t.Logf("REST while the database is away: %d after %s", status, took.Round(time.Millisecond))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" ||
		header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("REST while the database is away: %d %v %v after %s", status, header, body, took)
	}
}

// terminate ends those of the server's connections that a condition selects.
func terminate(s harness.Setup, condition string, least int) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		n := 0
		err := s.Portal.Pool.GetContext(t.Context(), &n, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = $1 AND `+condition, harness.ApplicationName)
		if err != nil || n < least {
			t.Fatalf("terminate connections with %s: %d of them, %v", condition, n, err)
		}
	}
}

// setRecovery is harness.NewSetup on a database that the server reaches by another
// address than the test.
func setRecovery(t *testing.T, portal *dbtest.Portal, serverURL string) harness.Setup {
	t.Helper()
	o := portal.AddOwner(t, 1)
	guest := portal.AddGuest(t, "Caio", "Brandão")
	p := harness.Serve(t, &dbtest.Portal{URL: serverURL + "&application_name=" + strings.ReplaceAll(harness.ApplicationName, " ", "+"), Pool: portal.Pool})
	return harness.Setup{Program: p, Owner: o, Guest: guest, Token: harness.TokenFor(t, o.UserID, time.Hour)}
}

func nothing(*testing.T) {}

func TestConnectionsTerminated(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	s := setRecovery(t, portal, portal.URL)
	for _, test := range []struct {
		name, condition string
		unready         bool
	}{
		{"the listening", `query LIKE 'LISTEN%'`, true},
		{"the numbering", `pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = x'48520002'::bigint)`, false},
		{"all", `true`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			testOutage(t, s, outage{inject: terminate(s, test.condition, 1), repair: nothing, unready: test.unready, writable: true})
		})
	}
}

func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	s := setRecovery(t, harness.PrivatePortal(t, server), server.URL())
	for mode, name := range map[devdb.Mode]string{devdb.Fast: "fast", devdb.Immediate: "immediate", devdb.Kill: "kill"} {
		t.Run(name, func(t *testing.T) {
			testOutage(t, s, outage{
				inject: func(t *testing.T) {
					book(t, s, 5) // on their way when it ends
					if err := server.Halt(t.Context(), mode); err != nil {
						t.Fatal(err)
					}
				},
				repair: func(t *testing.T) {
					if err := server.Resume(t.Context()); err != nil {
						t.Fatal(err)
					}
				},
				unready: true, away: true,
			})
		})
	}
}

func TestNetworkToDatabaseFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		inject, repair func(*harness.Proxy)
	}{
		{"swallowed for a while; old connections stay dead", func(p *harness.Proxy) { p.Set(harness.Blackhole) }, func(p *harness.Proxy) { p.Set(harness.Pass) }},
		{"held for a while", func(p *harness.Proxy) { p.Set(harness.Hold) }, func(p *harness.Proxy) { p.Set(harness.Pass) }},
		{"cut and refused", func(p *harness.Proxy) { p.Set(harness.Refuse); p.Cut() }, func(p *harness.Proxy) { p.Set(harness.Pass) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			portal := dbtest.New(t)
			p, through := harness.BeforeDatabase(t, portal.URL)
			s := setRecovery(t, portal, through)
			testOutage(t, s, outage{
				inject: func(*testing.T) { test.inject(p) }, repair: func(*testing.T) { test.repair(p) },
				unready: true, away: true, writable: true,
			})
		})
	}
	t.Run("old connections swallowed, new ones work", func(t *testing.T) {
		t.Parallel()
		portal := dbtest.New(t)
		p, through := harness.BeforeDatabase(t, portal.URL)
		s := setRecovery(t, portal, through)
		testOutage(t, s, outage{
			inject: func(*testing.T) { p.Set(harness.Blackhole); p.Set(harness.Pass) }, repair: nothing, unready: true, writable: true,
		})
	})
}

// TestStopWhileNetworkSwallows stops the server while everything that it asks the database is
// swallowed: it says meanwhile that it is not ready, and ends.
func TestStopWhileNetworkSwallows(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	p, through := harness.BeforeDatabase(t, portal.URL)
	s := setRecovery(t, portal, through)
	status := readiness(t, s.Program)
	p.Set(harness.Blackhole)
	awaitStatus(t, status, http.StatusServiceUnavailable)
	ended := make(chan int, 1)
	go func() { ended <- s.Stop() }()
	select {
	case code := <-ended:
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(api.DefaultDrainTime + api.StopTime + harness.Timeout):
		t.Fatal("it does not end")
	}
}

// TestStartWhileNetworkSwallows has the network swallow everything while a server that starts puts
// its triggers on a table: it gives up, and says why.
func TestStartWhileNetworkSwallows(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	portal.Exec(t, `DROP TRIGGER realtime_updated ON bookings`)
	writer, err := portal.Pool.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Rollback() //nolint:errcheck // it holds a lock, and no more
	writer.MustExec(`LOCK TABLE bookings IN ROW EXCLUSIVE MODE`)
	p, through := harness.BeforeDatabase(t, portal.URL)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, code := harness.NewOutput(), make(chan int, 1)
	go func() {
		code <- harness.Run(ctx, []string{"serve", "--no-demo", "--addr", "127.0.0.1:0",
			"--database-url", through, "--jwt-secret", harness.Secret}, out, out)
	}()
	harness.Eventually(t, "waiting for the table", func() bool {
		return portal.ID(t, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'bookings'::regclass`) != "0"
	})
	p.Set(harness.Blackhole)
	select {
	case exit := <-code:
		if exit == 0 || !strings.Contains(out.String(), "did not answer") {
			t.Errorf("exit code %d:\n%s", exit, out)
		}
	case <-time.After(db.AnswerTime + harness.Timeout):
		cancel()
		<-code
		t.Fatal("it goes on waiting")
	}
}

// TestStartWhileDatabaseIsAway starts the server before its database: it waits, says so,
// and is alive and not ready.
func TestStartWhileDatabaseIsAway(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	p, through := harness.BeforeDatabase(t, portal.URL)
	p.Set(harness.Refuse)
	address := harness.FreeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	out, code := harness.NewOutput(), make(chan int, 1)
	go func() {
		code <- harness.Run(ctx, []string{"serve", "--no-demo", "--addr", address, "--admin-addr", "127.0.0.1:0",
			"--database-url", through, "--jwt-secret", harness.Secret}, out, out)
	}()
	t.Cleanup(func() {
		cancel()
		if exit := <-code; exit != 0 {
			t.Errorf("exit code %d:\n%s", exit, out)
		}
	})
	out.Await(t, "waiting for the database")
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		response, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		body.ReadFrom(response.Body)
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s while waiting: %s %s, want %d", path, response.Status, body.String(), want)
		}
	}
	p.Set(harness.Pass)
	returned := time.Now()
	server := &harness.Program{Client: harness.Client, Base: out.Await(t, "HangarShare Realtime is at "), Portal: portal, DatabaseURL: portal.URL, Output: out}
	server.Ready(t)
	t.Logf("ready %s after the database came", time.Since(returned).Round(time.Millisecond))
}
