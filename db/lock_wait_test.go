package db_test

import (
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestQuestionsGiveWay has the portal lock a table that a question waits for, and then one that the
// question has locked: the question lets go of it, and is answered when the portal is done.
func TestQuestionsGiveWay(t *testing.T) {
	t.Parallel()
	for name, prepared := range map[string]bool{"asked once": false, "prepared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dbtest.New(t)
			o, guest := p.AddOwner(t, 1), p.AddGuest(t, "Ana", "Reis")
			p.Book(t, o.Hangars[0], guest)
			// Deadlocks are looked for sooner than usual: what follows needs no long waits.
			p.Exec(t, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 100', current_database()); END $$`)
			pool, err := db.Open(t.Context(), p.URL)
			must(t, err)
			t.Cleanup(func() { pool.Close() })
			store, err := db.NewStore(t.Context(), pool, time.UTC)
			must(t, err)
			if prepared {
				must(t, store.Prepare(t.Context()))
			}
			portal, err := sqlx.Connect("postgres", p.URL)
			must(t, err)
			defer portal.Close()
			tool, err := portal.Beginx()
			must(t, err)
			defer tool.Rollback()
			// The portal looks for a deadlock later than a question gives way on a slow machine.
			_, err = tool.Exec(`SET LOCAL deadlock_timeout = '30s'; LOCK TABLE bookings IN ACCESS EXCLUSIVE MODE`)
			must(t, err)
			answered := make(chan error, 1)
			go func() {
				_, err := store.Listings(t.Context(), o.ID, time.Now())
				answered <- err
			}()
			eventually(t, "the question waits for bookings and has the listings", func() bool {
				return p.ID(t, `SELECT count(*) FROM pg_locks w JOIN pg_locks h USING (database, pid)
					WHERE NOT w.granted AND w.relation = 'bookings'::regclass AND h.granted AND h.relation = 'hangar_listings'::regclass`) == "1"
			})
			// By now a question that does not give way has looked for a deadlock of its
			// own, and found none.
			since := p.ID(t, `SELECT clock_timestamp()::text`)
			eventually(t, "it has waited for twice the time after which deadlocks are looked for", func() bool {
				return p.ID(t, `SELECT (clock_timestamp() > $1::timestamptz + interval '0.2 s')::text`, since) == "true"
			})
			if _, err = tool.Exec(`LOCK TABLE hangar_listings IN ACCESS EXCLUSIVE MODE`); err != nil {
				t.Fatalf("the portal was made to give way: %v", err)
			}
			must(t, tool.Commit())
			must(t, <-answered)
		})
	}
}
