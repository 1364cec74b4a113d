package main

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
)

// witness is a client that notes what it is told until its stream ends.
type witness struct {
	wire    *wire
	options wireOptions
	ids     []string
	told    atomic.Int64 // len(ids)
	goodbye time.Time    // when server_closing came
	retry   string
	err     error
}

func (w *witness) watch() {
	for {
		text, err := w.wire.next()
		if err != nil {
			w.err = err
			return
		}
		if id := idOf(text); id != "" {
			w.ids = append(w.ids, id)
			w.told.Add(1)
		} else if isOf(text, "server_closing") {
			w.goodbye = time.Now()
			w.retry = parse(text).field("retryMs")
		}
	}
}

// keepBooking books for an owner, a burst at a time, until the returned function is called; that waits for the last.
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

// TestStopUnderLoad stops a server with many clients while bookings go on: goodbyes are spread, and nobody loses anything.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	const clients = 240
	s := setStage(t)
	begin := s.connect(t, s.token, s.owner.ID, "").next(of("connection_established")).field("lastEventId")
	stopBooking := keepBooking(t, s.portal, s.owner, s.guest, 10*time.Millisecond)
	witnesses := make([]*witness, clients)
	var watching sync.WaitGroup
	for i := range witnesses {
		o := wireOptions{webSocket: i%2 == 0, ownerID: s.owner.ID, lastEventID: begin}
		w := &witness{wire: s.dialWire(t, s.token, o), options: o}
		witnesses[i] = w
		watching.Go(w.watch)
	}

	var unready atomic.Bool
	watched := make(chan struct{})
	exit := make(chan int, 1)
	began := time.Now()
	go func() { exit <- s.stop() }()
	go func() {
		defer close(watched)
		for {
			response, err := http.Get(s.base + "readyz")
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
	if code != 0 || took > api.GraceTime {
		t.Errorf("exit code %d after %s, want 0 within %s:\n%s", code, took, api.GraceTime, s.output)
	}
	if !unready.Load() {
		t.Error("/readyz never answered 503 while the server was stopping")
	}
	var goodbyes []time.Duration
	for i, w := range witnesses {
		var end closing
		if retry, err := strconv.Atoi(w.retry); err != nil || retry <= 0 {
			t.Errorf("client %d of %d: server_closing with retryMs %q", i, clients, w.retry)
			continue
		}
		if !errors.As(w.err, &end) || end.code != 1001 {
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
	if middle := goodbyes[len(goodbyes)*3/4] - goodbyes[len(goodbyes)/4]; middle < api.DrainTime/4 || goodbyes[len(goodbyes)-1] > 2*api.DrainTime {
		t.Errorf("the goodbyes are not spread over %s: half of them within %s, the last after %s", api.DrainTime, middle, goodbyes[len(goodbyes)-1])
	}

	again := serve(t, s.portal)
	stopBooking()
	truth := again.history(t, s.token, s.owner.ID, begin)
	for i, w := range witnesses {
		o := w.options
		if len(w.ids) > 0 {
			o.lastEventID = w.ids[len(w.ids)-1]
		}
		if err := w.complete(again, s.token, o, len(truth)); err != nil {
			t.Errorf("client %d came back after %d events: %v", i, len(w.ids), err)
		} else if !slices.Equal(w.ids, truth) {
			t.Errorf("client %d holds other events than the log: %s", i, difference(w.ids, truth))
		}
	}
}

// complete comes back and reads until the witness holds so many events.
func (w *witness) complete(p *program, token string, o wireOptions, events int) error {
	back, err := p.tryWire(token, o)
	if err != nil {
		return err
	}
	defer back.conn.Close()
	back.conn.SetReadDeadline(time.Now().Add(patience))
	for len(w.ids) < events {
		text, err := back.next()
		if err != nil {
			return fmt.Errorf("after %d of %d events: %w", len(w.ids), events, err)
		}
		if isOf(text, "resync") {
			return errors.New("resync")
		}
		if id := idOf(text); id != "" {
			w.ids = append(w.ids, id)
		}
	}
	return nil
}

// difference says where two lists part.
func difference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("at %d of %d: %s, want %s (which it holds at %d)", i, len(want), got[i], want[i], slices.Index(got, want[i]))
		}
	}
	return fmt.Sprintf("%d, want %d", len(got), len(want))
}
