package db_test

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// trendHistory is a portal whose trends are kept, in São Paulo, with one owner of two hangars.
type trendHistory struct {
	*dbtest.Portal
	store  *db.Store
	keeper *db.TrendKeeper
	owner  dbtest.Owner
	guest  string
	loc    *time.Location
	now    time.Time
}

func newTrendHistory(t *testing.T) *trendHistory {
	t.Helper()
	loc, err := time.LoadLocation("America/Sao_Paulo")
	must(t, err)
	return newTrendHistoryIn(t, loc)
}

func newTrendHistoryIn(t *testing.T, loc *time.Location) *trendHistory {
	t.Helper()
	p := dbtest.New(t)
	p.Exec(t, `ALTER TABLE bookings DROP CONSTRAINT bookings_dates_check; ALTER TABLE bookings ALTER total_price TYPE numeric;
		ALTER TABLE hangar_listings DROP CONSTRAINT hangar_listings_total_spaces_check`)
	store, err := db.NewStore(t.Context(), p.Pool, loc)
	must(t, err)
	return &trendHistory{Portal: p, store: store, keeper: db.NewTrendKeeper(store), owner: p.AddOwner(t, 2), guest: p.AddGuest(t, "Ana", "Reis"), loc: loc,
		now: time.Date(2026, 3, 12, 14, 30, 0, 0, loc)}
}

