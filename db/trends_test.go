package db_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// trendFixture is a portal whose trends are looked at in one zone.
type trendFixture struct {
	*dbtest.Portal
	store  *db.Store
	keeper *db.TrendKeeper
	owner  dbtest.Owner
	guest  string
	loc    *time.Location
	v      variant
	r      *rand.Rand
	around time.Time // a midnight in UTC
	now    time.Time
	oracle *trendOracle
	// cancelled is when bookings became so, as far as that was noted
	cancelled map[string]time.Time
}

func newTrendFixture(t *testing.T, v variant, zone string) *trendFixture {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	must(t, err)
	p := v.migrated(t)
	p.Exec(t, `ALTER TABLE `+tableOf(v)+` DROP CONSTRAINT `+tableOf(v)+`_dates_check; ALTER TABLE hangar_listings DROP CONSTRAINT hangar_listings_total_spaces_check`)
	store, err := db.NewStore(t.Context(), p.Pool, loc)
	must(t, err)
	return &trendFixture{Portal: p, store: store, keeper: db.NewTrendKeeper(store), owner: p.AddOwner(t, 3), guest: p.AddGuest(t, "Ana", "Reis"),
		loc: loc, v: v, cancelled: make(map[string]time.Time)}
}

func tableOf(v variant) string {
	if v.name == "a view without payment_date" {
		return "hangar_bookings"
	}
	return "bookings"
}

func (c *trendFixture) dated() bool { return c.v.name != "a view without payment_date" }

// moment is a random quarter of an hour, up to so many days away.
func (c *trendFixture) moment(days int) time.Time {
	return c.around.Add(time.Duration(c.r.IntN(2*days*96)-days*96) * quarter)
}

func (c *trendFixture) write(at time.Time) string {
	return at.UTC().Format("2006-01-02 15:04:05.999999")
}

var trendStatuses = []string{"confirmed", "confirmed", "active", "completed", "completed", "pending", "cancelled"}

// values are a random booking's, as text.
func (c *trendFixture) booking() (columns, values string) {
	in := c.moment(60)
	out := in.Add(time.Duration(c.r.IntN(600)) * quarter)
	switch c.r.IntN(12) {
	case 0:
		out = in.AddDate(10, 0, 0)
	case 1:
		out = in
	}
	paid := "NULL"
	if c.r.IntN(3) > 0 {
		paid = "'" + c.write(c.moment(45)) + "'"
	}
	price := fmt.Sprintf("%d.%02d", c.r.IntN(2000)-200, c.r.IntN(100))
	columns, values = "hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at, updated_at",
		fmt.Sprintf("'%s', '%s', '%s', '%s', %d, 200, 20, %s, '%s', '%s', '%s'", c.owner.Hangars[c.r.IntN(3)], c.guest, c.write(in), c.write(out),
			c.r.IntN(9), price, trendStatuses[c.r.IntN(len(trendStatuses))], c.write(c.moment(45)), c.write(c.moment(45)))
	if c.dated() {
		return columns + ", payment_date", values + ", " + paid
	}
	return columns, values
}

// load reads the bookings, for the oracle.
func (c *trendFixture) load(t *testing.T) {
	t.Helper()
	paid := `CASE WHEN b.status::text <> 'cancelled' THEN b.payment_date END`
	if !c.dated() {
		paid = `CASE WHEN b.status::text IN ('confirmed', 'active', 'completed') THEN coalesce((SELECT paid_at FROM realtime.payments p WHERE p.booking_id = b.id::text) AT TIME ZONE 'UTC', b.updated_at, b.created_at) END`
	}
	var rows []trendRow
	must(t, c.Pool.SelectContext(t.Context(), &rows, `SELECT b.id::text AS id, b.hangar_id::text AS hangar, b.status::text AS status, b.created_at AS created,
		`+paid+` AS paid, b.updated_at AS cancelled, b.check_in AS in, b.check_out AS out, b.total_price::text AS price, b.nights::bigint AS nights
		FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id WHERE l.owner_id::text = $1`, c.owner.ID))
	for i := range rows {
		if at, ok := c.cancelled[rows[i].ID]; ok {
			rows[i].Cancelled = &at
		}
	}
	c.oracle.rows = rows
	var hangars []struct {
		ID        string
		Spaces    int64
		Published bool
	}
	must(t, c.Pool.SelectContext(t.Context(), &hangars, `SELECT id::text AS id, coalesce(total_spaces, 1) AS spaces, status = 'active' AND is_available AS published
		FROM hangar_listings WHERE owner_id::text = $1`, c.owner.ID))
	c.oracle.spaces, c.oracle.published = make(map[string]int64), make(map[string]bool)
	for _, h := range hangars {
		c.oracle.spaces[h.ID], c.oracle.published[h.ID] = h.Spaces, h.Published
	}
}

