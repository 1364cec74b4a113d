//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// redisState returns what readyz answers: the status's word and how Redis is.
func redisState(t *testing.T, p *harness.Program) (code int, word, redis string) {
	t.Helper()
	response, text := p.Ask(t, "GET", "readyz", nil)
	var answer struct {
		Status string
		Parts  map[string]string
	}
	harness.DecodeJSON(t, strings.NewReader(text), &answer)
	return response.StatusCode, answer.Status, answer.Parts["redis"]
}

// awaitRedis waits until every server says that Redis is there, or that it is away.
func awaitRedis(t *testing.T, servers []*harness.Program, proven bool) {
	t.Helper()
	want := "degraded away"
	if proven {
		want = "ready ok"
	}
	for _, p := range servers {
		harness.Eventually(t, "told how Redis is: "+want, func() bool {
			code, word, redis := redisState(t, p)
			return code == http.StatusOK && word+" "+redis == want
		})
	}
}

// serveThree starts three servers on one database.
func serveThree(t *testing.T, portal *dbtest.Portal, flags ...string) []*harness.Program {
	t.Helper()
	servers := make([]*harness.Program, 3)
	for i := range servers {
		servers[i] = harness.Serve(t, portal, flags...)
	}
	return servers
}

func TestRedisThatRefusesEndsTheStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass secret")
	portal := dbtest.New(t)
	for _, url := range []string{"redis://:hidden@" + server.Addr, "redis://" + server.Addr} {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), harness.Timeout)
		defer cancel()
		code := harness.Run(ctx, []string{"serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "", "--database-url", portal.URL,
			"--jwt-secret", harness.Secret, "--redis-url", url}, &out, &out)
		if code != 1 || !strings.Contains(out.String(), "check REDIS_URL") || strings.Contains(out.String(), "hidden") {
			t.Errorf("exit code %d: %s", code, out.String())
		}
	}
}

// TestCheckTellsOfRedis: a refused password stands in the way, an absence does not.
func TestCheckTellsOfRedis(t *testing.T) {
	t.Parallel()
	server, away := redistest.Start(t, "requirepass secret"), redistest.Start(t)
	away.Kill()
	for url, want := range map[string]string{
		"redis://:secret@" + server.Addr: "ok    Redis at " + server.Addr,
		"redis://:hidden@" + server.Addr: "MEND  Redis refused",
		"redis://" + away.Addr:           "warn  servers would go on without Redis",
		"redis://cache?master=m":         "MEND  REDIS_URL",
	} {
		var out bytes.Buffer
		code := harness.Run(t.Context(), []string{"check", "--jwt-secret", harness.Secret, "--redis-url", url}, &out, &out)
		if fails := strings.HasPrefix(want, "MEND"); (code != 0) != fails || !strings.Contains(out.String(), want) || strings.Contains(out.String(), "hidden") {
			t.Errorf("%s: exit code %d, want %q in: %s", url, code, want, out.String())
		}
	}
}

// TestRedisAwayIsDegraded: a server starts without its Redis, and says how it is.
func TestRedisAwayIsDegraded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	s := harness.NewSetup(t, "--redis-url", "redis://"+server.Addr)
	awaitRedis(t, []*harness.Program{s.Program}, false)
	s.Output.Await(t, "level=WARN msg=\"Redis is away")
	ws := s.Connect(t, s.Token, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	ws.Next(harness.OfType("booking_created"))
	server.Start()
	awaitRedis(t, []*harness.Program{s.Program}, true)
	server.Freeze()
	awaitRedis(t, []*harness.Program{s.Program}, false)
	server.Thaw()
	awaitRedis(t, []*harness.Program{s.Program}, true)
}

// openStreams opens streams of a user on servers in turn, five a second as a browser farm might,
// until so many were tried, and returns how many are open.
func openStreams(t *testing.T, servers []*harness.Program, token, query string, tries int) (open int) {
	t.Helper()
	pace := time.NewTicker(time.Second / 5)
	defer pace.Stop()
	for i := range tries {
		<-pace.C
		p := servers[i%len(servers)]
		conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.Base, "http")+"api/ws"+query,
			&websocket.DialOptions{HTTPHeader: harness.Behind("203.0.113."+strconv.Itoa(i), "Authorization", "Bearer "+token)})
		switch {
		case err == nil:
			t.Cleanup(func() { conn.CloseNow() })
			open++
		case response == nil || response.StatusCode != http.StatusTooManyRequests:
			t.Fatalf("stream %d: %v", i, err)
		}
	}
	return open
}

