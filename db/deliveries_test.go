package db_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func newDeliveries(t *testing.T, p *dbtest.Portal) (*db.Store, *db.Deliveries) {
	t.Helper()
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return store, db.NewDeliveries(store)
}

// notified adds a notification of an account and returns its id.
func notified(t *testing.T, p *dbtest.Portal, ownerID, kind string, revision int) string {
	t.Helper()
	return p.ID(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at, created_at)
		VALUES ($1, $2, gen_random_uuid()::text, gen_random_uuid()::text, $3, $3, now(), now() - interval '1 hour') RETURNING id::text`, ownerID, kind, revision)
}

// TestClaimsUseTheIndex looks at how PostgreSQL claims from a long queue that is mostly done, and
// from one that its statistics know nothing of.
func TestClaimsUseTheIndex(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	owner := p.AddOwner(t, 1)
	id := notified(t, p, owner.ID, "booking_created", 1)
	fill := func(done string) {
		p.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, target, not_before, expires_at, done_at)
			SELECT $1::bigint, $2 || n::text, 'mail', '', now() - n * interval '1 second', now() + interval '1 day', CASE WHEN n % 2 = 0 OR $2 = 'done' THEN now() END
			FROM generate_series(1, 20000) n`, id, done)
	}
	look := func(when string) {
		for name, query := range map[string]string{"claim": db.ClaimQuery, "queue": db.QueueQuery} {
			plan := strings.NewReplacer("$1", "50", "$2", "60", "$3", "'-infinity'", "$4", "0").Replace(query)
			var lines []string
			if err := p.Pool.SelectContext(t.Context(), &lines, "EXPLAIN (COSTS OFF) "+plan); err != nil {
				t.Fatal(err)
			}
			// Both partial indexes hold what waits alone: of few the smaller one will do.
			text := strings.Join(lines, "\n")
			if !strings.Contains(text, "deliveries_queue") && (name == "claim" || !strings.Contains(text, "deliveries_open")) || strings.Contains(text, "Seq Scan") {
				t.Errorf("%s, %s:\n%s", name, when, text)
			}
		}
	}
	fill("done")
	p.Exec(t, `ANALYZE realtime.deliveries`)
	fill("half ")
	look("statistics of a quiet night")
	p.Exec(t, `ANALYZE realtime.deliveries`)
	look("statistics of the queue")
}

// TestPeriodicQueriesUseIndexes looks at how PostgreSQL finds what is old, and who wants digests,
// in tables of which next to nothing is either.
func TestPeriodicQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	const rows = `FROM generate_series(1, 20000) n`
	for _, fill := range []string{
		`INSERT INTO realtime.digests (user_id, owner_id, period) SELECT n::text, '1', '2026-03-12' ` + rows,
		`INSERT INTO realtime.removed_devices (id, user_id, endpoint_hash) SELECT n::text, n::text, '' ` + rows,
		`INSERT INTO realtime.unsubscribe_tokens (hash, user_id, scope, expires_at) SELECT sha256(n::text::bytea), n::text, 'digest', now() + interval '1 day' ` + rows,
		`INSERT INTO realtime.user_settings (user_id, digest) SELECT n::text, CASE WHEN n % 1000 = 0 THEN 'day' ELSE 'off' END ` + rows,
		`INSERT INTO realtime.sessions (id, user_id, expires_at) SELECT n::text, n::text, now() + interval '1 day' ` + rows,
		`INSERT INTO realtime.push_subscriptions (user_id, session_id, endpoint_hash, endpoint, p256dh, auth, key_id) SELECT n::text, n::text, sha256(n::text::bytea), '', '', '', '' ` + rows,
		`ANALYZE`,
	} {
		p.Exec(t, fill)
	}
	for query, values := range db.PeriodicQueries {
		for n, value := range values {
			query = strings.ReplaceAll(query, fmt.Sprint("$", n+1), value)
		}
		var lines []string
		if err := p.Pool.SelectContext(t.Context(), &lines, "EXPLAIN (COSTS OFF) "+query); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(lines, "\n"); strings.Contains(text, "Seq Scan") || strings.Contains(text, "user_settings_pkey") {
			t.Errorf("%s\n%s", query, text)
		}
	}
}

