package stream

import (
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
