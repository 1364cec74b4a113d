package db_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestNotices asks all questions about notifications, and makes some.
func TestNotices(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	o := p.AddOwner(t, 2)
	guest := p.AddGuest(t, "Caio", "Brandão")
	booking := p.Book(t, o.Hangars[0], guest)
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	notices := db.NewNotices(store, db.ChannelPush, db.ChannelMail)
	now := time.Now().Truncate(time.Microsecond)

	cursor := func() db.NotifierCursor {
		t.Helper()
		c, err := notices.Cursor(t.Context())
		must(t, err)
		return c
	}
	epoch := p.ID(t, `SELECT epoch::text FROM realtime.installation`)
	must(t, notices.Begin(t.Context(), cursor(), epoch, 0, 0, now))
	if c := cursor(); !c.Begun || c.Epoch != epoch || !c.RanAt.Equal(now) {
		t.Fatalf("begun: %+v", c)
	}
	happen := func(kind, subject, key string) db.Happening {
		return db.Happening{OwnerID: o.ID, Kind: kind, Key: key, Subject: subject, Group: true, At: now, Facts: map[string]string{"bookingId": booking}}
	}
	made, err := notices.Make(t.Context(), cursor(), cursor(), []db.Happening{happen(db.KindBookingCreated, "1", "a"), happen(db.KindBookingCreated, "1", "b")}, nil)
	must(t, err)
	if made.New != 1 || made.Counted != 0 {
		t.Errorf("two in one hangar: %+v", made)
	}
	all, err := store.NotificationNews(t.Context(), []db.NewsQuestion{{OwnerID: o.ID, UserIDs: []string{o.UserID, guest}}}, 50)
	must(t, err)
	news := all[o.ID]
	if len(news.Items) != 1 || news.Items[0].Count != 2 || news.Items[0].GuestName.String != "Caio Brandão" || len(news.People) != 2 || news.People[0].Unread != 1 {
		t.Errorf("news: %+v", news)
	}
	for _, ask := range []func() error{
		func() error { _, _, err := notices.Due(t.Context(), now.Add(-25*time.Hour), now); return err },
		func() error { _, _, err := notices.Overbooked(t.Context(), nil, now); return err },
		func() error { _, _, err := notices.Overbooked(t.Context(), o.Hangars, now); return err },
		func() error {
			_, _, err := notices.Payouts(t.Context(), []string{booking, "x"}, []string{o.ID})
			return err
		},
		func() error { _, _, err := notices.Invitations(t.Context()); return err },
		func() error {
			_, _, err := notices.Moved(t.Context(), []string{booking, "x"}, false, now, now)
			return err
		},
		func() error { _, err := notices.Prune(t.Context()); return err },
		func() error { _, err := store.Rules(t.Context(), o.ID); return err },
		func() error {
			_, err := store.Notifications(t.Context(), o.ID, o.UserID, db.NotificationFilter{State: "all", Limit: 10})
			return err
		},
		func() error {
			_, err := store.Notifications(t.Context(), o.ID, o.UserID, db.NotificationFilter{State: "unread", Limit: 10})
			return err
		},
		func() error { _, err := store.NotificationsSince(t.Context(), o.ID, o.UserID, 0); return err },
		func() error { _, err := store.UserSettings(t.Context(), o.UserID); return err },
		func() error { _, err := store.AccountCounts(t.Context(), o.UserID, []string{o.ID}); return err },
	} {
		must(t, ask())
	}
}

// maker is a portal with notices that have begun.
type maker struct {
	*dbtest.Portal
	t       *testing.T
	store   *db.Store
	notices *db.Notices
	owner   dbtest.Owner
	guest   string
}

func newMaker(t *testing.T, channels ...db.Channel) maker {
	t.Helper()
	p := dbtest.New(t)
	saoPaulo, err := time.LoadLocation("America/Sao_Paulo")
	must(t, err)
	store, err := db.NewStore(t.Context(), p.Pool, saoPaulo)
	must(t, err)
	m := maker{p, t, store, db.NewNotices(store, channels...), p.AddOwner(t, 2), p.AddGuest(t, "Caio", "Brandão")}
	must(t, m.notices.Begin(t.Context(), m.cursor(), m.ID(t, `SELECT epoch::text FROM realtime.installation`), 0, 0, time.Now().Truncate(time.Microsecond)))
	return m
}

