package db_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// oddRows is a portal whose columns allow everything, with one owner, a published hangar
// and one that is off the market while it is booked, and rows that cannot be understood
// beside those that can.
const oddRows = `
ALTER TABLE bookings DROP CONSTRAINT bookings_dates_check, DROP CONSTRAINT bookings_status_check, ALTER hangar_id DROP NOT NULL,
	ALTER status DROP NOT NULL, ALTER nights DROP NOT NULL, ALTER nights TYPE numeric(6,1), ALTER total_price DROP NOT NULL,
	ALTER subtotal DROP NOT NULL, ALTER check_in DROP NOT NULL, ALTER check_out DROP NOT NULL, ALTER created_at DROP NOT NULL,
	ALTER total_price TYPE numeric, ALTER subtotal TYPE numeric, ALTER fees TYPE numeric;
ALTER TABLE hangar_listings DROP CONSTRAINT hangar_listings_total_spaces_check;
INSERT INTO users (id, first_name, last_name, email, password_hash) VALUES (1, 'Ana', 'Reis', 'a', '');
INSERT INTO hangar_owners (id, user_id, company_name) VALUES (1, 1, 'P');
INSERT INTO hangar_listings (id, owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate, total_spaces, is_available, status) VALUES
	(1, 1, 'H1', '', '', '', '', 1, NULL, true, 'active'), (2, 1, 'H2', '', '', '', '', 1, 2, false, 'active'),
	(3, 1, 'H3', '', '', '', '', 1, 5, false, 'hidden'), (4, 1, 'H4', '', '', '', '', 1, -3, true, 'active');
INSERT INTO bookings (id, hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_date, created_at) VALUES
	(1, 1, 1, '2026-01-10', '2026-01-13', 3,    100,   10,  110, 'completed', '2026-01-11 10:00', '2026-01-11'),
	(2, 1, 1, '2026-01-10', '2026-01-13', NULL, 'NaN', 10, 'NaN', 'completed', '2026-01-11 10:00', '2026-01-11'),
	(3, 1, 1, '2026-01-10', '2026-01-13', 2.5,  NULL,  0,  NULL, NULL,        '2026-01-11 10:00', '2026-01-11'),
	(4, NULL, 1, '2026-01-10', '2026-01-13', 3, 1,     0,  1,    'confirmed', '2026-01-11 10:00', '2026-01-11'),
	(5, 2, 1, '2026-01-10', '2026-01-13', 3,    1,     0,  7,    'confirmed', NULL, '2026-01-01'),
	(6, 1, 1, NULL, NULL, NULL,                 0,     0,  0,    'pending',   NULL, NULL),
	(7, 1, 1, '-infinity', 'infinity', 'NaN',   0,     0,  -40,  'confirmed', '2026-01-02', 'infinity'),
	(8, 1, 1, '2026-01-10', '2026-01-13', 3,    90,    0,  90,   'cancelled', '2026-01-11 10:00', '2026-01-11');`

