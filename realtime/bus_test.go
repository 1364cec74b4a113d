package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// table is a History in memory, of any number of owners.
type table struct {
	mu       sync.Mutex
	changes  []eventlog.Change
	gone     eventlog.Position // what lies before is not there any more
	asked    int
	verified int
}

func (h *table) append(c eventlog.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, c)
}

func (h *table) Owner(_ context.Context, ownerID string, after eventlog.Position, limit int) (eventlog.Page, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	if after.Compare(h.gone) < 0 {
		return eventlog.Page{}, eventlog.ErrHistoryGone
	}
	p := eventlog.Page{End: after}
	for _, c := range h.changes {
		if c.OwnerID != ownerID || c.Compare(after) <= 0 {
			continue
		}
		if len(p.Changes) == limit {
			p.More = true
			break
		}
		p.Changes, p.End = append(p.Changes, c), c.Position
	}
	return p, nil
}

func (h *table) Reaches(_ context.Context, ownerID string, position eventlog.Position) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.verified++
	for _, c := range h.changes {
		if c.Batch == position.Batch && !c.Contradicts(position) {
			return nil
		}
	}
	return eventlog.ErrHistoryGone
}

func (h *table) Last(_ context.Context, ownerID string) (last eventlog.Position, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.changes {
		if c.OwnerID == ownerID {
			last = c.Position
		}
	}
	return last, nil
}

// call is a Reader that is a function.
type call func()

// Ready implements Reader.
func (c call) Ready() { c() }

// busFixture is a bus over a table, fed one batch an event.
type busFixture struct {
	*Bus
	history *table
	batch   int64
}

func newBusFixture() *busFixture {
	r := &busFixture{history: &table{}}
	r.Bus = NewBus(r.history)
	r.Reset(Encoder{Epoch: NewEpoch("test"), Location: time.UTC}, 0)
	return r
}

// commit makes one event of an owner, in the table first and then on the bus, as the feed does.
func (r *busFixture) commit(t *testing.T, ownerID string) eventlog.Position {
	t.Helper()
	r.batch++
	c := eventlog.Change{Position: eventlog.Position{Batch: r.batch, TxOrder: r.batch, ID: r.batch}, OwnerID: ownerID, Type: BookingCreated, Data: json.RawMessage(`{}`)}
	r.history.append(c)
	r.Publish([]*Event{r.Encoder().Decode(c).Event})
	r.Advance(r.batch)
	return c.Position
}

