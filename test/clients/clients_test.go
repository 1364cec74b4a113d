// Package clients has other people's WebSocket and event stream libraries speak with the
// built program, over plain HTTP and over TLS. Each connects by every way that it can
// carry a token, sees what happens live, and pings. Its server is stopped and killed; it
// comes back by itself, lacks nothing, and closes.
//
// docs/clients.md tells what came out; TestTheTableIsTrue compares it with what runs here.
package clients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// client is one library in one program.
type client struct {
	language, name string
	transport      string // WebSocket or SSE
	command        []string
	needs          []string // a command that fails where the library is not installed
	ways           []string // by which it can carry a token
	pings          bool     // it shows the answer to a ping of its own
	closes         bool     // it shows the code that its close is answered with
	remark         string   // for docs/clients.md
}

var (
	everyWay = []string{"header", "cookie", "protocol", "message"}
	pageWays = []string{"protocol", "message"} // those of a library that is given no header
)

func node(file string) []string   { return []string{"node", "node/" + file + ".js"} }
func python(file string) []string { return []string{"/usr/bin/python3", "python/" + file + ".py"} }

func installed(module string) []string { return []string{"/usr/bin/python3", "-c", "import " + module} }

// nodeReady is whether the packages of node/ are there.
var nodeReady = []string{"node", "--input-type=module", "-e", "import(process.cwd() + '/node/node_modules/ws/wrapper.mjs')"}

var clients = []client{
	{"Go", "coder/websocket", "WebSocket", []string{"bin/go", "coder"}, nil, everyWay, true, true, ""},
	{"Go", "gorilla/websocket", "WebSocket", []string{"bin/go", "gorilla"}, nil, everyWay, true, true, ""},
	{"Go", "gobwas/ws", "WebSocket", []string{"bin/go", "gobwas"}, nil, everyWay, true, true, ""},
	{"Go", "golang.org/x/net/websocket", "WebSocket", []string{"bin/go", "xnet"}, nil, everyWay, false, false, "tells no close codes"},
	{"Go", "r3labs/sse", "SSE", []string{"bin/go", "r3labs"}, nil, []string{"header", "cookie"}, false, false, ""},
	{"Go", "tmaxmax/go-sse", "SSE", []string{"bin/go", "tmaxmax"}, nil, []string{"header", "cookie"}, false, false, ""},
	{"JavaScript", "ws", "WebSocket", node("ws"), nodeReady, everyWay, true, true, ""},
	{"JavaScript", "websocket", "WebSocket", node("websocket"), nodeReady, everyWay, true, true, ""},
	{"JavaScript", "faye-websocket", "WebSocket", node("faye"), nodeReady, everyWay, true, true, ""},
	{"JavaScript", "undici WebSocket", "WebSocket", node("undici"), nodeReady, everyWay, false, true, ""},
	{"JavaScript", "reconnecting-websocket", "WebSocket", node("reconnecting-websocket"), nodeReady, pageWays, false, false, "give it a function as address, or it asks for the same id for ever"},
	{"JavaScript", "rxjs webSocket", "WebSocket", node("rxjs"), nodeReady, pageWays, false, false, "`retry` alone stops at an orderly close: add `repeat`"},
	{"JavaScript", "eventsource", "SSE", node("eventsource"), nodeReady, []string{"header", "cookie"}, false, false, ""},
	{"JavaScript", "undici EventSource", "SSE", node("undici-eventsource"), nodeReady, []string{"ticket"}, false, false, "a ticket serves one connection: ask for one each time"},
	{"JavaScript", "@microsoft/fetch-event-source", "SSE", node("fetch-event-source"), nodeReady, []string{"header", "cookie"}, false, false, "throw in `onclose`, or it does not come back"},
	{"Python", "websockets", "WebSocket", python("websockets_client"), installed("websockets"), everyWay, true, true, ""},
	{"Python", "aiohttp", "WebSocket", python("aiohttp_client"), installed("aiohttp"), everyWay, true, true, ""},
	{"Python", "aiohttp, heartbeat", "WebSocket", python("aiohttp_heartbeat"), installed("aiohttp"), everyWay, false, true, ""},
	{"Python", "websocket-client", "WebSocket", python("websocket_client"), installed("websocket"), everyWay, true, true, "`suppress_origin=True` up to 1.2: over TLS, too, its `Origin` is `http:`, which is another origin (403)"},
	{"Python", "urllib", "SSE", python("urllib_sse"), []string{"/usr/bin/python3", "-V"}, []string{"header", "cookie"}, false, false, ""},
	{"Perl", "Mojolicious", "WebSocket", []string{"/usr/bin/perl", "perl/mojo.pl"}, []string{"/usr/bin/perl", "-MMojo::UserAgent", "-MIO::Socket::SSL", "-e", "1"}, everyWay, true, true, ""},
	{"Ruby", "faye-websocket", "WebSocket", []string{"/usr/bin/ruby", "ruby/faye.rb"}, []string{"/usr/bin/ruby", "-e", "require 'faye/websocket'"}, everyWay, true, true, ""},
	{"Java", "java.net.http.WebSocket", "WebSocket", []string{"java", "-Xshare:auto", "-cp", "bin", "Client", "ws"}, []string{"javac", "-version"}, everyWay, true, true, ""},
	{"Java", "java.net.http.HttpClient", "SSE", []string{"java", "-Xshare:auto", "-cp", "bin", "Client", "sse"}, []string{"javac", "-version"}, []string{"header", "cookie"}, false, false, ""},
}

