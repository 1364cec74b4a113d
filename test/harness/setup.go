package harness

import (
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// Setup is a server with one owner account, and a guest.
type Setup struct {
	*Program
	Owner dbtest.Owner
	Guest string // the id of a user who books
	Token string // an access token of the owner's user
}

// NewSetup starts a server with further flags on a new database, with an owner of two hangars.
func NewSetup(t testing.TB, flags ...string) Setup {
	t.Helper()
	portal := dbtest.New(t)
	o := portal.AddOwner(t, 2)
	guest := portal.AddGuest(t, "Caio", "Brandão")
	return Setup{Serve(t, portal, flags...), o, guest, TokenFor(t, o.UserID, time.Hour)}
}