func (m maker) cursor() db.NotifierCursor {
	m.t.Helper()
	c, err := m.notices.Cursor(m.t.Context())
	must(m.t, err)
	return c
}

// happenings are n things that happened, each in one of some hangars.
func (m maker) happenings(from, n, hangars int) (list []db.Happening) {
	for i := from; i < from+n; i++ {
		list = append(list, db.Happening{OwnerID: m.owner.ID, Kind: db.KindBookingCreated, Key: fmt.Sprint("k", i), Subject: fmt.Sprint(i % hangars), Group: true,
			At: time.Now(), Facts: map[string]int{"i": i}})
	}
	return list
}

func (m maker) make(to int64, happened []db.Happening, ended ...db.EndedGroup) db.Made {
	m.t.Helper()
	was := m.cursor()
	now := was
	now.Batch = to
	made, err := m.notices.Make(m.t.Context(), was, now, happened, ended)
	must(m.t, err)
	return made
}

// TestManyAreCounted books a thousand times in forty hangars: few notifications come of it, with
// all of them counted.
func TestManyAreCounted(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	for i := range 10 {
		m.make(int64(i+1), m.happenings(100*i, 100, 40))
	}
	var rows []struct{ Count int }
	must(t, m.Pool.Select(&rows, `SELECT count FROM realtime.notifications`))
	sum := 0
	for _, r := range rows {
		sum += r.Count
	}
	if len(rows) > 12 || sum != 1000 {
		t.Errorf("%d notifications that count %d", len(rows), sum)
	}
	// what was read is not counted into any more, and neither is what is older than ten minutes
	m.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE group_key LIKE '%:0'`)
	m.Exec(t, `UPDATE realtime.notifications SET created_at = created_at - interval '11 minutes'`)
	if made := m.make(20, m.happenings(2000, 2, 1)); made.New != 1 || made.Counted != 0 {
		t.Errorf("after ten minutes: %+v", made)
	}
}

// TestMakingIsKilled ends the connection in every statement of a transaction that makes
// notifications, and once after its commit: nothing is lost or doubled, and nothing is half done.
func TestMakingIsKilled(t *testing.T) {
	t.Parallel()
	m := newMaker(t, db.ChannelMail)
	m.make(1, m.happenings(0, 1, 2))
	m.Exec(t, `CREATE TABLE killing (at int); INSERT INTO killing VALUES (0); CREATE SEQUENCE killed MINVALUE 0 START 0;
		CREATE FUNCTION kill_here() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('killed') = (SELECT at FROM killing) THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF; RETURN NULL; END $$`)
	for _, table := range []string{"notifier", "notification_accounts", "notifications", "deliveries", "events"} {
		for _, when := range []string{"BEFORE", "AFTER"} {
			m.Exec(t, `CREATE TRIGGER kill_`+when+` `+when+` INSERT OR UPDATE ON realtime.`+table+` FOR EACH STATEMENT EXECUTE FUNCTION kill_here()`)
		}
	}
	state := func() string {
		return m.ID(t, `SELECT concat_ws(' ', (SELECT batch FROM realtime.notifier), (SELECT revision FROM realtime.notification_accounts),
			(SELECT string_agg(key || '=' || count, ',' ORDER BY id) FROM realtime.notifications), (SELECT count(*) FROM realtime.deliveries),
			(SELECT count(*) FROM realtime.events WHERE type = '.note'))`)
	}
	was := m.cursor()
	now := was
	now.Batch = 2
	// one is counted, one is new
	happened := append(m.happenings(2, 1, 2), m.happenings(5, 1, 2)...)
	happened[1].Kind = db.KindOverbooked
	before := state()
	statements := 0
	for ; ; statements++ {
		m.Exec(t, `SELECT setval('killed', 0, false)`)
		m.Exec(t, `UPDATE killing SET at = $1`, statements)
		_, err := m.notices.Make(t.Context(), was, now, happened, []db.EndedGroup{{OwnerID: m.owner.ID, Group: "none"}})
		if err == nil {
			break
		}
		if after := state(); after != before {
			t.Fatalf("killed in statement %d: %s, before %s", statements, after, before)
		}
	}
	after := state()
	if statements < 10 || !strings.HasPrefix(after, "2 2 k0=2,k5=1 1 ") {
		t.Errorf("%d statements, then %s", statements, after)
	}
	// the answer to the commit was lost: the same again
	if _, err := m.notices.Make(t.Context(), was, now, happened, nil); !errors.Is(err, db.ErrCursorMoved) {
		t.Errorf("made again: %v", err)
	}
	if again := state(); again != after {
		t.Errorf("made again: %s, before %s", again, after)
	}
}

// TestTwoMakers has two servers make notifications of the same part of the log: one does.
func TestTwoMakers(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	was := m.cursor()
	now := was
	now.Batch = 1
	results := make(chan error)
	for range 2 {
		go func() {
			_, err := m.notices.Make(t.Context(), was, now, m.happenings(0, 3, 2), nil)
			results <- err
		}()
	}
	one, other := <-results, <-results
	if (one == nil) == (other == nil) || !errors.Is(errors.Join(one, other), db.ErrCursorMoved) {
		t.Errorf("%v and %v", one, other)
	}
	if sum := m.ID(t, `SELECT sum(count)::text FROM realtime.notifications`); sum != "3" {
		t.Errorf("counted %s", sum)
	}
}

// TestDeliveriesAreMade makes one for each who wants to be told, and none for who does not.
func TestDeliveriesAreMade(t *testing.T) {
	t.Parallel()
	m := newMaker(t, db.ChannelPush, db.ChannelMail)
	manager, viewer := m.AddGuest(t, "Marta", "Lima"), m.AddGuest(t, "Vera", "Sousa")
	m.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager'), ($1, $3, 'viewer'), ($1, '999', 'owner')`, m.owner.ID, manager, viewer)
	m.Exec(t, `INSERT INTO realtime.push_subscriptions (id, user_id, endpoint_hash, endpoint, p256dh, auth, key_id)
		SELECT u || n, u, sha256((u || n)::bytea), 'https://push.example/' || n, '', '', 'k' FROM unnest($1::text[]) u, unnest('{a,b}'::text[]) n`,
		"{"+strings.Join([]string{m.owner.UserID, manager, viewer}, ",")+"}")
	m.Exec(t, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, 'booking_created', 'push', 'off'), ($1, $2, 'booking_created', 'mail', 'now')`,
		manager, m.owner.ID)
	own := db.Happening{OwnerID: m.owner.ID, UserID: viewer, Kind: db.KindMemberChanged, Key: "p", At: time.Now(), Facts: struct{}{}}
	done := own
	done.UserID, done.DoneBy, done.Key = m.owner.UserID, m.owner.UserID, "q"
	m.make(1, append(m.happenings(0, 1, 1), own, done))
	var made []string
	must(t, m.Pool.Select(&made, `SELECT concat_ws(' ', n.kind, d.user_id, d.channel, d.target) FROM realtime.deliveries d JOIN realtime.notifications n ON n.id = d.notification_id ORDER BY 1`))
	want := []string{
		"booking_created " + m.owner.UserID + " push " + m.owner.UserID + "a", "booking_created " + m.owner.UserID + " push " + m.owner.UserID + "b",
		"booking_created " + manager + " mail ", "member_changed " + viewer + " mail ",
		"member_changed " + viewer + " push " + viewer + "a", "member_changed " + viewer + " push " + viewer + "b",
	}
	slices.Sort(want)
	slices.Sort(made)
	if !slices.Equal(made, want) {
		t.Errorf("made\n%s\nwant\n%s", strings.Join(made, "\n"), strings.Join(want, "\n"))
	}
	if read := m.ID(t, `SELECT read_by FROM realtime.notifications WHERE key = 'q'`); read != m.owner.UserID {
		t.Errorf("one's own deed was read by %q", read)
	}
}

// due returns what time brings, as kind and subject.
func (m maker) due(from, now time.Time) (told []string) {
	m.t.Helper()
	happened, _, err := m.notices.Due(m.t.Context(), from, now)
	must(m.t, err)
	for _, h := range happened {
		told = append(told, fmt.Sprint(h.Kind, " ", h.Subject, " ", max(h.Count, 1)))
	}
	slices.Sort(told)
	return told
}

// TestTimeTells comes to the hours of rules, once, late, too late, and with hours of an account's
// own.
func TestTimeTells(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	zone := m.store.Location()
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, zone) }
	add := func(status string, created, in, out time.Time) string {
		return m.ID(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at)
			VALUES ($1, $2, $3, $4, 1, 1, 0, 1, $5, $6) RETURNING id::text`, m.owner.Hangars[0], m.guest, in.UTC(), out.UTC(), status, created.UTC())
	}
	pending := add("pending", at(10, 9, 0), at(20, 14, 0), at(21, 11, 0))
	unpaid := add("confirmed", at(1, 9, 0), at(12, 14, 0), at(14, 11, 0))
	add("confirmed", at(1, 9, 0), at(12, 23, 30), at(13, 11, 0))
	for _, c := range []struct {
		what      string
		from, now time.Time
		want      []string
	}{
		{"before two hours", at(10, 10, 58), at(10, 10, 59), nil},
		{"after two hours", at(10, 10, 59), at(10, 11, 0), []string{"to_confirm " + pending + " 1"}},
		{"not again", at(10, 11, 0), at(10, 11, 1), nil},
		{"a server that was down", at(10, 10, 0), at(10, 20, 0), []string{"to_confirm " + pending + " 1"}},
		{"24 hours before", at(11, 13, 55), at(11, 14, 0), []string{"unpaid " + unpaid + " 1"}},
		{"who arrives tomorrow", at(11, 17, 59), at(11, 18, 0), []string{"arrives_tomorrow 2026-03-12 2"}},
		{"down over 18:00", at(11, 17, 59), at(11, 22, 0), []string{"arrives_tomorrow 2026-03-12 2"}},
		{"who leaves today", at(14, 6, 59), at(14, 7, 0), []string{"leaves_today 2026-03-14 1"}},
	} {
		if told := m.due(c.from, c.now); !slices.Equal(told, c.want) {
			t.Errorf("%s: %v, want %v", c.what, told, c.want)
		}
	}
	must(t, m.store.SetRule(t.Context(), m.owner.ID, m.owner.UserID, db.Rule{Kind: db.KindArrivesTomorrow, Enabled: true, Params: []byte(`{"at":"20:30"}`)}))
	must(t, m.store.SetRule(t.Context(), m.owner.ID, m.owner.UserID, db.Rule{Kind: db.KindToConfirm, Enabled: false, Params: []byte(`{"hours":2}`)}))
	if told := m.due(at(11, 17, 59), at(11, 18, 0)); told != nil {
		t.Errorf("at the hour that the account does not want: %v", told)
	}
	if told := m.due(at(11, 20, 29), at(11, 20, 30)); len(told) != 1 {
		t.Errorf("at the account's own hour: %v", told)
	}
	if told := m.due(at(10, 10, 59), at(10, 11, 0)); told != nil {
		t.Errorf("switched off: %v", told)
	}
	// the day is over
	m.make(1, []db.Happening{{OwnerID: m.owner.ID, Kind: db.KindArrivesTomorrow, Key: "arrives_tomorrow:2026-03-12", Subject: "2026-03-12", At: at(11, 18, 0), Facts: struct{}{}}})
	for day, want := range map[int]int{12: 0, 13: 1} {
		_, ended, err := m.notices.Due(t.Context(), at(day, 0, 0).Add(-time.Minute), at(day, 0, 1))
		must(t, err)
		if len(ended) != want {
			t.Errorf("on day %d: ended %v", day, ended)
		}
	}
}

