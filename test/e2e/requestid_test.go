package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestRequestIDs finds a request again: in its answer, its problem and the log.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags []string
		sent  string
		kept  bool
	}{
		"of a trusted proxy": {[]string{"--trusted-proxies", "127.0.0.1"}, "edge-42", true},
		"of a stranger":      {nil, "edge-42", false},
		"that is none":       {[]string{"--trusted-proxies", "127.0.0.1"}, strings.Repeat("x", 200), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := harness.Serve(t, dbtest.New(t), append(c.flags, "--log-level", "debug")...)
			response, body := p.Ask(t, http.MethodGet, "api/auth/me", http.Header{"X-Request-Id": {c.sent}})
			id := response.Header.Get("X-Request-ID")
			if id == "" || (id == c.sent) != c.kept {
				t.Errorf("the id is %q", id)
			}
			if !strings.Contains(body, `"request":"`+id+`"`) {
				t.Errorf("the problem says %s", body)
			}
			line := p.Output.Await(t, `msg=request method=GET path=/api/auth/me`)
			if !strings.Contains(line, "status=401") || !strings.Contains(line, "request="+id) {
				t.Errorf("the log says %s", line)
			}
		})
	}
}

// TestStartTellsSettings says what runs and how, and no secret.
func TestStartTellsSettings(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	p := harness.Serve(t, portal, "--allowed-origins", "https://portal.example", "--admin-token", adminToken)
	said := p.Output.String()
	line, _, _ := strings.Cut(said[strings.Index(said, "msg=starting"):], "\n")
	for _, wanted := range []string{"version=", "commit=", "go=go1.", "JWT_SECRET is set", "DATABASE_URL is set", "ALLOWED_ORIGINS=https://portal.example"} {
		if !strings.Contains(line, wanted) {
			t.Errorf("no %s in %s", wanted, line)
		}
	}
	for _, secret := range []string{harness.Secret, adminToken, portal.URL, "HEARTBEAT_INTERVAL"} {
		if strings.Contains(line, secret) {
			t.Errorf("%s is told: %s", secret, line)
		}
	}
}
