package attack

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/hangarshare/hangarshare-realtime/handlers/frametest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// limits goes beyond each limit from one address: it is told so, and nobody else notices.
func limits(a *attackSetup) {
	if probe, err := a.plain.dial(stranger); err != nil {
		a.t.Logf("this system has no address %s: limits are not tried", stranger)
		return
	} else {
		probe.Close()
	}
	var refused, wrong atomic.Int32
	var all sync.WaitGroup
	// the limit is 600 at once, and 10 a second: a machine that is slow meets it too
	requests := 1200
	for range 8 {
		all.Go(func() {
			for range requests / 8 {
				got := a.sendFrom(a.plain, stranger, request("GET", "/api/auth/me"))
				switch {
				case got.status == 429 && got.header.Get("Retry-After") != "" && strings.Contains(got.body, "REQUESTS_PER_MINUTE_PER_ADDRESS"):
					refused.Add(1)
				case got.status != 401:
					wrong.Add(1)
				}
			}
		})
	}
	all.Wait()
	a.count("limits", requests)
	if refused.Load() == 0 || wrong.Load() > 0 {
		a.t.Errorf("of %d requests %d are refused by 429, and %d are answered otherwise than by 401", requests, refused.Load(), wrong.Load())
	}
	const another = "127.0.0.67"
	var held []net.Conn
	defer func() {
		for _, conn := range held {
			conn.Close()
		}
	}()
	opened := 0
	for n := range 80 {
		conn, err := a.plain.dial(another)
		if err != nil {
			a.t.Fatal(err)
		}
		held = append(held, conn)
		if _, err := frametest.Open(conn, "/api/ws", fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", n), fmt.Sprintf("Forwarded: for=198.51.100.%d", n)); err == nil {
			opened++
		}
		a.count("limits", 1)
	}
	if opened == 0 || opened > 32 {
		a.t.Errorf("%d sockets without a token are open from one address", opened)
	}
}

// storms tries to sign in, and to carry sessions on, as fast as it can: a booking
// still reaches its owner.
func storms(a *attackSetup) {
	conn, err := a.plain.dial("")
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close()
	stream, err := frametest.Open(conn, "/api/ws?ownerId="+a.victim.ID, "Authorization: Bearer "+a.victimToken)
	if err == nil {
		err = stream.Await("connection_established")
	}
	if err != nil {
		a.t.Fatal(err)
	}
	rounds := 20
	if a.full {
		rounds = 100
	}
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			for i := range rounds {
				n := worker*rounds + i
				for target, body := range map[string]string{
					"/api/auth/refresh": fmt.Sprintf(`{"refreshToken":"%d.%d"}`, n, i), "/api/auth/logout": `{"refreshToken":"x"}`,
					"/api/auth/login": fmt.Sprintf(`{"email":"%d@nobody.example","password":"%d"}`, n%50, i), "/api/auth/ticket": `{}`,
				} {
					got := a.send(a.plain, request("POST", target, "Content-Type: application/json", "", body))
					a.judge("storms", target+" "+body, got)
				}
			}
		})
	}
	for range 3 {
		a.portal.Book(a.t, a.victim.Hangars[0], a.guest)
		for _, typ := range []string{"booking_created", "metrics_updated"} {
			if err := stream.Await(typ); err != nil {
				a.t.Errorf("during the storm: %v", err)
			}
		}
	}
	all.Wait()
}

// slowness opens connections that say nothing, or half of what they should, or read
// nothing of what they ask for.
func slowness(a *attackSetup) {
	n := 60
	if a.full {
		n = 500
	}
	var held []net.Conn
	defer func() {
		for _, conn := range held {
			conn.Close()
		}
	}()
	auth := "Authorization: Bearer " + a.attackerToken + "\r\n"
	for _, beginning := range []string{
		"", "G", "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", "POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n", strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n", 40),
		"GET /api/sse?ownerId=" + a.attacker.ID + " HTTP/1.1\r\nHost: localhost\r\n" + auth + "\r\n",
	} {
		streams := 0
		for range n {
			for _, server := range []*server{a.plain, a.secure} {
				if strings.Contains(beginning, "/api/sse") {
					if streams++; streams > 80 { // a user may have a hundred
						continue
					}
				}
				conn, err := server.dial("")
				if err != nil {
					a.t.Fatal(err)
				}
				held = append(held, conn)
				if _, err := io.WriteString(conn, beginning); err != nil && beginning == "" {
					a.t.Error(err)
				}
				a.count("slowness", 1)
			}
		}
	}
	for range 3 {
		if got := a.get(a.victimToken, "/api/owners/"+a.victim.ID+"/bookings"); got.status != 200 {
			a.t.Errorf("beside %d slow connections: %d %s", len(held), got.status, got.body)
		}
	}
}