// questions are some of each interval, compared in each way.
func (c *trendFixture) questions() (list []db.TrendQuery) {
	today := c.oracle.shown(c.now)
	for _, interval := range []db.TrendInterval{db.TrendHour, db.TrendDay, db.TrendWeek, db.TrendMonth} {
		days := map[db.TrendInterval]int{db.TrendHour: 2, db.TrendDay: 9, db.TrendWeek: 20, db.TrendMonth: 60}[interval]
		for _, compare := range []db.TrendCompare{db.CompareNone, db.CompareBefore, db.CompareYear} {
			to := next(today)
			if c.r.IntN(3) == 0 {
				to = to.AddDate(0, 0, -c.r.IntN(20))
			}
			q := db.TrendQuery{Interval: interval, To: to, From: to.AddDate(0, 0, -1-c.r.IntN(days)), Compare: compare, Weekdays: c.r.IntN(2) == 0}
			list = append(list, q)
		}
	}
	return list
}

// agrees holds answers against the oracle.
func (c *trendFixture) agrees(t *testing.T, what string, kept bool) {
	t.Helper()
	c.load(t)
	for _, q := range c.questions() {
		got, err := c.store.Trends(t.Context(), c.owner.ID, q, c.now)
		must(t, err)
		if got.Kept != kept {
			t.Fatalf("%s: the answer is from what is kept: %t", what, got.Kept)
		}
		want := c.oracle.answer(q)
		if lines := trendLines(got, c.loc); !slices.Equal(lines, want) {
			t.Fatalf("%s, %s %s to %s, compared with %s, weekdays %t, at %s:%s", what, q.Interval, q.From.Format(time.DateOnly), q.To.Format(time.DateOnly),
				q.Compare, q.Weekdays, c.now.In(c.loc), difference(lines, want))
		}
	}
}

func (c *trendFixture) build(t *testing.T) {
	t.Helper()
	built, err := c.keeper.Build(t.Context(), c.now)
	must(t, err)
	if !built {
		t.Fatal("the trends were not built")
	}
}

// change does something to random bookings, with the triggers there.
func (c *trendFixture) change(t *testing.T) {
	t.Helper()
	table := tableOf(c.v)
	one := `(SELECT id FROM ` + table + ` ORDER BY random() LIMIT 1)`
	columns, values := c.booking()
	statements := []string{
		`INSERT INTO ` + table + ` (` + columns + `) VALUES (` + values + `)`,
		`UPDATE ` + table + ` SET status = 'cancelled' WHERE id = ` + one,
		`UPDATE ` + table + ` SET status = 'confirmed', updated_at = '` + c.write(c.moment(45)) + `' WHERE id = ` + one,
		`UPDATE ` + table + ` SET total_price = total_price + 1.25 WHERE id IN (SELECT id FROM ` + table + ` ORDER BY random() LIMIT 5)`,
		`UPDATE ` + table + ` SET hangar_id = '` + c.owner.Hangars[c.r.IntN(3)] + `' WHERE id = ` + one,
		`UPDATE ` + table + ` SET check_in = '` + c.write(c.moment(30)) + `' WHERE id = ` + one,
		`UPDATE ` + table + ` SET updated_at = '` + c.write(c.moment(45)) + `' WHERE id IN (SELECT id FROM ` + table + ` ORDER BY random() LIMIT 5)`,
		`DELETE FROM ` + table + ` WHERE id = ` + one,
	}
	if c.dated() {
		statements = append(statements, `UPDATE bookings SET payment_date = CASE WHEN payment_date IS NULL THEN '`+c.write(c.moment(45))+`'::timestamp END WHERE id = `+one)
	}
	statement := statements[c.r.IntN(len(statements))]
	tx := begin(t, c.Portal)
	was := make(map[string]bool)
	var ids []string
	must(t, tx.Select(&ids, `SELECT id::text FROM `+table+` WHERE status = 'cancelled'`))
	for _, id := range ids {
		was[id] = true
	}
	_, err := tx.Exec(statement)
	must(t, err)
	ids = nil
	must(t, tx.Select(&ids, `SELECT id::text FROM `+table+` WHERE status = 'cancelled'`))
	var at time.Time
	must(t, tx.Get(&at, `SELECT now()`))
	commit(t, tx)
	for _, id := range ids {
		if !was[id] {
			c.cancelled[id] = at
		}
		delete(was, id)
	}
	for id := range was {
		delete(c.cancelled, id)
	}
}

