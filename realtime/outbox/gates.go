package outbox

import (
	"sync"
	"time"
)

const (
	// stopTime is for how long nothing is sent to a host that refuses our key or password.
	stopTime = 10 * time.Minute
	// silentFailures in a row without any answer close a host, for silentTime and twice as long
	// each time, up to stopTime.
	silentFailures = 5
	silentTime     = 30 * time.Second
	// maxHosts bounds the hosts that are known. Push services are few.
	maxHosts = 1024
)

// gate is what is known of a host. The zero gate is open.
type gate struct {
	until  time.Time
	silent int  // failures in a row without an answer
	ours   bool // it refuses our key or password
}

// gates hold hosts that take nothing at present. The zero value is ready.
type gates struct {
	mu    sync.Mutex // guards what follows
	hosts map[string]gate
}

// closed returns until when a host takes nothing, the zero time where it may be tried.
func (g *gates) closed(host string, now time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := g.hosts[host].until; until.After(now) {
		return until
	}
	return time.Time{}
}

// open forgets what was wrong with a host.
func (g *gates) open(host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.hosts, host)
}

// stop closes a host that refuses our key or password, and reports whether that is to be told: it
// was open.
func (g *gates) stop(host string, now time.Time) (tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	tell = !g.hosts[host].until.After(now)
	g.put(host, gate{until: now.Add(stopTime), ours: true})
	return tell
}

// failed notes that a host did not take a message: it may have said until when it takes none, or
// have not answered at all.
func (g *gates) failed(host string, now time.Time, r Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	is := g.hosts[host]
	switch {
	case r.RetryAfter > 0:
		is = gate{until: now.Add(r.RetryAfter)}
	case r.Code != 0:
		return
	default:
		if is.silent++; is.silent >= silentFailures {
			is.until = now.Add(min(silentTime<<min(is.silent-silentFailures, 8), stopTime))
		}
	}
	g.put(host, is)
}

// put keeps a gate. Where there are too many hosts they are all forgotten.
func (g *gates) put(host string, is gate) {
	if g.hosts == nil || len(g.hosts) >= maxHosts {
		g.hosts = make(map[string]gate)
	}
	g.hosts[host] = is
}

// stopped returns how many hosts refuse our key or password.
func (g *gates) stopped() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, is := range g.hosts {
		if is.ours {
			n++
		}
	}
	return n
}
