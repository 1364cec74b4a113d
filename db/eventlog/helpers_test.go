package eventlog_test

import "github.com/hangarshare/hangarshare-realtime/db/dbtest"

// What tests of the database share.
var (
	must       = dbtest.Must
	eventually = dbtest.Eventually
	begin      = dbtest.Begin
	book       = dbtest.BookIn
	commit     = dbtest.Commit
)