// peer is a client's running process, by one way.
type peer struct {
	client
	way   string
	input io.WriteCloser

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew at each line
	bookings []string      // that booking_created told, in order
	hellos   []string      // of each connection_established, whether it was recovered
	ended    []int         // the codes of ended connections
	pongs    int
	errors   bytes.Buffer
}

type line struct {
	Got *struct {
		Type string `json:"type"`
		Data struct {
			BookingID string `json:"bookingId"`
			Recovered bool   `json:"recovered"`
		} `json:"data"`
	} `json:"got"`
	Ended *int `json:"ended"`
	Pong  bool `json:"pong"`
}

func (p *peer) String() string { return p.language + " " + p.name + " by " + p.way }

// read notes what the process tells, until it ends.
func (p *peer) read(output io.Reader) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			continue
		}
		p.mu.Lock()
		switch {
		case l.Pong:
			p.pongs++
		case l.Ended != nil:
			p.ended = append(p.ended, *l.Ended)
		case l.Got != nil && l.Got.Type == "connection_established":
			p.hellos = append(p.hellos, fmt.Sprint(l.Got.Data.Recovered))
		case l.Got != nil && l.Got.Type == "booking_created":
			p.bookings = append(p.bookings, l.Got.Data.BookingID)
		}
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
}

// await waits until is holds of what the process told.
func (p *peer) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	late := time.After(harness.Timeout)
	for {
		p.mu.Lock()
		done, changed := is(), p.changed
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			p.mu.Lock()
			defer p.mu.Unlock()
			t.Fatalf("%s: not %s; bookings %v, beginnings %v, endings %v, pongs %d\n%s", p, what, p.bookings, p.hellos, p.ended, p.pongs, &p.errors)
		}
	}
}

// lockedWriter lets the process write what goes wrong while the test may read it.
type lockedWriter struct{ p *peer }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.p.errors.Write(b)
}

// server is the built program at a fixed address, which is stopped, killed and started again.
type server struct {
	binary  string
	base    string
	process *harness.Process
	flags   []string
	client  *http.Client
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.process = harness.Launch(t, nil, s.binary, s.flags...)
	program := &harness.Program{Base: s.base + "/", Client: s.client, Output: s.process.Output}
	program.Ready(t)
}

// prepare builds the program, whose file it returns, and what must be built of the clients.
func prepare(t *testing.T) (binary string) {
	t.Helper()
	binary, err := harness.Build()
	if err != nil {
		t.Fatal(err)
	}
	builds := map[string]*exec.Cmd{"go": harness.PlainBuild("-o", "../bin/go", ".")}
	if _, err := exec.LookPath("javac"); err == nil {
		builds["."] = exec.Command("javac", "-d", "bin", "java/Client.java")
	}
	for folder, command := range builds {
		command.Dir = folder
		if text, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command.Args, err, text)
		}
	}
	return binary
}

// present are the clients whose library this machine has; those of Go and Node.js must be there.
func present(t *testing.T) (list []client) {
	t.Helper()
	for _, c := range clients {
		if len(c.needs) > 0 && exec.Command(c.needs[0], c.needs[1:]...).Run() != nil {
			if c.language == "JavaScript" {
				t.Fatal("the packages of test/clients/node are missing: make test-clients installs them")
			}
			t.Logf("%s %s is not installed here: not tried", c.language, c.name)
			continue
		}
		list = append(list, c)
	}
	return list
}

// together is how many clients live through a server's life at once, each by all its ways.
const together = 4

// short are the clients of the short form, one of each kind that failed where our own did not.
var short = []string{"coder/websocket", "gorilla/websocket", "tmaxmax/go-sse", "ws", "rxjs webSocket", "eventsource", "@microsoft/fetch-event-source"}

