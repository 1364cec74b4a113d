// Package stats is what a part of the server tells operators about itself: counters and gauges, by
// the rules of Prometheus for names and labels (https://prometheus.io/docs/practices/naming/). A
// new one is a line in the part that knows it. The package does not know who asks.
package stats

// Collector is a part that tells about itself. Collect is called at each scrape, from any
// goroutine.
type Collector interface {
	Collect() []Stat
}

// Stat is one figure at this moment.
type Stat struct {
	Name, Help string
	Counter    bool // it only grows while the server runs; otherwise it is a gauge
	Value      float64

	Labels []Label // all figures of one name have the same

	Histogram *Histogram // in place of Value and the labels, where it is not nil
}

// Label is a label of a figure and its value.
type Label struct{ Name, Value string }

// Counter returns a count since the start of the server.
func Counter(name, help string, value int64) Stat {
	return Stat{Name: name, Help: help, Counter: true, Value: float64(value)}
}

// Gauge returns a figure that goes up and down.
func Gauge(name, help string, value float64) Stat {
	return Stat{Name: name, Help: help, Value: value}
}

// Flag returns a gauge that is 1 for what is so at this moment, else 0.
func Flag(name, help string, so bool) Stat {
	flag := Gauge(name, help, 0)
	if so {
		flag.Value = 1
	}
	return flag
}

// With returns the figure with labels, given as name, value, name, value.
func (s Stat) With(labels ...string) Stat {
	s.Labels = nil
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels = append(s.Labels, Label{labels[i], labels[i+1]})
	}
	return s
}
