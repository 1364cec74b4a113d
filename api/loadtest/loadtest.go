// Package loadtest measures a running server from outside: it opens many connections of either
// transport, takes what they are sent, and compares it with what the server's own history says each
// of them should have got.
//
// It promises to be bounded in connections and time, to leave nothing behind, and to touch no
// server on another machine unless told to. It knows nothing of SQL, nor of how the server works
// inside: only its public addresses and messages.
package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxConnections is the most connections of one load test: what one address has
	// port numbers for.
	MaxConnections = 25_000
	// MaxDuration is the longest load test: shorter than a demo visitor's token.
	MaxDuration = 50 * time.Minute
	// maxRecorded bounds the deliveries that are remembered for the comparison, at four bytes each.
	maxRecorded = 50_000_000
	// openAtOnce is how many connections are being opened at the same time.
	openAtOnce = 64
	// openTimeout bounds the opening of one connection, up to its first message.
	openTimeout = 30 * time.Second
	// defaultDrain is how long connections may take for what was already committed
	// when the time was over.
	defaultDrain = 5 * time.Second
	// progressInterval is how often progress is told.
	progressInterval = time.Second
)

// Transport is a way to receive messages.
type Transport string

// The transports of a server.
const (
	WebSocket   Transport = "ws"
	EventStream Transport = "sse"
)

// Subscriber is whom a connection is opened for.
type Subscriber struct {
	Token   string
	OwnerID string
}

// Booker commits bookings, so that the time from commit to delivery is known
// without comparing clocks.
type Booker interface {
	// Book writes one booking of an owner and returns its id, and what commits it. Without that, it
	// is undone when ctx ends.
	Book(ctx context.Context, ownerID string) (id string, commit func() error, err error)
}

// Options say what to open where, and for how long. URL, Connections, Duration, Transport and
// Subscribers are required.
type Options struct {
	URL         string
	Connections int
	Duration    time.Duration
	Transport   Transport
	Subscribers []Subscriber  // connections are spread over them
	Ramp        time.Duration // spreads the opening; 0 is as fast as the server takes it
	Drain       time.Duration // waits for the last deliveries; 0 is five seconds
	PID         int           // the server's process; 0 looks for it when it is on this machine
	Booker      Booker        // commits Rate bookings a second meanwhile
	Rate        float64
	Remote      bool // the server may be on another machine
	Progress    func(Progress)
}

// Progress is how things stand while a load test runs.
type Progress struct {
	Elapsed      time.Duration
	Open, Failed int
	Deliveries   int64
	PerSecond    float64  // since the last time
	Latency      *Latency // of all events so far; nil before the first
}

// Local reports whether a server's address is on this machine, by its text alone.
func Local(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (o *Options) check() error {
	switch {
	case o.Connections < 1 || o.Connections > MaxConnections:
		return fmt.Errorf("connections must be 1 to %d", MaxConnections)
	case o.Duration <= 0 || o.Duration > MaxDuration:
		return fmt.Errorf("duration must be more than nothing and at most %s", MaxDuration)
	case o.Ramp < 0 || o.Ramp > MaxDuration:
		return fmt.Errorf("ramp must be at most %s", MaxDuration)
	case o.Transport != WebSocket && o.Transport != EventStream:
		return fmt.Errorf("transport %q is neither ws nor sse", o.Transport)
	case len(o.Subscribers) == 0:
		return errors.New("there is nobody to connect as")
	case o.Rate < 0 || o.Rate > 0 && o.Booker == nil:
		return errors.New("a rate of bookings needs a database to write them to")
	}
	if o.Drain <= 0 {
		o.Drain = defaultDrain
	}
	return nil
}

// run is one load test.
type run struct {
	Options
	api     *client
	indexes map[string]*eventIndex // by owner
	marks   marks
	began   time.Time

	opened, failed, open           atomic.Int64
	deliveries, recorded, foreign  atomic.Int64
	unreadable, booked, bookFailed atomic.Int64
	measuring, closing             atomic.Bool
	latency, commitLatency         histogram
	readers                        sync.WaitGroup
	recordedAll                    chan struct{} // closed when maxRecorded is reached
	recordedOnce                   sync.Once

	mu          sync.Mutex // guards what follows
	connections []*connection
	firstError  error
	disconnects map[int]int // by close code
	bookError   error
}

// Run runs a load test. When ctx ends early it returns what was measured until then, without the
// comparison, and the context's error.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, err
	}
	api, err := newClient(o.URL, o.Remote)
	if err != nil {
		return Report{}, err
	}
	defer api.close()
	r := &run{Options: o, api: api, indexes: map[string]*eventIndex{}, began: time.Now(),
		disconnects: map[int]int{}, recordedAll: make(chan struct{})}
	for _, s := range o.Subscribers {
		if r.indexes[s.OwnerID] == nil {
			r.indexes[s.OwnerID] = newEventIndex(s)
		}
	}
	pid := o.PID
	if pid == 0 && Local(o.URL) {
		pid = listeningProcess(api.base)
	}
	process := watch(pid)
	stopTelling := r.reportProgress()
	defer stopTelling()

	opening := time.Now()
	r.openAll(ctx)
	report := Report{
		URL: o.URL, Transport: o.Transport, Connections: int(r.opened.Load()), Failed: int(r.failed.Load()),
		OpenSeconds: time.Since(opening).Seconds(), Owners: len(r.indexes), Local: Local(o.URL),
	}
	process.connected()
	if report.Connections == 0 {
		r.closeAll()
		return report, errors.Join(ctx.Err(), r.firstError)
	}
	delivered, began := r.deliveries.Load(), time.Now()
	r.measure(ctx)
	report.Seconds = time.Since(began).Seconds()
	report.Deliveries = r.deliveries.Load() - delivered
	process.measured()

	if ctx.Err() == nil {
		r.compare(ctx, &report)
	}
	r.closeAll()
	process.report(&report)
	r.sum(&report)
	return report, ctx.Err()
}

