package stats

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Of native histograms: each bucket's bounds are a factor apart, and there are at most so many.
const (
	nativeFactor  = 1.1
	nativeBuckets = 160
)

// Seconds are the bounds of the classic buckets of what takes time.
var Seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Histogram counts how often a figure lay between bounds: in classic buckets, and in those of a
// native histogram for a Prometheus that asks for them. Its methods are for any goroutine. A nil
// Histogram counts nothing.
type Histogram struct {
	name, help string
	histogram  prometheus.Histogram
}

// NewHistogram returns an empty histogram with one label and its value, both "" for none.
func NewHistogram(name, help string, bounds []float64, label, of string) *Histogram {
	labels := prometheus.Labels{}
	if label != "" {
		labels[label] = of
	}
	return &Histogram{name, help, prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name, Help: help, ConstLabels: labels, Buckets: bounds,
		NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: nativeBuckets, NativeHistogramMinResetDuration: time.Hour,
	})}
}

// Observe counts a figure.
func (h *Histogram) Observe(value float64) {
	if h != nil {
		h.histogram.Observe(value)
	}
}

// Since counts a time in seconds; what would be negative, because clocks differ, counts as 0.
func (h *Histogram) Since(age time.Duration) {
	if h != nil {
		h.histogram.Observe(max(age, 0).Seconds())
	}
}

// Stat returns what a Collector tells of it.
func (h *Histogram) Stat() Stat { return Stat{Name: h.name, Help: h.help, Histogram: h} }

// Metric returns what Prometheus is told.
func (h *Histogram) Metric() prometheus.Metric { return h.histogram }
