package cli

import (
	"os"
	"strings"
	"testing"
)

// TestVersion compares whatever names the version with the program.
func TestVersion(t *testing.T) {
	t.Parallel()
	for file, line := range map[string]string{
		"openapi.yaml":               "\n  version: " + version + "\n",
		"web/package.json":           "\n  \"version\": \"" + version + "\",\n",
		"web/docs/client/index.html": "hangarshare-realtime-client-" + version + ".tgz",
		"docs/operating.md":          "hangarshare-realtime_" + version + "_amd64.deb",
		"CHANGELOG.md":               "\n## " + version + " - ",
	} {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), line) {
			t.Errorf("%s lacks %q", file, line)
		}
	}
}