// openAll opens the connections and returns when each is open or has failed.
func (r *run) openAll(ctx context.Context) {
	var opening sync.WaitGroup
	slots := make(chan struct{}, openAtOnce)
	start := time.Now()
	for i := range r.Connections {
		if r.Ramp > 0 {
			sleepUntil(ctx, start.Add(r.Ramp*time.Duration(i)/time.Duration(r.Connections)))
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			r.failed.Add(int64(r.Connections - i))
			opening.Wait()
			return
		}
		opening.Add(1)
		c := &connection{run: r, who: r.Subscribers[i%len(r.Subscribers)]}
		c.index = r.indexes[c.who.OwnerID]
		c.last.Store(-1)
		r.readers.Go(func() {
			err := c.connect(ctx)
			if err != nil {
				r.fail(c, err)
			} else {
				r.opened.Add(1)
				r.open.Add(1)
			}
			<-slots
			opening.Done()
			if err == nil {
				c.receive()
			}
		})
	}
	opening.Wait()
}

// fail counts a connection that could not be opened.
func (r *run) fail(c *connection, err error) {
	r.failed.Add(1)
	if c.conn != nil {
		c.conn.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.firstError == nil {
		r.firstError = fmt.Errorf("open a connection: %w", err)
	}
}

// adopt takes a connection into the books, so that it is closed in the end; false
// when that has begun.
func (r *run) adopt(c *connection) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing.Load() {
		return false
	}
	r.connections = append(r.connections, c)
	return true
}

// measure lets time pass while bookings are committed and deliveries counted.
func (r *run) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.Duration)
	defer cancel()
	r.measuring.Store(true)
	defer r.measuring.Store(false)
	var bookers sync.WaitGroup
	if r.Rate > 0 {
		r.book(ctx, &bookers)
	}
	select {
	case <-ctx.Done():
	case <-r.recordedAll:
		cancel()
	}
	bookers.Wait()
}

// closeAll ends every connection and waits for all that was started.
func (r *run) closeAll() {
	r.mu.Lock()
	r.closing.Store(true)
	connections := r.connections
	r.mu.Unlock()
	for _, c := range connections {
		c.leave()
	}
	r.readers.Wait()
}

// reportProgress tells how things stand until the returned function is called.
func (r *run) reportProgress() (stop func()) {
	if r.Progress == nil {
		return func() {}
	}
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		last, at := int64(0), r.began
		for {
			select {
			case <-done:
				return
			case now := <-ticker.C:
				n := r.deliveries.Load()
				r.Progress(Progress{
					Elapsed: now.Sub(r.began), Open: int(r.open.Load()), Failed: int(r.failed.Load()),
					Deliveries: n, PerSecond: float64(n-last) / now.Sub(at).Seconds(), Latency: r.latency.summary(),
				})
				last, at = n, now
			}
		}
	})
	return sync.OnceFunc(func() { close(done); telling.Wait() })
}

func sleepUntil(ctx context.Context, at time.Time) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// newClient returns a client of the server's HTTP addresses.
func newClient(address string, remote bool) (*client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("url %q is no server's address, like http://127.0.0.1:8080", address)
	}
	if !remote && !Local(address) {
		return nil, fmt.Errorf("%s is not on this machine: a load test is not for other people's servers; say --yes-remote if it is yours", u.Host)
	}
	u.Path, u.RawQuery = "", ""
	return &client{base: u, http: &http.Client{Timeout: openTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: auditAtOnce}}}, nil
}