// TestDevicesArePrunedInTurn has more devices than one step looks at: each is looked at in the end,
// and then the first ones again.
func TestDevicesArePrunedInTurn(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	p.Exec(t, `INSERT INTO realtime.push_subscriptions (id, user_id, session_id, endpoint_hash, endpoint, p256dh, auth, key_id, disabled_at)
		SELECT to_char(n, 'FM00000'), n::text, CASE WHEN n = 4500 THEN 'ended' END, sha256(n::text::bytea), '', '', '', '', CASE WHEN n = 1 THEN now() - interval '31 days' WHEN n = 2 THEN now() - interval '29 days' END
		FROM generate_series(1, 4500) n`)
	left := func() string { return p.ID(t, `SELECT count(*)::text FROM realtime.push_subscriptions`) }
	for step, want := range []string{"4499", "4499", "4498", "4497"} {
		if step == 3 {
			p.Exec(t, `UPDATE realtime.push_subscriptions SET disabled_at = now() - interval '31 days' WHERE id = '00002'`)
		}
		dbtest.Must(t, deliveries.Prune(t.Context()))
		if got := left(); got != want {
			t.Errorf("after step %d %s devices are left, want %s", step+1, got, want)
		}
	}
}

// claimPlan is what PostgreSQL says of a claim that it has executed.
type claimPlan struct {
	Index   string      `json:"Index Name"`
	Hit     int         `json:"Shared Hit Blocks"`
	Read    int         `json:"Shared Read Blocks"`
	Rows    int         `json:"Actual Rows"`
	Removed int         `json:"Rows Removed by Filter"`
	Plans   []claimPlan `json:"Plans"`
}

// scan returns the node that looks for what is due.
func (c claimPlan) scan() (found claimPlan) {
	if c.Index == "deliveries_queue" {
		return c
	}
	for _, p := range c.Plans {
		if node := p.scan(); node.Index != "" {
			return node
		}
	}
	return found
}