// askUntilRefused sends requests to servers in turn until each of them has refused one for their
// number, and returns how many were answered.
func askUntilRefused(t *testing.T, servers []*harness.Program, path, token string) (answered int) {
	t.Helper()
	pace := time.NewTicker(3 * time.Millisecond)
	defer pace.Stop()
	refused := map[int]bool{}
	for i := 0; len(refused) < len(servers); i++ {
		<-pace.C
		switch status, _, _ := servers[i%len(servers)].Get(t, path, token); status {
		case http.StatusOK:
			answered++
		case http.StatusTooManyRequests:
			refused[i%len(servers)] = true
		default:
			t.Fatalf("request %d: %d", i, status)
		}
	}
	return answered
}

// TestLimitsOverAllServers: a user's limits count what the user has open and asks for anywhere;
// without Redis each server counts alone.
func TestLimitsOverAllServers(t *testing.T) {
	t.Parallel()
	const limit, requests = 20, 400
	server := redistest.Start(t)
	portal := dbtest.New(t)
	o, other, third := portal.AddOwner(t, 1), portal.AddOwner(t, 1), portal.AddOwner(t, 1)
	servers := serveThree(t, portal, "--redis-url", "redis://"+server.Addr, "--trusted-proxies", "127.0.0.1", "--limit-exempt", "192.0.2.0/24",
		"--max-connections-per-user", strconv.Itoa(limit), "--requests-per-minute-per-user", strconv.Itoa(requests))
	awaitRedis(t, servers, true)
	taken := askUntilRefused(t, servers, "owners/"+third.ID+"/metrics", harness.TokenFor(t, third.UserID, time.Hour))
	t.Logf("%d requests are answered of a user who may send %d a minute", taken, requests)
	if taken < requests || taken > 2*requests {
		t.Errorf("of a user who may send %d requests a minute, three servers answer %d", requests, taken)
	}
	open := openStreams(t, servers, harness.TokenFor(t, o.UserID, time.Hour), "?ownerId="+o.ID, 2*limit)
	t.Logf("%d streams are open of a user who may have %d", open, limit)
	if open < limit || open > limit+10 {
		t.Errorf("of a user who may have %d streams, %d are open on three servers", limit, open)
	}
	server.Kill()
	awaitRedis(t, servers, false)
	token, query := harness.TokenFor(t, other.UserID, time.Hour), "?ownerId="+other.ID
	if open = openStreams(t, servers, token, query, limit+6); open != limit+6 {
		t.Errorf("without Redis %d streams are open, of %d that no server alone would refuse", open, limit+6)
	}
	server.Start()
	awaitRedis(t, servers, true)
	harness.Eventually(t, "counted together again", func() bool {
		p := servers[0]
		conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.Base, "http")+"api/ws"+query,
			&websocket.DialOptions{HTTPHeader: harness.Behind("203.0.113.99", "Authorization", "Bearer "+token)})
		if err == nil {
			conn.CloseNow()
		}
		return response != nil && response.StatusCode == http.StatusTooManyRequests
	})
}

// TestFollowerNeedsNoListener: a server to whose listener nothing comes serves while Redis tells it
// of batches, and not without.
func TestFollowerNeedsNoListener(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := harness.NewSetup(t, "--redis-url", "redis://"+redis.Addr) // numbers the log
	proxy, through := harness.BeforeDatabase(t, s.DatabaseURL)
	follower := harness.Serve(t, s.Portal, "--redis-url", "redis://"+redis.Addr, "--listen-database-url", through)
	awaitRedis(t, []*harness.Program{s.Program, follower}, true)
	ws := follower.Connect(t, s.Token, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))
	proxy.Set(harness.Refuse)
	proxy.Cut()
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	ws.Next(harness.OfType("booking_created"))
	for range 50 { // longer than a proof lasts
		// On a slow machine a heartbeat through Redis may be late.
		if code, word, redis := redisState(t, follower); code != http.StatusOK && redis == "ok" {
			t.Fatalf("a follower that Redis tells everything says %d %s", code, word)
		}
		time.Sleep(100 * time.Millisecond) // the time of a proof
	}
	harness.Eventually(t, "ready by Redis alone", func() bool {
		code, _, redis := redisState(t, follower)
		return code == http.StatusOK && redis == "ok"
	})
	redis.Kill()
	harness.Eventually(t, "unready without both", func() bool {
		code, _, _ := redisState(t, follower)
		return code == http.StatusServiceUnavailable
	})
	proxy.Set(harness.Pass)
	awaitRedis(t, []*harness.Program{follower}, false)
}
