package db_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestKindsAreNamedEverywhere: what describes notifications, or shows them, knows each kind. A test
// of realtime/words wants its titles, types of the page its words in each language, and
// TestEveryKind of test/e2e a case in which it comes and ends.
func TestKindsAreNamedEverywhere(t *testing.T) {
	t.Parallel()
	for file, part := range map[string]string{
		"../openapi.yaml":                           `(?s)\n    NotificationKind:\n.*?enum: \[(.*?)\]`,
		"../docs/api.md":                            `(?s)(.*)`,
		"../web/static/notifications/words/pt.js":   `(?s)\n  kinds: \{(.*?)\n  \}`,
		"../web/static/notifications/panel.js":      `(?s)(.*)`,
		"../web/test/browser/fake-notifications.js": `(?s)(.*)`,
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(part).FindSubmatch(text)
		if found == nil {
			t.Errorf("%s has no %s", strings.TrimPrefix(file, "../"), part)
			continue
		}
		for _, kind := range db.NotificationKinds {
			if kind.Name == db.KindInvitation && strings.HasSuffix(file, "panel.js") {
				continue // its row has a form of its own
			}
			if !regexp.MustCompile(`\b` + kind.Name + `\b`).Match(found[1]) {
				t.Errorf("%s does not name the kind %s", strings.TrimPrefix(file, "../"), kind.Name)
			}
		}
	}
}
