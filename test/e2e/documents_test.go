package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestPrivacyDocumentNamesEveryTable holds docs/privacidade.md to the tables that are installed:
// what is kept of people, and where nothing is.
func TestPrivacyDocumentNamesEveryTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(harness.Path("docs/privacidade.md"))
	harness.Must(t, err)
	portal := dbtest.New(t)
	out := harness.NewOutput()
	if code := harness.Run(t.Context(), []string{"migrate", "--database-url", portal.URL}, out, out); code != 0 {
		t.Fatalf("migrate ended with %d: %s", code, out)
	}
	var tables []string
	err = portal.Pool.Select(&tables, `SELECT relname FROM pg_class WHERE relnamespace = 'realtime'::regnamespace AND relkind = 'r'`)
	harness.Must(t, err)
	if len(tables) < 10 {
		t.Fatalf("only %v are installed", tables)
	}
	for _, table := range tables {
		if !strings.Contains(string(text), "`"+table+"`") {
			t.Errorf("docs/privacidade.md does not say what the table %s holds", table)
		}
	}
}
