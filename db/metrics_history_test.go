package db_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

type listing struct {
	id, owner string
	status    *string
	available *bool
	spaces    *int
}

type booking struct {
	id, listing                        string
	status                             *string
	in, out, payment, created, updated *moment
	subtotal, fees, total              *string
}

type payout struct {
	booking, owner string
	scheduled      *day
	done           bool
}

// history is the rows of several owners, kept beside those in the database.
type history struct {
	name     string
	portal   *dbtest.Portal
	rng      *rand.Rand
	loc      *time.Location
	now      time.Time // most of what happens lies around it
	today    day
	columns  map[string]string // the types of the columns of bookings
	counted  bool              // listings have total_spaces
	ids      int
	owners   []string
	listings []*listing
	bookings []*booking
	payouts  []*payout
	noted    map[string]time.Time // when a booking became paid, where no column says it
}

func newHistory(t *testing.T, p *dbtest.Portal, rng *rand.Rand, loc *time.Location) *history {
	t.Helper()
	h := &history{portal: p, rng: rng, loc: loc, columns: map[string]string{}, noted: map[string]time.Time{}}
	var columns []struct{ Relation, Name, Type string }
	must(t, p.Pool.SelectContext(t.Context(), &columns, `SELECT c.relname AS relation, a.attname AS name,
			format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE a.attrelid IN ('bookings'::regclass, 'hangar_listings'::regclass) AND a.attnum > 0 AND NOT a.attisdropped`))
	for _, c := range columns {
		if c.Relation == "bookings" {
			h.columns[c.Name] = c.Type
		}
		h.counted = h.counted || c.Name == "total_spaces"
	}
	h.now = h.moment()
	h.today = dayOf(h.now, loc)
	return h
}

func (h *history) hasPaymentDate() bool { return h.columns["payment_date"] != "" }

// edges are dates near which clocks were changed at midnight, and the ends of years.
var edges = map[string][]string{
	"America/Sao_Paulo":  {"2018-11-04", "2018-02-18", "2018-11-10", "2018-11-11", "2018-11-17", "2018-03-03", "2017-12-31"},
	"America/Havana":     {"2024-11-03", "2024-03-10", "2024-11-09", "2024-11-16", "2024-03-16", "2023-12-31"},
	"Pacific/Kiritimati": {"1995-01-01", "1995-01-06", "1995-01-13", "2025-12-31"},
	"Pacific/Pago_Pago":  {"2025-12-31", "2024-02-29"},
	"Asia/Kolkata":       {"2026-01-01", "2024-03-01"},
	"UTC":                {"2024-12-31"},
}

// moment returns the moment around which a history happens.
func (h *history) moment() time.Time {
	switch h.rng.IntN(6) {
	case 0: // the present, which is when triggers note payments
		return time.Now().UTC().Truncate(time.Microsecond)
	case 1:
		return time.Unix(h.rng.Int64N(60*365*24*60*60)+20*365*24*60*60, h.rng.Int64N(1_000_000)*1000).UTC()
	}
	dates := edges[h.loc.String()]
	at, err := time.Parse(time.DateOnly, dates[h.rng.IntN(len(dates))])
	if err != nil {
		panic(err)
	}
	start := dayOf(at, time.UTC).start(h.loc)
	return start.Add(time.Duration(h.rng.Int64N(24*60*60*1_000_000)) * time.Microsecond)
}

// instant returns one of the last two weeks or the next days, mostly at an edge or near one.
func (h *history) instant() time.Time {
	beside := []time.Duration{0, -time.Microsecond, time.Microsecond, -time.Hour, time.Hour}[h.rng.IntN(5)]
	switch h.rng.IntN(5) {
	case 0:
		return h.now.Add(beside)
	case 1:
		return h.today.start(h.loc).Add(beside)
	case 2:
		days := []day{-14, -13, -7, -6, -1, 1, 2}
		return (h.today + days[h.rng.IntN(len(days))]).start(h.loc).Add(beside)
	case 3:
		return h.today.start(h.loc).Add(time.Duration(h.rng.Int64N(24*60*60*1_000_000)) * time.Microsecond)
	}
	return h.now.Add(time.Duration(h.rng.Int64N(19*24*60*60*1_000_000)-16*24*60*60*1_000_000) * time.Microsecond)
}

