// Package leaktest fails tests that leave goroutines behind. It waits for those that are ending:
// on a slow machine they take longer than goleak has patience for by itself.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds the wait for goroutines that end: it is reached only where one does not.
const patience = time.Minute

// Main runs a package's tests from its TestMain, fails when a goroutine survived, and exits.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for those who exit by themselves: it returns the exit code.
func Run(m *testing.M) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines survived the tests:", err)
		return 1
	}
	return 0
}

// None fails a test that leaves a goroutine behind. No other test may run beside it.
func None(t testing.TB) {
	t.Helper()
	if err := Find(); err != nil {
		t.Error(err)
	}
}

// Find returns an error that shows the goroutines that do not end.
func Find(options ...goleak.Option) error {
	for deadline := time.Now().Add(patience); ; {
		err := goleak.Find(options...)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
