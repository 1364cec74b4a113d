package api_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db/stats"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

// part is a service that tells about itself.
type part struct{}

// Run implements api.Service.
func (part) Run(context.Context) error { return nil }

// Collect implements stats.Collector.
func (part) Collect() []stats.Stat {
	return []stats.Stat{
		stats.Counter("part_seen_total", "What was seen.", 3).With("kind", "a"),
		stats.Counter("part_seen_total", "What was seen.", 4).With("kind", "b"),
		stats.Gauge("part_filled", "How full it is.", 0.5),
	}
}

// TestMetricsOfEveryPart scrapes a server: what its services, its stream, its tokens and
// its checks tell.
func TestMetricsOfEveryPart(t *testing.T) {
	t.Parallel()
	server := &api.Server{
		Log:    slog.New(slog.DiscardHandler),
		Stream: &stream.Server{}, Tokens: api.NewTokens([]byte("a secret of the tests, long enough to sign")),
		Services: []api.Service{part{}}, Checks: map[string]func() bool{"up": func() bool { return true }, "down": func() bool { return false }},
	}
	answer := httptest.NewRecorder()
	server.AdminRouter().ServeHTTP(answer, httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil))
	for _, line := range []string{
		"# TYPE part_seen_total counter", `part_seen_total{kind="a"} 3`, `part_seen_total{kind="b"} 4`,
		"# HELP part_filled How full it is.", "# TYPE part_filled gauge", "part_filled 0.5",
		`hangarshare_ready{part="up"} 1`, `hangarshare_ready{part="down"} 0`,
		`hangarshare_connections{transport="sse"} 0`, "# TYPE hangarshare_connections_opened_total counter",
		`hangarshare_tokens_refused_total{reason="signature"} 0`,
	} {
		if !strings.Contains(answer.Body.String(), line+"\n") {
			t.Errorf("%d: no line %q", answer.Code, line)
		}
	}
}