// drain reads until nothing is left, from memory or from the table.
func drain(t *testing.T, s *Subscription) (batches []int64) {
	t.Helper()
	for {
		events, err := s.Next(nil, 3)
		if errors.Is(err, ErrBehind) {
			events, err = s.Replay(t.Context(), 3)
			if err == nil && len(events) == 0 {
				continue // the memory has the rest
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return batches
		}
		for _, e := range events {
			if e.ID != "" {
				batches = append(batches, e.Position.Batch)
			}
		}
	}
}

func (r *busFixture) subscribe(t *testing.T, ownerID, text string) (*Subscription, bool) {
	t.Helper()
	s := &Subscription{}
	recovered, err := r.Subscribe(t.Context(), s, call(func() {}), ownerID, text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, recovered
}

func TestCursors(t *testing.T) {
	t.Parallel()

	t.Run("a stream without a position begins now", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		last := r.commit(t, "1")
		s, recovered := r.subscribe(t, "1", "")
		if want := r.Encoder().Epoch.Format("1", last); s.LastID() != want || !recovered {
			t.Errorf("begins at %s, want %s", s.LastID(), want)
		}
		r.commit(t, "2")
		r.commit(t, "1")
		if got := drain(t, s); !slices.Equal(got, []int64{3}) {
			t.Errorf("got %v", got)
		}
	})

	t.Run("a cursor goes on after any position, in memory or not", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		var positions []eventlog.Position
		for range ownerCapacity + 50 {
			positions = append(positions, r.commit(t, "1"))
		}
		for _, i := range []int{0, 10, 49, 50, 51, ownerCapacity, len(positions) - 1} {
			s, recovered := r.subscribe(t, "1", r.Encoder().Epoch.Format("1", positions[i]))
			if got := drain(t, s); !recovered || len(got) != len(positions)-1-i || len(got) > 0 && got[0] != int64(i+2) {
				t.Errorf("after %d: recovered %v, %d events", i, recovered, len(got))
			}
		}
		s, recovered := r.subscribe(t, "1", r.Encoder().Epoch.Format("1", eventlog.Position{}))
		if got := drain(t, s); !recovered || len(got) != len(positions) {
			t.Errorf("from the beginning: %d of %d", len(got), len(positions))
		}
	})

	t.Run("a reader that falls behind the memory goes on from the table", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		s, _ := r.subscribe(t, "1", "")
		for range ownerCapacity + 100 {
			r.commit(t, "1")
		}
		if got := drain(t, s); len(got) != ownerCapacity+100 || got[0] != 1 {
			t.Errorf("%d events from %v", len(got), got[:1])
		}
	})

	t.Run("who asks for the newest position does not ask the table", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		last := r.Encoder().Epoch.Format("1", r.commit(t, "1"))
		r.commit(t, "2")
		for range 100 {
			if _, recovered := r.subscribe(t, "1", last); !recovered {
				t.Error("not recovered")
			}
		}
		if r.history.asked != 0 {
			t.Errorf("the table was asked %d times", r.history.asked)
		}
	})

	t.Run("history that does not reach back begins now", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		r.history.gone = eventlog.Position{Batch: 5}
		old := r.Encoder().Epoch.Format("1", eventlog.Position{Batch: 2, TxOrder: 2, ID: 2})
		r.Reset(r.Encoder(), 9)
		s, recovered := r.subscribe(t, "1", old)
		if recovered || len(drain(t, s)) != 0 {
			t.Error("partial history was given")
		}
	})

	t.Run("a loss is told to everybody, who then goes on", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		r.commit(t, "1")
		s, _ := r.subscribe(t, "1", "")
		r.batch++
		lost := eventlog.Position{Batch: r.batch, TxOrder: 1, ID: 1}
		r.Gap(lost, "")
		r.Advance(r.batch)
		if _, err := s.Next(nil, 10); !errors.Is(err, eventlog.ErrHistoryGone) {
			t.Fatalf("got %v, want ErrHistoryGone", err)
		}
		if err := s.Restart(t.Context()); err != nil || s.LastID() != r.Encoder().Epoch.Format("1", lost) {
			t.Errorf("goes on at %s (%v)", s.LastID(), err)
		}
		r.commit(t, "1")
		if got := drain(t, s); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})

	t.Run("a loss is told also to the first reader of an owner, who comes before the batch is over", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		r.commit(t, "1")
		r.batch++
		r.Gap(eventlog.Position{Batch: r.batch, TxOrder: 5, ID: 5}, "")
		// as another server told
		before := r.Encoder().Epoch.Format("2", eventlog.Position{Batch: r.batch, TxOrder: 3, ID: 3})
		if _, recovered := r.subscribe(t, "2", before); recovered {
			t.Error("the loss after it is not told")
		}
		r.Advance(r.batch)
		if _, recovered := r.subscribe(t, "2", before); recovered {
			t.Error("the loss after it is not told later")
		}
	})

	t.Run("a new epoch is told to everybody, who then goes on", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		r.commit(t, "1")
		s, _ := r.subscribe(t, "1", "")
		r.history.mu.Lock()
		r.history.changes = nil
		r.history.mu.Unlock()
		r.batch = 0
		r.Reset(Encoder{Epoch: NewEpoch("another"), Location: time.UTC}, 0)
		if _, err := s.Next(nil, 10); !errors.Is(err, eventlog.ErrHistoryGone) {
			t.Fatalf("got %v, want ErrHistoryGone", err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.commit(t, "1")
		if got := drain(t, s); !slices.Equal(got, []int64{1}) {
			t.Errorf("got %v", got)
		}
	})

	t.Run("memory for all owners together is bounded", func(t *testing.T) {
		t.Parallel()
		r := newBusFixture()
		const owners = 100
		for i := range busCapacity + 5000 {
			r.commit(t, fmt.Sprint(i%owners))
		}
		kept := 0
		for _, o := range r.owners {
			kept += len(o.events)
		}
		if kept > busCapacity || len(r.recent) > busCapacity {
			t.Errorf("%d events are kept, %d listed", kept, len(r.recent))
		}
	})

	t.Run("a bus that has not begun refuses", func(t *testing.T) {
		t.Parallel()
		if _, err := NewBus(&table{}).Subscribe(t.Context(), &Subscription{}, call(func() {}), "1", ""); !errors.Is(err, ErrNotReady) {
			t.Errorf("got %v", err)
		}
	})
}

