// Package bench measures the whole program, each figure beside a floor that is measured
// in the same run: make bench.
package bench

import (
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
