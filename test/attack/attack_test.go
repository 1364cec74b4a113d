// Package attack starts the built program and does to it what strangers, other owners and broken
// clients would do, area by area: forged tokens, other people's accounts, paths, heads, bodies,
// texts, hosts, origins, cookies, caches, lookalikes, numbers, logs, methods, tickets, frames,
// floods, storms, slowness.
//
// It promises three things of the program all the while: nothing is answered by 5xx, nobody sees
// what is another owner's, and an owner's requests and streams go on being served. It knows nothing
// of how the program is made. The short form, a part of the inputs of each area, runs with the
// other tests; ATTACK=full (make attack) sends all of them and prints how many.
package attack

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	// timeout bounds every wait: it is never reached unless something is broken.
	timeout = 30 * time.Second
	// marker is in everything that belongs to the victim, and must never reach the attacker.
	marker = "VITIMA-4c1f"
	// stranger is another address of this machine, which no limit leaves out.
	stranger = "127.0.0.66"
)

// attackSetup is the program under attack, an owner who uses it and one who attacks.
type attackSetup struct {
	t                          *testing.T
	portal                     *dbtest.Portal
	plain, secure              *server
	victim, attacker           dbtest.Owner
	guest, booking             string
	victimToken, attackerToken string
	victimEvent                string // an event id of the victim's
	full                       bool
	tried                      *tried
}

// tried are how many inputs were sent, by area.
type tried struct {
	mu     sync.Mutex // guards counts
	counts map[string]int
}

// server is one process of the program.
type server struct {
	address, admin string
	tls            *tls.Config // nil: plain
	process        *harness.Process
}

// areas are what is tried, in order.
var areas = []struct {
	name string
	try  func(*attackSetup)
}{
	{"tokens", tokens}, {"isolation", isolation}, {"tickets", tickets}, {"paths", paths}, {"heads", heads}, {"bodies", bodies},
	{"texts", texts}, {"markup", markup}, {"methods", methods}, {"hosts", hosts}, {"origins", origins}, {"cookies", cookies},
	{"caches", caches}, {"lookalikes", similar}, {"numbers", numbers}, {"logs", logs}, {"framing", framing},
	{"limits", limits}, {"storms", storms}, {"slowness", slowness}, {"floods", floods}, {"names", names},
}

func TestAttack(t *testing.T) {
	a := setUp(t)
	watch := a.watch()
	for _, area := range areas {
		t.Run(area.name, func(t *testing.T) {
			inner := *a
			inner.t = t
			area.try(&inner)
		})
		if err := watch.err(); err != nil {
			t.Errorf("during %s the owner was not served: %v", area.name, err)
		}
	}
	served := watch.end()
	total := 0
	for _, area := range areas {
		t.Logf("%-10s %6d", area.name, a.tried.counts[area.name])
		total += a.tried.counts[area.name]
	}
	t.Logf("%-10s %6d; meanwhile the owner asked %d times and was answered each time", "all", total, served)
	if total == 0 || served == 0 {
		t.Error("nothing was tried")
	}
	for _, s := range []*server{a.plain, a.secure} {
		if text := s.process.Output.String(); strings.Contains(text, "panic") || strings.Contains(text, "goroutine ") || strings.Contains(text, harness.Secret) {
			t.Errorf("the log tells of a panic or of the secret:\n%s", text)
		}
	}
}

// setUp starts the program, plain and by TLS, on a portal with two owners.
func setUp(t *testing.T) *attackSetup {
	t.Helper()
	portal := dbtest.New(t)
	a := &attackSetup{t: t, portal: portal, tried: &tried{counts: map[string]int{}}, full: os.Getenv("ATTACK") == "full"}
	a.victim, a.attacker = portal.AddOwner(t, 2), portal.AddOwner(t, 1)
	portal.Exec(t, `UPDATE hangar_owners SET company_name = $1 WHERE id::text = $2`, marker+" Hangares", a.victim.ID)
	portal.Exec(t, `UPDATE hangar_listings SET aerodrome_name = $1 WHERE owner_id::text = $2`, marker+" Campo", a.victim.ID)
	a.guest = portal.AddGuest(t, marker, "Brandão")
	a.booking = portal.Book(t, a.victim.Hangars[0], a.guest)
	a.victimToken, a.attackerToken = harness.TokenFor(t, a.victim.UserID, time.Hour), harness.TokenFor(t, a.attacker.UserID, time.Hour)

	binary, err := harness.Build()
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, _ := harness.NewCertificate(t)
	a.plain = start(t, binary, portal.URL, "--allowed-hosts", "live.example", "--allowed-origins", "https://portal.example",
		"--requests-per-minute-per-address", "600")
	a.secure = start(t, binary, portal.URL, "--tls-cert-file", certFile, "--tls-key-file", keyFile, "--log-level", "debug", "--log-format", "json")
	a.secure.tls = &tls.Config{InsecureSkipVerify: true}
	for _, s := range []*server{a.plain, a.secure} {
		harness.Eventually(t, "ready", func() bool {
			return a.send(s, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status == 200
		})
	}
	harness.Eventually(t, "numbered", func() bool {
		a.victimEvent = a.get(a.victimToken, "/api/owners/"+a.victim.ID+"/bookings").header.Get("Last-Event-ID")
		events := a.get(a.victimToken, "/api/owners/"+a.victim.ID+"/events")
		return a.victimEvent != "" && strings.Contains(events.body, "booking_created")
	})
	return a
}

// start runs the program in a process of its own.
func start(t *testing.T, binary, databaseURL string, flags ...string) *server {
	t.Helper()
	s := &server{admin: harness.FreeAddress(t)}
	s.process = harness.Launch(t, nil, binary, harness.ServeFlags(databaseURL,
		append([]string{"--admin-addr", s.admin, "--limit-exempt", "127.0.0.1"}, flags...)...)...)
	base, err := url.Parse(s.process.Output.Await(t, "HangarShare Realtime is at "))
	if err != nil {
		t.Fatal(err)
	}
	s.address = base.Host
	return s
}

// dial opens a connection to a server from an address of this machine, "" for the usual one.
func (s *server) dial(from string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: timeout}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := dialer.Dial("tcp", s.address)
	if err == nil && s.tls != nil {
		conn = tls.Client(conn, s.tls)
	}
	if err == nil {
		conn.SetDeadline(time.Now().Add(timeout))
	}
	return conn, err
}

// watcher is the owner who uses the program meanwhile.
type watcher struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex // guards what follows
	served int
	failed error
}

// watch has the victim ask for their numbers again and again, at both servers.
func (a *attackSetup) watch() *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		pause := time.NewTicker(50 * time.Millisecond)
		defer pause.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			server := []*server{a.plain, a.secure}[n%2]
			got := a.send(server, request("GET", "/api/owners/"+a.victim.ID+"/metrics", "Authorization: Bearer "+a.victimToken))
			w.mu.Lock()
			if w.served++; got.status != 200 || !strings.Contains(got.body, "occupancyRate") {
				w.failed = fmt.Errorf("%d %s (%v)", got.status, got.body, got.err)
			}
			w.mu.Unlock()
			<-pause.C
		}
	}()
	return w
}

func (w *watcher) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.failed
	w.failed = nil
	return err
}

func (w *watcher) end() (served int) {
	w.cancel()
	<-w.ended
	return w.served
}
