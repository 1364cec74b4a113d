package db_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// oddMoments are what only SQL writes where a moment is.
var oddMoments = []string{"'infinity'", "'-infinity'", "'4713-01-01 BC'", "'294276-12-31'"}

// TestOddSettings has a user whose settings no page of ours writes: they are read as far as they
// say anything, and the others beside them as ever.
func TestOddSettings(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	store, deliveries := newDeliveries(t, p)
	first, second := p.AddOwner(t, 1), p.AddOwner(t, 1)
	notices := map[string]string{first.ID: notified(t, p, first.ID, "overbooked", 1), second.ID: notified(t, p, second.ID, "overbooked", 1)}
	odd := map[string]string{
		"a zone that is none":          `zone = 'Mars/Olympus'`,
		"a zone that is a path":        `zone = '../../../etc/localtime'`,
		"a language that is none":      `lang = repeat('x', 100000)`,
		"no day among those of quiet":  `quiet_days = '{1,NULL,3}', quiet_from = '22:00', quiet_to = '07:00'`,
		"days of quiet in two rows":    `quiet_days = '{{1,2},{3,4}}', quiet_from = '22:00', quiet_to = '07:00'`,
		"days of quiet from the third": `quiet_days = '[3:4]={1,2}', quiet_from = '22:00', quiet_to = '07:00'`,
		"days that are none":           `quiet_days = '{-32768,7,32767}', quiet_from = '22:00', quiet_to = '07:00'`,
		"quiet at the end of a day":    `quiet_from = '24:00', quiet_to = '23:59:59.999999'`,
		"quiet without an end":         `quiet_from = '00:00:01', quiet_to = NULL`,
		"an hour at the end of a day":  `digest_at = '24:00'`,
		"an hour between two minutes":  `digest_at = '23:59:59.999999'`,
	}
	for _, moment := range oddMoments {
		odd["paused until "+moment] = `paused_until = ` + moment
	}
	for what, change := range odd {
		p.Exec(t, `DELETE FROM realtime.deliveries`)
		p.Exec(t, `DELETE FROM realtime.user_settings`)
		p.Exec(t, `INSERT INTO realtime.user_settings (user_id, digest) VALUES ($1, 'day'), ($2, 'day'), ('nobody', 'day')`, first.UserID, second.UserID)
		p.Exec(t, `UPDATE realtime.user_settings SET `+change+` WHERE user_id IN ($1, 'nobody')`, first.UserID)
		users, err := deliveries.DigestUsers(t.Context(), "", 10)
		if err != nil || len(users) != 3 {
			t.Errorf("%s: %d want digests, %v", what, len(users), err)
		}
		for _, user := range users {
			user.Due(time.Now(), time.UTC)
		}
		if _, err := store.UserSettings(t.Context(), first.UserID); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, o := range []dbtest.Owner{first, second} {
			p.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, expires_at) VALUES ($1::bigint, $2, 'mail', now() + interval '1 day')`, notices[o.ID], o.UserID)
		}
		claimed, err := deliveries.Claim(t.Context(), 10)
		if err != nil || len(claimed) != 2 {
			t.Errorf("%s: %d claimed, %v", what, len(claimed), err)
		}
		for _, c := range claimed {
			d, err := deliveries.Open(t.Context(), c)
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if paused := d.Settings.PausedUntil.After(time.Now()); paused != (d.UserID == first.UserID && (strings.HasSuffix(what, "'infinity'") || strings.HasSuffix(what, "'294276-12-31'"))) {
				t.Errorf("%s: paused is %t, until %s", what, paused, d.Settings.PausedUntil)
			}
			d.Quiet.End(time.Now())
		}
	}
}

// TestOddDeliveries has deliveries in the queue that only SQL writes: they are claimed like others,
// and keep none of these back.
func TestOddDeliveries(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	owner := p.AddOwner(t, 1)
	id := notified(t, p, owner.ID, "overbooked", 1)
	odd := []string{`attempts = 2147483647`, `attempts = -2147483648`, `code = -2147483648`}
	for _, moment := range oddMoments {
		odd = append(odd, `expires_at = `+moment, `opened_at = `+moment)
		if moment != "'infinity'" && moment != "'294276-12-31'" {
			odd = append(odd, `not_before = `+moment, `claimed_until = `+moment)
		}
	}
	for n, change := range append(odd, `target = ''`) { // the last one is sound
		p.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, target, expires_at) VALUES ($1::bigint, $2, 'mail', $3, now() + interval '1 day')`, id, owner.UserID, n)
		p.Exec(t, `UPDATE realtime.deliveries SET `+change+` WHERE id = (SELECT max(id) FROM realtime.deliveries)`)
	}
	queue, err := deliveries.Queue(t.Context())
	if err != nil || queue.Waiting != len(odd)+1 {
		t.Errorf("%+v, %v", queue, err)
	}
	if list, err := deliveries.OfUser(t.Context(), owner.UserID, "", 100); err != nil || len(list) != len(odd)+1 {
		t.Errorf("their user sees %d, %v", len(list), err)
	}
	claimed, err := deliveries.Claim(t.Context(), 100)
	if err != nil || len(claimed) != len(odd)+1 {
		t.Fatalf("%d of %d are claimed, %v", len(claimed), len(odd)+1, err)
	}
	for _, c := range claimed {
		if _, err := deliveries.Open(t.Context(), c); err != nil {
			t.Error(err)
		}
		if err := deliveries.Postpone(t.Context(), c, time.Now()); err != nil {
			t.Error(err)
		}
	}
}

