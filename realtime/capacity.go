package realtime

import "github.com/hangarshare/hangarshare-realtime/db/stats"

// leastCapacity is the least number of events that stay in memory.
const leastCapacity = 1024

// Size returns how many events are in memory, and the bytes of their messages.
func (b *Bus) Size() (events int, bytes int64) {
	b.recentMu.Lock()
	defer b.recentMu.Unlock()
	return len(b.recent), b.recentBytes
}

// Capacity returns how many events may be in memory.
func (b *Bus) Capacity() int {
	b.recentMu.Lock()
	defer b.recentMu.Unlock()
	return b.capacity
}

// Halve lets the older half of the events in memory go, and keeps no more than are left from now
// on. Cursors that are further behind read the log.
func (b *Bus) Halve() {
	events, _ := b.Size()
	b.setCapacity(max(min(events, b.Capacity())/2, leastCapacity))
}

// Restore has as many events kept again as at the start.
func (b *Bus) Restore() { b.setCapacity(busCapacity) }

func (b *Bus) setCapacity(capacity int) {
	b.recentMu.Lock()
	defer b.recentMu.Unlock()
	all := append(b.recent[b.oldest:len(b.recent):len(b.recent)], b.recent[:b.oldest]...)
	dropped := max(len(all)-capacity, 0)
	for _, k := range all[:dropped] {
		b.forget(k)
	}
	b.recent, b.oldest, b.capacity = append([]kept(nil), all[dropped:]...), 0, capacity
	b.replay.clear("")
}

// forget lets an event in memory go that is the oldest of all. The caller holds recentMu.
func (b *Bus) forget(k kept) {
	b.recentBytes -= int64(len(k.event.JSON))
	o := k.log
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.events) > 0 && o.events[0] == k.event {
		o.drop()
		b.mayBeIdle(o)
	}
}

// Collect implements stats.Collector.
func (b *Bus) Collect() []stats.Stat {
	events, bytes := b.Size()
	return []stats.Stat{
		stats.Gauge("hangarshare_bus_events", "Events in memory.", float64(events)),
		stats.Gauge("hangarshare_bus_bytes", "Bytes of the messages of events in memory.", float64(bytes)),
		stats.Gauge("hangarshare_bus_capacity", "How many events may be in memory; fewer after memory ran short.", float64(b.Capacity())),
	}
}