// TestOverbooked has more stays than spaces, and fewer again.
func TestOverbooked(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	now := time.Now()
	look := func(hangars []string) (happened []db.Happening, ended []db.EndedGroup) {
		t.Helper()
		happened, ended, err := m.notices.Overbooked(t.Context(), hangars, now)
		must(t, err)
		return happened, ended
	}
	first, second := m.Book(t, m.owner.Hangars[0], m.guest), m.Book(t, m.owner.Hangars[0], m.guest)
	m.Exec(t, `UPDATE bookings SET check_in = check_in + interval '2 days', check_out = check_out + interval '2 days', status = 'confirmed' WHERE id = `+second)
	m.Exec(t, `UPDATE bookings SET status = 'confirmed' WHERE id = `+first)
	if happened, _ := look(nil); len(happened) != 0 {
		t.Fatalf("one leaves on the day on which the other arrives: %+v", happened)
	}
	m.Exec(t, `UPDATE bookings SET check_out = check_out + interval '1 day' WHERE id = `+first)
	happened, _ := look(m.owner.Hangars[:1])
	if len(happened) != 1 || happened[0].Kind != db.KindOverbooked || happened[0].Facts.(db.RuleFacts).Stays != 2 {
		t.Fatalf("two in one space: %+v", happened)
	}
	m.make(1, happened)
	if happened, ended := look(nil); len(happened)+len(ended) != 0 {
		t.Errorf("told again: %+v, %+v", happened, ended)
	}
	m.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id = `+second)
	if _, ended := look(m.owner.Hangars[1:]); len(ended) != 0 {
		t.Errorf("another hangar was looked at: %+v", ended)
	}
	_, ended := look(m.owner.Hangars[:1])
	if made := m.make(2, nil, ended...); made.Ended != 1 {
		t.Errorf("it is over: %+v", made)
	}
	page, err := m.store.Notifications(t.Context(), m.owner.ID, m.owner.UserID, db.NotificationFilter{State: "all", Limit: 10})
	must(t, err)
	if page.Unread != 0 || len(page.Items) != 1 || !page.Items[0].ResolvedAt.Valid {
		t.Errorf("resolved: %+v", page)
	}
}

// TestOccupancyRuleDoesNotFlap tells of a low occupancy once, and again only after it recovered,
// on another day.
func TestOccupancyRuleDoesNotFlap(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	must(t, m.store.SetRule(t.Context(), m.owner.ID, m.owner.UserID, db.Rule{Kind: db.KindOccupancyLow, Enabled: true, Params: []byte(`{"percent":50}`)}))
	hour := time.Now().Truncate(time.Hour)
	batch := int64(0)
	tell := func(days int) db.Made {
		t.Helper()
		now := hour.AddDate(0, 0, days)
		happened, ended, err := m.notices.Due(t.Context(), now.Add(-time.Minute), now)
		must(t, err)
		happened = slices.DeleteFunc(happened, func(h db.Happening) bool { return h.Kind != db.KindOccupancyLow })
		batch++
		return m.make(batch, happened, ended...)
	}
	if made := tell(0); made.New != 1 {
		t.Errorf("nothing is sold: %+v", made)
	}
	if made := tell(0); made.New+made.Ended != 0 {
		t.Errorf("still so: %+v", made)
	}
	m.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) SELECT id, $1, now() AT TIME ZONE 'UTC' - interval '1 day', now() AT TIME ZONE 'UTC' + interval '20 days', 20, 1, 0, 1, 'confirmed'
		FROM hangar_listings`, m.guest)
	if made := tell(0); made.New != 0 || made.Ended != 1 {
		t.Errorf("all is sold: %+v", made)
	}
	m.Exec(t, `UPDATE bookings SET status = 'cancelled'`)
	if made := tell(0); made.New != 0 {
		t.Errorf("low again on the same day: %+v", made)
	}
	if made := tell(1); made.New != 1 {
		t.Errorf("low on the next day: %+v", made)
	}
}