// TestOddNotifications has moments in an account's notifications, in its views and of its members
// that only SQL writes: its users are told, and those of another account in the same question.
func TestOddNotifications(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	store, deliveries := newDeliveries(t, p)
	first, second := p.AddOwner(t, 1), p.AddOwner(t, 1)
	guest := p.AddGuest(t, "Vera", "Lima")
	notified(t, p, first.ID, "overbooked", 1)
	notified(t, p, second.ID, "overbooked", 1)
	p.Exec(t, `INSERT INTO realtime.notification_accounts (owner_id, revision) VALUES ($1, 1), ($2, 1)`, first.ID, second.ID)
	p.Exec(t, `INSERT INTO realtime.notification_views (owner_id, user_id) VALUES ($1, $2), ($1, $3)`, first.ID, first.UserID, guest)
	p.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, first.ID, guest)
	p.Exec(t, `INSERT INTO realtime.push_subscriptions (user_id, endpoint_hash, endpoint, p256dh, auth, key_id) VALUES ($1, '', '', '', '', '')`, first.UserID)
	p.Exec(t, `INSERT INTO realtime.invitations (id, owner_id, email, role, invited_by, expires_at) VALUES ('1', $1, 'vera@example.com', 'viewer', $2, now() + interval '1 day')`, first.ID, first.UserID)
	for _, moment := range oddMoments {
		for table, columns := range map[string][]string{
			"notification_views": {"cleared_until"}, "members": {"since"}, "push_subscriptions": {"created_at", "last_ok_at", "disabled_at"},
			"notifications": {"happened_at", "created_at", "read_at", "archived_at", "resolved_at", "expires_at"}, "invitations": {"created_at"},
		} {
			for _, column := range columns {
				where := ""
				if table == "notifications" || table == "notification_views" || table == "members" {
					where = ` WHERE owner_id = '` + first.ID + `'`
				}
				old := p.ID(t, `SELECT coalesce(min(`+column+`)::text, 'null') FROM realtime.`+table+where)
				p.Exec(t, `UPDATE realtime.`+table+` SET `+column+` = `+moment+where)
				what := table + "." + column + " " + moment
				news, err := store.NotificationNews(t.Context(), []db.NewsQuestion{{OwnerID: first.ID, UserIDs: []string{first.UserID, guest}}, {OwnerID: second.ID, UserIDs: []string{second.UserID}}}, 10)
				if err != nil || len(news[first.ID].People) != 2 || len(news[second.ID].People) != 1 {
					t.Errorf("%s: %+v, %v", what, news, err)
				}
				if _, err := store.Notifications(t.Context(), first.ID, first.UserID, db.NotificationFilter{State: "all", Limit: 10}); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if _, err := deliveries.Devices(t.Context(), first.UserID); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if _, err := store.Members(t.Context(), first.ID); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if _, _, err := db.NewNotices(store).Invitations(t.Context()); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if _, err := store.Invitations(t.Context(), first.ID); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				p.Exec(t, `UPDATE realtime.`+table+` SET `+column+` = nullif($1, 'null')::timestamptz`+where, old)
			}
		}
	}
}

