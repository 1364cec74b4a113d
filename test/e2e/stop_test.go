package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// recorder is a client that notes what it is told until its stream ends.
type recorder struct {
	wire    *harness.Wire
	options harness.WireOptions
	ids     []string
	told    atomic.Int64 // len(ids)
	goodbye time.Time    // when server_closing came
	retry   string
	err     error
}

func (w *recorder) watch() {
	for {
		text, err := w.wire.Next()
		if err != nil {
			w.err = err
			return
		}
		if id := harness.IDOf(text); id != "" {
			w.ids = append(w.ids, id)
			w.told.Add(1)
		} else if harness.IsOf(text, "server_closing") {
			w.goodbye = time.Now()
			w.retry = harness.ParseMessage(text).Field("retryMs")
		}
	}
}

// keepBooking books for an owner, a burst at a time, until the returned function is
// called; that waits for the last.
func keepBooking(t testing.TB, portal *dbtest.Portal, o dbtest.Owner, guest string, pause time.Duration) (stop func()) {
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for tick := time.NewTicker(pause); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			_, err := portal.Pool.Exec(`INSERT INTO bookings (` + dbtest.BookingColumns + `) VALUES ` + dbtest.BookingValues(o.Hangars[0], guest))
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); group.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestStopUnderLoad stops a server with many clients while bookings go on: goodbyes are
// spread, and nobody loses anything.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	const clients = 240
	s := harness.NewSetup(t, "--drain-time", api.DefaultDrainTime.String())
	begin := s.Connect(t, s.Token, s.Owner.ID, "").Next(harness.OfType("connection_established")).Field("lastEventId")
	stopBooking := keepBooking(t, s.Portal, s.Owner, s.Guest, 10*time.Millisecond)
	witnesses := make([]*recorder, clients)
	var watching sync.WaitGroup
	for i := range witnesses {
		o := harness.WireOptions{WebSocket: i%2 == 0, OwnerID: s.Owner.ID, LastEventID: begin}
		w := &recorder{wire: s.DialWire(t, s.Token, o), options: o}
		witnesses[i] = w
		watching.Go(w.watch)
	}

	var unready atomic.Bool
	watched := make(chan struct{})
	exit := make(chan int, 1)
	began := time.Now()
	go func() { exit <- s.Stop() }()
	go func() {
		defer close(watched)
		for {
			response, err := http.Get(s.Base + "readyz")
			if err != nil {
				return // the address is closed
			}
			response.Body.Close()
			if response.StatusCode == http.StatusServiceUnavailable {
				unready.Store(true)
			}
		}
	}()
	code := <-exit
	took := time.Since(began)
	watching.Wait()
	<-watched
	most := api.DefaultDrainTime + api.StopTime
	if code != 0 || took > most {
		t.Errorf("exit code %d after %s, want 0 within %s:\n%s", code, took, most, s.Output)
	}
	if !unready.Load() {
		t.Error("/readyz never answered 503 while the server was stopping")
	}
	var goodbyes []time.Duration
	for i, w := range witnesses {
		var end harness.CloseError
		if retry, err := strconv.Atoi(w.retry); err != nil || retry <= 0 {
			t.Errorf("client %d of %d: server_closing with retryMs %q", i, clients, w.retry)
			continue
		}
		if !errors.As(w.err, &end) || end.Code != 1001 {
			t.Errorf("client %d ended with %v, want 1001", i, w.err)
		}
		goodbyes = append(goodbyes, w.goodbye.Sub(began))
	}
	if len(goodbyes) == 0 {
		t.Fatal("nobody was told goodbye")
	}
	slices.Sort(goodbyes)
	t.Logf("%d goodbyes: first after %s, quarter %s, half %s, three quarters %s, last %s; exit after %s", len(goodbyes),
		goodbyes[0].Round(time.Millisecond), goodbyes[len(goodbyes)/4].Round(time.Millisecond),
		goodbyes[len(goodbyes)/2].Round(time.Millisecond), goodbyes[len(goodbyes)*3/4].Round(time.Millisecond),
		goodbyes[len(goodbyes)-1].Round(time.Millisecond), took.Round(time.Millisecond))
	if middle := goodbyes[len(goodbyes)*3/4] - goodbyes[len(goodbyes)/4]; middle < api.DefaultDrainTime/4 {
		t.Errorf("the goodbyes are not spread over %s: half of them within %s", api.DefaultDrainTime, middle)
	}

	again := harness.Serve(t, s.Portal)
	stopBooking()
	truth := again.History(t, s.Token, s.Owner.ID, begin)
	for i, w := range witnesses {
		o := w.options
		if len(w.ids) > 0 {
			o.LastEventID = w.ids[len(w.ids)-1]
		}
		if err := w.complete(again, s.Token, o, len(truth)); err != nil {
			t.Errorf("client %d came back after %d events: %v", i, len(w.ids), err)
		} else if !slices.Equal(w.ids, truth) {
			t.Errorf("client %d holds other events than the log: %s", i, harness.Difference(w.ids, truth))
		}
	}
}

// complete comes back and reads until the recorder holds so many events.
func (w *recorder) complete(p *harness.Program, token string, o harness.WireOptions, events int) error {
	back, err := p.TryWire(token, o)
	if err != nil {
		return err
	}
	defer back.Conn.Close()
	back.Conn.SetReadDeadline(time.Now().Add(harness.Timeout))
	for len(w.ids) < events {
		text, err := back.Next()
		if err != nil {
			return fmt.Errorf("after %d of %d events: %w", len(w.ids), events, err)
		}
		if harness.IsOf(text, "resync") {
			return errors.New("resync")
		}
		if id := harness.IDOf(text); id != "" {
			w.ids = append(w.ids, id)
		}
	}
	return nil
}
