package db_test

import (
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func begin(t *testing.T, p *dbtest.Portal) *sqlx.Tx {
	t.Helper()
	tx, err := p.Pool.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback() })
	return tx
}

func book(t *testing.T, tx *sqlx.Tx, hangar, guest string) string {
	t.Helper()
	var id string
	err := tx.GetContext(t.Context(), &id, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES `+dbtest.BookingValues(hangar, guest)+` RETURNING id::text`)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func commit(t *testing.T, tx *sqlx.Tx) {
	t.Helper()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