// id returns a new id of the type that this database has.
func (h *history) id() string {
	if h.columns["id"] == "uuid" {
		a, b := h.rng.Uint64(), h.rng.Uint64()
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
	}
	h.ids++
	return strconv.Itoa(h.ids)
}

// some returns one of the values or, now and then, NULL.
func some[T any](rng *rand.Rand, values ...T) *T {
	if rng.IntN(20) == 0 {
		return nil
	}
	return &values[rng.IntN(len(values))]
}

// at returns a value for a column of bookings.
func (h *history) at(column string, instant time.Time) *moment {
	if h.rng.IntN(30) == 0 {
		return nil
	}
	if h.columns[column] == "date" {
		return &moment{date: dayOf(instant, h.loc), bare: true}
	}
	return &moment{at: instant}
}

// price returns amounts whose sums and ratios often end in a five.
func (h *history) price() *string {
	text := []string{"400.00", "351.00", "49.00", "0.05", "0.00", "0.01", "199.99"}[h.rng.IntN(7)]
	switch {
	case h.columns["total_price"] == "numeric" && h.rng.IntN(2) == 0:
		text = []string{"0.005", "1.0049", "33.335"}[h.rng.IntN(3)]
	case h.rng.IntN(2) == 0:
		text = fmt.Sprintf("%d.%02d", h.rng.IntN(3000), h.rng.IntN(100))
	}
	return some(h.rng, text)
}

// invent fills the history with rows.
func (h *history) invent() {
	for range 3 {
		h.owners = append(h.owners, h.id())
	}
	for range 8 { // the last owner has none
		l := &listing{id: h.id(), owner: h.owners[h.rng.IntN(2)], status: some(h.rng, "active", "active", "active", "inactive"),
			available: some(h.rng, true, true, true, false)}
		if h.counted {
			l.spaces = some(h.rng, 1, 1, 2, 3, 8, 16)
		}
		h.listings = append(h.listings, l)
	}
	for range 60 {
		h.bookings = append(h.bookings, h.newBooking())
	}
	for _, b := range h.bookings {
		if !h.hasPaymentDate() && holds(b.status, "confirmed", "active", "completed", "cancelled") && h.rng.IntN(2) == 0 {
			h.noted[b.id] = h.instant()
		}
		if h.rng.IntN(6) == 0 {
			scheduled := h.today + day(h.rng.IntN(16)-4)
			h.payouts = append(h.payouts, &payout{b.id, h.owners[h.rng.IntN(3)], some(h.rng, scheduled), h.rng.IntN(3) > 0})
		}
	}
}

func (h *history) newBooking() *booking {
	b := &booking{
		id: h.id(), listing: h.listings[h.rng.IntN(len(h.listings))].id,
		status:   some(h.rng, "pending", "confirmed", "active", "completed", "cancelled", "confirmed", "completed"),
		subtotal: h.price(), fees: h.price(), total: h.price(),
		created: h.at("created_at", h.instant()), updated: h.at("updated_at", h.instant()),
	}
	from := h.instant()
	until := from.Add(time.Duration(1+h.rng.Int64N(4*24*60*60*1_000_000)) * time.Microsecond)
	b.in, b.out = h.at("check_in", from), h.at("check_out", until)
	if b.in != nil && b.out != nil && b.in.bare {
		b.out.date = max(b.out.date, b.in.date+1)
	}
	if b.updated == nil && b.created == nil {
		b.created = &moment{at: from}
	}
	if h.hasPaymentDate() && h.rng.IntN(4) > 0 {
		b.payment = h.at("payment_date", h.instant())
	}
	return b
}

