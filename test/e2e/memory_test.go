//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestFullServer has a server without memory for another stream refuse it politely, and
// go on with the rest.
func TestFullServer(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	owner, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	process := harness.Launch(t, []string{"GOMEMLIMIT=6MiB"}, harness.OwnBinary(t), harness.ServeFlags(portal.URL)...)
	p := &harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: http.DefaultClient, Portal: portal, Output: process.Output}
	harness.Eventually(t, "full", func() bool {
		response, body := p.Ask(t, http.MethodGet, "readyz", nil)
		return response.StatusCode == http.StatusOK && strings.Contains(body, `"status":"full"`) && strings.Contains(body, `"database":"ok"`)
	})
	token := harness.TokenFor(t, owner.UserID, time.Hour)
	booking := portal.Book(t, owner.Hangars[0], guest)
	if status, _, page := p.Get(t, "owners/"+owner.ID+"/bookings/"+booking, token); status != http.StatusOK {
		t.Errorf("REST answers %d %v", status, page)
	}

	status, header, problem := p.Get(t, "sse", token)
	if after, _ := strconv.Atoi(header.Get("Retry-After")); status != http.StatusServiceUnavailable || after < 5 || after > 15 {
		t.Errorf("the event stream is refused by %d, Retry-After %q, %v", status, header.Get("Retry-After"), problem)
	}
	polite := func(s *harness.Stream) {
		t.Helper()
		m := s.Next(nil)
		if after, _ := strconv.Atoi(m.Field("retryMs")); m.Type != "server_closing" || after < 5000 || after > 15000 {
			t.Errorf("the first message is %s %s", m.Type, m.Data)
		}
	}
	ws := p.Dial(t, "", &websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + token}})
	polite(ws)
	if code := ws.End(); code != int(websocket.StatusGoingAway) {
		t.Errorf("the WebSocket ends with %d", code)
	}
	sse := p.Listen(t, "", "", "Cookie", "jwt="+token)
	polite(sse)
	if m := sse.Next(nil); m.Type != "error" || m.Field("code") != "1001" {
		t.Errorf("the event stream ends with %s %s", m.Type, m.Data)
	}
	if !strings.Contains(process.Output.String(), "memory runs short") {
		t.Errorf("the log says nothing of it: %s", process.Output)
	}
}

// TestMemoryIsKeptTo has more clients come to a server than its memory holds, and then a burst: it
// never uses more than a tenth above its limit, those who were let in are told of everything, and
// the others are refused politely. MEMORY=full has 5,000 clients come to 96 MiB, and once more to a
// server without a limit, and tells how late the clients are told who came first.
func TestMemoryIsKeptTo(t *testing.T) {
	if testing.Short() {
		t.Skip("more than a thousand clients")
	}
	if os.Getenv("MEMORY") == "full" {
		served := crowd(t, 96<<20, 5000)
		crowd(t, 0, served)
		return
	}
	t.Parallel()
	crowd(t, 32<<20, 1500)
}

