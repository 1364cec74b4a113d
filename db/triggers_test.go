package db_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// triggerFixture is two owners, A with the hangars H1 and H2 and B with X1, a guest, and A's
// pending bookings b1 and b2 in H1. Statements name them {A}, {H1}, {b1}; what they log
// is told in the same names.
type triggerFixture struct {
	*dbtest.Portal
	names           *strings.Replacer
	a, b            dbtest.Owner
	owners, hangars map[string]string // names by id
	bookings        map[string]string
	mark            int64 // the newest insertion that was told of
	strangers       int   // bookings that got a name when they appeared
}

func newTriggerFixture(t *testing.T, p *dbtest.Portal) *triggerFixture {
	t.Helper()
	s := &triggerFixture{Portal: p, a: p.AddOwner(t, 2), b: p.AddOwner(t, 1)}
	p.Exec(t, `UPDATE hangar_listings SET hangar_number = 'X1' WHERE id = $1`, s.b.Hangars[0])
	guest := p.AddGuest(t, "Ana", "Reis")
	b1, b2 := p.Book(t, s.a.Hangars[0], guest), p.Book(t, s.a.Hangars[0], guest)
	s.owners = map[string]string{s.a.ID: "A", s.b.ID: "B"}
	s.hangars = map[string]string{s.a.Hangars[0]: "H1", s.a.Hangars[1]: "H2", s.b.Hangars[0]: "X1"}
	s.bookings = map[string]string{b1: "b1", b2: "b2"}
	s.names = strings.NewReplacer("{A}", s.a.ID, "{B}", s.b.ID, "{H1}", s.a.Hangars[0], "{H2}", s.a.Hangars[1],
		"{X1}", s.b.Hangars[0], "{guest}", guest, "{b1}", b1, "{b2}", b2, "{user B}", s.b.UserID, "{columns}", dbtest.BookingColumns,
		"{stay in H1}", dbtest.BookingValues(s.a.Hangars[0], guest), "{stay in X1}", dbtest.BookingValues(s.b.Hangars[0], guest))
	must(t, p.Pool.Get(&s.mark, `SELECT max(id) FROM realtime.events`))
	return s
}

// do runs statements as one transaction.
func (s *triggerFixture) do(t *testing.T, statements string) {
	t.Helper()
	s.Exec(t, s.names.Replace(statements))
}

// logged tells what was logged since the last call.
func (s *triggerFixture) logged(t *testing.T) []string {
	t.Helper()
	rows, err := s.Pool.Queryx(`SELECT id, coalesce(owner_id, '-') AS owner, type, coalesce(data, '{}') AS data FROM realtime.events WHERE id > $1 ORDER BY id`, s.mark)
	must(t, err)
	defer rows.Close()
	list := []string{}
	for rows.Next() {
		var owner, kind string
		var data []byte
		must(t, rows.Scan(&s.mark, &owner, &kind, &data))
		list = append(list, s.tell(t, owner, kind, data))
	}
	must(t, rows.Err())
	return list
}