// TestClaimsStayFlat empties a queue whose deliveries all became due at one moment, beside a
// transaction that began before, so that nothing which is dead can be taken away: a claim touches
// as many pages at the end as at the beginning, and no row of those before. CLAIM_WAITING=100000 is
// the long form.
func TestClaimsStayFlat(t *testing.T) {
	waiting, err := strconv.Atoi(os.Getenv("CLAIM_WAITING"))
	if err != nil {
		t.Parallel()
		waiting = 5000
	}
	p := dbtest.New(t)
	store, deliveries := newDeliveries(t, p)
	owner := p.AddOwner(t, 1)
	id := notified(t, p, owner.ID, "booking_created", 1)
	p.Exec(t, `ALTER TABLE realtime.deliveries SET (autovacuum_enabled = false)`)
	p.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, not_before, expires_at)
		SELECT $1::bigint, n::text, 'mail', now() - interval '1 hour', now() + interval '1 day' FROM generate_series(1, $2::int) n`, id, waiting)
	p.Exec(t, `ANALYZE realtime.deliveries`)
	old, err := p.Pool.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Rollback()
	for _, statement := range []string{`SET LOCAL idle_in_transaction_session_timeout = 0`, `SELECT count(*) FROM realtime.deliveries`} {
		if _, err := old.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	const batch = 50
	explain := func(deliveries *db.Deliveries) (buffers int, scan claimPlan) {
		t.Helper()
		text, err := deliveries.ExplainClaim(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		var plans []struct{ Plan claimPlan }
		if err := json.Unmarshal([]byte(text), &plans); err != nil {
			t.Fatal(err)
		}
		return plans[0].Plan.Hit + plans[0].Plan.Read, plans[0].Plan.scan()
	}
	most := 0
	for left := waiting; left >= 3*batch; left -= 2 * batch {
		if claimed, err := deliveries.Claim(t.Context(), batch); err != nil || len(claimed) != batch {
			t.Fatalf("%d are claimed, %v", len(claimed), err)
		}
		buffers, scan := explain(deliveries)
		if scan.Rows != batch || scan.Removed > 0 || buffers > 8*batch {
			t.Fatalf("with %d waiting: %d pages, %+v", left, buffers, scan)
		}
		most = max(most, buffers)
		sent := waiting - left + 2*batch // ids are in the order of the queue
		p.Exec(t, `UPDATE realtime.deliveries SET done_at = now(), outcome = 'sent', claim = NULL, claimed_until = NULL WHERE id BETWEEN $1 AND $2 AND claim IS NOT NULL`, sent-2*batch+1, sent)
	}
	// From the front, as now and then: what is dead costs, until it may be taken away.
	front, _ := explain(db.NewDeliveries(store))
	if err := old.Rollback(); err != nil {
		t.Fatal(err)
	}
	p.Exec(t, `VACUUM (INDEX_CLEANUP ON) realtime.deliveries`)
	after, scan := explain(db.NewDeliveries(store))
	t.Logf("%d waiting: at most %d pages for %d deliveries; from the front %d, and %d when what is dead was taken away", waiting, most, batch, front, after)
	if after > 8*batch {
		t.Errorf("from the front, after a vacuum: %d pages, %+v", after, scan)
	}
}

// TestDevices adds devices: an endpoint has one user at a time, and a user 16 of them.
func TestDevices(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	add := func(user, endpoint, session string) (db.Device, bool) {
		t.Helper()
		d, isNew, err := deliveries.AddDevice(t.Context(), db.Device{UserID: user, Label: "Firefox", PushEndpoint: db.PushEndpoint{
			Endpoint: endpoint, P256dh: []byte{4}, Auth: []byte{1}, KeyID: "k", SessionID: session,
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d, isNew
	}
	first, isNew := add("7", "https://push.example/a", "")
	if !isNew || first.UserID != "7" || first.ID == "" {
		t.Fatalf("%+v, %t", first, isNew)
	}
	p.Exec(t, `UPDATE realtime.push_subscriptions SET failures = 4, disabled_at = now()`)
	again, isNew := add("7", "https://push.example/a", "s1")
	if isNew || again.ID != first.ID || again.SessionID != "s1" || again.Failures != 0 || again.DisabledAt.Valid {
		t.Errorf("the same again: %+v, %t", again, isNew)
	}
	others, isNew := add("8", "https://push.example/a", "")
	if !isNew || others.ID == first.ID || others.UserID != "8" {
		t.Errorf("another user: %+v, %t", others, isNew)
	}
	if list, err := deliveries.Devices(t.Context(), "7"); err != nil || len(list) != 0 {
		t.Errorf("the former user has %+v, %v", list, err)
	}
	if err := deliveries.RemoveDevice(t.Context(), "7", others.ID); err != db.ErrNotFound {
		t.Errorf("another's device is removed: %v", err)
	}
	for i := range 20 {
		add("9", fmt.Sprintf("https://push.example/%d", i), "")
	}
	list, err := deliveries.Devices(t.Context(), "9")
	if err != nil || len(list) != db.DevicesOfUser || !strings.HasSuffix(list[len(list)-1].Endpoint, "/19") {
		t.Errorf("%d devices, %v", len(list), err)
	}
	// those of a session that has ended go
	p.Exec(t, `INSERT INTO realtime.sessions (id, user_id, expires_at) VALUES ('alive', '9', now() + interval '1 day'), ('ended', '9', now() + interval '1 day')`)
	p.Exec(t, `UPDATE realtime.sessions SET ended_at = now() WHERE id = 'ended'`)
	p.Exec(t, `DELETE FROM realtime.push_subscriptions`)
	for _, session := range []string{"alive", "ended", "unknown", ""} {
		add("9", "https://push.example/of-"+session, session)
	}
	if err := deliveries.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := p.ID(t, `SELECT string_agg(endpoint, ' ' ORDER BY endpoint) FROM realtime.push_subscriptions`); n != "https://push.example/of- https://push.example/of-alive" {
		t.Errorf("left are %s", n)
	}
}

// TestSessionsTakeTheirDevices ends sessions in each way: their devices go with them, at once, and
// no other.
func TestSessionsTakeTheirDevices(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	store, deliveries := newDeliveries(t, p)
	sessions := db.NewSessions(store)
	open := func(user string) db.Session {
		t.Helper()
		session, err := sessions.Open(t.Context(), user, time.Hour, false)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	add := func(user, name, session string) {
		t.Helper()
		_, _, err := deliveries.AddDevice(t.Context(), db.Device{UserID: user, PushEndpoint: db.PushEndpoint{
			Endpoint: "https://push.example/" + name, P256dh: []byte{4}, Auth: []byte{1}, KeyID: "k", SessionID: session,
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	ended, reused, other, everything, crowded := open("7"), open("7"), open("7"), open("8"), open("9")
	add("7", "ended", ended.ID)
	add("7", "reused", reused.ID)
	add("7", "other", other.ID)
	add("7", "portal", "")
	add("8", "everything", everything.ID)
	add("8", "everything-portal", "")
	add("9", "crowded", crowded.ID)
	left := func(after string, want ...string) {
		t.Helper()
		if got := p.ID(t, `SELECT string_agg(replace(endpoint, 'https://push.example/', ''), ' ' ORDER BY created_at) FROM realtime.push_subscriptions`); got != strings.Join(want, " ") {
			t.Errorf("after %s there are %s, not %v", after, got, want)
		}
	}
	if err := sessions.End(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	left("a sign-out", "reused", "other", "portal", "everything", "everything-portal", "crowded")
	if _, err := sessions.Rotate(t.Context(), reused.ID, 7, time.Hour); !errors.Is(err, db.ErrSessionEnded) {
		t.Fatalf("a generation that never was: %v", err)
	}
	left("a refresh token came twice", "other", "portal", "everything", "everything-portal", "crowded")
	if err := sessions.EndAll(t.Context(), "8"); err != nil {
		t.Fatal(err)
	}
	left("all sessions were ended", "other", "portal", "crowded")
	p.Exec(t, `UPDATE realtime.sessions SET expires_at = now() + interval '1 minute' WHERE user_id = '9'`)
	for p.ID(t, `SELECT count(*) FROM realtime.sessions WHERE id = '`+crowded.ID+`'`) != "0" {
		open("9")
	}
	left("newer sessions took its place", "other", "portal")
}

// TestRemovedDevicesStayRemoved tells devices anew, by their id, their endpoint and a former one:
// those that their user removed are refused until they add them. Another user's are theirs.
func TestRemovedDevicesStayRemoved(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	tell := func(user, endpoint string, renews ...string) (string, error) {
		var known *string
		if len(renews) > 0 {
			known = &renews[0]
		}
		d, _, err := deliveries.AddDevice(t.Context(), db.Device{UserID: user, PushEndpoint: db.PushEndpoint{Endpoint: endpoint, P256dh: []byte{4}, Auth: []byte{1}, KeyID: "k"}}, known)
		return d.ID, err
	}
	added := func(user, endpoint string, renews ...string) string {
		t.Helper()
		id, err := tell(user, endpoint, renews...)
		if err != nil {
			t.Errorf("%s of %s, renewing %q: %v", endpoint, user, renews, err)
		}
		return id
	}
	first := added("7", "https://push.example/a", "") // the server forgot it
	if again := added("7", "https://push.example/a", first); again != first {
		t.Errorf("%s renewed is %s", first, again)
	}
	dbtest.Must(t, deliveries.RemoveDevice(t.Context(), "7", first))
	for _, c := range [][2]string{{"https://push.example/a", first}, {"https://push.example/a", ""}, {"https://push.example/b", first}, {"https://push.example/b", "https://push.example/a"}} {
		if _, err := tell("7", c[0], c[1]); !errors.Is(err, db.ErrDeviceRemoved) {
			t.Errorf("%s, renewing %q: %v", c[0], c[1], err)
		}
	}
	other := added("8", "https://push.example/a", "")
	if _, err := tell("7", "https://push.example/a", first); !errors.Is(err, db.ErrDeviceRemoved) || p.ID(t, `SELECT id FROM realtime.push_subscriptions`) != other {
		t.Errorf("it has another user by now: %v", err)
	}
	second := added("7", "https://push.example/a")
	if again := added("7", "https://push.example/a", second); again != second {
		t.Errorf("added, then renewed: %s, %s", second, again)
	}
	for i := range 70 {
		dbtest.Must(t, deliveries.RemoveDevice(t.Context(), "7", added("7", fmt.Sprintf("https://push.example/%d", i))))
	}
	p.Exec(t, `UPDATE realtime.removed_devices SET removed_at = now() - interval '13 months' WHERE id IN (SELECT id FROM realtime.removed_devices LIMIT 10)`)
	dbtest.Must(t, deliveries.Prune(t.Context()))
	if n := p.ID(t, `SELECT count(*)::text FROM realtime.removed_devices`); n != "54" {
		t.Errorf("%s removed devices are known", n)
	}
}

// TestDigestsBesideMany has more unread notifications of other kinds come after what a digest is to
// tell than it counts: it tells of its own.
func TestDigestsBesideMany(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	owner := p.AddOwner(t, 1)
	for n := range 3 {
		notified(t, p, owner.ID, "payment_received", n+1)
	}
	p.Exec(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at)
		SELECT $1, 'booking_created', n::text, n::text, n, n, now() FROM generate_series(4, 1200) n`, owner.ID)
	p.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'payment_received', 'mail', 'digest')`, owner.UserID, owner.ID)
	lines, more, err := deliveries.DigestLines(t.Context(), db.OpenedDelivery{UserID: owner.UserID, OwnerID: owner.ID, Role: db.RoleOwner}, 2)
	if err != nil || len(lines) != 2 || more != 1 || lines[0].Kind != "payment_received" {
		t.Errorf("%+v and %d more, %v", lines, more, err)
	}
}

// TestDigestsAreOnce plans a digest by two servers, and tells only what is unread and unseen.
func TestDigestsAreOnce(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	store, deliveries := newDeliveries(t, p)
	owner := p.AddOwner(t, 1)
	for i, kind := range []string{"booking_created", "booking_created", "booking_cancelled", "payment_received", "booking_created", "booking_created"} {
		notified(t, p, owner.ID, kind, i+1)
	}
	p.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE revision = 5`)
	p.Exec(t, `UPDATE realtime.notifications SET user_id = '999' WHERE revision = 6`)
	p.Exec(t, `INSERT INTO realtime.notification_views (owner_id, user_id, seen_through) VALUES ($1, $2, 1)`, owner.ID, owner.UserID)
	p.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'mail', 'digest'), ($1, $2, 'payment_received', 'mail', 'digest')`, owner.UserID, owner.ID)
	p.Exec(t, `INSERT INTO realtime.user_settings (user_id, digest, digest_at) VALUES ($1, 'day', '07:30')`, owner.UserID)
	users, err := deliveries.DigestUsers(t.Context(), "", 10)
	if err != nil || len(users) != 1 || users[0].DigestAt != 7*60+30 || users[0].Settings.Digest != db.DigestDay {
		t.Fatalf("%+v, %v", users, err)
	}
	planned := make(chan bool, 4)
	for range cap(planned) {
		go func() {
			ok, err := deliveries.PlanDigest(t.Context(), owner.UserID, owner.ID, "2026-03-12", time.Now())
			if err != nil {
				t.Error(err)
			}
			planned <- ok
		}()
	}
	n := 0
	for range cap(planned) {
		if <-planned {
			n++
		}
	}
	if count := p.ID(t, `SELECT count(*)::text FROM realtime.deliveries`); n != 1 || count != "1" {
		t.Fatalf("%d servers planned %s digests", n, count)
	}
	if ends := p.ID(t, `SELECT (expires_at - not_before)::text FROM realtime.deliveries`); ends != "12:00:00" {
		t.Errorf("it is worth sending for %s", ends)
	}
	claimed, err := deliveries.Claim(t.Context(), 10)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%+v, %v", claimed, err)
	}
	d, err := deliveries.Open(t.Context(), claimed[0])
	if err != nil || !d.IsDigest() || d.OwnerID != owner.ID || d.Role != db.RoleOwner {
		t.Fatalf("%+v, %v", d, err)
	}
	lines, more, err := deliveries.DigestLines(t.Context(), d, 1)
	if err != nil || len(lines) != 1 || more != 1 || lines[0].Kind != "payment_received" {
		t.Errorf("%+v, %d, %v", lines, more, err)
	}
	p.Exec(t, `UPDATE realtime.notification_views SET seen_through = 100`)
	if lines, _, err := deliveries.DigestLines(t.Context(), d, 20); err != nil || len(lines) != 0 {
		t.Errorf("all seen: %+v, %v", lines, err)
	}
	// nothing unread: none for this period, also later
	if ok, err := deliveries.PlanDigest(t.Context(), owner.UserID, owner.ID, "2026-03-13", time.Now()); err != nil || ok {
		t.Errorf("an empty digest: %t, %v", ok, err)
	}
	p.Exec(t, `UPDATE realtime.notification_views SET seen_through = 0`)
	if ok, err := deliveries.PlanDigest(t.Context(), owner.UserID, owner.ID, "2026-03-13", time.Now()); err != nil || ok {
		t.Errorf("after its hour: %t, %v", ok, err)
	}
	_ = store
}

// TestNothingFromBeforeTheyJoined adds a member to an account with unread notifications: their
// digest begins with what happens from then on. What waits for them while they are removed and
// added again is not theirs any more.
func TestNothingFromBeforeTheyJoined(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	owner, member := p.AddOwner(t, 1), p.AddGuest(t, "Vera", "Lima")
	join := func() {
		t.Helper()
		p.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, owner.ID, member)
	}
	plan := func(day string, want bool) {
		t.Helper()
		if ok, err := deliveries.PlanDigest(t.Context(), member, owner.ID, day, time.Now()); err != nil || ok != want {
			t.Errorf("a digest of %s: %t, %v", day, ok, err)
		}
	}
	p.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'mail', 'digest')`, member, owner.ID)
	notified(t, p, owner.ID, "booking_created", 1)
	join()
	plan("2026-03-12", false)
	second := notified(t, p, owner.ID, "booking_created", 2)
	plan("2026-03-13", true)
	open := func() db.OpenedDelivery {
		t.Helper()
		claimed, err := deliveries.Claim(t.Context(), 10)
		if err != nil || len(claimed) != 1 {
			t.Fatalf("%+v, %v", claimed, err)
		}
		d, err := deliveries.Open(t.Context(), claimed[0])
		dbtest.Must(t, err)
		return d
	}
	d := open()
	if lines, _, err := deliveries.DigestLines(t.Context(), d, 20); err != nil || len(lines) != 1 || lines[0].NotificationID != second || d.Early {
		t.Errorf("the digest: %+v, early: %t, %v", lines, d.Early, err)
	}
	dbtest.Must(t, deliveries.Finish(t.Context(), d.ClaimedDelivery, db.OutcomeSent, 250))

	p.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, not_before, expires_at)
		SELECT $1::bigint, u, 'mail', now(), now() + interval '1 day' FROM unnest($2::text[]) u`, second, "{"+member+"}")
	if d := open(); d.Early || d.Role != db.RoleManager {
		t.Errorf("as they were: %+v", d)
	}
	p.Exec(t, `DELETE FROM realtime.members`)
	join()
	p.Exec(t, `UPDATE realtime.deliveries SET claimed_until = now() - interval '1 second' WHERE done_at IS NULL`)
	if d := open(); !d.Early || d.Role != db.RoleManager {
		t.Errorf("after they were added again: %+v", d)
	}
}

// TestUnsubscribe ends mails by tokens, each for what it stands for.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	owner := p.AddOwner(t, 1)
	p.Exec(t, `INSERT INTO realtime.user_settings (user_id, digest) VALUES ($1, 'day')`, owner.UserID)
	token := func(scope string) string {
		t.Helper()
		token, err := deliveries.UnsubscribeToken(t.Context(), owner.UserID, scope)
		if err != nil {
			t.Fatal(err)
		}
		if p.ID(t, `SELECT count(*)::text FROM realtime.unsubscribe_tokens u WHERE u::text LIKE '%' || $1 || '%'`, token) != "0" {
			t.Error("the token is kept")
		}
		return token
	}
	left := func() string {
		t.Helper()
		return p.ID(t, `SELECT coalesce(string_agg(kind || ' ' || mode, ', ' ORDER BY kind), '') || '; ' || (SELECT digest FROM realtime.user_settings) FROM realtime.preferences`)
	}
	one := token(db.ScopeOfKind(owner.ID, "overbooked"))
	for range 2 { // used again
		if err := deliveries.Unsubscribe(t.Context(), one, false); err != nil || left() != "overbooked off; day" {
			t.Errorf("one kind: %v, %s", err, left())
		}
	}
	if err := deliveries.Unsubscribe(t.Context(), token(db.ScopeDigest), false); err != nil || left() != "overbooked off; off" {
		t.Errorf("digests: %v, %s", err, left())
	}
	if err := deliveries.Unsubscribe(t.Context(), token(db.ScopeOfKind(owner.ID, "new_sign_in")), false); err != nil || strings.Contains(left(), "new_sign_in") {
		t.Errorf("what cannot be ended: %v, %s", err, left())
	}
	for _, unknown := range []string{"", "x", strings.Repeat("a", 43)} {
		if err := deliveries.Unsubscribe(t.Context(), unknown, true); err != db.ErrNotFound {
			t.Errorf("%q: %v", unknown, err)
		}
	}
	old := token(db.ScopeDigest)
	p.Exec(t, `UPDATE realtime.unsubscribe_tokens SET expires_at = now()`)
	if err := deliveries.Unsubscribe(t.Context(), old, true); err != db.ErrNotFound {
		t.Errorf("expired: %v", err)
	}
	if err := deliveries.Unsubscribe(t.Context(), token(db.ScopeDigest), true); err != nil || strings.Count(left(), " off") < 12 || strings.Contains(left(), "new_sign_in") {
		t.Errorf("all: %v, %s", err, left())
	}
}

// TestPushTellsTheBellsNumber compares the number that a push tells with that of the bell: of a
// user who does not want one kind there, and of another.
func TestPushTellsTheBellsNumber(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	store, deliveries := newDeliveries(t, p)
	owner, member := p.AddOwner(t, 1), p.AddGuest(t, "Vera", "Lima")
	for i, kind := range []string{"booking_created", "booking_created", "unpaid"} {
		notified(t, p, owner.ID, kind, i+1)
	}
	read := notified(t, p, owner.ID, "unpaid", 4)
	p.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE id = $1::bigint`, read)
	p.Exec(t, `INSERT INTO realtime.notifications (owner_id, user_id, kind, key, group_key, revision, news, happened_at) VALUES ($1, $2, 'member_changed', 'm', 'm', 5, 5, now())`, owner.ID, member)
	p.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'inApp', 'off')`, member, owner.ID)
	p.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role, since) VALUES ($1, $2, 'manager', now() - interval '1 day')`, owner.ID, member)
	for user, want := range map[string]int{owner.UserID: 3, member: 2} {
		d := db.OpenedDelivery{UserID: user, OwnerID: owner.ID}
		d.ID, d.Channel, d.Target = "0", db.ChannelPush, "none"
		var err error
		d.Role, err = store.Access(t.Context(), db.Caller{UserID: user, Issued: time.Now()}, owner.ID)
		dbtest.Must(t, err)
		about, err := deliveries.Details(t.Context(), d)
		dbtest.Must(t, err)
		bell, err := store.AccountCounts(t.Context(), user, []string{owner.ID})
		dbtest.Must(t, err)
		if about.Unread != want || bell[0].Unread != int64(want) {
			t.Errorf("user %s: the push tells %d, the bell %d, want %d", user, about.Unread, bell[0].Unread, want)
		}
	}
}