// TestTidy removes what is too old and too many, and has clients read their lists again.
func TestTidy(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	m.make(1, m.happenings(0, 3, 3))
	before, err := m.store.Notifications(t.Context(), m.owner.ID, m.owner.UserID, db.NotificationFilter{State: "all", Limit: 10})
	must(t, err)
	if more, err := m.notices.Prune(t.Context()); more || err != nil {
		t.Errorf("nothing is old: %v %v", more, err)
	}
	m.Exec(t, `UPDATE realtime.notifications SET expires_at = now() WHERE key = 'k0'`)
	if _, err := m.notices.Prune(t.Context()); err != nil {
		t.Error(err)
	}
	after, err := m.store.NotificationsSince(t.Context(), m.owner.ID, m.owner.UserID, before.Revision)
	must(t, err)
	if !after.Reset || after.Unread != 2 || after.Revision <= before.Revision {
		t.Errorf("after it: %+v", after)
	}
	// another history: what clients hold counts for nothing
	must(t, m.notices.Follow(t.Context(), m.cursor(), "00000000-0000-4000-8000-000000000001"))
	restored, err := m.store.NotificationsSince(t.Context(), m.owner.ID, m.owner.UserID, after.Revision)
	must(t, err)
	if !restored.Reset || restored.Revision < time.Now().Add(-time.Hour).UnixMilli() {
		t.Errorf("after a restore: %+v", restored)
	}
}

