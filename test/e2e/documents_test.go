package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// madeAnew are the tables that a backup need not have, beside those that docs/operating.md names.
var madeAnew = regexp.MustCompile(`^(ledger_.*|trend_.*|functions|portal_tables|watched|not_crashed|goose_db_version)$`)

// TestDocumentsNameEveryTable holds docs/privacidade.md to the tables that are installed, what is
// kept of people and where nothing is, and docs/operating.md to what a backup needs of them.
func TestDocumentsNameEveryTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(harness.Path("docs/privacidade.md"))
	harness.Must(t, err)
	portal := dbtest.New(t)
	out := harness.NewOutput()
	if code := harness.Run(t.Context(), []string{"migrate", "--database-url", portal.URL}, out, out); code != 0 {
		t.Fatalf("migrate ended with %d: %s", code, out)
	}
	backups, err := os.ReadFile(harness.Path("docs/operating.md"))
	harness.Must(t, err)
	_, after, _ := strings.Cut(string(backups), "## Backups\n")
	section, _, _ := strings.Cut(after, "\n## ")
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
		if !strings.Contains(section, "`"+table+"`") && !madeAnew.MatchString(table) {
			t.Errorf("docs/operating.md does not say what becomes of the table %s where a backup leaves it out", table)
		}
	}
}
