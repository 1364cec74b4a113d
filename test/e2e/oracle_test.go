package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// oracle books for some owners without end, has clients follow them on several servers, and
// compares in the end what each client was told with the log.
type oracle struct {
	t       *testing.T
	portal  *dbtest.Portal
	servers []*harness.Program
	owners  []dbtest.Owner
	guest   string

	booked  atomic.Int64 // bookings so far
	stop    chan struct{}
	stopped time.Time   // when stop was closed
	over    atomic.Bool // the test has ended
	writers sync.WaitGroup
	clients []*roamingClient
	reading sync.WaitGroup

	mu        sync.Mutex
	committed map[string]time.Time // when each booking's commit had returned
	lags      map[int][]time.Duration
	watching  bool // lags are noted
}

// roamingClient is a client that changes servers and transports, and resumes each time with its
// last id.
type roamingClient struct {
	owner, token, begin string
	ids                 []string
	resyncs             int
	told                atomic.Int64 // len(ids)
}

// newOracle has so many clients follow two owners, and books every pause.
func newOracle(t *testing.T, portal *dbtest.Portal, servers []*harness.Program, clients int, pause time.Duration) *oracle {
	t.Helper()
	o := &oracle{t: t, portal: portal, servers: servers, guest: portal.AddGuest(t, "Caio", "Brandão"), stop: make(chan struct{}),
		committed: map[string]time.Time{}, lags: map[int][]time.Duration{}}
	for range 2 {
		o.owners = append(o.owners, portal.AddOwner(t, 2))
	}
	for i := range clients {
		owner := o.owners[i%len(o.owners)]
		r := &roamingClient{owner: owner.ID, token: harness.TokenFor(t, owner.UserID, time.Hour)}
		status, header, _ := servers[0].Get(t, "owners/"+owner.ID+"/metrics", r.token)
		if status != 200 {
			t.Fatalf("an owner's numbers: %d", status)
		}
		r.begin = header.Get("Last-Event-ID")
		o.clients = append(o.clients, r)
		o.reading.Go(func() { o.roam(r, i) })
	}
	for _, owner := range o.owners {
		o.writers.Go(func() { o.book(owner, pause) })
	}
	t.Cleanup(func() {
		o.over.Store(true)
		o.end()
	})
	return o
}

// book books until the end.
func (o *oracle) book(owner dbtest.Owner, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-o.stop:
			return
		case <-tick.C:
		}
		var id string
		err := o.portal.Pool.Get(&id, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+dbtest.BookingValues(owner.Hangars[0], o.guest)+` RETURNING id::text`)
		if err != nil {
			o.t.Error(err)
			return
		}
		o.mu.Lock()
		o.committed[id] = time.Now()
		o.mu.Unlock()
		o.booked.Add(1)
	}
}

// end has the writers stop.
func (o *oracle) end() {
	select {
	case <-o.stop:
	default:
		o.stopped = time.Now()
		close(o.stop)
	}
	o.writers.Wait()
}

// roam follows an owner, on another server after some hundred messages, until the log's end.
func (o *oracle) roam(r *roamingClient, first int) {
	for at := first; ; at++ {
		last := r.begin
		if len(r.ids) > 0 {
			last = r.ids[len(r.ids)-1]
		}
		wire, err := o.servers[at%len(o.servers)].TryWire(r.token, harness.WireOptions{WebSocket: at%2 == 0, OwnerID: r.owner, LastEventID: last})
		if err != nil {
			if o.overdue() {
				return
			}
			continue
		}
		done := make(chan struct{})
		go func() { // the end of the test is the end of the stream
			select {
			case <-o.stop:
				wire.Conn.SetReadDeadline(time.Now().Add(harness.Timeout)) //nolint:errcheck // it is open
			case <-done:
			}
		}()
		finished := o.follow(r, wire, at%len(o.servers), 50+rand.IntN(300))
		close(done)
		wire.Conn.Close()
		if finished || o.overdue() {
			return
		}
	}
}

// overdue reports whether the writers stopped so long ago that nothing more is waited for.
func (o *oracle) overdue() bool {
	select {
	case <-o.stop:
		return o.over.Load() || time.Since(o.stopped) > harness.Timeout
	default:
		return false
	}
}

