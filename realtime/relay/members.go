package relay

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/seal"
)

const (
	// memberAge is after what time a server counts as gone that was not heard.
	memberAge = 3 * time.Second
	// leaderAge is after what time that holds for the server that numbers the log: two heartbeats
	// may be lost.
	leaderAge = 3 * beatInterval
	// maxMembers bounds the servers that are remembered.
	maxMembers = 1000
	// maxCounts bounds the counts that one server tells; the largest are told.
	maxCounts = 4000
)

// Member is another server that was heard.
type Member struct {
	ID      string // random, another one at each start
	Leading bool   // whether it numbers the log
	Proven  bool   // whether its own relay is proven, and swift
	Head    int64  // the newest batch that it knows
	Epoch   seal.EpochID
	Heard   time.Time
}

// member is what is remembered of another server. Heartbeats and counts have one counter, and may
// change places on their way.
type member struct {
	Member
	beat, count uint64 // the counters of the last ones
	counts      map[string]int
	counted     time.Time
}

// members are the other servers, as they are heard.
type members struct {
	mu     sync.Mutex
	others map[serverID]*member
	epoch  seal.EpochID // of this server, as it last told
}

// keepTo notes this server's epoch.
func (m *members) keepTo(epoch seal.EpochID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch = epoch
}

// get returns what is remembered of a server. It needs the lock.
func (m *members) get(id serverID) *member {
	entry, ok := m.others[id]
	if !ok {
		entry = &member{Member: Member{ID: hex.EncodeToString(id[:])}}
		if len(m.others) < maxMembers {
			m.others[id] = entry
		}
	}
	return entry
}

// heard notes a heartbeat, and reports whether it is a new one.
func (m *members) heard(s stamp, opened seal.Message, rest []byte, now time.Time) bool {
	if len(rest) < 1 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	entry := m.get(s.id)
	if s.counter <= entry.beat {
		return false
	}
	entry.beat, entry.Heard = s.counter, now
	entry.Proven = rest[0]&provenFlag != 0
	entry.Leading, entry.Head, entry.Epoch = rest[0]&leadingFlag != 0, opened.Number, opened.Epoch
	return true
}

// counted notes what a server counts.
func (m *members) counted(s stamp, epoch seal.EpochID, rest []byte, now time.Time) {
	counts, ok := parseCounts(rest)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	entry := m.get(s.id)
	if s.counter <= entry.count {
		return
	}
	entry.count, entry.counts, entry.counted, entry.Epoch = s.counter, counts, now, epoch
}

// prune forgets who was not heard for long.
func (m *members) prune(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.others, func(_ serverID, entry *member) bool {
		return now.Sub(entry.Heard) > memberAge && now.Sub(entry.counted) > memberAge
	})
}

// Members lists the other servers that were heard lately, by id.
func (r *Relay) Members() []Member {
	r.members.mu.Lock()
	defer r.members.mu.Unlock()
	var list []Member
	for _, entry := range r.members.others {
		if time.Since(entry.Heard) <= memberAge {
			list = append(list, entry.Member)
		}
	}
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Relieved reports whether others listen in PostgreSQL for this server: the relay is proven and
// swift, the server that numbers the log is heard and publishes by Redis too, and one that could
// follow it is heard, whose id is lower than this one's. These two listen always.
func (r *Relay) Relieved() bool {
	own := r.State()
	if !r.Proven() || own.Leading || r.beats.slow(time.Now()) {
		return false
	}
	leader, candidate := false, false
	for _, m := range r.Members() {
		switch {
		case m.Epoch != own.Epoch || time.Since(m.Heard) > leaderAge:
		case m.Leading:
			leader = leader || m.Proven // otherwise it tells batches by PostgreSQL
		default:
			candidate = candidate || m.ID < hex.EncodeToString(r.id[:])
		}
	}
	return leader && candidate
}

// gossip tells the others what is counted here.
func (r *Relay) gossip() {
	if r.Counts == nil {
		return
	}
	epoch := r.State().Epoch
	servers := 1
	for _, m := range r.Members() {
		if m.Epoch == epoch {
			servers++
		}
	}
	counts := r.Counts(servers)
	s := stamp{r.id, r.sent.Add(1), time.Now()}
	if message, err := r.Keys.Seal(seal.Gossip, epoch, 0, appendCounts(s.append(nil), counts), s.at); err == nil {
		r.out.putFirst(message)
	}
}

// Elsewhere returns how many the other servers together count under a key: 0 where none of them was
// heard for 3 seconds. Servers of a copy of the database do not count: its log has another epoch.
func (r *Relay) Elsewhere(key string) (sum int) {
	r.members.mu.Lock()
	defer r.members.mu.Unlock()
	for _, entry := range r.members.others {
		if entry.Epoch == r.members.epoch && time.Since(entry.counted) <= memberAge {
			sum += entry.counts[key]
		}
	}
	return sum
}

// appendCounts writes counts: of each its key with its length, and the number.
func appendCounts(to []byte, counts map[string]int) []byte {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for _, key := range keys[:min(len(keys), maxCounts)] {
		if len(to)+len(key)+2*binary.MaxVarintLen64+seal.Overhead > maxMessage {
			break
		}
		to = binary.AppendUvarint(to, uint64(len(key)))
		to = append(to, key...)
		to = binary.AppendUvarint(to, uint64(max(0, counts[key])))
	}
	return to
}

// parseCounts reads what appendCounts wrote.
func parseCounts(text []byte) (counts map[string]int, ok bool) {
	counts = map[string]int{}
	for in := bytes.NewReader(text); in.Len() > 0; {
		size, err := binary.ReadUvarint(in)
		if err != nil || size > uint64(in.Len()) {
			return nil, false
		}
		key := make([]byte, size)
		in.Read(key)
		n, err := binary.ReadUvarint(in)
		if err != nil || n > 1<<30 {
			return nil, false
		}
		counts[string(key)] = int(n)
	}
	return counts, true
}
