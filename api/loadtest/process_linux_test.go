package loadtest

import (
	"os"
	"strings"
	"testing"
)

func TestTheServersProcessIsFound(t *testing.T) {
	f := newFake(t, &fake{})
	got, err := Run(t.Context(), f.options(WebSocket, 1))
	if err != nil || got.Server == nil || got.Server.PID != os.Getpid() || got.Server.BeforeKiB == 0 || got.Server.AfterKiB == 0 {
		t.Errorf("%v: %+v", err, got.Server)
	}
	var table strings.Builder
	if err := got.WriteTable(&table); err != nil || !strings.Contains(table.String(), "server memory") {
		t.Errorf("%v:\n%s", err, &table)
	}
}