// note writes down what stands for the moments that nobody noted when the trends are built.
func (c *trendFixture) note() {
	for _, r := range c.oracle.rows {
		if _, noted := c.cancelled[r.ID]; r.Status == "cancelled" && !noted {
			c.cancelled[r.ID] = *r.Cancelled
		}
	}
}

// TestTrendsAgreeWithOracle holds random histories against brute force: in zones with days of 23
// and 25 hours, with midnights that are not or come twice, and with a date that is not; in each
// kind of columns; from the tables, from what is kept, and before and after that has taken in what
// changed.
func TestTrendsAgreeWithOracle(t *testing.T) {
	t.Parallel()
	for _, place := range []struct{ zone, around, variant string }{
		{"America/Sao_Paulo", "2018-11-04", "a table"}, {"America/Sao_Paulo", "2018-02-17", "a view without payment_date"},
		{"America/Sao_Paulo", "2018-02-17", "dates"}, {"America/Manaus", "2019-03-01", "instants"}, {"UTC", "2017-12-31", "uuid ids"},
		{"America/Sao_Paulo", "2024-03-01", "instants"}, {"America/Sao_Paulo", "2025-03-02", "a table"}, {"Asia/Kathmandu", "2025-03-02", "dates"},
		{"Pacific/Apia", "2011-12-30", "dates"}, {"Pacific/Apia", "2011-12-30", "a table"}, {"America/Sao_Paulo", "", "a table"},
	} {
		t.Run(fmt.Sprint(place.zone, " ", place.around, " ", place.variant), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			c := newTrendFixture(t, variantOf(t, place.variant), place.zone)
			c.r = rand.New(rand.NewPCG(seed, 18))
			c.around = date(time.Now().In(c.loc).Format(time.DateOnly))
			if place.around != "" {
				c.around = date(place.around)
			}
			y, m, d := c.around.Date()
			c.now = time.Date(y, m, d+c.r.IntN(4), 13, 30, 0, 0, c.loc)
			c.oracle = &trendOracle{loc: c.loc, dates: place.variant == "dates", now: c.now, starts: make(map[time.Time]time.Time)}
			c.Exec(t, `UPDATE hangar_listings SET total_spaces = 3 WHERE id = $1`, c.owner.Hangars[1])
			c.Exec(t, `UPDATE hangar_listings SET is_available = false WHERE id = $1`, c.owner.Hangars[2])
			tx := begin(t, c.Portal) // a history that is older than the triggers
			tx.MustExec(`SET LOCAL session_replication_role = replica`)
			for range 60 {
				columns, values := c.booking()
				tx.MustExec(`INSERT INTO ` + tableOf(c.v) + ` (` + columns + `) VALUES (` + values + `)`)
			}
			commit(t, tx)
			c.agrees(t, "from the tables", false)
			c.build(t)
			c.agrees(t, "from what was built", true)
			c.note()
			for range 3 {
				for range 6 {
					c.change(t)
				}
				c.agrees(t, "with changes that were not taken in", true)
				lag, err := c.keeper.Apply(t.Context())
				must(t, err)
				if !lag.Valid {
					t.Fatalf("upkeep %+v", lag)
				}
				c.agrees(t, "with changes that were taken in", true)
				differ, err := c.keeper.Check(t.Context(), c.owner.ID)
				must(t, err)
				if differ != 0 {
					t.Fatalf("%d sums differ from the tables", differ)
				}
			}
			c.build(t)
			c.agrees(t, "from what was built again", true)
		})
	}
}
