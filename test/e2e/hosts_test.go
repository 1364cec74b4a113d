package e2e

import (
	"net/http"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestAllowedHosts calls the program by several names, each of which a setting allows or none does.
func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--allowed-hosts", "live.example", "--public-url", "https://public.example")
	for host, want := range map[string]int{
		"live.example": 200, "public.example:8443": 200, "localhost": 200, "203.0.113.1": 200, "evil.example": 421,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"api/owners/"+s.Owner.ID+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		request.Header.Set("Authorization", "Bearer "+s.Token)
		response, err := s.Client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("called %s it answers %s, want %d", host, response.Status, want)
		}
	}
}
