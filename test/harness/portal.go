package harness

import (
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/devdb"
)

// AddUser adds a user without an account and returns the id, e-mail address and token.
func AddUser(t testing.TB, portal *dbtest.Portal, name string) (id, email, token string) {
	t.Helper()
	email = strings.ToLower(name) + "@member.example"
	id = portal.ID(t, `INSERT INTO users (first_name, last_name, email, password_hash) VALUES ($1, 'Lima', $2, '!') RETURNING id::text`, name, email)
	return id, email, TokenFor(t, id, time.Hour)
}

// PrivatePortal installs the portal's tables and ours in a cluster.
func PrivatePortal(t *testing.T, server *devdb.Server) *dbtest.Portal {
	t.Helper()
	return OpenPortal(t, server.URL())
}

// OpenPortal is PrivatePortal for one of a cluster's databases.
func OpenPortal(t *testing.T, address string) *dbtest.Portal {
	t.Helper()
	return dbtest.Install(t, address)
}
