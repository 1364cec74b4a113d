package db_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// viewCases are changes of bookings that are a view over hangar_bookings, without payment_date: a
// booking counts as paid from when it became confirmed.
var viewCases = []logCase{
	{name: "insert", do: `INSERT INTO bookings ({columns}) VALUES {stay in H1}`, want: []string{"A booking_created new1 H1 pending"}},
	{name: "insert into the table", do: `INSERT INTO hangar_bookings ({columns}) VALUES {stay in H1}`, want: []string{"A booking_created new1 H1 pending"}},
	{name: "insert confirmed", do: `INSERT INTO bookings ({columns}) SELECT hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, 'confirmed'
			FROM bookings WHERE id = {b1}`, want: []string{"A booking_created new1 H1 confirmed", "A revenue_received new1 H1 220.50"}},
	{name: "confirmed", do: update(`status = 'confirmed', payment_method = 'pix'`),
		want: []string{"A booking_updated b1 H1 pending>confirmed", "A revenue_received b1 H1 220.50 pix"}},
	{name: "completed at once", do: update(`status = 'completed'`),
		want: []string{"A booking_completed b1 H1 pending>completed", "A revenue_received b1 H1 220.50"}},
	{name: "confirmed, then active", before: update(`status = 'confirmed'`), do: update(`status = 'active'`), want: []string{"A booking_updated b1 H1 confirmed>active"}},
	{name: "confirmed, then completed", before: update(`status = 'confirmed'`), do: update(`status = 'completed'`), want: []string{"A booking_completed b1 H1 confirmed>completed"}},
	{name: "confirmed, then cancelled", before: update(`status = 'confirmed'`), do: update(`status = 'cancelled'`), want: []string{"A booking_updated b1 H1 confirmed>cancelled"}},
	{name: "confirmed once more", before: update(`status = 'confirmed'`) + ";" + update(`status = 'cancelled'`), do: update(`status = 'confirmed'`),
		want: []string{"A booking_updated b1 H1 cancelled>confirmed", "A revenue_received b1 H1 220.50"}},
	{name: "nothing relevant", do: update(`updated_at = now(), payment_method = 'boleto'`)},
	{name: "delete", do: `DELETE FROM bookings WHERE id = {b1}`, want: []string{"A booking_updated b1 H1 pending>deleted"}},
	{name: "another hangar", do: update(`hangar_id = {X1}`), want: []string{"A booking_updated b1 H1 pending>deleted", "B booking_updated b1 X1 pending>pending"}},
	{name: "upsert", do: `INSERT INTO bookings (id, {columns}) SELECT id, {columns} FROM bookings WHERE id = {b1} ON CONFLICT (id) DO UPDATE SET status = 'confirmed'`,
		want: []string{"A booking_updated b1 H1 pending>confirmed", "A revenue_received b1 H1 220.50"}},
	{name: "truncate", do: `TRUNCATE hangar_bookings`, want: []string{"- truncated"}},
}

func TestTriggersView(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		if v.name == "a view without payment_date" {
			runLogCases(t, v.migrated(t), viewCases)
			return
		}
	}
	t.Fatal("there is no such variant")
}

// insertedConfirmed writes a statement that inserts the booking b1, confirmed.
func insertedConfirmed(created, updated string) string {
	return `INSERT INTO bookings (id, {columns}, created_at, updated_at) SELECT {b1}, hangar_id, user_id, check_in, check_out, nights,
		subtotal, fees, total_price, 'confirmed', ` + created + `::timestamp, ` + updated + `::timestamp FROM bookings WHERE id = {b2}`
}

