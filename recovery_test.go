package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
)

const (
	// underTest is the name by which PostgreSQL knows the connections of the server that is tested.
	underTest = "under test"
	// quickly is how long an answer may take while the database is away.
	quickly = 4 * time.Second
)

// gathered is what a stream brought, and when.
type gathered struct {
	mu       sync.Mutex // guards what follows
	bookings []string
	arrived  []time.Time
	others   []string // messages that a stream has only when something was lost
}

// gather takes everything from a stream until it ends.
func gather(s *stream) *gathered {
	g := &gathered{}
	go func() {
		for m := range s.messages {
			g.mu.Lock()
			switch {
			case m.Type == "booking_created":
				g.bookings = append(g.bookings, m.field("bookingId"))
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
func (g *gathered) await(t *testing.T, n int) time.Time {
	t.Helper()
	eventually(t, "told of all bookings", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.bookings) >= n
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.arrived[n-1]
}

// readiness yields what /readyz answers, whenever that changes.
func (p *program) readiness(t *testing.T) <-chan int {
	changes, done := make(chan int, 256), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		last, client := http.StatusOK, http.Client{Timeout: quickly}
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			response, err := client.Get(p.base + "readyz")
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
	late := time.After(patience)
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
	strike, heal func(*testing.T)
	unready      bool // the server must notice
	away         bool // nothing can be asked meanwhile
	writable     bool // the test can still write meanwhile: only the server is cut off
}

// endure lives through an outage on open streams: everything arrives once and in order.
func (s stage) endure(t *testing.T, o outage) {
	t.Helper()
	status := s.readiness(t)
	streams := map[string]*gathered{
		"WebSocket":    gather(s.connect(t, s.token, s.owner.ID, "")),
		"event stream": gather(s.listen(t, s.token, "?ownerId="+s.owner.ID)),
	}
	eventually(t, "subscribed", func() bool { return strings.Count(s.output.String(), "connection opened") >= 2 })
	first := s.booked(t)
	s.book(t, 5)
	for _, g := range streams {
		g.await(t, 5)
	}
	o.strike(t)
	if o.writable {
		s.book(t, 20)
	}
	if o.unready {
		awaitStatus(t, status, http.StatusServiceUnavailable)
	}
	if o.away {
		s.refusesQuickly(t)
	}
	o.heal(t)
	healed := time.Now()
	if !o.writable {
		s.book(t, 1) // the first that is possible again
	}
	missed := len(s.booked(t)) - len(first)
	for name, g := range streams {
		t.Logf("%s: caught up %s after the return", name, g.await(t, missed).Sub(healed).Round(time.Millisecond))
	}
	if o.unready {
		awaitStatus(t, status, http.StatusOK)
		t.Logf("ready %s after the return", time.Since(healed).Round(time.Millisecond))
	}
	s.book(t, 5)
	truth := s.booked(t)[len(first):]
	for name, g := range streams {
		g.await(t, len(truth))
		g.mu.Lock()
		if !slices.Equal(g.bookings, truth) || len(g.others) > 0 {
			t.Errorf("%s: %s; besides it was told %v", name, difference(g.bookings, truth), g.others)
		}
		g.mu.Unlock()
	}
	if got := s.history(t, s.token, s.owner.ID, ""); len(got) != len(first)+len(truth) {
		t.Errorf("REST knows %d events, want %d", len(got), len(first)+len(truth))
	}
}

// book books one after the other, each until it is committed.
func (s stage) book(t *testing.T, n int) {
	t.Helper()
	for range n {
		eventually(t, "booked", func() bool {
			_, err := s.portal.Pool.ExecContext(t.Context(),
				`INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+dbtest.BookingValues(s.owner.Hangars[0], s.guest))
			return err == nil
		})
	}
}

// booked returns the bookings in the order of their commits: there is one writer.
func (s stage) booked(t *testing.T) (ids []string) {
	t.Helper()
	eventually(t, "counted", func() bool {
		return s.portal.Pool.SelectContext(t.Context(), &ids, `SELECT id::text FROM bookings ORDER BY bookings.id`) == nil
	})
	return ids
}

// refusesQuickly asks while the database is away.
func (s stage) refusesQuickly(t *testing.T) {
	t.Helper()
	asked := time.Now()
	status, header, body := s.get(t, "owners/"+s.owner.ID+"/metrics", s.token)
	took := time.Since(asked)
	t.Logf("REST while the database is away: %d after %s", status, took.Round(time.Millisecond))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" ||
		header.Get("Content-Type") != "application/problem+json" || took > quickly {
		t.Errorf("REST while the database is away: %d %v %v after %s", status, header, body, took)
	}
}

// terminate ends those of the server's connections that a condition selects.
func (s stage) terminate(condition string, least int) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		n := 0
		err := s.portal.Pool.GetContext(t.Context(), &n, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = $1 AND `+condition, underTest)
		if err != nil || n < least {
			t.Fatalf("terminate connections with %s: %d of them, %v", condition, n, err)
		}
	}
}

// setRecovery is setStage on a database that the server reaches by another address than the test.
func setRecovery(t *testing.T, portal *dbtest.Portal, serverURL string) stage {
	t.Helper()
	o := portal.AddOwner(t, 1)
	guest := portal.AddGuest(t, "Caio", "Brandão")
	p := serve(t, &dbtest.Portal{URL: serverURL + "&application_name=" + strings.ReplaceAll(underTest, " ", "+"), Pool: portal.Pool})
	return stage{p, o, guest, tokenFor(t, o.UserID, time.Hour)}
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
			s.endure(t, outage{strike: s.terminate(test.condition, 1), heal: nothing, unready: test.unready, writable: true})
		})
	}
}

func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	s := setRecovery(t, privatePortal(t, server), server.URL())
	for mode, name := range map[devdb.Mode]string{devdb.Fast: "fast", devdb.Immediate: "immediate", devdb.Kill: "kill"} {
		t.Run(name, func(t *testing.T) {
			s.endure(t, outage{
				strike: func(t *testing.T) {
					s.book(t, 5) // on their way when it ends
					if err := server.Halt(t.Context(), mode); err != nil {
						t.Fatal(err)
					}
				},
				heal: func(t *testing.T) {
					if err := server.Resume(t.Context()); err != nil {
						t.Fatal(err)
					}
				},
				unready: true, away: true,
			})
		})
	}
}

// privatePortal installs the portal's tables and ours in a cluster.
func privatePortal(t *testing.T, server *devdb.Server) *dbtest.Portal {
	t.Helper()
	portal := dbtest.Open(t, server.URL())
	if err := demo.CreateSchema(t.Context(), portal.Pool); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), portal.URL, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return portal
}

func TestNetworkToDatabaseFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		strike, heal func(*proxy)
	}{
		{"swallowed for a while; old connections stay dead", func(p *proxy) { p.set(swallow) }, func(p *proxy) { p.set(pass) }},
		{"held for a while", func(p *proxy) { p.set(hold) }, func(p *proxy) { p.set(pass) }},
		{"cut and refused", func(p *proxy) { p.set(refuse); p.cut() }, func(p *proxy) { p.set(pass) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			portal := dbtest.New(t)
			p, through := beforeDatabase(t, portal.URL)
			s := setRecovery(t, portal, through)
			s.endure(t, outage{
				strike: func(*testing.T) { test.strike(p) }, heal: func(*testing.T) { test.heal(p) },
				unready: true, away: true, writable: true,
			})
		})
	}
	t.Run("old connections swallowed, new ones work", func(t *testing.T) {
		t.Parallel()
		portal := dbtest.New(t)
		p, through := beforeDatabase(t, portal.URL)
		s := setRecovery(t, portal, through)
		s.endure(t, outage{
			strike: func(*testing.T) { p.set(swallow); p.set(pass) }, heal: nothing, unready: true, writable: true,
		})
	})
}

