package db

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// What the tests in db_test, which need a database, see of the package's inside.

// CheckVersion says whether the server behind pool has at least the given major version.
func CheckVersion(ctx context.Context, pool *sqlx.DB, minimum int) error {
	return checkVersion(ctx, pool, minimum)
}
