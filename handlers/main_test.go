package handlers

import (
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }
