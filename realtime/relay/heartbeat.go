package relay

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/seal"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// serverID names one run of a server; it is random.
type serverID [16]byte

// stamp is what heartbeats and counts begin with: who sent it, the how many-eth message this is of
// that server's, and when.
type stamp struct {
	id      serverID
	counter uint64
	at      time.Time
}

const stampSize = 16 + 8 + 8

func (s *stamp) append(to []byte) []byte {
	to = append(to, s.id[:]...)
	to = binary.BigEndian.AppendUint64(to, s.counter)
	return binary.BigEndian.AppendUint64(to, uint64(s.at.UnixMilli()))
}

// parseStamp returns a stamp and what follows it.
func parseStamp(content []byte) (s stamp, rest []byte, ok bool) {
	if len(content) < stampSize {
		return s, nil, false
	}
	copy(s.id[:], content)
	s.counter = binary.BigEndian.Uint64(content[16:])
	s.at = time.UnixMilli(int64(binary.BigEndian.Uint64(content[24:])))
	return s, content[stampSize:], true
}

// What a server says of itself in a heartbeat: it numbers the log; its relay is proven, so that it
// publishes by it, and swift.
const (
	leadingFlag = 1 << iota
	provenFlag
)

// beat sends a heartbeat.
func (r *Relay) beat() {
	state := r.State()
	r.members.keepTo(state.Epoch)
	s := stamp{r.id, r.sent.Add(1), time.Now()}
	flags := byte(0)
	if state.Leading {
		flags |= leadingFlag
	}
	if r.proven.Load() && !r.beats.slow(s.at) {
		flags |= provenFlag
	}
	if message, err := r.Keys.Seal(seal.Heartbeat, state.Epoch, state.Head, append(s.append(nil), flags), s.at); err == nil {
		r.beats.sent(s.counter, s.at)
		r.out.putFirst(message)
	}
}

// receive handles one message.
func (r *Relay) receive(message []byte) {
	r.counts.received.Add(1)
	if len(message) > 1 && seal.Kind(message[1]) == seal.Parcel {
		if r.Receive != nil {
			r.Receive(message) // who reads it opens it
		}
		return
	}
	now := time.Now()
	opened, err := r.Keys.Open(message, now)
	if err != nil {
		r.counts.forged.Add(1)
		return
	}
	s, rest, ok := parseStamp(opened.Content)
	if !ok {
		return
	}
	if s.id == r.id {
		if opened.Kind == seal.Heartbeat {
			r.beats.returned(s.counter, now)
		}
		return
	}
	if age := now.Sub(s.at); age > maxAge || age < -maxAge {
		r.counts.stale.Add(1)
		return
	}
	switch opened.Kind {
	case seal.Heartbeat:
		if r.members.heard(s, opened, rest, now) && r.Heard != nil {
			r.Heard(opened.Epoch, opened.Number)
		}
	case seal.Gossip:
		r.members.counted(s, opened.Epoch, rest, now)
	}
}

// beats are this server's own heartbeats of one session.
type beats struct {
	back chan struct{} // yields when one came back

	mu       sync.Mutex
	moments  [8]time.Time // when the last ones were sent
	counters [8]uint64
	next     int
	first    time.Time // the oldest that was not answered, nor one after it; zero if there is none
	last     uint64    // the newest that came back
	slowAt   time.Time // when one last took longer than slowBeat
}

func (b *beats) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.back == nil {
		b.back = make(chan struct{}, 1)
	}
	b.counters, b.first, b.next = [8]uint64{}, time.Time{}, 0
}

func (b *beats) sent(counter uint64, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moments[b.next], b.counters[b.next] = at, counter
	b.next = (b.next + 1) % len(b.moments)
	if b.first.IsZero() {
		b.first = at
	}
}

// returned notes that a heartbeat came back. One that took too long, or that came back before,
// proves nothing.
func (b *beats) returned(counter uint64, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if counter <= b.last {
		return
	}
	var first time.Time
	var took time.Duration
	intime := false
	for i, c := range b.counters {
		switch {
		case c == counter:
			took = at.Sub(b.moments[i])
			intime = took <= beatTimeout
		case c > counter && (first.IsZero() || b.moments[i].Before(first)):
			first = b.moments[i]
		}
	}
	if !intime {
		return
	}
	if took > slowBeat {
		b.slowAt = at
	}
	b.last, b.first = counter, first
	select {
	case b.back <- struct{}{}:
	default:
	}
}

// slow reports whether heartbeats were slow lately: PostgreSQL would be faster then.
func (b *beats) slow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.slowAt.IsZero() && now.Sub(b.slowAt) < slowFor
}

// deadline returns until when a heartbeat has to come back: the end of the wait for the oldest, or
// for the next one.
func (b *beats) deadline() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first.IsZero() {
		return time.Now().Add(beatInterval + beatTimeout)
	}
	return b.first.Add(beatTimeout)
}

// counters are what a relay counts.
type counters struct {
	published, received, dropped, forged, stale, losses atomic.Uint64
}

// Stats are counts since the relay was made.
type Stats struct {
	Published uint64 // messages that Redis took
	Received  uint64 // messages that came, the own ones included
	Dropped   uint64 // parcels for which the queue had no room
	Forged    uint64 // heartbeats and counts that were not sealed by this installation, or changed
	// heartbeats and counts that were too old, or too far ahead of this server's clock
	Stale  uint64
	Losses uint64 // how often the relay ceased to be proven
}

// Stats returns what was counted so far.
func (r *Relay) Stats() Stats {
	c := &r.counts
	return Stats{c.published.Load(), c.received.Load(), c.dropped.Load(), c.forged.Load(), c.stale.Load(), c.losses.Load()}
}

// Collect implements stats.Collector.
func (r *Relay) Collect() []stats.Stat {
	const messages = "Messages between servers through Redis."
	s := r.Stats()
	list := []stats.Stat{
		stats.Flag("hangarshare_redis_proven", "1 while what is published through Redis comes back.", r.Proven()),
		stats.Counter("hangarshare_redis_losses_total", "How often what was published did not come back in time.", int64(s.Losses)),
		stats.Gauge("hangarshare_servers_heard", "Other servers that are heard through Redis.", float64(len(r.Members()))),
	}
	for outcome, count := range map[string]uint64{
		"published": s.Published, "received": s.Received, "dropped": s.Dropped, "forged": s.Forged, "stale": s.Stale,
	} {
		list = append(list, stats.Counter("hangarshare_redis_messages_total", messages, int64(count)).With("outcome", outcome))
	}
	return list
}
