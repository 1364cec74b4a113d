package dbtest

import (
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// patience is how long Eventually waits: it is never reached unless something is broken.
const patience = time.Minute

// Must ends a test that an error has spoiled.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits for what another process does without a signal, for a minute at most.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// Begin opens a transaction of a portal's, which ends with the test unless Commit ends it.
func Begin(t testing.TB, p *Portal) *sqlx.Tx {
	t.Helper()
	tx, err := p.Pool.BeginTxx(t.Context(), nil)
	Must(t, err)
	t.Cleanup(func() { tx.Rollback() })
	return tx
}

// BookIn books in a transaction, and returns the booking's id.
func BookIn(t testing.TB, tx *sqlx.Tx, hangarID, userID string) string {
	t.Helper()
	var id string
	Must(t, tx.GetContext(t.Context(), &id, `INSERT INTO bookings (`+BookingColumns+`) VALUES `+BookingValues(hangarID, userID)+` RETURNING id::text`))
	return id
}

// Commit commits a transaction.
func Commit(t testing.TB, tx *sqlx.Tx) {
	t.Helper()
	Must(t, tx.Commit())
}
