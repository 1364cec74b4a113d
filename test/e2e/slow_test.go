package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// readers is many clients that read as fast as they can, and how late they learn of bookings.
type readers struct {
	harness.Setup
	size    int
	wires   []*harness.Wire
	readers sync.WaitGroup

	// when the booking of an amount was sent to the database, as Unix nanoseconds
	began [4096]atomic.Int64
	next  int
	told  atomic.Int64 // bookings of a measurement that reached a client

	mu   sync.Mutex // guards what follows
	late []time.Duration
}

// startReaders opens connections of both transports.
func startReaders(t *testing.T, s harness.Setup, size int) *readers {
	t.Helper()
	a := &readers{Setup: s, size: size, next: 1}
	for i := range size {
		w := s.DialWire(t, s.Token, harness.WireOptions{WebSocket: i%2 == 0, OwnerID: s.Owner.ID})
		a.wires = append(a.wires, w)
		a.readers.Go(func() { a.read(w) })
	}
	t.Cleanup(func() {
		for _, w := range a.wires {
			w.Conn.Close()
		}
		a.readers.Wait()
	})
	return a
}

func (a *readers) read(w *harness.Wire) {
	for {
		text, err := w.Next()
		if err != nil {
			return
		}
		if !harness.IsOf(text, "booking_created") {
			continue
		}
		_, rest, _ := bytes.Cut(text, []byte(`"amount":`))
		amount, _, _ := bytes.Cut(rest, []byte(`.00,`))
		n, err := strconv.Atoi(string(amount))
		if err != nil {
			continue // not of a measurement
		}
		late := time.Duration(time.Now().UnixNano() - a.began[n].Load())
		a.mu.Lock()
		a.late = append(a.late, late)
		a.mu.Unlock()
		a.told.Add(1)
	}
}

// measure books at a steady pace and returns how late the readers learnt of it, from
// before the commit, ascending.
func (a *readers) measure(t *testing.T, bookings int) []time.Duration {
	t.Helper()
	a.mu.Lock()
	a.late = nil
	a.mu.Unlock()
	a.told.Store(0)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for range bookings {
		<-tick.C
		a.began[a.next].Store(time.Now().UnixNano())
		a.Portal.Exec(t, fmt.Sprintf(`INSERT INTO bookings (%s) VALUES (%s, %s, now() AT TIME ZONE 'UTC',
			now() AT TIME ZONE 'UTC' + interval '2 days', 2, 200, 20, %d, 'pending')`, dbtest.BookingColumns, a.Owner.Hangars[0], a.Guest, a.next))
		a.next++
	}
	harness.Eventually(t, "told of everything", func() bool { return a.told.Load() == int64(bookings*a.size) })
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.late
}

// slowReader reads some events, and then about a byte a second, or nothing at all.
type slowReader struct {
	recorder
	stopped bool
}

func (s *slowReader) start(t *testing.T, p *harness.Program, token string) {
	t.Helper()
	s.wire = p.DialWire(t, token, s.options)
	for len(s.ids) < 5 {
		text, err := s.wire.Next()
		if err != nil {
			t.Fatal(err)
		}
		if id := harness.IDOf(text); id != "" {
			s.ids = append(s.ids, id)
		}
	}
}

// readSlowly takes a byte a second until done.
func (s *slowReader) readSlowly(done <-chan struct{}) {
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-done:
			tick.Stop()
			return
		case <-tick.C:
		}
		if _, err := s.wire.Conn.Read(make([]byte, 1)); err != nil {
			return
		}
	}
}

