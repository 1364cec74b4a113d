package cli

import (
	"io"
	"slices"
	"testing"
)

// TestToldSettings are those that differ from their defaults, as somebody would write them, and of
// secrets only that they are set.
func TestToldSettings(t *testing.T) {
	t.Parallel()
	told := func(args ...string) []string {
		t.Helper()
		parser, err := newParser(new(commandLine), io.Discard, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		command, err := parser.Parse(append([]string{"serve"}, args...))
		if err != nil {
			t.Fatal(err)
		}
		return changedSettings(command)
	}
	usual := told()
	got := told("--no-demo", "--jwt-secret", "x", "--event-retention", "24h", "--log-level", "INFO", "--jwt-user-claim", "a,b", "--drain-time", "4s", "--max-connections", "7")
	got = slices.DeleteFunc(got, func(setting string) bool { return slices.Contains(usual, setting) })
	want := []string{"DEMO=false", "DRAIN_TIME=4s", "JWT_SECRET is set", "JWT_USER_CLAIM=a,b", "MAX_CONNECTIONS=7"}
	if !slices.Equal(got, want) {
		t.Errorf("told are %q, want %q", got, want)
	}
}