func (s *triggerFixture) tell(t *testing.T, owner, kind string, data []byte) string {
	t.Helper()
	var d struct {
		BookingID, HangarID, HangarNumber, Status, PreviousStatus, PaymentMethod *string

		Amount json.RawMessage
	}
	must(t, json.Unmarshal(data, &d))
	words := []string{orElse(s.owners[owner], owner), kind}
	if d.BookingID != nil {
		if s.bookings[*d.BookingID] == "" {
			s.strangers++
			s.bookings[*d.BookingID] = fmt.Sprint("new", s.strangers)
		}
		words = append(words, s.bookings[*d.BookingID])
	}
	if d.HangarID != nil {
		name := s.hangars[*d.HangarID]
		if d.HangarNumber != nil && *d.HangarNumber != name {
			name += fmt.Sprintf("(%s)", *d.HangarNumber)
		}
		words = append(words, name)
	}
	if d.PreviousStatus != nil {
		words = append(words, *d.PreviousStatus+">")
	}
	if d.Status != nil {
		words = append(words, *d.Status)
	}
	if d.PaymentMethod != nil {
		words = append(words, string(d.Amount)+" "+*d.PaymentMethod)
	}
	return strings.TrimSpace(strings.ReplaceAll(strings.Join(words, " "), "> ", ">"))
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// logCase is statements and what they log, exactly and in this order unless anyOrder says
// otherwise.
type logCase struct {
	name, before, do string
	want             []string
	anyOrder         bool
	version          int // the oldest PostgreSQL that knows the statement
}

func runLogCases(t *testing.T, p *dbtest.Portal, cases []logCase) {
	t.Helper()
	var version int
	must(t, p.Pool.Get(&version, `SELECT current_setting('server_version_num')::int / 10000`))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if version < c.version {
				t.Logf("PostgreSQL %d does not know this statement", version)
				return
			}
			s := newTriggerFixture(t, p)
			s.do(t, c.before)
			s.logged(t)
			s.do(t, c.do)
			got, want := s.logged(t), c.want
			if c.anyOrder {
				slices.Sort(got)
				want = slices.Sorted(slices.Values(want))
			}
			if !slices.Equal(got, want) {
				t.Errorf("logged %q\nwant   %q", got, want)
			}
		})
	}
	var faults int
	must(t, p.Pool.Get(&faults, `SELECT CASE WHEN is_called THEN last_value + 1 ELSE 0 END FROM realtime.faults`))
	if faults != 0 {
		t.Errorf("the triggers counted %d faults", faults)
	}
}

func update(set string) string { return `UPDATE bookings SET ` + set + ` WHERE id = {b1}` }

const paid = `payment_date = now(), payment_method = 'pix'`

