package outbox

import (
	"maps"
	"net/http"
	"sync"
	"time"
)

const (
	// stopTime is for how long nothing is sent to a host that refuses our key or password.
	stopTime = 10 * time.Minute
	// silentFailures in a row without any answer open the breaker of a host, for silentTime and
	// twice as long each time, up to stopTime.
	silentFailures = 5
	silentTime     = 30 * time.Second
	// takenTime is for how long a message that a push service took shows that our key is right:
	// what is refused within it is for devices that were added with another one.
	takenTime = time.Hour
	// refusalTime is for how long the refusal of one user's device counts as one.
	refusalTime = 24 * time.Hour
	// maxHosts bounds the hosts that are known. Push services are few, but for two of them users
	// may name any host below theirs.
	maxHosts = 1024
)

// breaker is the circuit breaker of a host. While it is open nothing is sent there; the zero
// breaker is closed.
type breaker struct {
	until  time.Time
	silent int  // failures in a row without an answer
	ours   bool // it refuses our key, password or address
	// refused is a user for whom we were refused, since the last success, and refusedAt when that
	// was last. One device alone may have been added with the key of somebody else, one address
	// alone may want no mail from us.
	refused   string
	refusedAt time.Time
	taken     time.Time // when it took a message last
}

// breakers are those of all hosts. The zero value is ready.
type breakers struct {
	mu    sync.Mutex // guards what follows
	hosts map[string]breaker
}

// openUntil returns until when nothing is sent to a host, the zero time where it may be tried.
func (b *breakers) openUntil(host string, now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := b.hosts[host].until; until.After(now) {
		return until
	}
	return time.Time{}
}

// took notes that a host took a message, and forgets what was wrong with it.
func (b *breakers) took(host string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(host, breaker{taken: now}, now)
}

// refuse notes that a host refuses our key or password, for a device of a user; "" is nobody's. It
// opens the breaker where no device can be to blame: it is nobody's, or another user's was refused
// too, and nothing was taken between nor for a while, which may be 0. It reports whether the host
// is stopped, and whether that is to be told: not where it was told before.
func (b *breakers) refuse(host, user string, now time.Time, while time.Duration) (stopped, tell bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	is := b.hosts[host]
	if user == "" || is.ours || is.refused != "" && is.refused != user && now.Sub(is.taken) >= while {
		b.put(host, breaker{until: now.Add(stopTime), ours: true, taken: is.taken}, now)
		return true, !is.ours || !is.until.After(now)
	}
	tell = is.refused == ""
	is.refused, is.refusedAt = user, now
	b.put(host, is, now)
	return false, tell
}

// failed notes that a host did not take a message: it may have said until when it takes none, or
// have not answered at all.
func (b *breakers) failed(host string, now time.Time, r Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	is := b.hosts[host]
	switch {
	case r.RetryAfter > 0:
		// It says nothing of our key. 429 may be about one device alone, as Apple's is: that one
		// waits as long as it was told, the others ask again sooner.
		wait := r.RetryAfter
		if r.Code == http.StatusTooManyRequests {
			wait = min(wait, stopTime)
		}
		is.until, is.silent, is.ours = now.Add(wait), 0, false
	case r.Code != 0:
		return
	default:
		if is.silent++; is.silent >= silentFailures {
			is.until = now.Add(min(silentTime<<min(is.silent-silentFailures, 8), stopTime))
		}
	}
	b.put(host, is, now)
}

// put keeps a breaker. Where there are too many, those that say nothing any more are forgotten,
// then all that do not tell operators that we are refused, then all.
func (b *breakers) put(host string, is breaker, now time.Time) {
	if b.hosts == nil {
		b.hosts = make(map[string]breaker)
	}
	if _, known := b.hosts[host]; !known {
		for _, forgotten := range []func(breaker) bool{
			func(is breaker) bool { return is.idle(now) },
			func(is breaker) bool { return !is.ours },
			func(breaker) bool { return true },
		} {
			if len(b.hosts) >= maxHosts {
				maps.DeleteFunc(b.hosts, func(_ string, is breaker) bool { return forgotten(is) })
			}
		}
	}
	b.hosts[host] = is
}

// idle reports whether a breaker says nothing of its host any more.
func (is breaker) idle(now time.Time) bool {
	return !is.ours && !is.until.After(now) && (is.refused == "" || now.Sub(is.refusedAt) >= refusalTime) && now.Sub(is.taken) >= takenTime
}

// refusing returns how many hosts refuse our key, password or address: those that are stopped, and
// all that refused it for whatever user within the last day and have taken nothing since.
func (b *breakers) refusing(now time.Time) (stopped, all int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, is := range b.hosts {
		switch {
		case is.ours:
			stopped, all = stopped+1, all+1
		case is.refused != "" && now.Sub(is.refusedAt) < refusalTime:
			all++
		}
	}
	return stopped, all
}
