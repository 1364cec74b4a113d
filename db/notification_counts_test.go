package db_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// keptCounts compares what is kept of the counts with the rows that they count.
func (m maker) keptCounts(after string) {
	m.t.Helper()
	var kept, counted []string
	must(m.t, m.Pool.Select(&kept, `SELECT concat_ws(' ', owner_id, user_id, kind, total, unread) FROM realtime.notification_counts ORDER BY 1`))
	must(m.t, m.Pool.Select(&counted, `SELECT concat_ws(' ', owner_id, coalesce(user_id, ''), kind, count(*),
		count(*) FILTER (WHERE read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL)) AS line
		FROM realtime.notifications GROUP BY owner_id, coalesce(user_id, ''), kind ORDER BY 1`))
	if !slices.Equal(kept, counted) {
		m.t.Errorf("after %s the counts are\n%s\nwant\n%s", after, strings.Join(kept, "\n"), strings.Join(counted, "\n"))
	}
}

// add writes n notifications of a kind as nothing of ours does, with news from 1 on.
func (m maker) add(n int, ownerID, userID, kind string) {
	m.t.Helper()
	m.Exec(m.t, `INSERT INTO realtime.notification_accounts AS a (owner_id, revision) VALUES ($1, $2)
		ON CONFLICT (owner_id) DO UPDATE SET revision = greatest(a.revision, excluded.revision)`, ownerID, n)
	m.Exec(m.t, `INSERT INTO realtime.notifications (owner_id, user_id, kind, key, group_key, facts, revision, news, happened_at)
		SELECT $1, nullif($2, ''), $3, gen_random_uuid()::text, 'g' || n, json_build_object('hangarId', n % 40, 'bookingId', n), n, n, now() - interval '1 hour' + n * interval '1 ms'
		FROM generate_series(1, $4::int) n`, ownerID, userID, kind, n)
}

