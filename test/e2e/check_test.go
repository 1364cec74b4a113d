package e2e

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func TestCheckCommand(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	check := func(arguments ...string) (code int, out, errs string) {
		var o, e bytes.Buffer
		arguments = append(arguments, "--jwt-secret", harness.Secret)
		code = harness.Run(t.Context(), append([]string{"check"}, arguments...), &o, &e)
		return code, o.String(), e.String()
	}
	code, out, errs := check("--database-url", portal.URL+"&connection_limit=5")
	if code != 0 || errs != "" || !strings.Contains(out, "ok    listen") || !strings.Contains(out, "connection_limit") {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	portal.Exec(t, `ALTER TABLE bookings DISABLE TRIGGER USER`)
	code, out, errs = check("--database-url", portal.URL)
	if code != 1 || !strings.Contains(out, "MEND  triggers") || !strings.Contains(out, "ENABLE TRIGGER") || errs == "" {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	var report struct {
		Works    bool
		Findings []struct{ Area, Level, Text, Cure string }
	}
	code, out, _ = check("--database-url", portal.URL, "--format", "json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 || report.Works || len(report.Findings) < 8 {
		t.Errorf("%d, %v, %s", code, err, out)
	}
}