// add adds a booking: created and paid, "" for not, at instants in UTC.
func (d *trendHistory) add(t *testing.T, hangar int, status, in, out, created, paid, price string) string {
	t.Helper()
	return d.ID(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at, payment_date)
		VALUES ($1, $2, $3, $4, 2, 1, 1, $5::numeric, $6, $7, nullif($8, '')::timestamp) RETURNING id::text`, d.owner.Hangars[hangar], d.guest, in, out, price, status, created, paid)
}

func (d *trendHistory) build(t *testing.T) {
	t.Helper()
	built, err := d.keeper.Build(t.Context(), d.now)
	must(t, err)
	if !built {
		t.Fatal("the trends were not built")
	}
}

func (d *trendHistory) ask(t *testing.T, interval db.TrendInterval, from, to string, compare db.TrendCompare) db.Trends {
	t.Helper()
	got, err := d.store.Trends(t.Context(), d.owner.ID, db.TrendQuery{Interval: interval, From: date(from), To: date(to), Compare: compare}, d.now)
	must(t, err)
	return got
}

// same sees that what is kept and the tables say the same, in one snapshot, of each interval.
func (d *trendHistory) same(t *testing.T, what string) {
	t.Helper()
	for interval, from := range map[db.TrendInterval]string{db.TrendHour: "2026-03-11", db.TrendDay: "2026-02-20", db.TrendWeek: "2025-12-01", db.TrendMonth: "2025-01-01"} {
		q := db.TrendQuery{Interval: interval, From: date(from), To: date("2026-03-13"), Compare: db.CompareBefore}
		kept, tables, err := d.store.TrendsBoth(t.Context(), d.owner.ID, q, d.now)
		must(t, err)
		if got, want := trendLines(kept, d.loc), trendLines(tables, d.loc); !slices.Equal(got, want) {
			t.Errorf("after %s, by %s: what is kept is other than the tables:%s", what, interval, difference(got, want))
		}
	}
}

func texts(list []*db.Decimal) string {
	var parts []string
	for _, d := range list {
		if d == nil {
			parts = append(parts, "-")
		} else {
			parts = append(parts, string(*d))
		}
	}
	return strings.Join(parts, " ")
}

// TestTrendsFollow does everything to bookings that changes them, also what no price, date or
// status should be, and sees that what is kept says what the tables do, before and after it has
// taken that in; and that it says nothing where it cannot know.
func TestTrendsFollow(t *testing.T) {
	t.Parallel()
	d := newTrendHistory(t)
	other := d.AddOwner(t, 1)
	one := d.add(t, 0, "confirmed", "2026-03-11 15:00", "2026-03-14 12:00", "2026-02-10 10:00", "", "100.10")
	two := d.add(t, 1, "completed", "2026-03-01 15:00", "2026-03-04 12:00", "2026-02-11 10:00", "2026-02-12 10:00", "50")
	d.build(t)
	d.same(t, "a build")
	for _, step := range []struct{ name, statement string }{
		{"a payment", `UPDATE bookings SET payment_date = '2026-03-12 12:00' WHERE id = ` + one},
		{"a price", `UPDATE bookings SET total_price = 1e300 WHERE id = ` + one},
		{"a price that is no number", `UPDATE bookings SET total_price = 'NaN' WHERE id = ` + one},
		{"another price", `UPDATE bookings SET total_price = 99.99 WHERE id = ` + one},
		{"no payment any more", `UPDATE bookings SET payment_date = NULL WHERE id = ` + one},
		{"a payment that never ends", `UPDATE bookings SET payment_date = 'infinity' WHERE id = ` + one},
		{"a stay of ten years", `UPDATE bookings SET check_out = '2036-03-14', payment_date = '2026-03-12 12:00' WHERE id = ` + one},
		{"a stay that never ends", `UPDATE bookings SET check_out = 'infinity' WHERE id = ` + one},
		{"a stay that always was", `UPDATE bookings SET check_in = '-infinity', check_out = '2026-03-14' WHERE id = ` + one},
		{"a stay that ends before it begins", `UPDATE bookings SET check_in = '2026-03-20', check_out = '2026-03-14' WHERE id = ` + one},
		{"a stay", `UPDATE bookings SET check_in = '2026-03-10 15:00' WHERE id = ` + one},
		{"another hangar", `UPDATE bookings SET hangar_id = ` + d.owner.Hangars[1] + ` WHERE id = ` + one},
		{"another owner", `UPDATE bookings SET hangar_id = ` + other.Hangars[0] + ` WHERE id = ` + one},
		{"the former owner", `UPDATE bookings SET hangar_id = ` + d.owner.Hangars[0] + ` WHERE id = ` + one},
		{"a hangar that changes hands", `UPDATE hangar_listings SET owner_id = ` + other.ID + ` WHERE id = ` + d.owner.Hangars[1]},
		{"one that comes back", `UPDATE hangar_listings SET owner_id = ` + d.owner.ID + ` WHERE id = ` + d.owner.Hangars[1]},
		{"a rollback", `DO $$ BEGIN BEGIN DELETE FROM bookings; RAISE EXCEPTION 'x'; EXCEPTION WHEN raise_exception THEN NULL; END; END $$`},
		{"all prices", `UPDATE bookings SET total_price = total_price + 0.01`},
		{"a deletion", `DELETE FROM bookings WHERE id = ` + two},
	} {
		d.Exec(t, step.statement)
		d.same(t, step.name)
		if lag, err := d.keeper.Apply(t.Context()); err != nil || !lag.Valid {
			t.Fatalf("%s: upkeep %+v, %v", step.name, lag, err)
		}
		d.same(t, step.name+" that was taken in")
		if differ, err := d.keeper.Check(t.Context(), d.owner.ID); err != nil || differ != 0 {
			t.Errorf("after %s %d sums differ, %v", step.name, differ, err)
		}
	}
	// When a booking became cancelled is noted, and stays so.
	day := d.ID(t, `UPDATE bookings SET status = 'cancelled', updated_at = '2026-03-01' WHERE id = `+one+`
		RETURNING (now() AT TIME ZONE 'America/Sao_Paulo')::date::text`)
	for _, interval := range []string{"not taken in", "taken in", "built anew"} {
		today := d.now
		d.now = time.Now()
		got := d.ask(t, db.TrendDay, day, next(date(day)).Format(time.DateOnly), db.CompareNone)
		d.now = today
		if !got.Kept || texts(got.Series.Cancelled) != "1" {
			t.Errorf("a cancellation that was %s: %s on its day", interval, texts(got.Series.Cancelled))
		}
		_, err := d.keeper.Apply(t.Context())
		must(t, err)
		d.Exec(t, `UPDATE bookings SET updated_at = '2026-03-02'`)
		if interval == "taken in" {
			must(t, d.keeper.Invalidate(t.Context()))
			d.build(t)
		}
	}
	// Sums that are wrong are found, and what nobody told of is not believed.
	d.Exec(t, `UPDATE realtime.trend_sums SET revenue = revenue + 1`)
	if differ, err := d.keeper.Check(t.Context(), d.owner.ID); err != nil || differ == 0 {
		t.Errorf("wrong sums are not found: %d, %v", differ, err)
	}
	must(t, d.keeper.Invalidate(t.Context()))
	for _, spoil := range []struct{ name, statement string }{
		{"a reason of its own", `SELECT 1`},
		{"a truncated table", `TRUNCATE bookings CASCADE`},
		{"a table written anew", `VACUUM FULL bookings`},
		{"a fault of a trigger", `SELECT nextval('realtime.faults')`},
		{"a trigger that was missing", `DROP TRIGGER realtime_updated ON bookings; CALL realtime.attach()`},
	} {
		for _, statement := range strings.Split(spoil.statement, "; ") {
			d.Exec(t, statement)
		}
		if got := d.ask(t, db.TrendDay, "2026-03-01", "2026-03-13", db.CompareNone); got.Kept {
			t.Errorf("after %s what is kept is believed", spoil.name)
		}
		d.Exec(t, `UPDATE realtime.installation SET faults_until = NULL,
			faults_seen = (SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM realtime.faults)`)
		d.build(t)
		d.same(t, spoil.name)
	}
}

// TestTrendsOfAnotherZone: what was kept for one zone is nothing for another.
func TestTrendsOfAnotherZone(t *testing.T) {
	t.Parallel()
	d := newTrendHistory(t)
	d.add(t, 0, "confirmed", "2026-03-11 15:00", "2026-03-12 12:00", "2026-03-11 02:30", "2026-03-11 02:30", "100")
	d.build(t)
	for zone, want := range map[string]string{"America/Noronha": "- 100.00 0.00", "America/Sao_Paulo": "100.00 0.00 0.00", "America/Rio_Branco": "100.00 0.00 0.00"} {
		loc, err := time.LoadLocation(zone)
		must(t, err)
		store, err := db.NewStore(t.Context(), d.Pool, loc)
		must(t, err)
		d.store, d.keeper = store, db.NewTrendKeeper(store)
		for _, kept := range []bool{false, true} {
			got := d.ask(t, db.TrendDay, "2026-03-10", "2026-03-13", db.CompareNone)
			if texts(got.Series.Revenue) != want || got.Kept != kept && zone != "America/Sao_Paulo" {
				t.Errorf("%s: %s, kept %t, want %s", zone, texts(got.Series.Revenue), got.Kept, want)
			}
			d.build(t)
		}
	}
}

// TestTrendsCapacity: nights of the past are of what was offered then.
func TestTrendsCapacity(t *testing.T) {
	t.Parallel()
	d := newTrendHistoryIn(t, dbtest.Noon())
	today := date(time.Now().In(d.loc).Format(time.DateOnly))
	d.now = time.Now()
	day := func(n int) string { return today.AddDate(0, 0, n).Format(time.DateOnly) }
	for range 3 { // of two spaces, one in each hangar
		d.add(t, 0, "confirmed", day(-9)+" 15:00", day(9)+" 15:00", day(-20), "", "1")
	}
	d.build(t)
	d.Exec(t, `UPDATE realtime.capacity SET since = since - interval '5 days'`)
	occupancy := func() string {
		got := d.ask(t, db.TrendDay, day(-7), day(1), db.CompareNone)
		if !got.Kept || got.OccupancySince.After(d.now.AddDate(0, 0, -4)) {
			t.Errorf("kept %t, since %s", got.Kept, got.OccupancySince)
		}
		return texts(got.Series.Occupancy)
	}
	apply := func(statement, want string) {
		t.Helper()
		d.Exec(t, statement)
		for range 2 {
			if got := occupancy(); got != want {
				t.Errorf("after %s: %s, want %s", statement, got, want)
			}
			_, err := d.keeper.Apply(t.Context())
			must(t, err)
		}
	}
	const was = "50.0 50.0 50.0 50.0 50.0 50.0 50.0 "
	apply(`SELECT 1`, was+"50.0")
	apply(`UPDATE hangar_listings SET total_spaces = 2 WHERE id = `+d.owner.Hangars[0], was+"66.7")
	apply(`UPDATE hangar_listings SET is_available = false WHERE id = `+d.owner.Hangars[1], was+"100.0")
	apply(`UPDATE hangar_listings SET total_spaces = NULL WHERE id = `+d.owner.Hangars[0], was+"100.0")
	apply(`UPDATE hangar_listings SET total_spaces = 0 WHERE id = `+d.owner.Hangars[0], was+"-")
	apply(`UPDATE hangar_listings SET total_spaces = 3, is_available = true`, was+"50.0")
	// A hangar that came later was not there before.
	added := d.ID(t, `INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate, total_spaces)
		VALUES ($1, 'N1', 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100, 6) RETURNING id::text`, d.owner.ID)
	apply(`SELECT 1`, was+"25.0")
	apply(`DELETE FROM hangar_listings WHERE id = `+added, was+"50.0")
	d.now = d.now.Add(24 * time.Hour) // what it was today stays
	d.Exec(t, `UPDATE hangar_listings SET total_spaces = 1`)
	apply(`SELECT 1`, was+"50.0")
}

// TestTrendsAddUp holds what must be the same whatever the history: hours of a day, days of a
// month, what is compared with the same range asked for by itself, and growth like for like.
func TestTrendsAddUp(t *testing.T) {
	t.Parallel()
	d := newTrendHistory(t)
	if got := d.ask(t, db.TrendDay, "2026-03-01", "2026-03-13", db.CompareBefore); texts(got.Series.Revenue) != strings.Repeat("- ", 11)+"0.00" ||
		texts(got.Series.Occupancy) != strings.Repeat("- ", 11)+"0.0" || got.Totals.Revenue.Before != nil || got.Totals.Revenue.Change != nil {
		t.Errorf("without bookings: %s, %s, %+v", texts(got.Series.Revenue), texts(got.Series.Occupancy), got.Totals.Revenue)
	}
	// A steady business: each day at 9 a booking that is paid at 10 and one at 20, local time.
	for n := range 40 {
		at := time.Date(2026, 3, 12-n, 0, 0, 0, 0, d.loc)
		for _, hour := range []int{9, 20} {
			if created := at.Add(time.Duration(hour) * time.Hour); created.Before(d.now) {
				clock := func(after time.Duration) string { return created.Add(after).UTC().Format(time.DateTime) }
				d.add(t, n%2, "completed", clock(2*time.Hour), clock(30*time.Hour), clock(0), clock(time.Hour), fmt.Sprintf("%d.33", 100+hour))
			}
		}
	}
	d.build(t)
	week := d.ask(t, db.TrendDay, "2026-03-06", "2026-03-13", db.CompareBefore)
	if change := week.Totals.Revenue.Change; change == nil || *change != "0.0" || *week.Totals.Bookings.Change != "0.0" || *week.Totals.Arrivals.Change != "0.0" {
		t.Errorf("a steady business grows by %v", week.Totals)
	}
	sum := func(list []*db.Decimal) string {
		all := new(big.Rat)
		for _, one := range list {
			if one != nil {
				n, _ := new(big.Rat).SetString(string(*one))
				all.Add(all, n)
			}
		}
		return all.FloatString(2)
	}
	rounded := func(one *db.Decimal) string { return sum([]*db.Decimal{one}) }
	metrics := func(s db.TrendSeries) [][]*db.Decimal {
		return [][]*db.Decimal{s.Revenue, s.Bookings, s.Cancelled, s.Arrivals}
	}
	hours, day := d.ask(t, db.TrendHour, "2026-03-12", "2026-03-13", db.CompareNone), d.ask(t, db.TrendDay, "2026-03-12", "2026-03-13", db.CompareNone)
	days, month := d.ask(t, db.TrendDay, "2026-02-01", "2026-03-01", db.CompareNone), d.ask(t, db.TrendMonth, "2026-02-01", "2026-03-01", db.CompareNone)
	for i := range metrics(day.Series) {
		if got, want := sum(metrics(hours.Series)[i]), rounded(metrics(day.Series)[i][0]); got != want {
			t.Errorf("metric %d: hours have %s, their day %s", i, got, want)
		}
		if got, want := sum(metrics(days.Series)[i]), rounded(metrics(month.Series)[i][0]); got != want || got == "0.00" && i != 2 {
			t.Errorf("metric %d: days have %s, their month %s", i, got, want)
		}
	}
	m, _, err := d.store.Metrics(t.Context(), d.owner.ID, d.now)
	must(t, err)
	if *day.Series.Revenue[0] != m.RevenueToday || *day.Series.Bookings[0] != db.Decimal(fmt.Sprint(m.BookingsToday)) {
		t.Errorf("today's bucket has %s and %s, the cards %s and %d", *day.Series.Revenue[0], *day.Series.Bookings[0], m.RevenueToday, m.BookingsToday)
	}
	compared, shifted := d.ask(t, db.TrendDay, "2026-03-01", "2026-03-11", db.CompareBefore), d.ask(t, db.TrendDay, "2026-02-19", "2026-03-01", db.CompareNone)
	if got, want := fmt.Sprint(texts(compared.Before.Revenue), texts(compared.Before.Occupancy), texts(compared.Before.AverageStay)),
		fmt.Sprint(texts(shifted.Series.Revenue), texts(shifted.Series.Occupancy), texts(shifted.Series.AverageStay)); got != want {
		t.Errorf("what is compared is %s, and asked for by itself %s", got, want)
	}
	if _, err := d.store.Trends(t.Context(), d.owner.ID, db.TrendQuery{Interval: db.TrendDay, From: date("2026-03-01"), To: date("2026-03-02"), HangarID: "999"}, d.now); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a hangar that the owner does not have: %v", err)
	}
	lines, err := d.store.Sparklines(t.Context(), d.owner.ID, 14, d.now)
	must(t, err)
	if lines == nil || len(lines.Days) != 14 || lines.Days[13] != "2026-03-12" || *lines.Revenue[13] != m.RevenueToday || len(lines.Occupancy) != 14 {
		t.Errorf("sparklines %+v", lines)
	}
}

// TestTrendDays: days have the hours that their clocks had.
func TestTrendDays(t *testing.T) {
	t.Parallel()
	d := newTrendHistory(t)
	d.now = time.Date(2019, 3, 1, 12, 0, 0, 0, d.loc)
	for day, want := range map[string]struct {
		hours       int
		first, last string
	}{"2018-11-04": {23, "2018-11-04T01:00:00-02:00", "2018-11-04T23:00:00-02:00"}, "2018-02-17": {25, "2018-02-17T00:00:00-02:00", "2018-02-17T23:00:00-03:00"},
		"2018-11-05": {24, "2018-11-05T00:00:00-02:00", "2018-11-05T23:00:00-02:00"}} {
		hours, whole := d.ask(t, db.TrendHour, day, next(date(day)).Format(time.DateOnly), db.CompareBefore), d.ask(t, db.TrendDay, day, next(date(day)).Format(time.DateOnly), db.CompareNone)
		n := len(hours.Buckets)
		if n != want.hours || hours.Buckets[0].Start.Format(time.RFC3339) != want.first || hours.Buckets[n-1].Start.Format(time.RFC3339) != want.last ||
			whole.Buckets[0].End.Sub(whole.Buckets[0].Start).Hours() != float64(want.hours) {
			t.Errorf("%s has %d hours, from %s to %s", day, n, hours.Buckets[0].Start, hours.Buckets[n-1].Start)
		}
	}
}

// TestTrendsOfLeapYears: a year ago is the same date, whatever range it is in, and the total counts
// each day once.
func TestTrendsOfLeapYears(t *testing.T) {
	t.Parallel()
	d := newTrendHistory(t)
	// the price is the date
	for year := 2023; year <= 2025; year++ {
		for at := time.Date(year, 2, 24, 12, 0, 0, 0, time.UTC); at.Month() < 4 && at.YearDay() < 66; at = at.AddDate(0, 0, 1) {
			clock := at.Format(time.DateTime)
			d.add(t, 0, "completed", clock, clock, clock, clock, at.Format("102"))
		}
	}
	d.build(t)
	const days = "226.00 227.00 228.00 "
	for _, of := range []struct{ now, from, to, before, total string }{
		{"2024-04-01", "2024-02-26", "2024-03-03", days + "228.00 301.00 302.00", "1284.00"},
		{"2025-04-01", "2025-02-26", "2025-03-03", days + "301.00 302.00", "1513.00"},
		{"2025-04-01", "2025-02-26", "2025-03-01", "226.00 227.00 228.00", "681.00"},
		{"2024-04-01", "2024-02-29", "2024-03-01", "228.00", "228.00"},
		{"2025-03-02", "2025-02-26", "2025-03-03", days + "301.00 302.00", "1513.00"},
		{"2024-02-29", "2024-02-28", "2024-03-01", "228.00 228.00", "228.00"},
	} {
		d.now = date(of.now).Add(20 * time.Hour)
		got := d.ask(t, db.TrendDay, of.from, of.to, db.CompareYear)
		if texts(got.Before.Revenue) != of.before || *got.Totals.Revenue.Before != db.Decimal(of.total) {
			t.Errorf("days from %s to %s are compared with %s, in all %s", of.from, of.to, texts(got.Before.Revenue), *got.Totals.Revenue.Before)
		}
		hours := d.ask(t, db.TrendHour, of.from, of.to, db.CompareYear)
		if *hours.Totals.Revenue.Before != db.Decimal(of.total) {
			t.Errorf("hours from %s to %s are compared with %s", of.from, of.to, *hours.Totals.Revenue.Before)
		}
	}
}

// TestTrendsOfMonthEnds compares a month under way, of 28 to 31 days, with the one before: with as
// much of it as has passed of this one, and where that is shorter with all of it.
func TestTrendsOfMonthEnds(t *testing.T) {
	t.Parallel()
	d := newTrendHistory(t)
	// one each noon
	for at := time.Date(2023, 12, 1, 12, 0, 0, 0, time.UTC); at.Before(time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)); at = at.AddDate(0, 0, 1) {
		clock := at.Format(time.DateTime)
		d.add(t, 0, "completed", clock, clock, clock, clock, "1")
	}
	d.build(t)
	for _, of := range []struct{ now, before string }{
		{"2024-02-28 13:00", "28.00"}, {"2024-02-29 11:00", "28.00"}, {"2024-02-29 13:00", "29.00"},
		{"2024-03-29 11:00", "28.00"}, {"2024-03-29 13:00", "29.00"}, {"2024-03-30 11:00", "29.00"},
		{"2024-03-31 13:00", "29.00"}, {"2025-03-28 11:00", "27.00"}, {"2025-03-29 11:00", "28.00"},
		{"2025-03-31 23:59", "28.00"}, {"2024-04-30 11:00", "29.00"}, {"2024-04-30 13:00", "30.00"},
		{"2024-12-31 13:00", "30.00"}, {"2025-01-31 13:00", "31.00"}, {"2025-05-31 11:00", "30.00"},
	} {
		now, err := time.Parse("2006-01-02 15:04", of.now)
		must(t, err)
		d.now = now
		first := now.AddDate(0, 0, 1-now.Day())
		got := d.ask(t, db.TrendMonth, first.Format(time.DateOnly), now.AddDate(0, 0, 1).Format(time.DateOnly), db.CompareBefore)
		if texts(got.Before.Revenue) != of.before || *got.Totals.Revenue.Before != db.Decimal(of.before) {
			t.Errorf("at %s: before %s, in all %s; want %s", of.now, texts(got.Before.Revenue), *got.Totals.Revenue.Before, of.before)
		}
		year := d.ask(t, db.TrendMonth, first.AddDate(0, -11, 0).Format(time.DateOnly), now.AddDate(0, 0, 1).Format(time.DateOnly), db.CompareNone)
		if len(year.Buckets) != 12 {
			t.Errorf("at %s: %d months", of.now, len(year.Buckets))
		}
	}
}

// TestTrendsBesideWriters asks in one snapshot what is kept and the tables, while bookings come,
// change and go and the trends are brought up to date.
func TestTrendsBesideWriters(t *testing.T) {
	t.Parallel()
	d := newTrendHistory(t)
	d.now = time.Now()
	d.build(t)
	done := make(chan error, 1)
	go func() {
		var err error
		for n := range 60 {
			_, err = d.Pool.Exec(`INSERT INTO bookings (` + dbtest.BookingColumns + `, payment_date) SELECT v.*, now() AT TIME ZONE 'UTC' FROM (VALUES ` +
				dbtest.BookingValues(d.owner.Hangars[n%2], d.guest) + `) v`)
			if err == nil {
				_, err = d.Pool.Exec(`UPDATE bookings SET status = 'confirmed', total_price = total_price + $1 WHERE id IN (SELECT id FROM bookings ORDER BY random() LIMIT 2)`, n)
			}
			if err == nil && n%7 == 0 {
				_, err = d.Pool.Exec(`DELETE FROM bookings WHERE id IN (SELECT id FROM bookings ORDER BY random() LIMIT 1)`)
			}
			if err != nil {
				break
			}
		}
		done <- err
	}()
	today := date(d.now.In(d.loc).Format(time.DateOnly))
	for running := true; running; {
		select {
		case err := <-done:
			must(t, err)
			running = false
		default:
		}
		for interval, days := range map[db.TrendInterval]int{db.TrendHour: 1, db.TrendDay: 9} {
			kept, tables, err := d.store.TrendsBoth(t.Context(), d.owner.ID, db.TrendQuery{Interval: interval, From: today.AddDate(0, 0, 1-days), To: next(today)}, d.now)
			must(t, err)
			if got, want := trendLines(kept, d.loc), trendLines(tables, d.loc); !slices.Equal(got, want) {
				t.Fatalf("by %s:%s", interval, difference(got, want))
			}
		}
		if _, err := d.keeper.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if differ, err := d.keeper.Check(t.Context(), d.owner.ID); err != nil || differ != 0 {
		t.Errorf("%d sums differ, %v", differ, err)
	}
}