// crowd has clients come to a server with so much memory, 0 for no limit, and returns how many were
// served.
func crowd(t *testing.T, limit, clients int) (served int) {
	const owners, burst = 25, 80
	portal := dbtest.New(t)
	guest := portal.AddGuest(t, "Caio", "Brandão")
	admin := harness.FreeAddress(t)
	var env []string
	if limit > 0 {
		env = []string{"GOMEMLIMIT=" + strconv.Itoa(limit)}
	}
	process := harness.Launch(t, env, harness.OwnBinary(t),
		harness.ServeFlags(portal.URL, "--limit-exempt", "127.0.0.0/8", "--admin-addr", admin)...)
	p := &harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: http.DefaultClient, Portal: portal, Output: process.Output}
	p.Ready(t)
	var accounts []dbtest.Owner
	var tokens []string
	for range owners {
		o := portal.AddOwner(t, 1)
		accounts, tokens = append(accounts, o), append(tokens, harness.TokenFor(t, o.UserID, time.Hour))
	}

	most := 0.0
	watch, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-watch:
				return
			case <-tick.C:
				text := scrape(admin)
				most = max(most, sample(text, "go_memstats_sys_bytes")-sample(text, "go_memstats_heap_released_bytes"))
			}
		}
	}()

	// the old clients measure; they read from the start
	var mu sync.Mutex
	var ages []time.Duration
	told := make([]atomic.Int64, owners)
	var readers sync.WaitGroup
	read := func(w *harness.Wire, owner int, measure bool) {
		defer readers.Done()
		for {
			text, err := w.Next()
			if err != nil {
				return
			}
			if harness.IDOf(text) == "" || !harness.IsOf(text, "booking_created") {
				continue
			}
			told[owner].Add(1)
			if measure {
				var m harness.Message
				if json.Unmarshal(text, &m) == nil {
					mu.Lock()
					ages = append(ages, time.Since(time.UnixMilli(m.Timestamp)))
					mu.Unlock()
				}
			}
		}
	}
	var wires []*harness.Wire
	open := func(i int, measure bool) error {
		w, err := p.TryWire(tokens[i%owners], harness.WireOptions{WebSocket: true, OwnerID: accounts[i%owners].ID})
		if err != nil {
			return err
		}
		wires = append(wires, w)
		readers.Add(1)
		go read(w, i%owners, measure)
		return nil
	}
	defer func() {
		for _, w := range wires {
			w.Conn.Close()
		}
		readers.Wait()
	}()
	await := func(what string, count int64, per []int) {
		t.Helper()
		harness.Eventually(t, what, func() bool {
			for i := range told {
				if told[i].Load() < count*int64(per[i]) {
					return false
				}
			}
			return true
		})
	}
	p99 := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(ages)
		at := ages[len(ages)*99/100]
		ages = nil
		return at
	}
	per := make([]int, owners)
	for i := range 2 * owners {
		if err := open(i, true); err != nil {
			t.Fatal(err)
		}
		per[i%owners]++
	}
	for range 4 {
		for _, o := range accounts {
			portal.Book(t, o.Hangars[0], guest)
		}
	}
	await("told before the crowd", 4, per)
	before := p99()

	refused := 0
	for i := 2 * owners; i < clients; i++ {
		if err := open(i, false); err == nil {
			per[i%owners]++
		} else if refused++; !strings.Contains(err.Error(), "503") {
			t.Fatalf("client %d was refused by %v", i, err)
		}
	}
	for i := range told {
		told[i].Store(0)
	}
	for range 4 {
		for _, o := range accounts {
			portal.Book(t, o.Hangars[0], guest)
		}
	}
	await("told beside the crowd", 4, per)
	beside := p99()
	for _, o := range accounts { // a statement for each owner: the triggers see them as one
		portal.Exec(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at)
			SELECT $1, $2, now(), now() + interval '1 day', 1, 200, 20.5, 220.5, 'pending', now() FROM generate_series(1, $3)`, o.Hangars[0], guest, burst)
	}
	await("told of the burst", 4+burst, per)
	close(watch)
	<-watched
	t.Logf("%d clients were served and %d refused; at most %.1f MiB of %d were used; p99 of old clients %v before, %v beside the crowd",
		len(wires), refused, most/(1<<20), limit>>20, before, beside)
	if limit > 0 && most > 1.1*float64(limit) {
		t.Errorf("%.1f MiB were used of %d", most/(1<<20), limit>>20)
	}
	if limit > 0 && (refused == 0 || refused == clients-2*owners) {
		t.Errorf("%d of %d clients were refused", refused, clients)
	}
	return len(wires)
}

// scrape returns what Prometheus would get, "" where it gets nothing.
func scrape(admin string) string {
	response, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

// sample returns the value of a series without labels.
func sample(text, name string) float64 {
	_, rest, _ := strings.Cut("\n"+text, "\n"+name+" ")
	line, _, _ := strings.Cut(rest, "\n")
	value, _ := strconv.ParseFloat(line, 64)
	return value
}
