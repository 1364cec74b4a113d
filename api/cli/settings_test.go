package cli

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestReadmeListsEverySetting compares the table of settings in README with the flags.
func TestReadmeListsEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := newParser(new(commandLine), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "## Commands and settings\n")
	section, _, _ := strings.Cut(after, "\n## ")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[A-Z].*?) \\|").FindAllStringSubmatch(section, -1) {
		for _, name := range strings.Split(row[1], ", ") {
			listed = append(listed, strings.Trim(name, "`"))
		}
	}
	settings := settingNames(parser.Model.Node)
	for _, name := range listed {
		if !slices.Contains(settings, name) {
			t.Errorf("README lists %s, which is no setting", name)
		}
	}
	for _, name := range settings {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("README does not list %s", name)
		}
	}
	// A row of one setting with one value in code says its default.
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		if is := defaultOf(parser.Model.Node, row[1]); is != "" && is != row[2] {
			t.Errorf("README says that %s is %s without being set: it is %s", row[1], row[2], is)
		}
	}
}

// defaultOf returns the default of the flag that an environment variable sets, "" for none.
func defaultOf(node *kong.Node, name string) string {
	for _, flag := range node.Flags {
		if slices.Contains(flag.Envs, name) {
			return flag.Default
		}
	}
	for _, child := range node.Children {
		if value := defaultOf(child, name); value != "" {
			return value
		}
	}
	return ""
}

// TestNegativeLimits names the setting that is below zero, whichever it is.
func TestNegativeLimits(t *testing.T) {
	t.Parallel()
	kind := reflect.TypeFor[limitSettings]()
	for i := range kind.NumField() {
		var settings limitSettings
		reflect.ValueOf(&settings).Elem().Field(i).SetInt(-1)
		name := kind.Field(i).Tag.Get("env")
		if _, err := settings.limits(); err == nil || !strings.HasPrefix(err.Error(), name+" must be") {
			t.Errorf("%s=-1: %v", name, err)
		}
	}
	if limits, err := (limitSettings{MaxConnectionsPerUser: 3}).limits(); err != nil || limits.MaxConnectionsPerUser != 3 {
		t.Errorf("%+v, %v", limits, err)
	}
}

// TestCommandsRefuseOtherSettings gives a setting of the server alone to each other command, but
// check, which looks at all of them.
func TestCommandsRefuseOtherSettings(t *testing.T) {
	for _, command := range []string{"migrate", "token", "loadtest", "tail", "epoch", "version"} {
		var out bytes.Buffer
		if code := Run(t.Context(), nil, []string{command, "--heartbeat-interval=20s"}, &out, &out); code != 2 || !strings.Contains(out.String(), "unknown flag") {
			t.Errorf("%s: %d %s", command, code, out.String())
		}
	}
}
