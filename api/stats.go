package api

import (
	"net/http"
	"net/http/pprof"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// AdminRouter returns the routes for operators: Prometheus, pprof and health.
func (s *Server) AdminRouter() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), streamStats{s})
	r := chi.NewRouter()
	r.Use(s.recoverer)
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	r.Get("/healthz", s.healthz)
	r.Get("/readyz", s.readyz)
	r.HandleFunc("/debug/pprof/*", pprof.Index)
	r.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	r.HandleFunc("/debug/pprof/profile", pprof.Profile)
	r.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	r.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return r
}

// streamStats shows the stream's counts to Prometheus.
type streamStats struct{ s *Server }

var (
	connectionsDesc = prometheus.NewDesc("hangarshare_connections", "Connections open now.", []string{"transport"}, nil)
	openedDesc      = prometheus.NewDesc("hangarshare_connections_opened_total", "Connections opened since the start.", nil, nil)
	deliveredDesc   = prometheus.NewDesc("hangarshare_messages_delivered_total", "Events and metrics handed to connections.", nil, nil)
	tooSlowDesc     = prometheus.NewDesc("hangarshare_connections_too_slow_total", "Connections cut with 4408.", nil, nil)
	faultsDesc      = prometheus.NewDesc("hangarshare_trigger_faults_total", "Statements that our triggers could not log, on the server that numbers the log.", nil, nil)
	queueDesc       = prometheus.NewDesc("hangarshare_notification_queue_usage", "Share of PostgreSQL's notification queue that is full.", nil, nil)
	readyDesc       = prometheus.NewDesc("hangarshare_ready", "1 when a part works, by part.", []string{"part"}, nil)
)

// Describe implements prometheus.Collector.
func (c streamStats) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connectionsDesc, openedDesc, deliveredDesc, tooSlowDesc, faultsDesc, queueDesc, readyDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c streamStats) Collect(out chan<- prometheus.Metric) {
	st := c.s.Stream.Stats()
	out <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(st.WebSockets), "websocket")
	out <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(st.EventStreams), "sse")
	out <- prometheus.MustNewConstMetric(openedDesc, prometheus.CounterValue, float64(st.Opened))
	out <- prometheus.MustNewConstMetric(deliveredDesc, prometheus.CounterValue, float64(st.Delivered))
	out <- prometheus.MustNewConstMetric(tooSlowDesc, prometheus.CounterValue, float64(st.TooSlow))
	h := c.s.Health()
	out <- prometheus.MustNewConstMetric(faultsDesc, prometheus.CounterValue, float64(h.Faults))
	out <- prometheus.MustNewConstMetric(queueDesc, prometheus.GaugeValue, h.QueueUsage)
	for name, part := range c.s.Parts {
		value := 0.0
		if part() {
			value = 1
		}
		out <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, value, name)
	}
}