// TestStopWhileNetworkSwallows stops the server while everything that it asks the database is swallowed: it says meanwhile that
// it is not ready, and ends.
func TestStopWhileNetworkSwallows(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	p, through := beforeDatabase(t, portal.URL)
	s := setRecovery(t, portal, through)
	status := s.readiness(t)
	p.set(swallow)
	awaitStatus(t, status, http.StatusServiceUnavailable)
	ended := make(chan int, 1)
	go func() { ended <- s.stop() }()
	select {
	case code := <-ended:
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(api.GraceTime + patience):
		t.Fatal("it does not end")
	}
}

// TestStartWhileDatabaseIsAway starts the server before its database: it waits, says so, and is alive and not ready.
func TestStartWhileDatabaseIsAway(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	p, through := beforeDatabase(t, portal.URL)
	p.set(refuse)
	address := freeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	out, code := newOutput(), make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"serve", "--no-demo", "--addr", address, "--admin-addr", "127.0.0.1:0",
			"--database-url", through, "--jwt-secret", testSecret}, out, out)
	}()
	t.Cleanup(func() {
		cancel()
		if exit := <-code; exit != 0 {
			t.Errorf("exit code %d:\n%s", exit, out)
		}
	})
	out.await(t, "waiting for the database")
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
	p.set(pass)
	returned := time.Now()
	server := &program{client: http.DefaultClient, base: out.await(t, "HangarShare Realtime is at "), portal: portal, dbURL: portal.URL, output: out}
	server.ready(t)
	t.Logf("ready %s after the database came", time.Since(returned).Round(time.Millisecond))
}

// freeAddress returns an address that nobody listens at now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