func TestForeignClients(t *testing.T) {
	binary := prepare(t)
	list := present(t)
	if os.Getenv("CLIENTS") != "all" {
		list = slices.DeleteFunc(list, func(c client) bool { return !slices.Contains(short, c.name) })
	}
	for _, scheme := range []string{"http", "https"} {
		for group := range slices.Chunk(list, together) {
			t.Run(scheme+" "+group[0].language, func(t *testing.T) { speak(t, binary, scheme, group) })
		}
	}
}

// speak has some clients at once through a server's life.
func speak(t *testing.T, binary, scheme string, list []client) {
	portal := dbtest.New(t)
	owner := portal.AddOwner(t, 1)
	guest := portal.AddGuest(t, "Nélida", "Ünsal")
	token := harness.TokenFor(t, owner.UserID, time.Hour)
	s, authority := newServer(t, binary, scheme, portal.URL)
	s.start(t)
	var peers []*peer
	for _, c := range list {
		for _, way := range c.ways {
			peers = append(peers, begin(t, c, way, s.base, authority, owner.ID, token))
		}
	}
	var booked []string
	book := func() { booked = append(booked, portal.Book(t, owner.Hangars[0], guest)) }
	told := func(beginnings int) {
		t.Helper()
		for _, p := range peers {
			p.await(t, "told of every booking", func() bool { return len(p.bookings) >= len(booked) && len(p.hellos) >= beginnings })
		}
	}
	told(1)
	book()
	told(1)
	for _, p := range peers {
		if p.pings {
			fmt.Fprintln(p.input, "ping")
			p.await(t, "answered by a pong", func() bool { return p.pongs > 0 })
		}
	}
	for beginning, by := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		s.process.End(by)
		for _, p := range peers { // whose connection ends without a word must notice
			p.await(t, "ended", func() bool { return len(p.ended) > beginning })
		}
		book()
		book()
		s.start(t)
		told(2 + beginning)
		book()
		told(2 + beginning)
	}
	for _, p := range peers {
		p.check(t, booked)
		fmt.Fprintln(p.input, "close")
		if p.closes {
			p.await(t, "closed with 1000", func() bool { return p.ended[len(p.ended)-1] == 1000 })
		}
	}
}

// check compares what a client was told with what happened.
func (p *peer) check(t *testing.T, booked []string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.bookings, booked) {
		t.Errorf("%s was told of %v, and %v were booked", p, p.bookings, booked)
	}
	if slices.Contains(p.hellos, "false") {
		t.Errorf("%s was not recovered: %v", p, p.hellos)
	}
	if p.transport == "WebSocket" && p.closes && p.ended[0] != 1001 {
		t.Errorf("%s saw the server stop with %d", p, p.ended[0])
	}
}

// begin starts a client's process.
func begin(t *testing.T, c client, way, base, authority, ownerID, token string) *peer {
	t.Helper()
	p := &peer{client: c, way: way, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	if strings.HasPrefix(c.command[0], "bin/") {
		command.Path, command.Err = filepath.FromSlash(c.command[0]), nil
	}
	command.Env = append(os.Environ(), "BASE="+base, "OWNER="+ownerID, "TOKEN="+token, "WAY="+way, "PYTHONDONTWRITEBYTECODE=1",
		"NO_PROXY=*", "no_proxy=*")
	if authority != "" {
		command.Env = append(command.Env, "CA_FILE="+authority, "NODE_EXTRA_CA_CERTS="+authority, "SSL_CERT_FILE="+authority)
	}
	command.Stderr = lockedWriter{p}
	output, err := command.StdoutPipe()
	if err == nil {
		p.input, err = command.StdinPipe()
	}
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	done := make(chan struct{})
	go func() { defer close(done); p.read(output) }()
	t.Cleanup(func() { cancel(); <-done; command.Wait() })
	return p
}

// newServer prepares a server at a free address, and returns the file of the
// authority that its certificate is from.
func newServer(t *testing.T, binary, scheme, databaseURL string) (s *server, authority string) {
	t.Helper()
	address := harness.FreeAddress(t)
	s = &server{binary: binary, base: scheme + "://" + address, client: http.DefaultClient, flags: harness.ServeFlags(databaseURL, "--addr", address,
		"--heartbeat-interval", "5m", "--max-connections-per-user", "0", "--requests-per-minute-per-user", "0", "--max-unauthenticated-per-address", "0")}
	if scheme == "http" {
		return s, ""
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	s.base = "https://localhost:" + port // some libraries know names only
	cert, key, trusted := harness.NewCertificate(t)
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	s.flags = append(s.flags, "--tls-cert-file", cert, "--tls-key-file", key)
	return s, cert
}