// TestMeanings asks for the figures of such a portal, of the tables and of the projection.
func TestMeanings(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	must(t, execute(databaseURL, oddRows))
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	p := dbtest.Open(t, databaseURL)
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	now := time.Date(2026, 1, 11, 12, 0, 0, 0, time.UTC)
	// Paid today: 110, and of two others what is no number. Last week: -40, so growth
	// divides by a negative base. Occupied are H1 and one space of H2, which is not
	// published; offered are these two, and none of H4.
	want := db.RealTimeMetrics{RevenueToday: "110.00", BookingsToday: 3, OccupancyRate: "100.0", GrowthPercentage: "-375.0", ActiveListings: 2,
		PendingPayouts: "80.00"}
	projection := db.NewProjection(store)
	for _, from := range []string{"the tables", "the projection"} {
		got, _, err := store.Metrics(t.Context(), "1", now)
		must(t, err)
		got.NextPayoutDate = want.NextPayoutDate
		if got != want {
			t.Errorf("%s give %+v, want %+v", from, got, want)
		}
		if built, err := projection.Build(t.Context(), now); err != nil || !built {
			t.Fatalf("no projection: %v, %v", built, err)
		}
	}
	if trusted, found, err := projection.Compare(t.Context(), "1", now); err != nil || !trusted || found != nil {
		t.Errorf("the projection is not the tables: %v, %+v, %v", trusted, found, err)
	}
	left, err := projection.LeftOut(t.Context())
	if want := map[string]int64{db.LeftOutHangar: 1, db.LeftOutStatus: 1, db.LeftOutAmount: 2, db.LeftOutDates: 1}; err != nil || !maps.Equal(left, want) {
		t.Errorf("left out are %v (%v), want %v", left, err, want)
	}
	bookings, err := store.Bookings(t.Context(), "1", "", 10)
	must(t, err)
	nights, paid := map[string]int{}, map[string]bool{}
	for _, b := range bookings {
		nights[b.BookingID], paid[b.BookingID] = b.Nights, b.Paid
	}
	// The payment of the cancelled one has arrived, though it is no revenue.
	if !paid["8"] || !paid["1"] || paid["6"] {
		t.Errorf("paid are %v", paid)
	}
	if len(bookings) != 7 || nights["2"] != 3 || nights["3"] != 3 || nights["6"] != 0 || nights["7"] != 0 {
		t.Errorf("%d bookings have the nights %v", len(bookings), nights)
	}
	// Confirmed again it counts again, for the day of its payment.
	p.Exec(t, `UPDATE bookings SET status = 'confirmed' WHERE id = 8`)
	if m, _, err := store.Metrics(t.Context(), "1", now); err != nil || m.RevenueToday != "200.00" || m.BookingsToday != 4 {
		t.Errorf("confirmed again: %+v (%v)", m, err)
	}
	p.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id = 8`)
	occupancy := db.NewOccupancy(store)
	if _, err := occupancy.Reconcile(t.Context(), now, nil, nil); err != nil {
		t.Error(err)
	}
	// What no hangar can be called, as a log of before says, stops no other.
	p.Exec(t, `UPDATE realtime.occupancy SET occupied = false`)
	logged, err := occupancy.Reconcile(t.Context(), now, []string{"abc", "2", "", "99999999999999999999", "-1"}, []string{"abc"})
	if err != nil || logged != 1 {
		t.Errorf("%d turns are logged (%v), want that of H2", logged, err)
	}
	due, err := occupancy.Transitions(t.Context(), now, now.Add(72*time.Hour))
	if err != nil || len(due) != 1 {
		t.Errorf("due are %v (%v)", due, err)
	}
}

// TestMeaningsOfEvents logs such rows: amounts that are finite, nights that are whole.
func TestMeaningsOfEvents(t *testing.T) {
	t.Parallel()
	databaseURL := variants()[0].empty(t)
	must(t, execute(databaseURL, oddRows))
	must(t, db.Migrate(t.Context(), databaseURL, quiet))
	p := dbtest.Open(t, databaseURL)
	p.Exec(t, `INSERT INTO bookings (id, hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
		SELECT id + 100, hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status FROM bookings ORDER BY id`)
	var got []string
	must(t, p.Pool.Select(&got, `SELECT concat_ws(' ', data->>'bookingId', data->>'amount', data->>'duration') FROM realtime.events
		WHERE type = 'booking_created' ORDER BY (data->>'bookingId')::int`))
	want := "101 110.00 3|102 3|103 3|105 7.00 3|106 0.00 0|107 -40.00 0|108 90.00 3"
	if strings.Join(got, "|") != want || faults(t, p.Pool) != 0 {
		t.Errorf("logged %q, want %q (%d faults)", strings.Join(got, "|"), want, faults(t, p.Pool))
	}
}

// TestDomains has ids and instants of types that are others underneath.
func TestDomains(t *testing.T) {
	t.Parallel()
	for name, schema := range map[string]string{
		"ids of 36 characters": idColumn.ReplaceAllStringFunc(variants()[0].schema, func(column string) string {
			if strings.Contains(column, "IDENTITY") {
				return "id char(36) DEFAULT gen_random_uuid()"
			}
			return strings.Replace(column, "integer", "char(36)", 1)
		}),
		"domains over integers and instants": `CREATE DOMAIN public.key AS integer; CREATE DOMAIN public.moment AS timestamptz; CREATE DOMAIN public.instant AS public.moment;` +
			strings.ReplaceAll(strings.NewReplacer("check_in       timestamp", "check_in public.instant", "check_out      timestamp", "check_out public.instant",
				"payment_date   timestamp", "payment_date public.instant").Replace(variants()[0].schema), "hangar_id      integer", "hangar_id public.key"),
		"numeric ids": idColumn.ReplaceAllStringFunc(variants()[0].schema, func(column string) string {
			if strings.Contains(column, "IDENTITY") {
				return "id numeric DEFAULT (random() * 1000000)::int"
			}
			return strings.Replace(column, "integer", "numeric", 1)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databaseURL := dbtest.Empty(t)
			must(t, execute(databaseURL, schema))
			must(t, db.Migrate(t.Context(), databaseURL, quiet))
			must(t, execute(databaseURL, rows))
			p := dbtest.Open(t, databaseURL)
			p.Exec(t, `UPDATE bookings SET status = 'active', payment_date = '2026-01-11 10:00+00'`)
			p.Exec(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
				SELECT hangar_id, user_id, check_in, check_out, nights, subtotal, fees, 99.9, 'pending' FROM bookings`)
			answers(t, p)
			store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
			must(t, err)
			owner := p.ID(t, `SELECT id::text FROM hangar_owners`)
			for _, id := range []string{owner + " ", "0" + owner, owner + ".0", "abc d\x00"} {
				canonical, err := store.CanonicalOwnerID(id)
				if err != nil {
					continue
				}
				if role, err := store.Access(t.Context(), db.Caller{UserID: p.ID(t, `SELECT user_id::text FROM hangar_owners`)}, canonical); err != nil || role != "" {
					t.Errorf("the id %q leads to the owner: %q (%v)", id, role, err)
				}
			}
			if n := faults(t, p.Pool); n > 0 {
				t.Errorf("%d faults were counted", n)
			}
		})
	}
}