func TestStateIsLatestWins(t *testing.T) {
	t.Parallel()
	r := newBusFixture()
	asked := 0
	r.OnDemand(func(string) { asked++ })
	publish := func(typ string, data any) {
		e, err := NewMessage(typ, "1", time.Unix(0, 0), data)
		if err != nil {
			t.Fatal(err)
		}
		r.PublishState(e, typ == MetricsUpdated)
	}
	revenue := func(amount db.Decimal) { publish(MetricsUpdated, db.RealTimeMetrics{RevenueToday: amount}) }
	revision := func(name string) { publish(OverviewUpdated, db.Overview{ListingsRevision: name}) }
	read := func(s *Subscription, want ...string) {
		t.Helper()
		events, err := s.Next(nil, 9)
		var types []string
		for _, e := range events {
			if e.ID != "" {
				t.Errorf("%s has the id %s", e.Type, e.ID)
			}
			types = append(types, e.Type)
		}
		if err != nil || !slices.Equal(types, want) {
			t.Errorf("got %v (%v), want %v", types, err, want)
		}
	}
	revenue("1.00") // nobody is there
	s, _ := r.subscribe(t, "1", "")
	read(s)
	revenue("2.00")
	revenue("3.00")
	revision("a")
	read(s, MetricsUpdated, OverviewUpdated)
	read(s)
	revision("a") // says nothing new
	read(s)
	revenue("3.00") // confirms
	read(s, MetricsUpdated)
	revision("b")
	read(s, OverviewUpdated)
	second, _ := r.subscribe(t, "1", "")
	read(second, MetricsUpdated, OverviewUpdated)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestJoinWhileWriting subscribes, reads and closes at random moments while events are published at
// full rate, and finds no gap and nothing twice.
func TestJoinWhileWriting(t *testing.T) {
	t.Parallel()
	r := newBusFixture()
	const events = 3000
	var group sync.WaitGroup
	finished := make(chan struct{})
	group.Go(func() {
		defer close(finished)
		for range events {
			r.commit(t, "1")
		}
	})
	for range 200 {
		group.Go(func() {
			wake := make(chan struct{}, 1)
			s := &Subscription{}
			_, err := r.Subscribe(t.Context(), s, call(func() {
				select {
				case wake <- struct{}{}:
				default:
				}
			}), "1", "")
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			previous := s.last.Batch
			for previous < events {
				for _, batch := range drain(t, s) {
					if batch != previous+1 {
						t.Errorf("%d follows %d", batch, previous)
						return
					}
					previous = batch
				}
				if previous < events {
					<-wake
				}
			}
		})
	}
	group.Wait()
	<-finished
}

func TestReadersComeAndGo(t *testing.T) {
	t.Parallel()
	r := newBusFixture()
	woken := make([]int, 4)
	open := make([]*Subscription, len(woken))
	for i := range open {
		open[i] = &Subscription{}
		if _, err := r.Subscribe(t.Context(), open[i], call(func() { woken[i]++ }), "1", ""); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		does func()
		want []int // who was woken how often after one more event
	}{
		{func() { open[1].Close() }, []int{1, 0, 1, 1}},
		{func() { open[0].Close(); open[0].Close() }, []int{1, 0, 2, 2}},
		// the last two learn of a new epoch, one goes on, and the other leaves without
		// having noticed
		{func() {
			r.batch = 0
			r.Reset(Encoder{Epoch: NewEpoch("another"), Location: time.UTC}, 0)
			if err := open[2].Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			open[3].Close()
		}, []int{1, 0, 4, 3}},
		{func() { open[2].Close() }, []int{1, 0, 4, 3}},
	}
	for i, step := range steps {
		step.does()
		r.commit(t, "1")
		if !slices.Equal(woken, step.want) {
			t.Errorf("after step %d readers were woken %v times, want %v", i+1, woken, step.want)
		}
	}
	if r.IsWatched("1") || len(r.Watched()) > 0 {
		t.Error("an owner without readers is watched")
	}
}

// TestHalve lets events in memory go: who is behind reads the log, and nothing is lost or
// told twice.
func TestHalve(t *testing.T) {
	t.Parallel()
	r := newBusFixture()
	r.setCapacity(3000)
	behind, _ := r.subscribe(t, "1", "")
	live, _ := r.subscribe(t, "2", "")
	for i := range 4000 { // around the ring
		r.commit(t, fmt.Sprint(1+i%4))
	}
	for range 2 {
		before, _ := r.Size()
		r.Halve()
		events, bytes := r.Size()
		if events != max(before/2, leastCapacity) || r.Capacity() != events || bytes <= 0 {
			t.Errorf("%d events in memory became %d with %d bytes, capacity %d", before, events, bytes, r.Capacity())
		}
		r.commit(t, "1")
	}
	sum := int64(0)
	for _, k := range r.recent {
		sum += int64(len(k.event.JSON))
	}
	if _, bytes := r.Size(); bytes != sum {
		t.Errorf("%d bytes are counted, %d there", bytes, sum)
	}
	if got := drain(t, behind); len(got) != 1002 {
		t.Errorf("%d events were told of 1002", len(got))
	}
	if got := drain(t, live); len(got) != 1000 {
		t.Errorf("%d events were told of 1000", len(got))
	}
	if r.Restore(); r.Capacity() != busCapacity {
		t.Errorf("the capacity is %d", r.Capacity())
	}
}

// TestTail has a bus begin with the end of the log in memory. Owners of whom nothing was published
// begin with it too, until something is passed on without being kept.
func TestTail(t *testing.T) {
	r := newBusFixture()
	var events []*Event
	for range 6 {
		r.commit(t, "1")
	}
	for _, c := range r.history.changes {
		events = append(events, r.Encoder().Decode(c).Event)
	}
	r.ResetTail(r.Encoder(), 6, Tail{After: 3, Events: events[3:]})
	behind := func(ownerID string, after int64) bool {
		o := r.owner(ownerID)
		o.mu.Lock()
		defer o.mu.Unlock()
		return eventlog.EndOfBatch(after).Compare(o.lowWatermark) < 0
	}
	if behind("1", 3) || !behind("1", 2) || behind("quiet", 3) || !behind("quiet", 2) {
		t.Error("the memory does not begin with the tail")
	}
	var sub Subscription
	recovered, err := r.Subscribe(t.Context(), &sub, call(func() {}), "1", events[3].ID)
	if got := drain(t, &sub); err != nil || !recovered || !slices.Equal(got, []int64{5, 6}) {
		t.Errorf("after batch 4 come %v, recovered %t, %v", got, recovered, err)
	}
	sub.Close()
	r.Pass(9)
	if !behind("new", 8) || behind("new", 9) {
		t.Error("an owner who comes after what was passed on is not behind it")
	}
	if behind("quiet", 3) {
		t.Error("who was there before is behind what is none of theirs")
	}
}

// TestPositionAheadOfTheLog resumes after an event that another server has told already: this one
// waits until it has come as far. It gives up in the end.
func TestPositionAheadOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead, r := newBusFixture(), newBusFixture()
		for range 3 {
			r.commit(t, "1")
			ahead.commit(t, "1")
		}
		told := func() string {
			ahead.commit(t, "1")
			return ahead.Encoder().Decode(ahead.history.changes[ahead.batch-1]).Event.ID
		}
		position := told()
		var s Subscription
		recovered := make(chan bool, 1)
		resume := func() {
			back, err := r.Subscribe(t.Context(), &s, call(func() {}), "1", position)
			if err != nil {
				t.Error(err)
			}
			recovered <- back
		}
		go resume()
		time.Sleep(headPatience / 2) // of the bubble's clock
		synctest.Wait()
		if len(recovered) > 0 {
			t.Error("it does not wait for the head of the log")
		}
		r.commit(t, "1")
		if !<-recovered {
			t.Error("what was there in time is not recovered")
		}
		r.commit(t, "1")
		if got := drain(t, &s); !slices.Equal(got, []int64{5}) {
			t.Errorf("then come %v", got)
		}
		s.Close()
		for range 2 {
			position = told()
		}
		go resume()
		if <-recovered {
			t.Error("what never comes is recovered")
		}
		s.Close()
	})
}