// follow reads so many events and reports whether the client knows everything there is.
func (o *oracle) follow(r *roamingClient, wire *harness.Wire, server, most int) (finished bool) {
	for range most {
		text, err := wire.Next()
		if err != nil {
			return o.complete(r)
		}
		if harness.IsOf(text, "resync") {
			r.resyncs++
		}
		if id := harness.IDOf(text); id != "" {
			r.ids = append(r.ids, id)
			r.told.Store(int64(len(r.ids)))
			o.noteLag(text, server)
		}
		if o.complete(r) {
			return true
		}
	}
	return false
}

// complete reports whether the writers have stopped and the client was told of as many events as
// there were bookings of its owner.
func (o *oracle) complete(r *roamingClient) bool {
	select {
	case <-o.stop:
	default:
		return false
	}
	o.writers.Wait()
	var bookings int64
	if err := o.portal.Pool.Get(&bookings, `SELECT count(*) FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id WHERE l.owner_id::text = $1`, r.owner); err != nil {
		o.t.Error(err)
		return true
	}
	return r.told.Load() >= bookings
}

func (o *oracle) noteLag(text []byte, server int) {
	now := time.Now()
	id := harness.ParseMessage(text).Field("bookingId")
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, known := o.committed[id]; known && o.watching {
		o.lags[server] = append(o.lags[server], now.Sub(at))
	}
}

// watch notes from now on how late events come and how many batches are numbered, and returns a
// function that logs it.
func (o *oracle) watch(what string) (report func()) {
	began, booked, numbered := time.Now(), o.booked.Load(), o.numbered()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lags, o.watching = map[int][]time.Duration{}, true
	return func() {
		if batches := o.numbered() - numbered; batches > 0 {
			o.t.Logf("%s: %d bookings in %d batches, one each %v", what, o.booked.Load()-booked, batches,
				(time.Since(began) / time.Duration(batches)).Round(time.Microsecond*100))
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.watching = false
		for server := range o.servers {
			lags := o.lags[server]
			if len(lags) == 0 {
				continue
			}
			slices.Sort(lags)
			o.t.Logf("%s: server %d told %d events p50 %v p99 %v last %v after their commits", what, server, len(lags),
				lags[len(lags)/2].Round(time.Microsecond*100), lags[len(lags)*99/100].Round(time.Microsecond*100), lags[len(lags)-1].Round(time.Microsecond*100))
		}
	}
}

// numbered returns the newest batch.
func (o *oracle) numbered() (number int64) {
	harness.Must(o.t, o.portal.Pool.Get(&number, `SELECT max(number) FROM realtime.batches`))
	return number
}

// awaitMore waits until so many more bookings were told to every client as there are now.
func (o *oracle) awaitMore() {
	o.t.Helper()
	var before []int64
	for _, r := range o.clients {
		before = append(before, r.told.Load())
	}
	for i, r := range o.clients {
		harness.Eventually(o.t, fmt.Sprintf("told by more events, client %d", i), func() bool { return r.told.Load() > before[i]+10 })
	}
}

// verify stops the writers, waits until every client was told everything, and compares: nothing
// lost, nothing doubled, nothing of another owner, no resync.
func (o *oracle) verify() {
	o.t.Helper()
	o.end()
	o.reading.Wait()
	truth := map[string][]string{}
	total := 0
	for i, r := range o.clients {
		if truth[r.owner] == nil {
			truth[r.owner] = o.servers[0].History(o.t, r.token, r.owner, r.begin)
		}
		total += len(r.ids)
		if !slices.Equal(r.ids, truth[r.owner]) {
			o.t.Errorf("client %d was told something else than the log holds: %s", i, harness.Difference(r.ids, truth[r.owner]))
		}
		if r.resyncs > 0 {
			o.t.Errorf("client %d was told %d times to load its numbers again", i, r.resyncs)
		}
	}
	o.t.Logf("%d bookings, %d deliveries to %d clients on %d servers: 0 lost, 0 doubled, 0 foreign unless said above", o.booked.Load(), total, len(o.clients), len(o.servers))
}
