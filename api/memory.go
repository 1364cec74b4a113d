package api

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

const (
	// memoryCheck is how often memory is looked at, and collectEvery the pause between two
	// collections that it asks for. While new streams are refused anyway and nothing is critical it
	// is collectFull: the runtime collects by itself before it goes beyond its limit, and each
	// collection delays clients.
	memoryCheck  = 100 * time.Millisecond
	collectEvery = 500 * time.Millisecond
	collectFull  = 5 * time.Second
	// Parts of the limit: from memoryFull on no new streams are served, from memoryCritical on what
	// can be let go is, and below memoryEnough all is well again.
	memoryFull     = 0.85
	memoryCritical = 0.92
	memoryEnough   = 0.80
)

// Shedder lets go of load. Its methods must not block.
type Shedder interface {
	// SetFull has new streams refused, or served again.
	SetFull(full bool)
	// Shed lets go of what costs most: it is called again while memory stays critical.
	Shed()
	// Restore takes back what Shed did, once memory suffices.
	Restore()
}

// Memory watches how much the Go runtime uses of its limit (GOMEMLIMIT), and has load shed before
// the kernel ends the process.
type Memory struct {
	Shedder Shedder
	Log     *slog.Logger

	used     atomic.Int64 // bytes, without what the next collection frees, as far as known
	full     atomic.Bool
	critical atomic.Bool
	sheds    atomic.Int64

	collected time.Time
	samples   []metrics.Sample
}

// memorySamples are what is read of the runtime: everything mapped, less what was given back to the
// system and what is free.
var memorySamples = []string{"/memory/classes/total:bytes", "/memory/classes/heap/released:bytes", "/memory/classes/heap/free:bytes",
	"/memory/classes/heap/objects:bytes", "/gc/heap/live:bytes"}

// Limit returns the limit in bytes, 0 for none.
func (*Memory) Limit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	return 0
}

// Used returns the bytes in use when last looked at.
func (m *Memory) Used() int64 { return m.used.Load() }

// Full reports whether new streams are refused for want of memory.
func (m *Memory) Full() bool { return m.full.Load() }

// Run implements Service.
func (m *Memory) Run(ctx context.Context) error {
	ticker := time.NewTicker(memoryCheck)
	defer ticker.Stop()
	for {
		m.check(time.Now(), m.Limit())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// check looks at memory once. What looks like too much may be garbage: that is collected first.
func (m *Memory) check(now time.Time, limit int64) {
	used, sure := m.read()
	if limit > 0 && above(used, limit, memoryFull) {
		pause := collectEvery
		if m.full.Load() && !above(sure, limit, memoryCritical) {
			pause = collectFull
		}
		if now.Sub(m.collected) < pause {
			m.used.Store(sure)
			return // what was done since shows after the next collection
		}
		m.collected = now
		runtime.GC()
		used, _ = m.read()
	}
	m.used.Store(used)
	m.judge(used, limit)
}

// judge does what an amount of memory asks for.
func (m *Memory) judge(used, limit int64) {
	switch {
	case limit > 0 && above(used, limit, memoryFull):
		if !m.full.Swap(true) {
			m.Log.Warn("memory runs short: new streams are refused until it does not", "used", used, "limit", limit)
			m.Shedder.SetFull(true)
		}
		if !above(used, limit, memoryCritical) {
			return
		}
		if !m.critical.Swap(true) {
			m.Log.Warn("memory is almost used up: events in memory and the slowest clients are let go", "used", used, "limit", limit)
		}
		m.sheds.Add(1)
		m.Shedder.Shed()
	case m.full.Load() && !above(used, limit, memoryEnough):
		m.full.Store(false)
		if m.critical.Swap(false) {
			m.Shedder.Restore()
		}
		m.Shedder.SetFull(false)
		m.Log.Info("memory suffices again", "used", used, "limit", limit)
	}
}

func above(used, limit int64, part float64) bool { return float64(used) >= part*float64(limit) }

// read returns the bytes in use, and those of them that were no garbage at the last collection.
func (m *Memory) read() (used, sure int64) {
	if m.samples == nil {
		for _, name := range memorySamples {
			m.samples = append(m.samples, metrics.Sample{Name: name})
		}
	}
	metrics.Read(m.samples)
	value := func(i int) int64 { return int64(m.samples[i].Value.Uint64()) }
	used = value(0) - value(1) - value(2)
	return used, used - max(value(3)-value(4), 0)
}
