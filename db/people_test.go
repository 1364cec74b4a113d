package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// fillUsers adds n users, each tenth with an account, and returns one of them with theirs, which is
// shared with forty others and to which eighty are invited.
func fillUsers(t testing.TB, portal *dbtest.Portal, n int) (userID, ownerID, email string) {
	t.Helper()
	portal.Exec(t, `INSERT INTO users (first_name, last_name, email, password_hash)
		SELECT 'U', n::text, 'u' || n || '@many.example', '!' FROM generate_series(1, $1::int) n`, n)
	portal.Exec(t, `INSERT INTO hangar_owners (user_id, company_name)
		SELECT id, 'C' FROM (SELECT id, row_number() OVER (ORDER BY email = (SELECT min(email) FROM users) DESC) AS n FROM users) u WHERE n % 10 = 1`)
	email = portal.ID(t, `SELECT min(email) FROM users`) // the first in the order of accounts
	userID = portal.ID(t, `SELECT id::text FROM users WHERE email = $1`, email)
	ownerID = portal.ID(t, `SELECT min(id::text) FROM hangar_owners WHERE user_id::text = $1`, userID)
	portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) SELECT $1, id::text, 'viewer' FROM (
		SELECT id FROM users WHERE email <> $2 ORDER BY email LIMIT 40) u`, ownerID, email)
	portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) SELECT id::text, $1, 'viewer' FROM (
		SELECT id FROM hangar_owners WHERE id::text <> $2 LIMIT 10) o`, userID, ownerID)
	portal.Exec(t, `INSERT INTO realtime.invitations (owner_id, email, role, invited_by)
		SELECT $1, email, 'viewer', $2 FROM users ORDER BY email DESC LIMIT 80`, ownerID, userID)
	portal.Exec(t, `INSERT INTO realtime.invitations (owner_id, email, role, invited_by)
		SELECT id::text, $1, 'viewer', user_id::text FROM hangar_owners WHERE id::text <> $2 LIMIT 20`, email, ownerID)
	portal.Exec(t, `VACUUM (ANALYZE)`)
	return userID, ownerID, email
}

// TestPeopleAreFoundByIndex looks at the plans of all questions about users, those for given
// parameters and those for any: none reads all users or all accounts.
func TestPeopleAreFoundByIndex(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		if !slices.Contains([]string{"a table", "uuid ids", "bigint ids"}, v.name) {
			continue // users and accounts are alike in the others
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			portal := v.migrated(t)
			userID, ownerID, email := fillUsers(t, portal, 20_000)
			store, err := db.NewStore(t.Context(), portal.Pool, time.UTC)
			must(t, err)
			conn, err := portal.Pool.Connx(t.Context())
			must(t, err)
			defer conn.Close()
			for query, args := range store.PeopleQueries(userID, ownerID, email) {
				literals := make([]string, len(args))
				for i, arg := range args {
					literals[i] = pq.QuoteLiteral(fmt.Sprint(arg))
				}
				for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
					_, err := conn.ExecContext(t.Context(), `SET plan_cache_mode = `+mode+`; PREPARE question AS `+query)
					must(t, err)
					var plan []string
					must(t, conn.SelectContext(t.Context(), &plan, `EXPLAIN EXECUTE question(`+strings.Join(literals, ", ")+`)`))
					_, err = conn.ExecContext(t.Context(), `DEALLOCATE question`)
					must(t, err)
					for _, line := range plan {
						if strings.Contains(line, "Seq Scan on users") || strings.Contains(line, "Seq Scan on hangar_owners") {
							t.Errorf("%s: %s reads all:\n%s", mode, query, strings.Join(plan, "\n"))
							break
						}
					}
				}
			}
		})
	}
}

// BenchmarkPeople asks who is asking, what they may see and whose password it is, of a
// thousand and of a million users, and compares the two: ratio is how much longer it
// takes with a thousand times as many.
func BenchmarkPeople(b *testing.B) {
	many := 1_000_000
	if testing.Short() {
		many = 100_000
	}
	took := map[string]time.Duration{}
	for _, n := range []int{1000, many} {
		portal := dbtest.New(b)
		userID, ownerID, email := fillUsers(b, portal, n)
		store, err := db.NewStore(b.Context(), portal.Pool, time.UTC)
		if err != nil {
			b.Fatal(err)
		}
		sessions := db.NewSessions(store)
		caller := db.Caller{UserID: userID, Issued: time.Now()}
		for _, question := range []struct {
			name string
			ask  func() error
		}{
			{"user", func() error { _, err := store.User(b.Context(), userID); return err }},
			{"accounts", func() error { _, err := store.Accounts(b.Context(), userID); return err }},
			{"access", func() error { _, err := store.Access(b.Context(), caller, ownerID); return err }},
			{"members", func() error { _, err := store.Members(b.Context(), ownerID); return err }},
			{"addressed", func() error { _, err := store.Addressed(b.Context(), userID); return err }},
			{"invitations", func() error { _, err := store.Invitations(b.Context(), ownerID); return err }},
			{"credentials", func() error { _, err := sessions.Credentials(b.Context(), email); return err }},
			{"credentials of nobody", func() error { _, err := sessions.Credentials(b.Context(), "Nobody@many.example"); return err }},
		} {
			b.Run(fmt.Sprintf("%s/%d", question.name, n), func(b *testing.B) {
				for b.Loop() {
					if err := question.ask(); err != nil {
						b.Fatal(err)
					}
				}
				each := b.Elapsed() / time.Duration(b.N)
				if n == 1000 {
					took[question.name] = each
				} else if took[question.name] > 0 {
					b.ReportMetric(float64(each)/float64(took[question.name]), "ratio")
				}
			})
		}
	}
}
