package loadtest

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// precision is how many bits of a latency a histogram keeps: 7 bits are one part in 128.
const precision = 7

// histogram counts latencies in microseconds. Any number of goroutines may add to it.
type histogram struct {
	buckets [(64 - precision) << precision]atomic.Int64
	count   atomic.Int64
	longest atomic.Int64
}

// add counts a latency; a negative one, of a clock that is behind, counts as none.
func (h *histogram) add(d time.Duration) {
	v := max(0, d.Microseconds())
	h.buckets[bucketOf(uint64(v))].Add(1)
	h.count.Add(1)
	for longest := h.longest.Load(); v > longest && !h.longest.CompareAndSwap(longest, v); longest = h.longest.Load() {
	}
}

// bucketOf numbers buckets: one for each small value, then 64 for each doubling.
func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-precision)
	return shift<<(precision-1) + int(v>>shift)
}

// lowest is the smallest value of a bucket.
func lowest(bucket int) uint64 {
	shift := max(0, bucket>>(precision-1)-1)
	return uint64(bucket-shift<<(precision-1)) << shift
}

// Latency sums up latencies, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50Ms"`
	P95   float64 `json:"p95Ms"`
	P99   float64 `json:"p99Ms"`
	Max   float64 `json:"maxMs"`
}

// summary returns nil when there is nothing to sum up.
func (h *histogram) summary() *Latency {
	l := Latency{Count: h.count.Load(), Max: float64(h.longest.Load()) / 1000}
	if l.Count == 0 {
		return nil
	}
	l.P50, l.P95, l.P99 = h.quantile(0.50), h.quantile(0.95), h.quantile(0.99)
	return &l
}

// quantile returns the latency that a share of all did not exceed, in milliseconds.
func (h *histogram) quantile(share float64) float64 {
	wanted := int64(math.Ceil(share * float64(h.count.Load())))
	for i := range h.buckets {
		if wanted -= h.buckets[i].Load(); wanted <= 0 {
			return float64(lowest(i)) / 1000
		}
	}
	return float64(h.longest.Load()) / 1000
}