// row returns a booking as json_populate_recordset reads it.
func (h *history) row(b *booking) map[string]any {
	return map[string]any{
		"id": b.id, "hangar_id": b.listing, "status": b.status, "subtotal": b.subtotal, "fees": b.fees,
		"total_price": b.total, "check_in": b.in, "check_out": b.out, "created_at": b.created, "updated_at": b.updated,
		"payment_date": b.payment,
	}
}

// MarshalJSON writes a moment as PostgreSQL reads it; a timestamp without a zone takes
// the UTC digits.
func (m *moment) MarshalJSON() ([]byte, error) {
	if m.bare {
		return json.Marshal(m.date.String())
	}
	return json.Marshal(m.at.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

// bookingColumns are those of row, as far as the table has them.
func (h *history) bookingColumns() string {
	columns := []string{"id", "hangar_id", "status", "subtotal", "fees", "total_price", "check_in", "check_out", "created_at", "updated_at"}
	if h.hasPaymentDate() {
		columns = append(columns, "payment_date")
	}
	return strings.Join(columns, ", ")
}

// insert adds rows given as JSON to a table.
func insert(t *testing.T, tx *sqlx.Tx, table, columns string, rows []map[string]any) {
	t.Helper()
	text, err := json.Marshal(append([]map[string]any{}, rows...)) // an empty list, not null
	must(t, err)
	_, err = tx.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO %[1]s (%[2]s) SELECT %[2]s FROM json_populate_recordset(NULL::%[1]s, $1)`,
		table, columns), string(text))
	must(t, err)
}

// write puts the history in the place of what the database holds, as rows older than our triggers.
func (h *history) write(t *testing.T) {
	t.Helper()
	tx := begin(t, h.portal)
	_, err := tx.ExecContext(t.Context(), `SET LOCAL session_replication_role = replica;
		DELETE FROM bookings; DELETE FROM hangar_listings; DELETE FROM hangar_owners;
		DELETE FROM realtime.payments; DELETE FROM realtime.payouts`)
	must(t, err)
	var owners, listings, bookings, payments, payouts []map[string]any
	for i, id := range h.owners {
		owners = append(owners, map[string]any{"id": id, "user_id": h.owners[0], "company_name": strconv.Itoa(i)})
	}
	columns := "id, owner_id, hangar_number, status, is_available"
	if h.counted {
		columns += ", total_spaces"
	}
	for i, l := range h.listings {
		listings = append(listings, map[string]any{"id": l.id, "owner_id": l.owner, "hangar_number": strconv.Itoa(i),
			"status": l.status, "is_available": l.available, "total_spaces": l.spaces})
	}
	for _, b := range h.bookings {
		bookings = append(bookings, h.row(b))
	}
	for id, at := range h.noted {
		payments = append(payments, map[string]any{"booking_id": id, "paid_at": at})
	}
	for _, p := range h.payouts {
		row := map[string]any{"booking_id": p.booking, "owner_id": p.owner}
		if p.scheduled != nil {
			row["scheduled_on"] = p.scheduled.String()
		}
		if p.done {
			row["paid_out_at"] = h.now
		}
		payouts = append(payouts, row)
	}
	insert(t, tx, "hangar_owners", "id, user_id, company_name", owners)
	insert(t, tx, "hangar_listings", columns, listings)
	insert(t, tx, "bookings", h.bookingColumns(), bookings)
	insert(t, tx, "realtime.payments", "booking_id, paid_at", payments)
	insert(t, tx, "realtime.payouts", "booking_id, owner_id, scheduled_on, paid_out_at", payouts)
	commit(t, tx)
}

// step changes something by ordinary SQL, in a transaction of its own.
func (h *history) step(t *testing.T) {
	t.Helper()
	tx := begin(t, h.portal)
	var now time.Time
	must(t, tx.GetContext(t.Context(), &now, `SELECT now()`))
	exec := func(query string, args ...any) {
		_, err := tx.ExecContext(t.Context(), query, args...)
		must(t, err)
	}
	b := h.bookings[h.rng.IntN(len(h.bookings))]
	l := h.listings[h.rng.IntN(len(h.listings))]
	switch h.rng.IntN(7) {
	case 0:
		b = h.newBooking()
		h.bookings = append(h.bookings, b)
		insert(t, tx, "bookings", h.bookingColumns(), []map[string]any{h.row(b)})
		h.note(now, nil, b)
	case 1:
		was := *b
		b.status = some(h.rng, "confirmed", "active", "completed", "cancelled")
		set, args := "status = $2", []any{b.id, b.status}
		if h.rng.IntN(2) == 0 { // some portals leave it alone
			b.updated = &moment{at: h.instant()}
			set, args = set+", updated_at = $3", append(args, b.updated.at)
		}
		exec(`UPDATE bookings SET `+set+` WHERE id::text = $1`, args...)
		h.note(now, &was, b)
	case 2:
		if h.hasPaymentDate() { // a late payment
			b.payment = h.at("payment_date", h.instant())
			text, err := json.Marshal(b.payment)
			must(t, err)
			exec(`UPDATE bookings SET payment_date = p.payment_date FROM json_populate_record(NULL::bookings,
				json_build_object('payment_date', $2::json)) p WHERE bookings.id::text = $1`, b.id, string(text))
		}
	case 3:
		was := *b
		b.total = h.price()
		h.note(now, &was, b)
		exec(`UPDATE bookings SET total_price = $2 WHERE id::text = $1`, b.id, b.total)
	case 4:
		h.bookings = slices.DeleteFunc(h.bookings, func(other *booking) bool { return other == b })
		exec(`DELETE FROM bookings WHERE id::text = $1`, b.id)
	case 5:
		was := *b
		b.listing = l.id
		h.note(now, &was, b)
		exec(`UPDATE bookings SET hangar_id = l.id FROM hangar_listings l WHERE bookings.id::text = $1 AND l.id::text = $2`, b.id, l.id)
	case 6:
		l.owner, l.status, l.available = h.owners[h.rng.IntN(2)], some(h.rng, "active", "inactive"), some(h.rng, true, false)
		exec(`UPDATE hangar_listings l SET owner_id = o.id, status = $3, is_available = $4, hangar_number = l.hangar_number || '+'
			FROM hangar_owners o WHERE l.id::text = $1 AND o.id::text = $2`, l.id, l.owner, l.status, l.available)
	}
	commit(t, tx)
}

// note remembers when a booking became paid, as the triggers have to: once more when it was not
// paid in between, and for a row that is older than the triggers, what its former state says.
func (h *history) note(now time.Time, was, b *booking) {
	if h.hasPaymentDate() || !holds(b.status, paidStatus...) {
		return
	}
	latest := &moment{at: now}
	if was == nil {
		h.noted[b.id] = cmp.Or(b.updated, b.created, latest).at
		return
	}
	_, noted := h.noted[b.id]
	switch wasPaid := holds(was.status, paidStatus...); {
	case wasPaid && !noted:
		h.noted[b.id] = cmp.Or(was.updated, was.created, latest).at
	case !wasPaid && b.updated != was.updated:
		h.noted[b.id] = cmp.Or(b.updated, b.created, latest).at
	case !wasPaid:
		h.noted[b.id] = now
	}
}

// dump returns an owner's rows for a person to read.
func (h *history) dump(owner string) string {
	var s strings.Builder
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	for _, l := range h.listings {
		if l.owner != owner {
			continue
		}
		fmt.Fprintf(&s, "listing %s: status %s, available %s, spaces %s\n", l.id, text(l.status), text(l.available), text(l.spaces))
		for _, b := range h.bookings {
			if b.listing == l.id {
				fmt.Fprintf(&s, "booking %s noted %v\n", text(h.row(b)), h.noted[b.id])
			}
		}
	}
	for _, p := range h.payouts {
		fmt.Fprintf(&s, "payout of %s to %s, scheduled %v, done %t\n", p.booking, p.owner, p.scheduled, p.done)
	}
	return s.String()
}
