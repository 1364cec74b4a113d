package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// look makes what time brings after from and up to now, and ends what is over. It returns what an
// account is told that is not resolved, as kind, subject and count.
func (m maker) look(from, now time.Time) (stands []string) {
	m.t.Helper()
	return m.stands(m.notices.Due(m.t.Context(), from, now))
}

// stands makes what happened and ends what is over. It returns what look does.
func (m maker) stands(happened []db.Happening, ended []db.EndedGroup, err error) (stands []string) {
	m.t.Helper()
	must(m.t, err)
	m.make(m.cursor().Batch+1, happened, ended...)
	must(m.t, m.Pool.Select(&stands, `SELECT concat_ws(' ', group_key, count) FROM realtime.notifications WHERE resolved_at IS NULL AND owner_id = $1 ORDER BY 1`, m.owner.ID))
	return stands
}

// TestPayoutTomorrow tells who is paid out tomorrow: what is planned for it, and on the eve of the
// weekly day what is pending, by the projection as far as that is to be believed. What is paid out
// earlier is over.
func TestPayoutTomorrow(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	zone := m.store.Location()
	thursday := time.Date(2026, 3, 12, 18, 0, 0, 0, zone)
	booking := m.Book(t, m.owner.Hangars[0], m.guest)
	m.Exec(t, `UPDATE bookings SET status = 'completed', payment_method = 'pix', payment_date = now() AT TIME ZONE 'UTC' WHERE id::text = $1`, booking)
	told := []string{"payout_tomorrow 2026-03-13 1"}
	want := func(what string, at time.Time, want []string) {
		t.Helper()
		if got := m.due(at.Add(-time.Minute), at); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	want("by the tables", thursday, told)
	want("on another day", thursday.AddDate(0, 0, 1), nil)
	projection := db.NewProjection(m.store)
	if built, err := projection.Build(t.Context(), time.Now()); err != nil || !built {
		t.Fatalf("built %t, %v", built, err)
	}
	want("by the projection", thursday, told)
	m.Exec(t, `UPDATE bookings SET subtotal = fees WHERE id::text = $1`, booking)
	want("by what the projection lacks", thursday, nil)
	m.Exec(t, `UPDATE realtime.ledger_totals SET pending = 999`)
	m.Exec(t, `UPDATE realtime.ledger_generation SET number = number + 1`)
	want("by one that is not to be believed", thursday, nil)
	m.Exec(t, `UPDATE bookings SET subtotal = fees + 5 WHERE id::text = $1`, booking)
	if built, err := projection.Build(t.Context(), time.Now()); err != nil || !built {
		t.Fatalf("built %t, %v", built, err)
	}
	if stands := m.look(thursday.Add(-time.Minute), thursday); !slices.Equal(stands, []string{"payout_tomorrow:2026-03-13 1"}) {
		t.Errorf("told: %v", stands)
	}
	if stands := m.look(thursday.Add(9*time.Minute), thursday.Add(11*time.Minute)); len(stands) != 1 {
		t.Errorf("while it is pending: %v", stands)
	}
	m.Exec(t, `INSERT INTO realtime.payouts (booking_id, owner_id, paid_out_at) VALUES ($1, $2, now())`, booking, m.owner.ID)
	if stands := m.look(thursday.Add(19*time.Minute), thursday.Add(21*time.Minute)); len(stands) != 0 {
		t.Errorf("paid out before: %v", stands)
	}
	m.Exec(t, `UPDATE realtime.payouts SET paid_out_at = NULL, scheduled_on = '2026-03-18'`)
	want("planned for another day", thursday.AddDate(0, 0, 5), []string{"payout_tomorrow 2026-03-18 1"})
	must(t, m.store.SetRule(t.Context(), m.owner.ID, m.owner.UserID, db.Rule{Kind: db.KindPayoutTomorrow, Params: []byte(`{"at":"18:00"}`)}))
	want("switched off", thursday.AddDate(0, 0, 5), nil)
}

// TestWhatIsToldOfADayEnds cancels those who arrive and leave: what was told of them is over when
// none is left, and when the day is.
func TestWhatIsToldOfADayEnds(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	zone := m.store.Location()
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, zone) }
	stay := func(in, out time.Time) string {
		return m.ID(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at)
			VALUES ($1, $2, $3, $4, 1, 1, 0, 1, 'confirmed', $5) RETURNING id::text`, m.owner.Hangars[0], m.guest, in.UTC(), out.UTC(), at(1, 9, 0).UTC())
	}
	first, second := stay(at(12, 14, 0), at(14, 11, 0)), stay(at(12, 15, 0), at(13, 11, 0))
	m.Exec(t, `UPDATE bookings SET payment_date = now()`)
	want := func(what string, from, now time.Time, want ...string) {
		t.Helper()
		if got := m.look(from, now); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	want("the evening before", at(11, 17, 59), at(11, 18, 0), "arrives_tomorrow:2026-03-12 2")
	m.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id::text = $1`, second)
	want("one is cancelled", at(11, 18, 9), at(11, 18, 11), "arrives_tomorrow:2026-03-12 2")
	m.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id::text = $1`, first)
	want("both are", at(11, 18, 19), at(11, 18, 21))
	m.Exec(t, `UPDATE bookings SET status = 'active'`)
	want("who leaves", at(14, 6, 59), at(14, 7, 0), "leaves_today:2026-03-14 1")
	m.Exec(t, `UPDATE bookings SET status = 'completed'`)
	want("who has left", at(14, 7, 9), at(14, 7, 11))
}

// TestManyToConfirmEnd has more bookings come due in a minute than have notifications of their own:
// that of the rest names no hangar, and ends with the last of them.
func TestManyToConfirmEnd(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	now := time.Now().Truncate(time.Second)
	m.Exec(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at)
		SELECT $1, $2, now() AT TIME ZONE 'UTC' + interval '30 days', now() AT TIME ZONE 'UTC' + interval '31 days', 1, 1, 0, 1, 'pending', $3::timestamptz AT TIME ZONE 'UTC' FROM generate_series(1, 15)`,
		m.owner.Hangars[0], m.guest, now.Add(-2*time.Hour))
	stands := m.look(now.Add(-time.Second), now)
	if len(stands) != 11 || stands[0] != "to_confirm 5" {
		t.Fatalf("15 to confirm: %v", stands)
	}
	if facts := m.ID(t, `SELECT facts::text FROM realtime.notifications WHERE group_key = 'to_confirm'`); strings.Contains(facts, "hangar") || !strings.Contains(facts, "bookingId") {
		t.Errorf("of the account: %s", facts)
	}
	m.Exec(t, `UPDATE bookings SET status = 'confirmed' WHERE id < (SELECT max(id) FROM bookings)`)
	if stands := m.look(now.Add(time.Second), now.Add(15*time.Minute)); !slices.Contains(stands, "to_confirm 5") {
		t.Errorf("one is left: %v", stands)
	}
	m.Exec(t, `UPDATE bookings SET status = 'confirmed'`)
	if stands := m.look(now.Add(16*time.Minute), now.Add(30*time.Minute)); slices.Contains(stands, "to_confirm 5") {
		t.Errorf("none is left: %v", stands)
	}
}