// bookingCases are changes of bookings with a payment_date.
var bookingCases = []logCase{
	{name: "insert", do: `INSERT INTO bookings ({columns}) VALUES {stay in H1}`, want: []string{"A booking_created new1 H1 pending"}},
	{name: "insert many", do: `INSERT INTO bookings ({columns}) VALUES {stay in H1}, {stay in X1}, {stay in H1}`,
		want: []string{"A booking_created new1 H1 pending", "B booking_created new2 X1 pending", "A booking_created new3 H1 pending"}},
	{name: "insert none", do: `INSERT INTO bookings ({columns}) SELECT {columns} FROM bookings WHERE false`},
	{name: "insert paid", do: `INSERT INTO bookings ({columns}, payment_method, payment_date)
			SELECT hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, 'active', 'pix', now() FROM bookings WHERE id = {b1}`,
		want: []string{"A booking_created new1 H1 active", "A revenue_received new1 H1 220.50 pix"}},
	{name: "insert paid and cancelled", do: `INSERT INTO bookings ({columns}, payment_date)
			SELECT hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, 'cancelled', now() FROM bookings WHERE id = {b1}`,
		want: []string{"A booking_created new1 H1 cancelled"}},

	{name: "status", do: update(`status = 'confirmed'`), want: []string{"A booking_updated b1 H1 pending>confirmed"}},
	{name: "cancelled", do: update(`status = 'cancelled'`), want: []string{"A booking_updated b1 H1 pending>cancelled"}},
	{name: "check_in", do: update(`check_in = check_in + interval '1 hour'`), want: []string{"A booking_updated b1 H1 pending>pending"}},
	{name: "check_out", do: update(`check_out = check_out + interval '1 hour'`), want: []string{"A booking_updated b1 H1 pending>pending"}},
	{name: "total_price", do: update(`total_price = 1`), want: []string{"A booking_updated b1 H1 pending>pending"}},
	{name: "nights", do: update(`nights = 3`), want: []string{"A booking_updated b1 H1 pending>pending"}},
	{name: "user_id", do: update(`user_id = {user B}`), want: []string{"A booking_updated b1 H1 pending>pending"}},
	{name: "subtotal", do: update(`subtotal = 1`), want: []string{"A changed b1 H1"}},
	{name: "fees", do: update(`fees = 1`), want: []string{"A changed b1 H1"}},
	{name: "created_at", do: update(`created_at = created_at - interval '1 day'`), want: []string{"A changed b1 H1"}},
	{name: "nothing relevant", do: update(`updated_at = now(), payment_method = 'boleto', status = status, total_price = total_price`)},
	{name: "no row", do: `UPDATE bookings SET status = 'cancelled' WHERE false; DELETE FROM bookings WHERE false`},
	{name: "many rows, one irrelevant", before: update(`status = 'confirmed'`), do: `UPDATE bookings SET status = 'confirmed' WHERE id IN ({b1}, {b2})`,
		want: []string{"A booking_updated b2 H1 pending>confirmed"}},
	{name: "twice in one transaction", do: update(`status = 'confirmed'`) + ";" + update(`status = 'active'`),
		want: []string{"A booking_updated b1 H1 pending>confirmed", "A booking_updated b1 H1 confirmed>active"}},

	{name: "payment arrives", do: update(paid), want: []string{"A revenue_received b1 H1 220.50 pix", "A changed b1 H1"}},
	{name: "payment arrives with the confirmation", do: update(paid + `, status = 'confirmed'`),
		want: []string{"A booking_updated b1 H1 pending>confirmed", "A revenue_received b1 H1 220.50 pix"}},
	{name: "payment is withdrawn", before: update(paid), do: update(`payment_date = NULL`), want: []string{"A changed b1 H1"}},
	{name: "payment is dated anew", before: update(paid), do: update(`payment_date = '2026-01-01'`), want: []string{"A changed b1 H1"}},
	{name: "payment of a cancelled booking", before: update(`status = 'cancelled'`), do: update(paid), want: []string{"A changed b1 H1"}},
	{name: "a paid booking is no longer cancelled", before: update(`status = 'cancelled',` + paid), do: update(`status = 'confirmed'`),
		want: []string{"A booking_updated b1 H1 cancelled>confirmed"}},
	{name: "completed", before: update(`status = 'active'`), do: update(`status = 'completed'`), want: []string{"A booking_completed b1 H1 active>completed"}},
	{name: "completed and paid", do: update(`status = 'completed', ` + paid),
		want: []string{"A booking_completed b1 H1 pending>completed", "A revenue_received b1 H1 220.50 pix"}},
	{name: "completed once more", before: update(`status = 'completed'`), do: update(`status = 'completed'`)},
	{name: "changed when completed", before: update(`status = 'completed'`), do: update(`total_price = 2`),
		want: []string{"A booking_updated b1 H1 completed>completed"}},

	{name: "upsert", do: `INSERT INTO bookings (id, {columns}) SELECT id, {columns} FROM bookings WHERE id = {b1}
			UNION ALL SELECT id + 1000000, {columns} FROM bookings WHERE id = {b1} ON CONFLICT (id) DO UPDATE SET status = 'active'`,
		want: []string{"A booking_updated b1 H1 pending>active", "A booking_created new1 H1 pending"}, anyOrder: true},
	{name: "upsert that does nothing", do: `INSERT INTO bookings (id, {columns}) SELECT id, {columns} FROM bookings WHERE id = {b1} ON CONFLICT DO NOTHING`},
	{name: "merge", version: 15, do: `MERGE INTO bookings b USING (VALUES ({b1}, 1), ({b2}, 2), (0, 3)) AS s (id, n) ON b.id = s.id
			WHEN MATCHED AND n = 1 THEN UPDATE SET status = 'confirmed' WHEN MATCHED THEN DELETE
			WHEN NOT MATCHED THEN INSERT ({columns}) VALUES {stay in X1}`,
		want: []string{"B booking_created new1 X1 pending", "A booking_updated b1 H1 pending>confirmed", "A booking_updated b2 H1 pending>deleted"}, anyOrder: true},
	{name: "from a common table expression", do: `WITH gone AS (DELETE FROM bookings WHERE id = {b1} RETURNING *)
			INSERT INTO bookings ({columns}) SELECT {columns} FROM gone`,
		want: []string{"A booking_updated b1 H1 pending>deleted", "A booking_created new1 H1 pending"}, anyOrder: true},
	{name: "delete", do: `DELETE FROM bookings WHERE id = {b1}`, want: []string{"A booking_updated b1 H1 pending>deleted"}},
	{name: "delete many", do: `DELETE FROM bookings WHERE id IN ({b1}, {b2})`,
		want: []string{"A booking_updated b1 H1 pending>deleted", "A booking_updated b2 H1 pending>deleted"}},

	{name: "another hangar of the owner", do: update(`hangar_id = {H2}`), want: []string{"A booking_updated b1 H2 pending>pending", "A changed b1 H1"}},
	{name: "a hangar of another owner", do: update(`hangar_id = {X1}, status = 'confirmed'`),
		want: []string{"A booking_updated b1 H1 pending>deleted", "B booking_updated b1 X1 pending>confirmed"}},
	{name: "another primary key", do: `UPDATE bookings SET id = id + 2000000 WHERE id IN ({b1}, {b2})`, anyOrder: true,
		want: []string{"A booking_updated b1 H1 pending>deleted", "A booking_updated b2 H1 pending>deleted",
			"A booking_created new1 H1 pending", "A booking_created new2 H1 pending"}},
}

