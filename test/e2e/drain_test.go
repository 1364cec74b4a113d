package e2e

import (
	"net/http"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestDrainDelay stops a server that waits for its balancer: /readyz says so at once, and
// everything goes on, also for who comes; only then are goodbyes said.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	// nothing below takes as long, unless it waits for it
	s := harness.NewSetup(t, "--drain-delay", "20s")
	before := s.Connect(t, s.Token, s.Owner.ID, "")
	before.Next(harness.OfType("connection_established"))
	code := make(chan int, 1)
	go func() { code <- s.Stop() }()
	harness.Eventually(t, "stopping", func() bool {
		response, err := http.Get(s.Base + "readyz")
		if err != nil {
			t.Fatalf("the address is closed: %v", err)
		}
		defer response.Body.Close()
		var body map[string]any
		harness.DecodeJSON(t, response.Body, &body)
		return response.StatusCode == http.StatusServiceUnavailable && body["status"] == "stopping"
	})
	after := s.Listen(t, s.Token, "?ownerId="+s.Owner.ID)
	after.Next(harness.OfType("connection_established"))
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	for _, stream := range []*harness.Stream{before, after} {
		stream.Next(harness.OfType("booking_created"))
	}
	if status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/metrics", s.Token); status != http.StatusOK {
		t.Errorf("the numbers: %d %v", status, body)
	}
	for _, stream := range []*harness.Stream{before, after} {
		stream.Next(harness.OfType("server_closing"))
	}
	after.End()
	if end := before.End(); end != 1001 {
		t.Errorf("the WebSocket ends with %d", end)
	}
	if code := <-code; code != 0 {
		t.Errorf("it exits with %d", code)
	}
}