// TestSlowReaders puts ten readers that hardly read among many: the others do not notice, the ten
// are cut with 4408 and lose nothing.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	const others, slow, backlog = 200, 10, 1500
	admin := harness.FreeAddress(t)
	s := harness.NewSetup(t, "--admin-addr", admin)
	begin := s.Connect(t, s.Token, s.Owner.ID, "").Next(harness.OfType("connection_established")).Field("lastEventId")
	s.Portal.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+
		strings.TrimSuffix(strings.Repeat(dbtest.BookingValues(s.Owner.Hangars[0], s.Guest)+",", backlog), ","))
	harness.Eventually(t, "in the log", func() bool { return len(s.History(t, s.Token, s.Owner.ID, begin)) == backlog })
	a := startReaders(t, s, others)
	without, memoryBefore := a.measure(t, 120), memory()

	sluggards := make([]*slowReader, slow)
	done := make(chan struct{})
	var trickling sync.WaitGroup
	for i := range sluggards {
		g := &slowReader{stopped: i < 4}
		g.options = harness.WireOptions{WebSocket: i%2 == 0, OwnerID: s.Owner.ID, LastEventID: begin, ReadBuffer: 4 << 10}
		sluggards[i] = g
		g.start(t, s.Program, s.Token)
		if !g.stopped {
			trickling.Go(func() { g.readSlowly(done) })
		}
	}
	with, memoryWith := a.measure(t, 120), memory()
	t.Logf("%d others without %d slow: %s", others, slow, quantiles(without))
	t.Logf("%d others with %d slow:    %s", others, slow, quantiles(with))
	t.Logf("memory in use without %d KiB, with %d KiB: %d KiB for each slow one (server and clients in one process)",
		memoryBefore>>10, memoryWith>>10, (memoryWith-memoryBefore)>>10/slow)
	// The fastest tenth: the machine may have been busier the second time, and who waits for the
	// slow ones waits each time, for as long as it takes to cut them.
	if fast := with[len(with)/10]; fast > 4*without[len(without)/2]+time.Second {
		t.Errorf("the others' median was %s, and now the fastest tenth takes %s", without[len(without)/2], fast)
	}
	harness.Eventually(t, "counted as too slow", func() bool { return stat(t, admin, "hangarshare_connections_too_slow_total") == slow })
	var waking sync.WaitGroup
	for i, g := range sluggards {
		if !g.stopped {
			continue
		}
		waking.Go(func() { // it reads again, and finds what waited for it, and the reason
			g.wire.Conn.SetReadBuffer(1 << 20)
			g.wire.Conn.SetReadDeadline(time.Now().Add(harness.Timeout))
			g.watch()
			var end harness.CloseError
			if !errors.As(g.err, &end) || end.Code != 4408 {
				t.Errorf("slow reader %d, WebSocket %t, read again after %d events and ended with %v, want 4408", i, g.options.WebSocket, len(g.ids), g.err)
			}
		})
	}
	waking.Wait()
	harness.Eventually(t, "closed with 4408", func() bool { return strings.Count(s.Output.String(), "code=4408") == slow })
	close(done)
	trickling.Wait()
	truth := s.History(t, s.Token, s.Owner.ID, begin)
	for i, g := range sluggards {
		read, o := len(g.ids), g.options
		o.LastEventID, o.ReadBuffer = g.ids[read-1], 0
		if err := g.complete(s.Program, s.Token, o, len(truth)); err != nil || !slices.Equal(g.ids, truth) {
			t.Errorf("slow reader %d came back after %d events: %v, %s", i, read, err, harness.Difference(g.ids, truth))
		}
	}
}

func quantiles(late []time.Duration) string {
	slices.Sort(late)
	at := func(q float64) time.Duration {
		return late[int(q*float64(len(late)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("median %s, 99%% %s, most %s of %d", at(0.5), at(0.99), at(1), len(late))
}

// memory returns what heap and stacks use after a collection.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// stat reads one number from the operators' address.
func stat(t *testing.T, admin, name string) int {
	t.Helper()
	response, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	t.Fatalf("no stat %s", name)
	return 0
}

// TestClientThatAnswersNothing has the client of a quiet owner take in nothing, while its kernel
// takes everything: it is told why it was cut.
func TestClientThatAnswersNothing(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--heartbeat-interval", "400ms")
	w := s.DialWire(t, s.Token, harness.WireOptions{WebSocket: true, OwnerID: s.Owner.ID})
	s.Output.Await(t, "code=4408")
	w.Conn.SetReadDeadline(time.Now().Add(harness.Timeout))
	for {
		_, err := w.Next()
		if err == nil {
			continue
		}
		if end := (harness.CloseError{}); !errors.As(err, &end) || end.Code != 4408 {
			t.Errorf("it ended with %v, want 4408", err)
		}
		return
	}
}