// portalCases are changes of the other tables.
var portalCases = []logCase{
	{name: "a listing appears", do: `INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
			VALUES ({A}, 'H3', 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 1), ({B}, 'X2', 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 1)`,
		want: []string{"A changed", "B changed"}, anyOrder: true},
	{name: "a listing changes", do: `UPDATE hangar_listings SET is_available = false WHERE id = {H2}`, want: []string{"A changed H2"}},
	{name: "a listing changes hands", do: `UPDATE hangar_listings SET owner_id = {B} WHERE id = {H2}`, want: []string{"A changed H2", "B changed H2"}, anyOrder: true},
	{name: "a listing goes", do: `DELETE FROM hangar_listings WHERE id = {H2}`, want: []string{"A changed H2"}},
	{name: "a listing goes with its bookings", do: `DELETE FROM hangar_listings WHERE id = {H1}`, anyOrder: true,
		want: []string{"A changed H1", "A booking_updated b1 H1 pending>deleted", "A booking_updated b2 H1 pending>deleted"}},
	{name: "an owner account gets another user", do: `UPDATE hangar_owners SET user_id = {user B} WHERE id = {A}`, want: []string{"A access"}},
	{name: "an owner account gets another name", do: `UPDATE hangar_owners SET company_name = 'Prado' WHERE id = {A}`},
	{name: "two owner accounts swap users", do: `UPDATE hangar_owners o SET user_id = p.user_id FROM hangar_owners p
			WHERE (o.id, p.id) IN (({A}, {B}), ({B}, {A}))`, want: []string{"A access", "B access"}, anyOrder: true},
	{name: "an owner account goes", before: `DELETE FROM hangar_listings WHERE owner_id = {B}`, do: `DELETE FROM hangar_owners WHERE id = {B}`, want: []string{"B access"}},
	{name: "an owner account appears", do: `INSERT INTO hangar_owners (user_id, company_name) VALUES ({user B}, 'Prado')`},

	{name: "a payout is scheduled", do: `INSERT INTO realtime.payouts (booking_id, owner_id) VALUES ('p1', '{A}'), ('p2', '{A}')`, want: []string{"A changed"}},
	{name: "a payout is paid", before: `INSERT INTO realtime.payouts (booking_id, owner_id) VALUES ('p3', '{A}')`,
		do: `UPDATE realtime.payouts SET paid_out_at = now() WHERE booking_id = 'p3'`, want: []string{"A changed"}},
	{name: "a payout changes hands", before: `INSERT INTO realtime.payouts (booking_id, owner_id) VALUES ('p4', '{A}')`, anyOrder: true,
		do: `UPDATE realtime.payouts SET owner_id = '{B}' WHERE booking_id = 'p4'`, want: []string{"A changed", "B changed"}},
	{name: "a payout is withdrawn", before: `INSERT INTO realtime.payouts (booking_id, owner_id) VALUES ('p5', '{A}')`,
		do: `DELETE FROM realtime.payouts WHERE booking_id = 'p5'`, want: []string{"A changed"}},
	{name: "a payout to another than the booking's owner", anyOrder: true,
		do: `INSERT INTO realtime.payouts (booking_id, owner_id) VALUES ({b1}::text, '{B}')`, want: []string{"A changed", "B changed"}},
	{name: "payouts for what is no id", do: `INSERT INTO realtime.payouts (booking_id, owner_id)
			VALUES ('', '{A}'), ('1e3', '{A}'), ('-', '{A}'), (repeat('9', 18), '{A}'), (repeat('9', 40), '{A}')`, want: []string{"A changed"}},

	{name: "truncate bookings", before: `DELETE FROM realtime.payouts`, do: `TRUNCATE bookings`, want: []string{"- truncated"}},
	{name: "truncate listings", do: `TRUNCATE hangar_listings CASCADE`, want: []string{"- truncated"}},
	{name: "truncate payouts", do: `TRUNCATE realtime.payouts`, want: []string{"- truncated"}},
	{name: "truncate owners", do: `TRUNCATE hangar_owners CASCADE`, want: []string{"- truncated"}},
	{name: "truncate users", do: `TRUNCATE users CASCADE`, want: []string{"- truncated"}},
}

