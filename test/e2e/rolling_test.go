//lint:file-ignore SA1019 the library is frozen and still correct

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// clientKinds are how clients reach a server through a balancer.
var clientKinds = []string{"a browser's WebSocket", "a program's WebSocket", "a program's event stream", "a plain EventSource"}

// slowMachine is what a server says when its database has not answered in time: on a busy machine
// that says nothing of restarts.
const slowMachine = "the database is away"

// balanced is a client behind a balancer. It comes back by the rules of its kind, and notes all
// that it should not have seen.
type balanced struct {
	kind, balancer, base, token, ownerID string
	http                                 *http.Client

	mu     sync.Mutex // guards what follows
	ids    []string
	last   string // the position to resume from
	cuts   int    // established streams that have ended
	away   []time.Duration
	faults []string
}

// balancedMessage is what the client reads of a message.
type balancedMessage struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		LastEventID string `json:"lastEventId"`
		Recovered   bool   `json:"recovered"`
		RetryMs     int    `json:"retryMs"`
	} `json:"data"`
}

// connection is one stream of a client.
type connection struct {
	established, closing bool
	retry                time.Duration
}

// run connects until ctx ends.
func (b *balanced) run(ctx context.Context) {
	cut := time.Time{}
	for ctx.Err() == nil {
		var c connection
		connected := func() {
			if !cut.IsZero() {
				b.away = append(b.away, time.Since(cut))
				cut = time.Time{}
			}
		}
		var err error
		if strings.HasSuffix(b.kind, "WebSocket") {
			err = b.webSocket(ctx, &c, connected)
		} else {
			err = b.events(ctx, &c, connected)
		}
		if ctx.Err() != nil {
			return
		}
		if c.established {
			cut = time.Now()
		}
		b.mu.Lock()
		if c.established {
			b.cuts++
		}
		if c.established && !c.closing {
			b.faults = append(b.faults, fmt.Sprintf("a stream ended without server_closing: %v", err))
		} else if !c.closing && err != nil && strings.Contains(err.Error(), slowMachine) {
			c.retry = time.Second
		} else if !c.closing {
			b.faults = append(b.faults, fmt.Sprintf("no stream at %s: %v", time.Now().Format(time.TimeOnly), err))
			c.retry = time.Second
		}
		b.mu.Unlock()
		wait := c.retry
		if b.kind != "a plain EventSource" {
			wait = rand.N(wait + 1)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// hear takes in a message.
func (b *balanced) hear(text []byte, c *connection, connected func()) error {
	var m balancedMessage
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case m.ID != "":
		b.ids, b.last = append(b.ids, m.ID), m.ID
	case m.Type == "connection_established":
		c.established = true
		connected()
		if b.last != "" && !m.Data.Recovered {
			b.faults = append(b.faults, "what came between was not recovered")
		}
		if b.last == "" {
			b.last = m.Data.LastEventID
		}
	case m.Type == "server_closing":
		c.closing, c.retry = true, time.Duration(m.Data.RetryMs)*time.Millisecond
	case m.Type == "error" && strings.Contains(string(text), slowMachine):
		return errors.New(slowMachine)
	case m.Type == "resync", m.Type == "error":
		b.faults = append(b.faults, string(text))
	}
	return nil
}

func (b *balanced) query() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return url.Values{"ownerId": {b.ownerID}, "lastEventId": {b.last}}.Encode()
}

func (b *balanced) webSocket(ctx context.Context, c *connection, connected func()) error {
	options := &websocket.DialOptions{HTTPClient: b.http, Subprotocols: []string{"hangarshare.v1"}}
	if b.kind == "a browser's WebSocket" {
		options.Subprotocols = append(options.Subprotocols, "bearer."+b.token)
		options.HTTPHeader = http.Header{"Origin": {strings.TrimSuffix(b.base, "/")}}
	} else {
		options.HTTPHeader = harness.Bearer(b.token)
	}
	conn, response, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(b.base, "http")+"api/ws?"+b.query(), options)
	if err != nil {
		if response != nil {
			body, _ := io.ReadAll(response.Body)
			return fmt.Errorf("answered by %s: %s", response.Status, body)
		}
		return err
	}
	defer conn.CloseNow()
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if err := b.hear(text, c, connected); err != nil {
			return err
		}
	}
}

func (b *balanced) events(ctx context.Context, c *connection, connected func()) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"api/sse?"+b.query(), nil)
	if err != nil {
		return err
	}
	if b.kind == "a plain EventSource" {
		request.AddCookie(&http.Cookie{Name: "jwt", Value: b.token})
		request.Header.Set("Accept", "text/event-stream")
	} else {
		request.Header = harness.Bearer(b.token)
	}
	response, err := b.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		return fmt.Errorf("answered by %s: %s", response.Status, body)
	}
	retry := -1
	for lines := bufio.NewReader(response.Body); ; {
		line, err := lines.ReadString('\n')
		if retry >= 0 && b.kind == "a plain EventSource" {
			c.retry = time.Duration(retry) * time.Millisecond
		}
		if err != nil {
			return err
		}
		if text, ok := strings.CutPrefix(line, "retry: "); ok {
			if retry, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
				return err
			}
		}
		text, ok := strings.CutPrefix(line, "data: ")
		if !ok || strings.Contains(text, `"type":"error"`) && c.closing {
			continue // the code that the stream ends with
		}
		if err := b.hear([]byte(text), c, connected); err != nil {
			return err
		}
	}
}

