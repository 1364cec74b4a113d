package loadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// auditAtOnce is how many owners' histories are read at the same time.
	auditAtOnce = 4
	// drainInterval is how often connections are looked at that still lack something.
	drainInterval = 20 * time.Millisecond
)

// errHistoryGone says that the server no longer has the events after a position.
var errHistoryGone = errors.New("history no longer reaches back to where the load test began")

// truth is an owner's history since the first of its connections.
type truth struct {
	after   string // the position before it
	ids     []string
	places  map[string]int
	begins  map[string]int // where a connection begins, by the position it started after
	settled int            // how many events were committed when the time was over
	err     error
}

func (t *truth) set(after string, ids []string) {
	t.after, t.ids, t.begins = after, ids, map[string]int{after: 0}
	t.places = make(map[string]int, len(ids))
	for i, id := range ids {
		t.places[id] = i
	}
}

// compare reads every owner's history, waits until the connections have what was
// committed by then, and judges them.
func (r *run) compare(ctx context.Context, report *Report) {
	byOwner := map[*eventIndex][]*connection{}
	r.mu.Lock()
	for _, c := range r.connections {
		byOwner[c.index] = append(byOwner[c.index], c)
	}
	r.mu.Unlock()
	truths := make(map[*eventIndex]*truth, len(byOwner))
	for l := range byOwner {
		truths[l] = &truth{}
	}
	r.eachOwner(byOwner, func(l *eventIndex, connections []*connection) {
		truths[l].err = r.learn(ctx, truths[l], connections)
	})
	r.drain(ctx, byOwner, truths)
	r.closeAll()
	r.eachOwner(byOwner, func(l *eventIndex, _ []*connection) {
		t := truths[l]
		if t.err != nil {
			return
		}
		after := t.after
		if len(t.ids) > 0 {
			after = t.ids[len(t.ids)-1]
		}
		later, err := r.api.history(ctx, l.who, after)
		for i, id := range later {
			t.places[id] = t.settled + i
		}
		t.err = err
	})
	for l, connections := range byOwner {
		t := truths[l]
		places := l.ranks(t.places)
		for _, c := range connections {
			report.add(c, t, places)
		}
	}
}

// eachOwner does something for every owner, some at a time.
func (r *run) eachOwner(byOwner map[*eventIndex][]*connection, do func(*eventIndex, []*connection)) {
	var doing sync.WaitGroup
	slots := make(chan struct{}, auditAtOnce)
	for l, connections := range byOwner {
		slots <- struct{}{}
		doing.Go(func() {
			do(l, connections)
			<-slots
		})
	}
	doing.Wait()
}

// learn reads an owner's history after the earliest of the positions that its
// connections started after, and finds the place where each begins. Positions are
// opaque: only history itself says which is the earlier.
func (r *run) learn(ctx context.Context, t *truth, connections []*connection) error {
	who := connections[0].index.who
	first := slices.MinFunc(connections, func(a, b *connection) int { return a.startAt.Compare(b.startAt) })
	ids, err := r.api.history(ctx, who, first.start)
	if err != nil {
		return err
	}
	t.set(first.start, ids)
	for i := 0; i < len(connections); i++ {
		start := connections[i].start
		if _, known := t.begins[start]; known {
			continue
		}
		if place, isEvent := t.places[start]; isEvent {
			t.begins[start] = place + 1
			continue
		}
		earlier, err := r.locate(ctx, t, who, start)
		if err != nil {
			return err
		}
		if earlier {
			i = -1 // all places have moved
		}
	}
	t.settled = len(t.ids)
	return nil
}

// locate finds the place of a position that is no event's. It reports whether it was earlier than
// all, and history now begins there.
func (r *run) locate(ctx context.Context, t *truth, who Subscriber, start string) (earlier bool, err error) {
	next, err := r.api.events(ctx, who, start, 1)
	if err != nil {
		return false, err
	}
	if len(next.Events) == 0 {
		t.begins[start] = len(t.ids)
		return false, nil
	}
	if place, known := t.places[next.Events[0].ID]; known {
		t.begins[start] = place
		return false, nil
	}
	ids, err := r.api.history(ctx, who, start)
	if err != nil {
		return false, err
	}
	if len(t.ids) == 0 || slices.Contains(ids, t.ids[0]) {
		t.set(start, ids)
		return true, nil
	}
	t.begins[start] = len(t.ids) // events were committed meanwhile, and it begins just before them
	return false, nil
}

// drain waits, for a while, until every connection has the last event that was
// committed when the time was over.
func (r *run) drain(ctx context.Context, byOwner map[*eventIndex][]*connection, truths map[*eventIndex]*truth) {
	ctx, cancel := context.WithTimeout(ctx, r.Drain)
	defer cancel()
	for ctx.Err() == nil {
		missing := false
		for l, connections := range byOwner {
			t := truths[l]
			if t.err != nil {
				continue
			}
			places := l.ranks(t.places)
			missing = missing || slices.ContainsFunc(connections, func(c *connection) bool {
				if c.over.Load() || c.resynced.Load() || t.begins[c.start] >= t.settled {
					return false
				}
				last := c.last.Load()
				return last < 0 || int(last) < len(places) && places[last] >= 0 && places[last] < t.settled-1
			})
		}
		if !missing {
			return
		}
		sleepUntil(ctx, time.Now().Add(drainInterval))
	}
}

// add judges one connection and adds what was found.
func (report *Report) add(c *connection, t *truth, places []int) {
	switch {
	case c.resynced.Load():
		report.Resynced++
		return
	case t.err != nil:
		report.Unverified++
		if report.UnverifiedWhy == "" {
			report.UnverifiedWhy = fmt.Sprint(t.err)
		}
		return
	}
	received := make([]int, len(c.received))
	newest := -1
	for i, number := range c.received {
		received[i] = places[number]
		newest = max(newest, received[i])
	}
	settled := t.settled
	if c.cutOff { // nothing was due after its last event
		settled = min(settled, newest+1)
	}
	found := judge(received, t.begins[c.start], settled)
	report.Compared++
	report.Lost += found.lost
	report.Doubled += found.doubled
	report.Reordered += found.reordered
	report.Unknown += found.unknown
}
