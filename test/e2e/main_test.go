// Package e2e tests the whole program against a real PostgreSQL, real proxies and real clients,
// area by area: one file for each.
package e2e

import (
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