// TestPayments checks what is noted of when a booking became paid, where no column says it.
func TestPayments(t *testing.T) {
	t.Parallel()
	p := variants()[2].migrated(t)
	const (
		first  = `'2026-01-05 10:00'`
		second = `'2026-01-06 11:00'`
	)
	for _, test := range []struct{ name, before, do, want string }{
		{name: "pending", do: update(`total_price = 1`)},
		{name: "confirmed", do: update(`status = 'confirmed', updated_at = ` + first), want: "2026-01-05T10:00:00Z"},
		{name: "completed keeps the first moment", before: update(`status = 'confirmed', updated_at = ` + first),
			do: update(`status = 'completed', updated_at = ` + second), want: "2026-01-05T10:00:00Z"},
		{name: "cancelled keeps it too", before: update(`status = 'confirmed', updated_at = ` + first),
			do: update(`status = 'cancelled', updated_at = ` + second), want: "2026-01-05T10:00:00Z"},
		{name: "confirmed again is a new moment", before: update(`status = 'confirmed', updated_at = `+first) + ";" + update(`status = 'cancelled'`),
			do: update(`status = 'confirmed', updated_at = ` + second), want: "2026-01-06T11:00:00Z"},
		{name: "a row older than the triggers keeps its last change",
			before: `ALTER TABLE hangar_bookings DISABLE TRIGGER USER; ` + update(`status = 'confirmed', updated_at = `+first) + `; ALTER TABLE hangar_bookings ENABLE TRIGGER USER`,
			do:     update(`status = 'completed', updated_at = ` + second), want: "2026-01-05T10:00:00Z"},
		{name: "a row older than the triggers that was never changed",
			before: `ALTER TABLE hangar_bookings DISABLE TRIGGER USER; ` + update(`status = 'confirmed', created_at = `+first+`, updated_at = NULL`) + `; ALTER TABLE hangar_bookings ENABLE TRIGGER USER`,
			do:     update(`total_price = 2`), want: "2026-01-05T10:00:00Z"},
		{name: "inserted as confirmed", before: `DELETE FROM bookings WHERE id = {b1}`, do: insertedConfirmed(first, second), want: "2026-01-06T11:00:00Z"},
		{name: "inserted as confirmed, never changed", before: `DELETE FROM bookings WHERE id = {b1}`, do: insertedConfirmed(first, "NULL"), want: "2026-01-05T10:00:00Z"},
		{name: "inserted as confirmed without any time", before: `DELETE FROM bookings WHERE id = {b1}`, do: insertedConfirmed("NULL", "NULL"), want: "now"},
		{name: "deleted", before: update(`status = 'confirmed'`), do: `DELETE FROM bookings WHERE id = {b1}`},
		{name: "a portal that leaves updated_at alone", do: update(`status = 'confirmed'`), want: "now"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.Exec(t, `ALTER TABLE hangar_bookings ALTER updated_at DROP NOT NULL, ALTER created_at DROP NOT NULL`)
			s := newTriggerFixture(t, p)
			s.do(t, test.before)
			begun := p.ID(t, `SELECT now()`)
			s.do(t, test.do)
			var noted []time.Time
			must(t, p.Pool.Select(&noted, `SELECT paid_at FROM realtime.payments WHERE booking_id = $1`, s.names.Replace("{b1}")))
			got := ""
			if len(noted) > 0 {
				got = noted[0].UTC().Format(time.RFC3339)
				if since, err := time.Parse(time.RFC3339, begun); err == nil && !noted[0].Before(since) {
					got = "now"
				}
			}
			if got != test.want {
				t.Errorf("noted %q, want %q", got, test.want)
			}
		})
	}
}

// TestOneDoorbell counts the notifications of transactions: one that logged rings once,
// however much it did.
func TestOneDoorbell(t *testing.T) {
	t.Parallel()
	s := newTriggerFixture(t, dbtest.New(t))
	listener := pq.NewListener(s.URL, time.Second, time.Second, nil)
	must(t, listener.Listen("realtime"))
	t.Cleanup(func() {
		go func() { // Close waits while nobody drains
			for range listener.Notify {
			}
		}()
		listener.Close()
	})
	rings := func(do func()) (count int) {
		do()
		s.Exec(t, `SELECT pg_notify('realtime', 'end')`)
		for {
			select {
			case n := <-listener.Notify:
				if n != nil && n.Extra == "end" {
					return count
				}
				count++
			case <-t.Context().Done():
				t.Fatal("the notification did not come")
			}
		}
	}
	got := []int{
		rings(func() { s.do(t, update(`status = 'confirmed'`)) }),
		rings(func() {
			s.do(t, update(`status = 'active'`)+`; INSERT INTO bookings ({columns}) VALUES {stay in H1}, {stay in X1};
				UPDATE hangar_listings SET city = 'Santos'; DELETE FROM bookings WHERE id = {b2}; UPDATE hangar_owners SET user_id = {user B}; TRUNCATE realtime.payouts`)
		}),
		rings(func() {
			s.do(t, update(`payment_method = 'pix'`)+`; DELETE FROM bookings WHERE false; UPDATE hangar_listings SET city = 'Santos' WHERE false;
				DELETE FROM realtime.payouts WHERE false`)
		}),
		rings(func() {
			tx := begin(t, s.Portal)
			book(t, tx, s.a.Hangars[0], s.names.Replace("{guest}"))
			must(t, tx.Rollback())
		}),
	}
	if want := []int{1, 1, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("the doorbell rang %v, want %v", got, want)
	}
}
