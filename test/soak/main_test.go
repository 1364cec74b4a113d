// Package soak is the delivery oracle: random writers, clients and faults against processes of the
// program, and every client's list compared with the log. make soak runs it for longer.
package soak

import (
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
