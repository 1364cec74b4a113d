package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestEveryDescriptionKnowsTheSameTypes compares the table of the log's types with what
// the triggers write, and the messages among them with openapi.yaml and with what the
// browser's client tells apart.
func TestEveryDescriptionKnowsTheSameTypes(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	var messages []string
	for _, typ := range eventlog.LogTypes {
		known[typ.Name] = true
		if typ.Message {
			messages = append(messages, typ.Name)
		}
	}
	t.Run("triggers", func(t *testing.T) {
		written := map[string]bool{}
		literal := regexp.MustCompile(`''?([a-z]+_[a-z]+|changed|access|truncated)''?`)
		inserts := regexp.MustCompile(`(?s)INSERT INTO realtime\.events \([^)]*type.*?;`)
		readAll(t, harness.Path("db/schema"), ".sql", func(text string) {
			for _, statement := range inserts.FindAllString(text, -1) {
				for _, found := range literal.FindAllStringSubmatch(statement, -1) {
					written[found[1]] = true
				}
			}
		})
		if len(written) < 5 {
			t.Fatalf("only %v are written: the test does not find the triggers", written)
		}
		for typ := range written {
			if !known[typ] {
				t.Errorf("triggers write %q, which is not among the log's types", typ)
			}
		}
	})
	t.Run("openapi.yaml", func(t *testing.T) {
		for _, typ := range messages {
			if !strings.Contains(string(harness.OpenAPI()), typ) {
				t.Errorf("openapi.yaml does not describe %s", typ)
			}
		}
		described := regexp.MustCompile(`\b(?:booking|revenue|occupancy)_[a-z]+\b`)
		for _, typ := range described.FindAllString(string(harness.OpenAPI()), -1) {
			// kinds of notifications have names alike
			if _, kind := db.KindOf(typ); !slices.Contains(messages, typ) && !known[typ] && !kind {
				t.Errorf("openapi.yaml describes %s, which no row of the log becomes", typ)
			}
		}
	})
	t.Run("browser's client", func(t *testing.T) {
		var client strings.Builder
		readAll(t, harness.Path("web/static"), ".js", func(text string) { client.WriteString(text) })
		for _, typ := range messages {
			if !strings.Contains(client.String(), typ) {
				t.Errorf("the client does not know %s", typ)
			}
		}
	})
	t.Run("lists of what happens to bookings", func(t *testing.T) {
		lists := 0
		each := func(text string) {
			if !strings.Contains(text, realtime.BookingUpdated) {
				return
			}
			lists++
			for _, typ := range messages {
				if strings.HasPrefix(typ, "booking_") && !strings.Contains(text, typ) {
					t.Errorf("what follows knows booking_updated, and not %s:\n%.200s", typ, text)
				}
			}
		}
		readAll(t, harness.Path("web/static"), ".js", each)
		readAll(t, harness.Path("web/static"), ".ts", each)
		readAll(t, harness.Path("api/cli"), ".go", each)
		readAll(t, harness.Path("test/clients/node"), ".js", each)
		if lists < 6 {
			t.Errorf("only %d files were found", lists)
		}
	})
}

// readAll hands out the files under a folder whose names have an ending.
func readAll(t *testing.T, folder, ending string, each func(text string)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ending) {
			return err
		}
		text, err := os.ReadFile(path)
		each(string(text))
		return err
	})
	harness.Must(t, err)
}
