package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hangarshare/hangarshare-realtime/db/stats"
)

// exporter shows Prometheus what the parts of a server tell about themselves: its services that are
// stats.Collectors, its stream, its tokens and its connections.
type exporter struct{ s *Server }

// Describe implements prometheus.Collector: the parts say at each scrape what there is.
func (exporter) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (e exporter) Collect(out chan<- prometheus.Metric) {
	collectors := []stats.Collector{e.s.Stream, e.s.Tokens, checks(e.s.Checks), checks(e.s.Hints)}
	if e.s.table != nil {
		collectors = append(collectors, e.s.table)
	}
	if e.s.Limiter != nil {
		collectors = append(collectors, e.s.Limiter)
	}
	for _, service := range e.s.Services {
		if c, ok := service.(stats.Collector); ok {
			collectors = append(collectors, c)
		}
	}
	for _, c := range append(collectors, e.s.Collectors...) {
		for _, stat := range c.Collect() {
			if stat.Histogram != nil {
				out <- stat.Histogram.Metric()
				continue
			}
			kind, labels, values := prometheus.GaugeValue, []string(nil), []string(nil)
			if stat.Counter {
				kind = prometheus.CounterValue
			}
			for _, label := range stat.Labels {
				labels, values = append(labels, label.Name), append(values, label.Value)
			}
			out <- prometheus.MustNewConstMetric(prometheus.NewDesc(stat.Name, stat.Help, labels, nil), kind, stat.Value, values...)
		}
	}
}

// checks tells which of a server's checks hold.
type checks map[string]func() bool

// Collect implements stats.Collector.
func (c checks) Collect() (list []stats.Stat) {
	for part, holds := range c {
		ready := stats.Gauge("hangarshare_ready", "1 when a part works, by part.", 0).With("part", part)
		if holds() {
			ready.Value = 1
		}
		list = append(list, ready)
	}
	return list
}
