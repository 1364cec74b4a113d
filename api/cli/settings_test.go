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

// TestDocumentsListEverySetting compares the tables of settings in README and in docs/settings.md
// with the flags: the names, and in each row the defaults that stand in code, in the names' order.
func TestDocumentsListEverySetting(t *testing.T) {
	parser, err := newParser(new(commandLine), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	settings := settingNames(parser.Model.Node)
	// A row begins with names. Its second cell says what holds where nothing is set.
	row := regexp.MustCompile("(?m)^\\| (`[A-Z0-9_]+`(?:, `[A-Z0-9_]+`)*) \\|([^|]*)\\|")
	code := regexp.MustCompile("`([^`]+)`")
	for _, document := range []string{"README.md", "docs/settings.md"} {
		text, err := os.ReadFile("../../" + document)
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]int{}
		for _, cells := range row.FindAllStringSubmatch(string(text), -1) {
			var are, told []string
			for _, name := range code.FindAllStringSubmatch(cells[1], -1) {
				listed[name[1]]++
				if value := defaultOf(parser.Model.Node, name[1]); value != "" {
					are = append(are, value)
				}
			}
			for _, value := range code.FindAllStringSubmatch(cells[2], -1) {
				if value[1] != "false" && !slices.Contains(settings, value[1]) {
					told = append(told, value[1])
				}
			}
			if !slices.Equal(are, told) {
				t.Errorf("%s says %q of %s: the defaults are %q", document, told, cells[1], are)
			}
		}
		for name := range listed {
			if !slices.Contains(settings, name) {
				t.Errorf("%s lists %s, which is no setting", document, name)
			}
		}
		for _, name := range settings {
			if listed[name] != 1 {
				t.Errorf("%s lists %s %d times: once is right", document, name, listed[name])
			}
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

// TestValuesMayBeginWithHyphens gives flags such values, as one of 64 positions and keys is. A
// value that was forgotten is missed, and no other flag is taken for it.
func TestValuesMayBeginWithHyphens(t *testing.T) {
	secret := "-" + strings.Repeat("a", 42)
	for line, want := range map[string]struct {
		code int
		out  string
	}{
		"token --user -5 --jwt-secret " + secret:   {0, "eyJ"},
		"token --user=-5 --jwt-secret=" + secret:   {0, "eyJ"},
		"token --jwt-secret " + secret + " --user": {2, "--user: expected"},
		"token --user --jwt-secret " + secret:      {2, "--user: expected"},
		"serve --demo -5":                          {2, "unknown flag -5"},
		"token --user -5 --nonsense":               {2, "unknown flag --nonsense"},
	} {
		var out bytes.Buffer
		if code := Run(t.Context(), nil, strings.Fields(line), &out, &out); code != want.code || !strings.Contains(out.String(), want.out) {
			t.Errorf("%s: %d %s", line, code, out.String())
		}
	}
}