// TestCountIsList holds the counts to the list after bookings, listings and owners went.
func TestCountIsList(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	booking := m.Book(t, m.owner.Hangars[0], m.guest)
	h := m.happenings(0, 2, 2)
	h[0].Facts, h[1].Facts = map[string]string{"bookingId": booking}, map[string]string{"bookingId": "none"}
	m.make(1, h)
	check := func(what, guest string) {
		t.Helper()
		page, err := m.store.Notifications(t.Context(), m.owner.ID, m.owner.UserID, db.NotificationFilter{State: "unread", Limit: 10})
		must(t, err)
		if int(page.Unread) != len(page.Items) || len(page.Items) != 2 || page.Items[1].GuestName.String != guest {
			t.Errorf("%s: %+v", what, page)
		}
	}
	check("at first", "Caio Brandão")
	other := m.AddOwner(t, 0)
	m.Exec(t, `UPDATE hangar_listings SET owner_id = $1 WHERE id::text = $2`, other.ID, m.owner.Hangars[0])
	check("the hangar is another's", "")
	m.Exec(t, `UPDATE hangar_listings SET owner_id = $1 WHERE id::text = $2`, m.owner.ID, m.owner.Hangars[0])
	m.Exec(t, `DELETE FROM bookings`)
	check("the booking is gone", "")
	m.Exec(t, `DELETE FROM hangar_listings WHERE id::text = $1`, m.owner.Hangars[0])
	check("the listing is gone", "")
	// who does not want a kind neither sees nor counts it; a new member has seen all
	must(t, m.store.SetPreferences(t.Context(), m.owner.ID, m.guest, []db.Preference{{Kind: db.KindBookingCreated, Channel: db.ChannelInApp, Mode: db.ModeOff}}))
	page, err := m.store.Notifications(t.Context(), m.owner.ID, m.guest, db.NotificationFilter{State: "all", Limit: 10})
	must(t, err)
	if page.Unread != 0 || len(page.Items) != 0 {
		t.Errorf("a kind that is off: %+v", page)
	}
	newer := m.AddGuest(t, "Nova", "Dias")
	m.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, m.owner.ID, newer)
	page, err = m.store.Notifications(t.Context(), m.owner.ID, newer, db.NotificationFilter{State: "all", Limit: 10})
	must(t, err)
	if page.Unread != 2 || page.Unseen != 0 {
		t.Errorf("a new member: %+v", page)
	}
	// a reader who is no user any more
	must(t, func() error {
		_, err := m.store.ReadNotifications(t.Context(), m.owner.ID, m.guest, 1<<40, "", 0)
		return err
	}())
	if _, err := m.store.ReadNotifications(t.Context(), m.owner.ID, newer, 1<<40, "", 0); err != nil {
		t.Fatal(err)
	}
	m.Exec(t, `DELETE FROM users WHERE id::text = $1`, newer)
	page, err = m.store.Notifications(t.Context(), m.owner.ID, m.owner.UserID, db.NotificationFilter{State: "all", Limit: 10})
	must(t, err)
	if page.Items[0].ReadBy != newer || page.Items[0].ReadByName.Valid || page.Unread != 0 {
		t.Errorf("read by who is gone: %+v", page)
	}
}