const cascade = `ALTER TABLE bookings DROP CONSTRAINT bookings_hangar_id_fkey,
	ADD FOREIGN KEY (hangar_id) REFERENCES hangar_listings ON DELETE CASCADE`

func TestTriggersBookings(t *testing.T) {
	t.Parallel()
	runLogCases(t, dbtest.New(t), bookingCases)
}

func TestTriggersPortal(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	p.Exec(t, cascade)
	runLogCases(t, p, portalCases)
}

// TestTriggersWithoutConstraints is a portal whose tables allow everything.
func TestTriggersWithoutConstraints(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	p.Exec(t, `ALTER TABLE bookings DROP CONSTRAINT bookings_hangar_id_fkey, DROP CONSTRAINT bookings_user_id_fkey,
		ALTER hangar_id DROP NOT NULL, ALTER user_id DROP NOT NULL, ALTER check_in DROP NOT NULL, ALTER check_out DROP NOT NULL,
		ALTER nights DROP NOT NULL, ALTER subtotal DROP NOT NULL, ALTER fees DROP NOT NULL, ALTER total_price DROP NOT NULL,
		ALTER status DROP NOT NULL, ALTER created_at DROP NOT NULL, ALTER updated_at DROP NOT NULL;
		ALTER TABLE hangar_listings ALTER owner_id DROP NOT NULL, ALTER hangar_number DROP NOT NULL`)
	runLogCases(t, p, []logCase{
		{name: "no hangar", do: `INSERT INTO bookings (user_id) VALUES ({guest}); UPDATE bookings SET status = 'active' WHERE hangar_id IS NULL;
			DELETE FROM bookings WHERE hangar_id IS NULL`, want: []string{"changed new1 pending", "changed new1", "changed new1 active>deleted"}},
		{name: "an unknown hangar", do: `INSERT INTO bookings (hangar_id) VALUES (-1); UPDATE bookings SET status = 'active' WHERE hangar_id = -1;
			DELETE FROM bookings WHERE hangar_id = -1`, want: []string{"changed new1  pending", "changed new1", "changed new1  active>deleted"}},
		{name: "an unknown guest", do: `INSERT INTO bookings (hangar_id, user_id, status) VALUES ({H1}, -1, 'pending')`, want: []string{"A booking_created new1 H1 pending"}},
		{name: "nothing but a hangar", do: `INSERT INTO bookings (hangar_id, status, fees, created_at, updated_at) VALUES ({H1}, NULL, NULL, NULL, NULL)`,
			want: []string{"A booking_created new1 H1"}},
		{name: "paid without a status or a price", do: `UPDATE bookings SET status = NULL, total_price = NULL, payment_date = now() WHERE id = {b1}`,
			want: []string{"A booking_updated b1 H1 pending>", "A revenue_received b1 H1 null"}},
		{name: "paid without a price", do: `UPDATE bookings SET total_price = NULL, payment_date = now() WHERE id = {b1}`,
			want: []string{"A booking_updated b1 H1 pending>pending", "A revenue_received b1 H1 null"}},
		{name: "the hangar becomes known", before: `UPDATE bookings SET hangar_id = NULL WHERE id = {b1}`, do: update(`hangar_id = {H1}`),
			want: []string{"A booking_updated b1 H1 pending>pending"}},
		{name: "the hangar becomes unknown", do: update(`hangar_id = NULL`), want: []string{"A booking_updated b1 H1 pending>deleted"}},
		{name: "from a hangar without an owner", before: `UPDATE hangar_listings SET owner_id = NULL WHERE id = {H2}; UPDATE bookings SET hangar_id = {H2} WHERE id = {b1}`,
			do: update(`hangar_id = {H1}`), want: []string{"A booking_updated b1 H1 pending>pending", "changed b1 H2"}},
		{name: "to a hangar without an owner", before: `UPDATE hangar_listings SET owner_id = NULL WHERE id = {H2}`,
			do: update(`hangar_id = {H2}`), want: []string{"A booking_updated b1 H1 pending>deleted", "changed b1 H2"}},
		{name: "a hangar without a number", before: `UPDATE hangar_listings SET hangar_number = NULL WHERE id = {H1}`,
			do:   `DELETE FROM bookings WHERE id = {b1}; DELETE FROM hangar_listings WHERE id = {H1}; DELETE FROM bookings WHERE id = {b2}`,
			want: []string{"A booking_updated b1 H1() pending>deleted", "A changed H1", "A booking_updated b2 H1() pending>deleted"}},
		{name: "a listing without an owner", do: `UPDATE hangar_listings SET owner_id = NULL WHERE id = {H1}; UPDATE bookings SET status = 'active' WHERE id = {b1};
			DELETE FROM hangar_listings WHERE id = {H1}`, want: []string{"A changed H1", "changed b1 H1"}},
		{name: "a listing goes before its bookings", do: `DELETE FROM hangar_listings WHERE id = {H1}; UPDATE bookings SET status = 'cancelled' WHERE id = {b1};
			DELETE FROM bookings WHERE id = {b2}`,
			want: []string{"A changed H1", "A booking_updated b1 H1 pending>cancelled", "A booking_updated b2 H1 pending>deleted"}},
	})
}