// TestCountsAreKept writes notifications in every way and at random, and compares what is kept of
// the counts with the rows, and the counts of pages with both.
func TestCountsAreKept(t *testing.T) {
	t.Parallel()
	m := newMaker(t, db.ChannelMail)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	other := m.AddOwner(t, 0)
	manager := m.AddGuest(t, "Marta", "Lima")
	m.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role, since) VALUES ($1, $2, 'manager', now() - interval '59 minutes 59.98 seconds')`, m.owner.ID, manager)
	must(t, m.store.SetPreferences(t.Context(), m.owner.ID, manager, []db.Preference{{Kind: db.KindBookingChanged, Channel: db.ChannelInApp, Mode: db.ModeOff}}))
	for _, kind := range []string{db.KindBookingCreated, db.KindBookingChanged, db.KindOverbooked} {
		m.add(30, m.owner.ID, "", kind)
	}
	m.add(10, m.owner.ID, manager, db.KindNewSignIn)
	m.add(10, other.ID, "", db.KindBookingCreated)
	m.keptCounts("inserts")
	for step := range 60 {
		id := m.ID(t, `SELECT id::text FROM realtime.notifications ORDER BY random() LIMIT 1`)
		n := int64(0)
		fmt.Sscan(id, &n)
		yes := step%2 == 0
		what := fmt.Sprint("step ", step)
		switch random.IntN(9) {
		case 0:
			m.make(int64(step+1), m.happenings(1000+10*step, 3, 2))
		case 1:
			m.make(int64(step+1), nil, db.EndedGroup{OwnerID: m.owner.ID, Group: m.ID(t, `SELECT group_key FROM realtime.notifications WHERE id = $1`, id)})
		case 2:
			_, err := m.store.ReadNotifications(t.Context(), m.owner.ID, manager, n, "", int64(random.IntN(30)))
			must(t, err)
		case 3:
			if _, err := m.store.PatchNotification(t.Context(), m.owner.ID, manager, n, db.NotificationPatch{Archived: &yes}); err != nil && err != db.ErrNotFound {
				what += err.Error()
			}
		case 4:
			m.Exec(t, `UPDATE realtime.notifications SET expires_at = now() WHERE id = $1`, id)
			_, err := m.notices.Prune(t.Context())
			must(t, err)
		case 5:
			must(t, m.store.SeeNotifications(t.Context(), m.owner.ID, manager, n, int64(random.IntN(30))))
		case 6:
			m.Exec(t, `UPDATE realtime.notifications SET read_at = NULL WHERE id > $1`, id)
		case 7:
			m.Exec(t, `DELETE FROM realtime.notifications WHERE id = $1`, id)
		default:
			m.Exec(t, `UPDATE realtime.notifications SET kind = $2, user_id = CASE WHEN $3::boolean THEN NULL ELSE $4 END WHERE id = $1`, id, db.KindUnpaid, yes, manager)
		}
		m.keptCounts(what)
		for _, user := range []string{m.owner.UserID, manager} {
			want := m.ID(t, `SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE n.news > coalesce((SELECT seen_through FROM realtime.notification_views v WHERE v.owner_id = $1 AND v.user_id = $2), 0)
				AND n.happened_at > coalesce((SELECT since FROM realtime.members s WHERE s.owner_id = $1 AND s.user_id = $2), '-infinity')))
				FROM realtime.notifications n WHERE owner_id = $1 AND (user_id IS NULL OR user_id = $2) AND read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL
				AND kind NOT IN (SELECT kind FROM realtime.preferences p WHERE p.user_id = $2 AND p.owner_id = $1 AND channel = 'inApp' AND mode = 'off')`, m.owner.ID, user)
			page, err := m.store.Notifications(t.Context(), m.owner.ID, user, db.NotificationFilter{State: "unread", Limit: 100})
			must(t, err)
			sums, err := m.store.AccountCounts(t.Context(), user, []string{m.owner.ID})
			must(t, err)
			all, err := m.store.NotificationNews(t.Context(), []db.NewsQuestion{{OwnerID: m.owner.ID, UserIDs: []string{user}}}, 1)
			must(t, err)
			for where, got := range map[string]string{
				"the list":  fmt.Sprint(page.Unread, " ", page.Unseen),
				"the sums":  fmt.Sprint(sums[0].Unread, " ", sums[0].Unseen),
				"a message": fmt.Sprint(all[m.owner.ID].People[0].Unread, " ", all[m.owner.ID].People[0].Unseen),
			} {
				if got != want {
					t.Errorf("after %s %s counts %s for user %s, want %s", what, where, got, user, want)
				}
			}
			if !page.More && int(page.Unread) != len(page.Items) {
				t.Errorf("after %s %d are listed of %d", what, len(page.Items), page.Unread)
			}
		}
	}
	m.Exec(t, `TRUNCATE realtime.notifications CASCADE`)
	m.keptCounts("a truncate")
}

// TestWrongCountsAreMended spoils what is kept of the counts, beside writers: what differs is told
// and put right, and what these write meanwhile is counted once.
func TestWrongCountsAreMended(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	other := m.AddOwner(t, 0)
	m.add(30, m.owner.ID, "", db.KindBookingCreated)
	m.add(5, m.owner.ID, m.owner.UserID, db.KindNewSignIn)
	m.add(3, other.ID, "", db.KindOverbooked)
	m.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE kind = 'booking_created' AND id % 3 = 0`)
	var accounts []string
	for id := ""; ; {
		next, err := m.notices.NextCounted(t.Context(), id)
		must(t, err)
		if id = next; id == "" {
			break
		}
		accounts = append(accounts, id)
		if found, err := m.notices.Recount(t.Context(), id); err != nil || len(found) > 0 {
			t.Errorf("at first: %v, %v", found, err)
		}
	}
	if len(accounts) != 2 || !slices.Contains(accounts, m.owner.ID) || !slices.Contains(accounts, other.ID) {
		t.Errorf("counted in turn: %v", accounts)
	}
	revision := func() string {
		return m.ID(t, `SELECT concat_ws(' ', revision, (SELECT count(*) FROM realtime.events WHERE type = '.note')) FROM realtime.notification_accounts WHERE owner_id = $1`, m.owner.ID)
	}
	before := revision()
	m.Exec(t, `UPDATE realtime.notification_counts SET unread = unread - 7 WHERE owner_id = $1 AND kind = 'booking_created'`, m.owner.ID)
	m.Exec(t, `DELETE FROM realtime.notification_counts WHERE owner_id = $1 AND kind = 'new_sign_in'`, m.owner.ID)
	m.Exec(t, `INSERT INTO realtime.notification_counts VALUES ($1, '', 'unpaid', 4, 2)`, m.owner.ID)
	found, err := m.notices.Recount(t.Context(), m.owner.ID)
	must(t, err)
	if got, want := fmt.Sprint(found), "[booking_created: kept 30, 13 unread; counted 30, 20 unread unpaid: kept 4, 2 unread; counted 0, 0 unread new_sign_in: kept 0, 0 unread; counted 5, 5 unread]"; got != want {
		t.Errorf("it differs in\n%s, want\n%s", got, want)
	}
	m.keptCounts("mending")
	if now := revision(); now != "31 1" || before != "30 0" {
		t.Errorf("revision and notes: %s, before %s", now, before)
	}
	if found, err := m.notices.Recount(t.Context(), m.owner.ID); err != nil || len(found) > 0 || revision() != "31 1" {
		t.Errorf("again: %v, %v", found, err)
	}

	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for range 40 {
				m.Exec(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, revision, news, happened_at) SELECT $1, 'unpaid', gen_random_uuid()::text, 'g', 1, 1, now()`, m.owner.ID)
				m.Exec(t, `UPDATE realtime.notifications SET read_at = CASE WHEN read_at IS NULL THEN now() END WHERE id = (SELECT id FROM realtime.notifications ORDER BY random() LIMIT 1)`)
			}
		})
	}
	for range 20 {
		m.Exec(t, `UPDATE realtime.notification_counts SET total = total + 3, unread = unread + 1 WHERE owner_id = $1 AND kind = 'booking_created'`, m.owner.ID)
		var menders sync.WaitGroup
		for range 2 {
			menders.Go(func() {
				if _, err := m.notices.Recount(t.Context(), m.owner.ID); err != nil {
					t.Error(err)
				}
			})
		}
		menders.Wait()
	}
	writers.Wait()
	m.keptCounts("mending beside writers")
}

// TestListsReadAPage looks how many rows are read for a page of 10,000 notifications: those of the
// page, with one plan for all accounts, however many are unread, unseen or archived.
func TestListsReadAPage(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	asked := fmt.Sprintf(`{"owner_id":"%s","user_ids":["%s"],"after":9990}`, m.owner.ID, m.owner.UserID)
	for range 20 {
		o := m.AddOwner(t, 0)
		m.add(50, o.ID, "", db.KindBookingCreated)
		asked += fmt.Sprintf(`,{"owner_id":"%s","user_ids":["%s"],"after":49}`, o.ID, o.UserID)
	}
	m.add(10_000, m.owner.ID, "", db.KindBookingCreated)
	m.Exec(t, `ANALYZE realtime.notifications`)
	look := func(what string) {
		t.Helper()
		for name, query := range m.store.NotificationLists() {
			tx := dbtest.Begin(t, m.Portal)
			args := fmt.Sprintf(`'%s', '{%s}', 51, '', '', 0`, m.owner.ID, m.owner.UserID)
			switch name {
			case "changed":
				args = fmt.Sprintf(`'%s', '{%s}', 51, 9990`, m.owner.ID, m.owner.UserID)
			case "news":
				args = fmt.Sprintf(`'[%s]', 51`, asked)
			}
			reads := func() (rows int) {
				must(t, tx.GetContext(t.Context(), &rows, `SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_all_tables WHERE relid = 'realtime.notifications'::regclass`))
				return rows
			}
			before := reads()
			for _, statement := range []string{`SET LOCAL plan_cache_mode = force_generic_plan`, `PREPARE list AS ` + query, `EXECUTE list (` + args + `)`, `DEALLOCATE list`} {
				_, err := tx.ExecContext(t.Context(), statement)
				must(t, err)
			}
			read := reads() - before
			must(t, tx.Rollback())
			if read > 150 {
				t.Errorf("%s, %s: read %d rows", what, name, read)
			}
		}
	}
	look("all unread, none seen")
	m.Exec(t, `INSERT INTO realtime.notification_views (owner_id, user_id, seen_through) VALUES ($1, $2, 9980)`, m.owner.ID, m.owner.UserID)
	look("all unread, 20 unseen")
	m.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE owner_id = $1 AND id % 2 = 0`, m.owner.ID)
	m.Exec(t, `ANALYZE realtime.notifications`)
	look("half of them read")
	m.Exec(t, `UPDATE realtime.notifications SET archived_at = now() WHERE owner_id = $1 AND id % 3 = 0`, m.owner.ID)
	m.Exec(t, `VACUUM ANALYZE realtime.notifications`)
	look("a third of them archived")
}

