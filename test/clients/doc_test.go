package clients

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// update has TestTheTableIsTrue write docs/clients.md anew: go test ./test/clients
// -run Table -update.
var update = flag.Bool("update", false, "write the table and the examples of docs/clients.md")

// table is what the list of clients says, in Markdown.
func table() string {
	var b strings.Builder
	b.WriteString("| language | library | transport | token by | ping and close | what its user must know |\n|---|---|---|---|---|---|\n")
	for _, c := range clients {
		shown := "live"
		switch {
		case c.pings && c.closes:
			shown = "pong at once, closed with 1000 and 1001"
		case c.closes:
			shown = "closed with 1000 and 1001"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.language, c.name, c.transport, strings.Join(c.ways, ", "), shown, c.remark)
	}
	return b.String()
}

// marked finds a part of docs/clients.md that is made from what runs here: <!--
// NAME --> up to <!-- end -->.
var marked = regexp.MustCompile(`(?s)(<!-- ([\w./-]+) -->\n).*?(<!-- end -->)`)

// shownIn is the part of a program that is shown, without the indentation that it has there.
var shownIn = regexp.MustCompile(`(?s)\n([ \t]*)(?://|#) example(?:: ([^\n]*))?\n(.*?)\n[ \t]*(?://|#) end of example`)

// onlyTest are lines of an example that only the test needs.
var onlyTest = regexp.MustCompile(`\n(?:[^\n]*(?://|#) for the test\n)+`)

// example returns a program's example as Markdown.
func example(file string) (string, error) {
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		return "", err
	}
	match := shownIn.FindStringSubmatch(string(text))
	if match == nil {
		return "", fmt.Errorf("%s has no example", file)
	}
	language := map[string]string{".js": "js", ".py": "python", ".pl": "perl", ".rb": "ruby", ".java": "java", ".go": "go"}[filepath.Ext(file)]
	code := strings.ReplaceAll(onlyTest.ReplaceAllString("\n"+match[3]+"\n", "\n"), "\n"+match[1], "\n")
	remark := match[2]
	if remark != "" {
		remark += ".\n\n"
	}
	return fmt.Sprintf("%s```%s\n%s\n```\n", remark, language, strings.Trim(code, "\n")), nil
}

// TestTheTableIsTrue compares docs/clients.md with the clients that are tried, and its examples
// with the programs that run.
func TestTheTableIsTrue(t *testing.T) {
	file := harness.Path("docs/clients.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := 0
	made := marked.ReplaceAllStringFunc(string(text), func(part string) string {
		parts++
		match := marked.FindStringSubmatch(part)
		if match[2] == "table" {
			return match[1] + table() + match[3]
		}
		shown, err := example(match[2])
		if err != nil {
			t.Error(err)
		}
		return match[1] + shown + match[3]
	})
	if parts < 8 {
		t.Errorf("docs/clients.md has only %d marked parts", parts)
	}
	if made == string(text) {
		return
	}
	if !*update {
		t.Fatal("docs/clients.md is not what is tried here: go test ./test/clients -run Table -update, and read the difference")
	}
	if err := os.WriteFile(file, []byte(made), 0o644); err != nil {
		t.Fatal(err)
	}
}
