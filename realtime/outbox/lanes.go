package outbox

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	// laneWait is how long a message waits for room on its way to a host, in the hands of a worker.
	laneWait = 250 * time.Millisecond
	// lanePause is the least time after which one that found none comes back.
	lanePause = time.Second
	// laneLongest is the longest: a host that was slow may be quick again.
	laneLongest = 10 * time.Minute
	// laneTook is how long a message is taken to be under way before anybody knows.
	laneTook = time.Second
	// laneWeight is the share of each message in the average of how long they are under way: one in
	// so many.
	laneWeight = 8
)

// lanes keep few messages under way at once to a host that takes no more: who finds no room comes
// back later, and holds up nothing that goes elsewhere. The zero value is ready.
type lanes struct {
	mu    sync.Mutex // guards what follows
	hosts map[string]*lane
}

// lane is the way to one host.
type lane struct {
	room chan struct{} // as many as there are messages under way
	took time.Duration // how long one is, on average
	next time.Time     // when the one that found no room last comes back
	held int           // how many messages are on it or wait for room: it is not forgotten
}

// enter takes a place on the way to a host, if its sender is Bounded. Where there is none it
// returns when to come back: each message at its own time, as fast as they have left lately, so
// that a thousand do not all come at once and in vain.
func (l *lanes) enter(ctx context.Context, by Sender, host string, now func() time.Time) (leave func(), later time.Time) {
	bounded, ok := by.(Bounded)
	if !ok {
		return func() {}, time.Time{}
	}
	most := bounded.AtOnce()
	l.mu.Lock()
	is := l.hosts[host]
	if is == nil {
		if len(l.hosts) >= maxHosts {
			maps.DeleteFunc(l.hosts, func(_ string, is *lane) bool { return is.held == 0 })
		}
		is = &lane{room: make(chan struct{}, most), took: laneTook}
		if l.hosts == nil {
			l.hosts = make(map[string]*lane)
		}
		l.hosts[host] = is
	}
	is.held++
	l.mu.Unlock()
	wait, cancel := context.WithTimeout(ctx, laneWait)
	defer cancel()
	select {
	case is.room <- struct{}{}:
	case <-wait.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		is.held--
		is.next = is.next.Add(is.took / time.Duration(most))
		if from := now(); is.next.Before(from.Add(lanePause)) || is.next.After(from.Add(laneLongest)) {
			is.next = from.Add(lanePause)
		}
		return func() {}, is.next
	}
	begun := now()
	return func() {
		l.mu.Lock()
		is.took += (now().Sub(begun) - is.took) / laneWeight
		is.held--
		l.mu.Unlock()
		<-is.room
	}, time.Time{}
}