func TestTriggersCopy(t *testing.T) {
	t.Parallel()
	s := newTriggerFixture(t, dbtest.New(t))
	tx := begin(t, s.Portal)
	copying, err := tx.Prepare(`COPY bookings (` + dbtest.BookingColumns + `) FROM STDIN`)
	must(t, err)
	for _, hangar := range []string{s.a.Hangars[1], s.b.Hangars[0]} {
		_, err := copying.Exec(hangar, s.names.Replace("{guest}"), "2026-01-01", "2026-01-02", 1, "1", "0", "1", "pending")
		must(t, err)
	}
	_, err = copying.Exec()
	must(t, err)
	must(t, copying.Close())
	commit(t, tx)
	if got, want := s.logged(t), []string{"A booking_created new1 H2 pending", "B booking_created new2 X1 pending"}; !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

// lastData returns the data of the newest change of a type.
func lastData(t *testing.T, pool *sqlx.DB, kind string) (data string) {
	t.Helper()
	must(t, pool.Get(&data, `SELECT data FROM realtime.events WHERE type = $1 ORDER BY id DESC LIMIT 1`, kind))
	return data
}

func TestTriggersData(t *testing.T) {
	t.Parallel()
	s := newTriggerFixture(t, dbtest.New(t))
	s.Exec(t, `ALTER TABLE users ALTER first_name TYPE text; ALTER TABLE bookings DROP CONSTRAINT bookings_dates_check`)
	s.do(t, update(`check_in = '2026-01-10 12:00', check_out = '2026-01-12 10:30', total_price = 1234567890.1, status = 'active', `+paid))
	want := s.names.Replace(`{"bookingId" : "{b1}", "hangarId" : "{H1}", "hangarNumber" : "H1", "guestName" : "Ana Reis", "amount" : 1234567890.10, "duration" : 2, ` +
		`"checkIn" : "2026-01-10T12:00:00", "checkOut" : "2026-01-12T10:30:00", "status" : "active", "previousStatus" : "pending"}`)
	if got := lastData(t, s.Pool, "booking_updated"); got != want {
		t.Errorf("logged %s, want %s", got, want)
	}
	want = s.names.Replace(`{"bookingId" : "{b1}", "hangarId" : "{H1}", "hangarNumber" : "H1", "amount" : 1234567890.10, "paymentMethod" : "pix"}`)
	if got := lastData(t, s.Pool, "revenue_received"); got != want {
		t.Errorf("logged %s, want %s", got, want)
	}
	t.Run("hostile guest names", func(t *testing.T) {
		for _, name := range []string{
			`O'Brien "Bob" \ \\ \u0000 \x00 %s {n} $1`, "\x01\x1f\x7f\u2028\u2029", "مرحبا \u202e\u200f نص", "👩‍✈️🛩️ e\u0301", strings.Repeat("ä", 5000),
			`'); DROP TABLE bookings; --`, `</script><img src=x onerror=alert(1)>`,
		} {
			s.Exec(t, `UPDATE users SET first_name = $1, last_name = 'Z' WHERE id = $2`, name, s.names.Replace("{guest}"))
			s.do(t, update(`nights = nights + 1`))
			var got struct{ GuestName string }
			must(t, json.Unmarshal([]byte(lastData(t, s.Pool, "booking_updated")), &got))
			if got.GuestName != name+" Z" {
				t.Errorf("the guest is %.100q, was written as %.100q", got.GuestName, name)
			}
		}
	})
	t.Run("a price that is no number", func(t *testing.T) {
		s.do(t, update(`total_price = 'NaN'`))
		var got struct{ Amount db.Decimal }
		must(t, json.Unmarshal([]byte(lastData(t, s.Pool, "booking_updated")), &got))
		if sent, err := json.Marshal(got.Amount); err != nil || string(sent) != "0" {
			t.Errorf("the amount is sent as %s (%v)", sent, err)
		}
	})
	t.Run("days without end", func(t *testing.T) {
		s.do(t, update(`check_in = '-infinity', check_out = 'infinity'`))
		if got := lastData(t, s.Pool, "booking_updated"); !strings.Contains(got, `"checkIn" : "-infinity", "checkOut" : "infinity"`) {
			t.Errorf("logged %s", got)
		}
		store, err := db.NewStore(t.Context(), s.Pool, time.UTC)
		must(t, err)
		bookings, err := store.Bookings(t.Context(), s.a.ID, "", 10)
		if err != nil || len(bookings) != 2 { // the others are not lost with it
			t.Errorf("bookings %v (%v)", bookings, err)
		}
		if _, err := json.Marshal(bookings); err != nil {
			t.Error(err)
		}
	})
	var faults bool
	if must(t, s.Pool.Get(&faults, `SELECT is_called FROM realtime.faults`)); faults {
		t.Error("the triggers counted a fault")
	}
}