// TestChosenListsReadAPage looks at pages of what is rare among 10,000 notifications: of a kind, of
// a hangar, of both, of who hides the most frequent kind, and of who shares the account with
// somebody who has thousands of their own. Each holds what it should, and reads a bounded number of
// rows and index entries, with one plan for all.
func TestChosenListsReadAPage(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	for range 5 {
		m.add(50, m.AddOwner(t, 0).ID, "", db.KindBookingCreated)
	}
	manager, busy := m.AddGuest(t, "Marta", "Lima"), m.AddGuest(t, "Bia", "Reis")
	must(t, m.store.SetPreferences(t.Context(), m.owner.ID, manager, []db.Preference{{Kind: db.KindBookingCreated, Channel: db.ChannelInApp, Mode: db.ModeOff}}))
	m.add(3, m.owner.ID, "", db.KindOverbooked)
	m.add(70, m.owner.ID, "", db.KindUnpaid)
	m.add(2, m.owner.ID, manager, db.KindNewSignIn)
	m.add(10_000, m.owner.ID, "", db.KindBookingCreated)
	m.add(4_000, m.owner.ID, busy, db.KindNewSignIn)
	m.Exec(t, `UPDATE realtime.notifications SET facts = '{"hangarId":"rare"}' WHERE owner_id = $1 AND kind IN ('booking_created', 'unpaid') AND revision < 3`, m.owner.ID)
	const page = 30
	look := func(what string) {
		t.Helper()
		m.Exec(t, `VACUUM ANALYZE realtime.notifications`)
		for _, who := range []string{m.owner.UserID, manager} {
			for _, f := range []db.NotificationFilter{
				{}, {Kind: db.KindOverbooked}, {Kind: db.KindBookingCreated}, {Kind: db.KindNewSignIn}, {Kind: db.KindInvitation}, {HangarID: "rare"}, {HangarID: "5"}, {HangarID: "none"},
				{Kind: db.KindUnpaid, HangarID: "rare"}, {Kind: db.KindOverbooked, HangarID: "rare"}, {Kind: db.KindBookingCreated, Before: 60}, {Before: 60},
			} {
				for f.State = range map[string]bool{"unread": true, "archived": true, "all": true} {
					f.Limit = page
					got, err := m.store.Notifications(t.Context(), m.owner.ID, who, f)
					must(t, err)
					var want []int64
					must(t, m.Pool.Select(&want, `SELECT id FROM realtime.notifications n WHERE owner_id = $1 AND (user_id IS NULL OR user_id = $2)
						AND kind NOT IN (SELECT kind FROM realtime.preferences WHERE user_id = $2 AND owner_id = $1 AND mode = 'off')
						AND CASE $3 WHEN 'archived' THEN archived_at IS NOT NULL WHEN 'all' THEN archived_at IS NULL ELSE read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL END
						AND ($4 = '' OR kind = $4) AND ($5 = '' OR facts->>'hangarId' = $5) AND ($6::bigint = 0 OR id < $6) ORDER BY id DESC LIMIT $7`,
						m.owner.ID, who, f.State, f.Kind, f.HangarID, f.Before, page))
					var ids []int64
					for _, one := range got.Items {
						ids = append(ids, one.ID)
					}
					if !slices.Equal(ids, want) {
						t.Errorf("%s, user %s, %+v: %v, want %v", what, who, f, ids, want)
					}
					if read := m.pageReads(who, f); read > 15*page {
						t.Errorf("%s, user %s, %+v: read %d", what, who, f, read)
					}
				}
			}
		}
	}
	look("all unread")
	m.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE owner_id = $1 AND id % 2 = 0`, m.owner.ID)
	look("half of them read")
	m.Exec(t, `UPDATE realtime.notifications SET archived_at = now() WHERE owner_id = $1 AND id % 3 = 0`, m.owner.ID)
	look("a third of them archived")
	m.Exec(t, `UPDATE realtime.notifications SET archived_at = now() WHERE owner_id = $1 AND id > 40`, m.owner.ID)
	look("nearly all of them archived")
}

// TestChangesReadAPage asks for what changed after revisions, of an account in which others have
// 10,000 notifications of their own and 10,000 are of a kind that one hides: each gets what they
// may see, in the order of the changes, and no row of the others is read, with one plan for all.
func TestChangesReadAPage(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	for range 5 {
		m.add(50, m.AddOwner(t, 0).ID, "", db.KindBookingCreated)
	}
	hides, busy := m.AddGuest(t, "Marta", "Lima"), m.AddGuest(t, "Bia", "Reis")
	must(t, m.store.SetPreferences(t.Context(), m.owner.ID, hides, []db.Preference{{Kind: db.KindBookingCreated, Channel: db.ChannelInApp, Mode: db.ModeOff}}))
	m.add(10_000, m.owner.ID, busy, db.KindNewSignIn)
	m.add(10_000, m.owner.ID, "", db.KindBookingCreated)
	m.add(400, m.owner.ID, "", db.KindUnpaid)
	m.add(3, m.owner.ID, hides, db.KindNewSignIn)
	m.Exec(t, `UPDATE realtime.notifications SET revision = 9000 + revision WHERE owner_id = $1 AND kind = 'unpaid' AND revision % 2 = 0`, m.owner.ID)
	m.Exec(t, `UPDATE realtime.notifications SET archived_at = now() WHERE owner_id = $1 AND id % 3 = 0`, m.owner.ID)
	m.Exec(t, `VACUUM ANALYZE realtime.notifications`)
	for _, who := range []string{m.owner.UserID, hides, busy} {
		for _, since := range []int64{0, 1, 350, 5_000, 9_380, 9_700, 9_999, 10_000} {
			got, err := m.store.NotificationsSince(t.Context(), m.owner.ID, who, since)
			must(t, err)
			var want []int64
			must(t, m.Pool.Select(&want, `SELECT revision FROM realtime.notifications n WHERE owner_id = $1 AND (user_id IS NULL OR user_id = $2)
				AND kind NOT IN (SELECT kind FROM realtime.preferences WHERE user_id = $2 AND owner_id = $1 AND mode = 'off') AND revision > $3 ORDER BY revision`, m.owner.ID, who, since))
			var revisions []int64
			for _, one := range got.Items {
				revisions = append(revisions, one.Revision)
			}
			if tooMany := len(want) > db.NotificationsSince; got.Reset != tooMany || !tooMany && !slices.Equal(revisions, want) {
				t.Errorf("user %s after %d: reset %v, %d items; want %d in order", who, since, got.Reset, len(got.Items), len(want))
			}
			const kinds = 3 // of which each user may see some
			read := m.reads(`SELECT realtime.notification_changes($1, $2, ARRAY(SELECT kind FROM realtime.preferences WHERE user_id = $2 AND owner_id = $1 AND mode = 'off'), $3, $4)`,
				m.owner.ID, who, since, db.NotificationsSince+1)
			if most := min(len(want), kinds*(db.NotificationsSince+1)); read > 2*most+30 {
				t.Errorf("user %s after %d: read %d rows and index entries for %d", who, since, read, most)
			}
		}
	}
}

// pageReads returns how many rows and index entries are read for the ids of a page.
func (m maker) pageReads(userID string, f db.NotificationFilter) (read int) {
	m.t.Helper()
	return m.reads(`SELECT realtime.notification_page($1, $2, ARRAY(SELECT kind FROM realtime.preferences WHERE user_id = $2 AND owner_id = $1 AND mode = 'off'),
		$3, $4, $5, coalesce(nullif($6::bigint, 0), 9223372036854775807), $7)`, m.owner.ID, userID, f.State, f.Kind, f.HangarID, f.Before, f.Limit+1)
}

// reads returns how many rows and index entries of notifications a question reads.
func (m maker) reads(query string, args ...any) int {
	m.t.Helper()
	tx := dbtest.Begin(m.t, m.Portal)
	defer tx.Rollback()
	reads := func() (n int) {
		must(m.t, tx.GetContext(m.t.Context(), &n, `SELECT sum(pg_stat_get_xact_tuples_returned(o)) FROM (
			SELECT 'realtime.notifications'::regclass::oid AS o UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = 'realtime.notifications'::regclass) c`))
		return n
	}
	_, err := tx.ExecContext(m.t.Context(), `SET LOCAL plan_cache_mode = force_generic_plan`)
	must(m.t, err)
	before := reads()
	_, err = tx.ExecContext(m.t.Context(), query, args...)
	must(m.t, err)
	return reads() - before
}