// floods sends frames of HTTP/2 that cost the server more than they cost the sender, until the
// server ends the connection or the time is over.
func floods(a *attackSetup) {
	duration := 300 * time.Millisecond
	if a.full {
		duration = 2 * time.Second
	}
	head := func(pairs ...string) []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for i := 0; i < len(pairs); i += 2 {
			e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
		return b.Bytes()
	}
	get := head(":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/openapi.json")
	post := head(":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/api/auth/login")
	headers := func(f *http2.Framer, id uint32, block []byte, end bool) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: end, EndHeaders: true})
	}
	for name, send := range map[string]func(f *http2.Framer, n uint32) error{
		"rapid reset": func(f *http2.Framer, n uint32) error {
			if err := headers(f, 2*n+1, get, true); err != nil {
				return err
			}
			return f.WriteRSTStream(2*n+1, http2.ErrCodeCancel)
		},
		"requests that nobody reads": func(f *http2.Framer, n uint32) error { return headers(f, 2*n+1, get, true) },
		"bodies without end":         func(f *http2.Framer, n uint32) error { return headers(f, 2*n+1, post, false) },
		"pings":                      func(f *http2.Framer, n uint32) error { return f.WritePing(false, [8]byte{byte(n)}) },
		"settings": func(f *http2.Framer, _ uint32) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		},
		"window updates": func(f *http2.Framer, _ uint32) error { return f.WriteWindowUpdate(0, 1) },
		"priorities":     func(f *http2.Framer, n uint32) error { return f.WritePriority(2*n+1, http2.PriorityParam{Weight: 1}) },
		"unknown frames": func(f *http2.Framer, _ uint32) error { return f.WriteRawFrame(0xEE, 0, 0, make([]byte, 100)) },
		"empty data": func(f *http2.Framer, n uint32) error {
			if n == 0 {
				return headers(f, 1, post, false)
			}
			return f.WriteData(1, false, nil)
		},
		"continuations": func(f *http2.Framer, n uint32) error {
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: get, EndHeaders: false})
			}
			return f.WriteContinuation(1, false, head("x-many", strings.Repeat("a", 1000)))
		},
		"a table that grows": func(f *http2.Framer, n uint32) error {
			return headers(f, 2*n+1, head(":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/", "x-bomb", strings.Repeat("a", 4000)), true)
		},
	} {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: timeout}, "tcp", a.secure.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			a.t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(duration))
		go io.Copy(io.Discard, conn)
		io.WriteString(conn, http2.ClientPreface)
		framer := http2.NewFramer(conn, nil)
		err = framer.WriteSettings()
		sent := 0
		for n := uint32(0); err == nil; n++ {
			err = send(framer, n)
			sent++
		}
		conn.Close()
		a.count("floods", 1)
		a.t.Logf("%s: %d frames", name, sent)
		if got := a.send(a.secure, request("GET", "/api/owners/"+a.victim.ID+"/metrics", "Authorization: Bearer "+a.victimToken)); got.status != 200 {
			a.t.Errorf("after a flood of %s: %d %s %v", name, got.status, got.body, got.err)
		}
	}
}

// names asks under names that have never been used, each of which the server could remember: its
// memory stays within bounds.
func names(a *attackSetup) {
	n := 400
	if a.full {
		n = 4000
	}
	ask := func(from, to int) {
		var all sync.WaitGroup
		for worker := range 6 {
			all.Go(func() {
				for i := from + worker; i < to; i += 6 {
					a.judge("names", "token", a.get(harness.TokenFor(a.t, fmt.Sprint("u", i), time.Hour), "/api/auth/me"))
					a.judge("names", "owner", a.get(a.attackerToken, fmt.Sprintf("/api/owners/%d/metrics", 1_000_000+i)))
					a.judge("names", "bearer", a.get(fmt.Sprintf("garbage.%d.x", i), "/api/auth/me"))
					a.judge("names", "host", a.send(a.plain, request("GET", "/", fmt.Sprintf("Host: h%d.example", i))))
				}
			})
		}
		all.Wait()
	}
	ask(0, n/4) // until what is there anyway is there
	before := resident(a, a.plain)
	ask(n/4, n)
	after := resident(a, a.plain)
	a.t.Logf("%d MiB before and %d MiB after %d names", before>>20, after>>20, 3*n)
	if grown := after - before; grown > 96<<20 {
		a.t.Errorf("memory has grown by %d MiB", grown>>20)
	}
}

// resident returns how many bytes of memory a server's process has (proc_pid_statm(5)).
func resident(a *attackSetup, s *server) (bytes int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.process.PID()))
	if err != nil {
		a.t.Skip("this system does not tell a process's memory")
	}
	var size, pages int64
	fmt.Sscan(string(text), &size, &pages)
	return pages * int64(os.Getpagesize())
}