// TestOddPayouts has payouts of moments that only SQL writes: nobody is told of one without a
// moment, and everybody of the others.
func TestOddPayouts(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	store, _ := newDeliveries(t, p)
	owner, guest := p.AddOwner(t, 1), p.AddGuest(t, "Caio", "Brandão")
	notices := db.NewNotices(store)
	var bookings []string
	for _, moment := range append([]string{"now()"}, oddMoments...) {
		bookings = append(bookings, p.Book(t, owner.Hangars[0], guest))
		p.Exec(t, `INSERT INTO realtime.payouts (booking_id, owner_id, paid_out_at) VALUES ($1, $2, `+moment+`)`, bookings[len(bookings)-1], owner.ID)
	}
	sent, _, err := notices.Payouts(t.Context(), bookings, []string{owner.ID})
	if err != nil || len(sent) != 1 {
		t.Errorf("%+v, %v", sent, err)
	}
	p.Exec(t, `UPDATE realtime.payouts SET paid_out_at = NULL, scheduled_on = 'infinity'`)
	if _, _, err := store.Metrics(t.Context(), owner.ID, time.Now()); err != nil {
		t.Error(err)
	}
}

// TestOddBookingsAreDue has bookings due whose price and end only SQL writes: what is told of them
// says neither.
func TestOddBookingsAreDue(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	now := time.Now().Truncate(time.Second)
	m.Exec(t, `ALTER TABLE bookings ALTER total_price TYPE numeric`)
	for _, price := range []string{"NaN", "Infinity", "0"} {
		m.Exec(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at)
			VALUES ($1, $2, '2126-03-12', 'infinity', 1, 1, 0, $3, 'pending', $4)`, m.owner.Hangars[0], m.guest, price, now.Add(-2*time.Hour).UTC())
	}
	m.look(now.Add(-time.Second), now)
	var facts []string
	must(t, m.Pool.Select(&facts, `SELECT concat_ws(' ', facts->>'amount', facts->>'checkInDate', facts->>'checkOutDate') FROM realtime.notifications ORDER BY facts->>'bookingId'`))
	const in = "2126-03-11T21:00:00-03:00"
	if want := []string{in, in, "0.00 " + in}; !slices.Equal(facts, want) {
		t.Errorf("told of %q, want %q", facts, want)
	}
}

// TestChosenMomentsAreFinite has users choose the last moments that there are: servers of before
// read them.
func TestChosenMomentsAreFinite(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	store, _ := newDeliveries(t, p)
	last := time.UnixMilli(253402300799999)
	must(t, store.SetUserSettings(t.Context(), "7", db.UserSettings{Digest: db.DigestOff, DigestAt: "08:00", PausedUntil: last}))
	must(t, store.ClearLists(t.Context(), "1", "7", sql.NullTime{Time: last, Valid: true}))
	if got := p.ID(t, `SELECT concat_ws(' ', isfinite(paused_until), isfinite(cleared_until)) FROM realtime.user_settings, realtime.notification_views`); got != "t t" {
		t.Errorf("they are kept as finite: %s", got)
	}
	if u, err := store.UserSettings(t.Context(), "7"); err != nil || u.PausedUntil.Year() != 9999 {
		t.Errorf("paused until %s, %v", u.PausedUntil, err)
	}
	must(t, store.SetUserSettings(t.Context(), "7", db.UserSettings{Digest: db.DigestOff, DigestAt: "08:00"}))
	if u, err := store.UserSettings(t.Context(), "7"); err != nil || !u.PausedUntil.IsZero() {
		t.Errorf("no pause is until %s, %v", u.PausedUntil, err)
	}
}

// TestDatesOfFacts reads the dates of a notification whose booking cannot be read any more: of a
// stay that ends when it begins, too.
func TestDatesOfFacts(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	_, deliveries := newDeliveries(t, p)
	owner := p.AddOwner(t, 1)
	const moment, later = "2026-03-12T14:00:00-03:00", "2026-03-14T11:00:00-03:00"
	for facts, want := range map[[2]string][2]string{{moment, moment}: {moment, moment}, {moment, later}: {moment, later}, {"", later}: {"", later}, {moment, "never"}: {moment, ""}} {
		d := db.OpenedDelivery{UserID: owner.UserID, OwnerID: owner.ID}
		d.ID, d.Channel, d.Target = "0", db.ChannelPush, "none"
		d.Facts = fmt.Appendf(nil, `{"checkInDate":%q,"checkOutDate":%q}`, facts[0], facts[1])
		about, err := deliveries.Details(t.Context(), d)
		must(t, err)
		for i, at := range []time.Time{about.CheckIn, about.CheckOut} {
			if wanted, _ := time.Parse(time.RFC3339, want[i]); !at.Equal(wanted) {
				t.Errorf("%v: %s, want %q", facts, at, want[i])
			}
		}
	}
}
