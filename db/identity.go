package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// identityParts name what tells a database from a copy of it, each as a query of its own: a
// hardened server refuses some functions, and Aurora has no write-ahead log to ask for.
var identityParts = []struct{ name, query string }{
	{"pg_control_system", `SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()`},
	{"pg_database", `SELECT oid::pg_catalog.text FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`},
	{"pg_walfile_name", `SELECT pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)`},
}

// ReadIdentity returns which cluster, database and timeline this is, and what the server does not
// tell: that part is empty. An error is one of the connection.
func ReadIdentity(ctx context.Context, q sqlx.QueryerContext) (identity string, missing []string, err error) {
	parts := make([]string, len(identityParts))
	for i, part := range identityParts {
		if err := sqlx.GetContext(ctx, q, &parts[i], part.query); err != nil {
			if Unavailable(err) || ctx.Err() != nil {
				return "", nil, fmt.Errorf("read the database's identity: %w", err)
			}
			missing = append(missing, part.name)
		}
	}
	return strings.Join(parts, "/"), missing, nil
}

// SameDatabase reports whether two identities can be of one database. A part that was not
// told says nothing.
func SameDatabase(known, actual string) bool {
	a, b := strings.Split(known, "/"), strings.Split(actual, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && a[i] != "" && b[i] != "" {
			return false
		}
	}
	return true
}

// serverFacts are the pieces of SQL that a server answers, and what stands in for those
// that it refuses.
type serverFacts struct {
	system     string // which cluster this is
	checkpoint string // what another is after a crash
}

// askServer asks the server for each piece once. Without the cluster's name a copy is
// found out by the database's and the table's; without the checkpoint nothing may be
// remembered, so each moment is another.
func askServer(ctx context.Context, q sqlx.QueryerContext) (serverFacts, error) {
	t := serverFacts{"(SELECT system_identifier FROM pg_catalog.pg_control_system())::pg_catalog.text", "(SELECT checkpoint_lsn FROM pg_catalog.pg_control_checkpoint())::pg_catalog.text"}
	for piece, instead := range map[*string]string{&t.system: "NULL::pg_catalog.text", &t.checkpoint: "pg_catalog.clock_timestamp()::pg_catalog.text"} {
		var answer *string
		if err := sqlx.GetContext(ctx, q, &answer, "SELECT "+*piece); err != nil {
			if Unavailable(err) || ctx.Err() != nil {
				return t, fmt.Errorf("ask the server which one it is: %w", Explain(err))
			}
			*piece = instead
		}
	}
	return t, nil
}
