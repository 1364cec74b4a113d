package stream

import "testing"

// TestScrapeWaitsForNobody tells what is counted while the sessions are locked: a scrape must not
// walk ten thousand of them.
func TestScrapeWaitsForNobody(t *testing.T) {
	t.Parallel()
	s := &Server{}
	s.counts.open[1].Add(3)
	s.counts.countEnd(&eventStream{}, tooSlow)
	s.counts.countEnd(&webSocket{}, connectionLost)
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]float64{}
	for _, stat := range s.Collect() {
		name := stat.Name
		for _, label := range stat.Labels {
			name += " " + label.Value
		}
		found[name] = stat.Value
	}
	for name, want := range map[string]float64{"hangarshare_connections sse": 3, "hangarshare_close_total sse 4408": 1,
		"hangarshare_close_total websocket lost": 1, "hangarshare_close_total websocket 1001": 0} {
		if found[name] != want {
			t.Errorf("%s is %v, want %v", name, found[name], want)
		}
	}
}
