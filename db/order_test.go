package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// amendingTrigger is a trigger of the portal's own that changes the booking which was just written.
func amendingTrigger(when, action string) string {
	return `CREATE OR REPLACE FUNCTION public.amend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ` + action + ` RETURN NULL; END $$;
		DROP TRIGGER IF EXISTS amending ON bookings;
		CREATE TRIGGER amending AFTER ` + when + ` ON bookings FOR EACH ROW WHEN (pg_trigger_depth() < 3) EXECUTE FUNCTION public.amend();`
}

// TestOrderInTransaction has triggers of the portal's own change a booking again: what is logged of
// it is in the order in which it happened, and the last row says what the booking is now.
func TestOrderInTransaction(t *testing.T) {
	t.Parallel()
	const (
		confirm = `UPDATE bookings SET status = 'confirmed', payment_date = now() WHERE id = NEW.id AND status = 'pending';`
		done    = `DROP TRIGGER IF EXISTS amending ON bookings;`
	)
	runLogCases(t, dbtest.New(t), []logCase{
		{name: "inserted and then confirmed", before: amendingTrigger("INSERT", confirm), do: `INSERT INTO bookings ({columns}) VALUES {stay in H1}`,
			want: []string{"A booking_created new1 H1 pending", "A booking_updated new1 H1 pending>confirmed", "A revenue_received new1 H1 220.50"}},
		{name: "two by two", do: `INSERT INTO bookings ({columns}) VALUES {stay in H1}; INSERT INTO bookings ({columns}) VALUES {stay in H1}`,
			want: []string{"A booking_created new1 H1 pending", "A booking_updated new1 H1 pending>confirmed", "A revenue_received new1 H1 220.50",
				"A booking_created new2 H1 pending", "A booking_updated new2 H1 pending>confirmed", "A revenue_received new2 H1 220.50"}},
		{name: "inserted and then deleted", before: amendingTrigger("INSERT", `DELETE FROM bookings WHERE id = NEW.id;`),
			do: `INSERT INTO bookings ({columns}) VALUES {stay in H1};` + done, want: []string{"A booking_created new1 H1 pending", "A booking_updated new1 H1 pending>deleted"}},
		{name: "updated and then updated", before: amendingTrigger("UPDATE", `UPDATE bookings SET status = 'active' WHERE id = NEW.id AND status = 'confirmed';
				UPDATE bookings SET status = 'completed' WHERE id = NEW.id AND status = 'active';`), do: update(`status = 'confirmed'`),
			want: []string{"A booking_updated b1 H1 pending>confirmed", "A booking_updated b1 H1 confirmed>active", "A booking_completed b1 H1 active>completed"}},
		{name: "deleted and then put back", before: amendingTrigger("DELETE", `INSERT INTO bookings OVERRIDING SYSTEM VALUE VALUES (OLD.*);`),
			do: `DELETE FROM bookings WHERE id = {b1}`, want: []string{"A booking_updated b1 H1 pending>deleted", "A booking_created b1 H1 pending"}},
		{name: "another one's trigger comes first", before: amendingTrigger("UPDATE", `SELECT 1;`) + done + `CREATE TABLE IF NOT EXISTS receipts (booking integer);
				CREATE OR REPLACE FUNCTION public.receive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE bookings SET status = 'confirmed' WHERE id = NEW.booking; RETURN NULL; END $$;
				CREATE OR REPLACE TRIGGER receive AFTER INSERT ON receipts FOR EACH ROW EXECUTE FUNCTION public.receive()`, version: 14,
			do:   `INSERT INTO receipts VALUES ({b1}); UPDATE bookings SET status = 'active' WHERE id = {b1}`,
			want: []string{"A booking_updated b1 H1 pending>confirmed", "A booking_updated b1 H1 confirmed>active"}},
		{name: "a roll-back in between", before: amendingTrigger("INSERT", confirm),
			do: `BEGIN; SAVEPOINT s; INSERT INTO bookings ({columns}) VALUES {stay in H1}; ROLLBACK TO s; UPDATE bookings SET status = 'active' WHERE id = {b1};
				INSERT INTO bookings ({columns}) VALUES {stay in X1}; COMMIT`,
			want: []string{"A booking_updated b1 H1 pending>active", "B booking_created new1 X1 pending", "B booking_updated new1 X1 pending>confirmed",
				"B revenue_received new1 X1 220.50"}},
		{name: "a portal's garbage in our setting", do: `SELECT set_config('realtime.nested', 'garbage', true); INSERT INTO bookings ({columns}) VALUES {stay in H1}`,
			want: []string{"A booking_created new1 H1 pending", "A booking_updated new1 H1 pending>confirmed", "A revenue_received new1 H1 220.50"}},
	})
}

// TestOrderOfMany is more than the places that a transaction keeps.
func TestOrderOfMany(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	s := newTriggerFixture(t, p)
	p.Exec(t, amendingTrigger("INSERT", `UPDATE bookings SET status = 'confirmed' WHERE id = NEW.id;`))
	const many = 1500
	s.do(t, update(`status = 'active'`)+`; INSERT INTO bookings ({columns}) SELECT {columns} FROM bookings, generate_series(1, `+fmt.Sprint(many)+`) WHERE id = {b2}`)
	var wrong, told int
	must(t, p.Pool.QueryRow(`SELECT count(*) FILTER (WHERE types <> '{booking_created,booking_updated}'), count(*) FROM (
		SELECT array_agg(type ORDER BY id) AS types FROM realtime.events WHERE id > $1 AND data->>'bookingId' <> $2
		GROUP BY data->>'bookingId') b`, s.mark, s.names.Replace("{b1}")).Scan(&wrong, &told))
	if wrong > 0 || told != many {
		t.Errorf("of %d bookings %d are told in another order", told, wrong)
	}
	if list := s.logged(t); list[0] != "A booking_updated b1 H1 pending>active" || faults(t, p.Pool) != 0 {
		t.Errorf("the first row is %q, and %d faults were counted", list[0], faults(t, p.Pool))
	}
}

// TestBookingBeforeListing inserts bookings before their hangar, as a deferred key allows.
func TestBookingBeforeListing(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	p.Exec(t, `ALTER TABLE bookings DROP CONSTRAINT bookings_hangar_id_fkey,
		ADD FOREIGN KEY (hangar_id) REFERENCES hangar_listings DEFERRABLE INITIALLY DEFERRED`)
	s := newTriggerFixture(t, p)
	stay := func(status string) string {
		return strings.NewReplacer("("+s.a.Hangars[0]+",", "(900001,", "'pending'", "'"+status+"'").Replace(s.names.Replace("{stay in H1}"))
	}
	const listing = `INSERT INTO hangar_listings (id, owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
		VALUES (900001, {A}, 'H9', 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 1)`
	s.hangars["900001"] = "H9"
	s.do(t, `INSERT INTO bookings ({columns}) VALUES `+stay("pending")+`; UPDATE bookings SET status = 'confirmed', payment_date = now() WHERE hangar_id = 900001;
		UPDATE bookings SET hangar_id = 900001 WHERE id = {b1}; `+listing)
	got := slices.DeleteFunc(s.logged(t), func(row string) bool { return strings.HasPrefix(row, "changed") })
	want := []string{"A booking_updated b1 H1 pending>deleted", "A booking_updated b1 H9 pending>pending", "A booking_created new1 H9 confirmed",
		"A revenue_received new1 H9 220.50", "A changed H9"}
	if !slices.Equal(got, want) || faults(t, p.Pool) != 0 {
		t.Errorf("logged %q, want %q (%d faults)", got, want, faults(t, p.Pool))
	}
}