// TestDeliveriesAsMade makes a notification of each of some kinds: a push waits for who is at the
// screen unless it is urgent, each is worth sending for as long as its kind says, and viewers get
// none that they did not ask for.
func TestDeliveriesAsMade(t *testing.T) {
	t.Parallel()
	m := newMaker(t, db.ChannelPush, db.ChannelMail)
	viewer := m.AddGuest(t, "Vera", "Lima")
	m.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, m.owner.ID, viewer)
	deliveries := db.NewDeliveries(m.store)
	for _, user := range []string{m.owner.UserID, viewer} {
		_, _, err := tellDevice(t.Context(), deliveries, user, "https://push.example/"+user)
		must(t, err)
	}
	m.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'arrives_tomorrow', 'push', 'now'), ($1, $2, 'booking_created', 'mail', 'digest')`, m.owner.UserID, m.owner.ID)
	for n, c := range []struct{ kind, want string }{
		{db.KindBookingCreated, "push 00:00:20 1 day"}, {db.KindUnpaid, "push 00:00:20 06:00:00"},
		{db.KindArrivesTomorrow, "push 00:00:20 12:00:00"}, {db.KindOverbooked, "mail 00:00:00 1 day, push 00:00:00 1 day"},
		{db.KindPayoutSent, ""},
	} {
		m.make(int64(n+1), []db.Happening{{OwnerID: m.owner.ID, Kind: c.kind, Key: c.kind, Subject: c.kind, At: time.Now(), Facts: map[string]int{}}})
		got := m.ID(t, `SELECT coalesce(string_agg(format('%s %s %s', d.channel, d.not_before - n.created_at, d.expires_at - n.created_at), ', ' ORDER BY d.channel), '')
			FROM realtime.deliveries d JOIN realtime.notifications n ON n.id = d.notification_id WHERE n.kind = $1 AND d.user_id = $2`, c.kind, m.owner.UserID)
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.kind, got, c.want)
		}
	}
	if n := m.ID(t, `SELECT count(*)::text FROM realtime.deliveries WHERE user_id = $1`, viewer); n != "0" {
		t.Errorf("a viewer gets %s", n)
	}
}