// TestIDsInGoAndSQL reads texts as ids of each type, as CanonicalID does, which is Go, and as
// queries and trigger functions do, by key_of: what may be an id from outside is found as itself,
// and no text makes a query fail.
func TestIDsInGoAndSQL(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	const uuid = "0191d5a8-0000-7000-8000-00000000000a"
	texts := []string{"0", "1", "01", "-1", "+1", "1 ", " 1", "1.0", "1e3", "abc", "", "\uff11", "1000000000000000000", "9223372036854775807", "9223372036854775808",
		"-9223372036854775808", "99999999999999999999", uuid, strings.ToUpper(uuid), uuid + "0"}
	p.Exec(t, `CREATE DOMAIN public.number AS bigint; CREATE DOMAIN public.word AS varchar(40); CREATE DOMAIN public.other_word AS public.word`)
	for _, columnType := range []string{"smallint", "integer", "bigint", "numeric", "numeric(19,0)", "uuid", "char(36)", "varchar(40)", "text", "name",
		"double precision", "oid", "public.number", "public.word", "public.other_word"} {
		p.Exec(t, `DROP TABLE IF EXISTS public.kept; CREATE TABLE public.kept (id `+columnType+`)`)
		base := p.ID(t, `SELECT realtime.type_sql('public.kept', 'id')`)
		var read []struct {
			V  string  `db:"v"`
			ID *string `db:"id"`
		}
		must(t, p.Pool.Select(&read, `SELECT v, (`+p.ID(t, `SELECT realtime.key_sql('public.kept', 'v')`)+`)::text AS id FROM unnest($1::text[]) v`, pq.Array(texts)))
		for _, r := range read {
			if other := columnType == "oid" || columnType == "double precision"; other && r.V != "1" {
				continue // their ids have no one form: it is enough that nothing fails
			}
			// another form of one is asked for as that
			if id, err := db.CanonicalID(base, r.V); err == nil && id == r.V && (r.ID == nil || *r.ID != id) {
				t.Errorf("%s: %q may be an id, %q, and is not found by it", columnType, r.V, id)
			}
		}
	}
}