// TestMomentsMove moves the times of bookings after something was told of them: that is over, and
// is told anew where the new moment has come already.
func TestMomentsMove(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	now := time.Now().Truncate(time.Second)
	ran := now.Add(-time.Minute).Truncate(10 * time.Minute) // time was looked at up to it
	book := func(status string, created, in time.Duration) string {
		return m.ID(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at)
			VALUES ($1, $2, $3, $4, 1, 1, 0, 1, $5, $6) RETURNING id::text`, m.owner.Hangars[0], m.guest, now.Add(in).UTC(), now.Add(in+72*time.Hour).UTC(), status, now.Add(created).UTC())
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		// at some hours days are told, too
		got = slices.DeleteFunc(got, func(one string) bool { return strings.HasPrefix(one, "arrives_") || strings.HasPrefix(one, "leaves_") })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	looks := time.Duration(0)
	moved := func(all bool, bookings ...string) []string {
		t.Helper()
		looks += time.Millisecond
		return m.stands(m.notices.Moved(t.Context(), bookings, all, ran, now.Add(looks)))
	}
	rows := func() string { return m.ID(t, `SELECT count(*)::text FROM realtime.notifications`) }
	const day = 24 * time.Hour
	unpaid := book("confirmed", -3*day, 20*time.Hour)
	group := "unpaid:" + unpaid + " 1"
	want("unpaid", m.look(now.Add(-5*time.Hour), now), group)
	want("nothing moved", moved(true, unpaid), group)
	for _, later := range []bool{false, true} {
		m.Exec(t, `UPDATE bookings SET check_in = check_in + interval '7 days', check_out = check_out + interval '7 days'`)
		want("a week later", moved(later, unpaid))
		m.Exec(t, `UPDATE bookings SET check_in = check_in - interval '7 days', check_out = check_out - interval '7 days'`)
		want("and back", moved(later, unpaid), group)
	}
	before := rows()
	m.Exec(t, `UPDATE bookings SET total_price = 2`)
	if want("another price", moved(false, unpaid), group); rows() != before {
		t.Error("what stands is told again")
	}
	m.Exec(t, `UPDATE bookings SET check_in = check_in + interval '1 hour'`)
	want("an hour later", moved(false, unpaid), group)
	if in := m.ID(t, `SELECT facts->>'checkInDate' FROM realtime.notifications WHERE kind = 'unpaid' AND resolved_at IS NULL`); in != now.Add(21*time.Hour).In(m.store.Location()).Format(time.RFC3339) {
		t.Errorf("an hour later it tells of %s", in)
	}
	m.Exec(t, `UPDATE bookings SET payment_date = now() AT TIME ZONE 'UTC'`)
	want("paid", moved(true))

	far := book("confirmed", -3*day, 10*day)
	fresh := book("confirmed", -time.Hour, 20*time.Hour)
	soon := book("confirmed", -3*day, day-time.Second)
	over := book("confirmed", -3*day, -time.Hour)
	want("far off, just made, about to be told, begun", moved(false, far, fresh, soon, over))
	m.Exec(t, `UPDATE bookings SET check_in = $2, check_out = $2::timestamp + interval '1 day' WHERE id::text = $1`, far, now.Add(5*time.Hour).UTC())
	want("moved to today", moved(false, far), "unpaid:"+far+" 1")
	must(t, m.store.SetRule(t.Context(), m.owner.ID, m.owner.UserID, db.Rule{Kind: db.KindUnpaid, Params: []byte(`{"hours":24}`)}))
	want("switched off it stands", moved(true, far), "unpaid:"+far+" 1")
	m.Exec(t, `UPDATE bookings SET check_in = check_in + interval '1 hour'`)
	want("until it moves", moved(true, far))

	pending := book("pending", -3*time.Hour, 10*day)
	group = "to_confirm:" + pending + " 1"
	want("to confirm", m.look(now.Add(-2*time.Hour), now), group)
	m.Exec(t, `UPDATE bookings SET created_at = created_at + interval '2 hours' WHERE id::text = $1`, pending)
	want("made later", moved(true))
	want("its time comes", m.look(now, now.Add(time.Hour)), group)
	m.Exec(t, `UPDATE bookings SET created_at = created_at - interval '2 hours' WHERE id::text = $1`, pending)
	want("made earlier", moved(true), group)
	other := m.AddOwner(t, 0)
	m.Exec(t, `UPDATE hangar_listings SET owner_id = $1 WHERE id::text = $2`, other.ID, m.owner.Hangars[0])
	want("another's hangar", moved(true))
	m.Exec(t, `UPDATE hangar_listings SET owner_id = $1 WHERE id::text = $2`, m.owner.ID, m.owner.Hangars[0])
	again := book("pending", -3*time.Hour, 10*day)
	want("another one", m.look(now.Add(-2*time.Hour), now.Add(-time.Hour)), "to_confirm:"+again+" 1")
	m.Exec(t, `TRUNCATE bookings CASCADE`)
	want("all gone", moved(true))
	m.keptCounts("all of it")
}

// TestTidyAtSize removes what is too old and too many of accounts that have many, in steps that are
// bounded, and ends with what may be kept.
func TestTidyAtSize(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	other := m.AddOwner(t, 0)
	m.add(12_500, m.owner.ID, "", db.KindBookingCreated)
	m.add(3_000, other.ID, "", db.KindBookingCreated)
	m.Exec(t, `UPDATE realtime.notifications SET expires_at = created_at + interval '180 days' - n * interval '1 s', created_at = created_at - n * interval '1 s' FROM (SELECT id AS i, 15500 - row_number() OVER (ORDER BY id) AS n FROM realtime.notifications) o WHERE id = i`)
	m.Exec(t, `UPDATE realtime.notifications SET expires_at = now() - interval '1 s' WHERE id IN (SELECT id FROM realtime.notifications WHERE owner_id = $1 ORDER BY id LIMIT 1200)`, other.ID)
	m.Exec(t, `INSERT INTO realtime.deliveries (notification_id, user_id, channel, expires_at) SELECT min(id), 'u', 'mail', now() FROM realtime.notifications`)
	count := func() (n int) {
		must(t, m.Pool.Get(&n, `SELECT count(*) FROM realtime.notifications`))
		return n
	}
	before, rounds := count(), 0
	for more := true; more; rounds++ {
		var err error
		more, err = m.notices.Prune(t.Context())
		must(t, err)
		after := count()
		if before-after > 1000 {
			t.Errorf("one step removed %d", before-after)
		}
		before = after
	}
	left := m.ID(t, `SELECT string_agg(n::text, ' ' ORDER BY n) FROM (SELECT count(*) AS n FROM realtime.notifications GROUP BY owner_id) c`)
	if left != "1800 10000" || rounds < 4 {
		t.Errorf("after %d steps %s are left", rounds, left)
	}
	if oldest := m.ID(t, `SELECT min(id)::text FROM realtime.notifications WHERE owner_id = $1`, m.owner.ID); oldest != "2501" {
		t.Errorf("the oldest that is left is %s", oldest)
	}
	m.keptCounts(fmt.Sprint(rounds, " steps"))
	page, err := m.store.NotificationsSince(t.Context(), m.owner.ID, m.owner.UserID, 1)
	must(t, err)
	if !page.Reset {
		t.Error("who showed what was removed is not told to read the list again")
	}
}
