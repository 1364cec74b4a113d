package harness

import (
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/freeport"
)

// ApplicationName is the name by which PostgreSQL knows the connections of the server that is
// tested, where a test asks for it in the server's database URL.
const ApplicationName = "under test"

// FreeAddress returns an address of this machine that nobody listens on and no other test has been
// given: it stays free until the test uses it, and between two uses.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return freeport.Address(t)
}
