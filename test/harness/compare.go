package harness

import (
	"fmt"
	"slices"
	"testing"
)

// Must ends the test where there is an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Difference says where two lists part.
func Difference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("at %d of %d: %s, want %s (which it holds at %d)", i, len(want), got[i], want[i], slices.Index(got, want[i]))
		}
	}
	return fmt.Sprintf("%d, want %d", len(got), len(want))
}
