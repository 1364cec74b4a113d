package stats

import (
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// TestHistogramIsClassicAndNative has both kinds of buckets for every figure.
func TestHistogramIsClassicAndNative(t *testing.T) {
	t.Parallel()
	h := NewHistogram("age_seconds", "Ages.", Seconds, "stage", "sent")
	for _, age := range []time.Duration{3 * time.Millisecond, 3 * time.Millisecond, 2 * time.Second, -time.Second} {
		h.Since(age)
	}
	var m dto.Metric
	if err := h.Metric().Write(&m); err != nil {
		t.Fatal(err)
	}
	classic := map[float64]uint64{}
	for _, b := range m.Histogram.Bucket {
		classic[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	if m.Histogram.GetSampleCount() != 4 || classic[.0025] != 1 || classic[.005] != 3 || classic[1] != 3 || classic[2.5] != 4 {
		t.Errorf("the classic buckets are %v", classic)
	}
	if len(m.Histogram.PositiveSpan) == 0 || m.Histogram.GetSchema() != 3 {
		t.Errorf("the native buckets have schema %d and spans %v", m.Histogram.GetSchema(), m.Histogram.PositiveSpan)
	}
	if m.Label[0].GetName() != "stage" || m.Label[0].GetValue() != "sent" {
		t.Errorf("the labels are %v", m.Label)
	}
	var none *Histogram
	none.Since(time.Second) // counts nothing
	none.Observe(1)
}
