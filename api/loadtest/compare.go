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

// ownerHistory is an owner's history since the first of its connections.
type ownerHistory struct {
	after   string // the position before it
	ids     []string
	ranks   map[string]int
	begins  map[string]int // where a connection begins, by the position it started after
	settled int            // how many events were committed when the time was over
	err     error
}

func (t *ownerHistory) set(after string, ids []string) {
	t.after, t.ids, t.begins = after, ids, map[string]int{after: 0}
	t.ranks = make(map[string]int, len(ids))
	for i, id := range ids {
		t.ranks[id] = i
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
	histories := make(map[*eventIndex]*ownerHistory, len(byOwner))
	for l := range byOwner {
		histories[l] = &ownerHistory{}
	}
	r.eachOwner(byOwner, func(l *eventIndex, connections []*connection) {
		histories[l].err = r.learn(ctx, histories[l], connections)
	})
	r.drain(ctx, byOwner, histories)
	r.closeAll()
	r.eachOwner(byOwner, func(l *eventIndex, _ []*connection) {
		t := histories[l]
		if t.err != nil {
			return
		}
		after := t.after
		if len(t.ids) > 0 {
			after = t.ids[len(t.ids)-1]
		}
		later, err := r.api.history(ctx, l.who, after)
		for i, id := range later {
			t.ranks[id] = t.settled + i
		}
		t.err = err
	})
	for l, connections := range byOwner {
		t := histories[l]
		ranks := l.ranks(t.ranks)
		for _, c := range connections {
			report.add(c, t, ranks)
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
func (r *run) learn(ctx context.Context, t *ownerHistory, connections []*connection) error {
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
		if rank, isEvent := t.ranks[start]; isEvent {
			t.begins[start] = rank + 1
			continue
		}
		earlier, err := r.locate(ctx, t, who, start)
		if err != nil {
			return err
		}
		if earlier {
			i = -1 // all ranks have moved
		}
	}
	t.settled = len(t.ids)
	return nil
}

// locate finds the rank of a position that is no event's. It reports whether it was earlier than
// all, and history now begins there.
func (r *run) locate(ctx context.Context, t *ownerHistory, who Subscriber, start string) (earlier bool, err error) {
	next, err := r.api.events(ctx, who, start, 1)
	if err != nil {
		return false, err
	}
	if len(next.Events) == 0 {
		t.begins[start] = len(t.ids)
		return false, nil
	}
	if rank, known := t.ranks[next.Events[0].ID]; known {
		t.begins[start] = rank
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
func (r *run) drain(ctx context.Context, byOwner map[*eventIndex][]*connection, histories map[*eventIndex]*ownerHistory) {
	ctx, cancel := context.WithTimeout(ctx, r.Drain)
	defer cancel()
	for ctx.Err() == nil {
		missing := false
		for l, connections := range byOwner {
			t := histories[l]
			if t.err != nil {
				continue
			}
			ranks := l.ranks(t.ranks)
			missing = missing || slices.ContainsFunc(connections, func(c *connection) bool {
				if c.over.Load() || c.resynced.Load() || t.begins[c.start] >= t.settled {
					return false
				}
				last := c.last.Load()
				return last < 0 || int(last) < len(ranks) && ranks[last] >= 0 && ranks[last] < t.settled-1
			})
		}
		if !missing {
			return
		}
		sleepUntil(ctx, time.Now().Add(drainInterval))
	}
}

// add judges one connection and adds what was found.
func (report *Report) add(c *connection, t *ownerHistory, ranks []int) {
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
		received[i] = ranks[number]
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