// TestRollingRestartBehindBalancers restarts three servers one after the other, behind each of the
// balancers of deploy/, while bookings are made. Nobody sees a status of 5xx, or loses or doubles
// an event; a stream ends only because its server says goodbye.
func TestRollingRestartBehindBalancers(t *testing.T) {
	t.Parallel()
	each := 2 // clients of a kind behind each balancer
	if text := os.Getenv("CLIENTS"); text != "" {
		all, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		each = max(1, all/len(clientKinds)/len(balancers))
	}
	portal := dbtest.New(t)
	owner := portal.AddOwner(t, 2)
	guest := portal.AddGuest(t, "Caio", "Brandão")
	token := harness.TokenFor(t, owner.UserID, time.Hour)
	var addresses []string
	var servers []*harness.Program
	serve := func(address string) *harness.Program {
		return harness.Serve(t, portal, "--addr", address, "--trusted-proxies", "127.0.0.1", "--drain-delay", "5s", "--drain-time", "3s", "--database-wait", "1m",
			"--requests-per-minute-per-user", "0", "--requests-per-minute-per-address", "0",
			"--max-connections-per-user", "0", "--max-connections-per-address", "0", "--max-unauthenticated-per-address", "0", "--log-level", "warn")
	}
	for range 3 {
		addresses = append(addresses, harness.FreeAddress(t))
		servers = append(servers, serve(addresses[len(addresses)-1]))
	}
	status, header, _ := servers[0].Get(t, "owners/"+owner.ID+"/metrics", token)
	begin := header.Get("Last-Event-ID")
	if status != http.StatusOK || begin == "" {
		t.Fatalf("the numbers: %d %v", status, header)
	}
	var clients []*balanced
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	var refused []string
	var mu sync.Mutex // guards refused
	for name, b := range balancers {
		base, client := b.start(t, name, addresses...)
		outside := &harness.Program{Base: base, Client: client}
		outside.Ready(t)
		for _, kind := range clientKinds {
			for range each {
				c := &balanced{kind: kind, balancer: name, base: base, token: token, ownerID: owner.ID, http: client, last: begin}
				clients = append(clients, c)
				running.Go(func() { c.run(ctx) })
			}
		}
		running.Go(func() { // and one that asks for numbers all the time
			for tick := time.NewTicker(50 * time.Millisecond); ctx.Err() == nil; <-tick.C {
				if err := askNumbers(ctx, client, base, token, owner.ID); err != nil && ctx.Err() == nil {
					mu.Lock()
					refused = append(refused, name+": "+err.Error())
					mu.Unlock()
				}
			}
		})
	}
	stopBooking := keepBooking(t, portal, owner, guest, time.Duration(each)*25*time.Millisecond)
	// await waits until all clients hold so many events, or have seen what they should not.
	await := func(events int) {
		harness.Eventually(t, "told", func() bool {
			return !slices.ContainsFunc(clients, func(c *balanced) bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return len(c.ids) < events && len(c.faults) == 0
			})
		})
	}
	await(1)
	for i, address := range addresses {
		before := make([]int, len(clients))
		for n, c := range clients {
			c.mu.Lock()
			before[n] = c.cuts
			c.mu.Unlock()
		}
		if code := servers[i].Stop(); code != 0 {
			t.Errorf("server %d exits with %d:\n%s", i+1, code, servers[i].Output)
		}
		servers[i] = serve(address)
		for n, c := range clients {
			c.mu.Lock()
			if cuts := c.cuts - before[n]; cuts > 1 {
				t.Errorf("%s: one restart has cut it %d times", c.kind, cuts)
			}
			c.mu.Unlock()
		}
	}
	stopBooking()
	truth := servers[0].History(t, token, owner.ID, begin)
	await(len(truth))
	cancel()
	running.Wait()
	var away []time.Duration
	cuts := 0
	for i, c := range clients {
		if !slices.Equal(c.ids, truth) {
			t.Errorf("client %d (%s behind %s): %s", i, c.kind, c.balancer, harness.Difference(c.ids, truth))
		}
		for _, fault := range c.faults {
			t.Errorf("client %d (%s behind %s): %s", i, c.kind, c.balancer, fault)
		}
		cuts += c.cuts
		away = append(away, c.away...)
	}
	for _, fault := range refused {
		t.Error(fault)
	}
	if cuts == 0 {
		t.Fatal("no stream was cut: the clients were not behind these servers")
	}
	slices.Sort(away)
	t.Logf("%d clients, %d events each, %d streams cut by 3 restarts; back after p50 %s, p99 %s", len(clients), len(truth), cuts,
		away[len(away)/2].Round(time.Millisecond), away[len(away)*99/100].Round(time.Millisecond))
}

// askNumbers asks for an owner's numbers.
func askNumbers(ctx context.Context, client *http.Client, base, token, ownerID string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"api/owners/"+ownerID+"/metrics", nil)
	if err != nil {
		return err
	}
	request.Header = harness.Bearer(token)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK && !strings.Contains(string(body), slowMachine) {
		return fmt.Errorf("metrics: %s: %s", response.Status, body)
	}
	return err
}
