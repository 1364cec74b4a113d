package db_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestTrendsOfLargeHistory holds the largest answers of each interval against brute force, of years
// of random bookings, while bookings are made and changed: what the buckets hold is what the totals
// hold, and once the writers are done every number is the oracle's. 2,000 bookings; TRENDS=full for
// 200,000, which takes minutes.
func TestTrendsOfLargeHistory(t *testing.T) {
	t.Parallel()
	bookings, writes := 2000, 60
	if os.Getenv("TRENDS") == "full" {
		bookings, writes = 200_000, 2000
	}
	seed := rand.Uint64()
	t.Logf("seed %d, %d bookings", seed, bookings)
	c := newTrendFixture(t, variantOf(t, "a table"), "America/Sao_Paulo")
	c.r = rand.New(rand.NewPCG(seed, 6))
	c.around = date("2019-06-14") // within 400 days are days of 23 and of 25 hours
	y, m, d := c.around.Date()
	c.now = time.Date(y, m, d, 13, 30, 0, 0, c.loc)
	c.oracle = &trendOracle{loc: c.loc, now: c.now, starts: make(map[time.Time]time.Time)}
	c.Exec(t, `UPDATE hangar_listings SET total_spaces = $2 WHERE id = $1`, c.owner.Hangars[1], bookings/40)
	c.Exec(t, `UPDATE hangar_listings SET is_available = false WHERE id = $1`, c.owner.Hangars[2])
	tx := begin(t, c.Portal)
	tx.MustExec(`SET LOCAL session_replication_role = replica`)
	tx.MustExec(`SELECT setseed($1)`, c.r.Float64())
	tx.MustExec(`INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, created_at, updated_at, payment_date)
		SELECT ('{`+c.owner.Hangars[0]+`,`+c.owner.Hangars[1]+`,`+c.owner.Hangars[2]+`}'::int[])[1 + floor(random() * 3)::int], `+c.guest+`,
			begins, begins + floor(random() * 600)::int * interval '15 minutes', floor(random() * 9)::int, 200, 20, round((random() * 2200 - 200)::numeric, 2),
			('{confirmed,active,completed,completed,pending,cancelled}'::text[])[1 + floor(random() * 6)::int],
			made, made + floor(random() * 4000)::int * interval '15 minutes', CASE WHEN random() < 0.7 THEN made + floor(random() * 4000)::int * interval '15 minutes' END
		FROM (SELECT timestamp '2019-06-14' + floor(random() * 96 * 800 - 96 * 770)::int * interval '15 minutes' AS begins,
				timestamp '2019-06-14' + floor(random() * 96 * 800 - 96 * 790)::int * interval '15 minutes' AS made
			FROM generate_series(1, $1) OFFSET 0) moments`, bookings)
	commit(t, tx)
	c.load(t)
	c.build(t)
	c.note()

	var statements []string
	for range writes {
		columns, values := c.booking()
		// A cancelled one would be noted as of this moment.
		values = strings.Replace(values, "'cancelled'", "'confirmed'", 1)
		one := fmt.Sprintf(`(SELECT min(id) + %d FROM bookings)`, c.r.IntN(bookings))
		statements = append(statements, []string{
			`INSERT INTO bookings (` + columns + `) VALUES (` + values + `)`,
			`UPDATE bookings SET total_price = total_price + 1.25 WHERE id = ` + one,
			`UPDATE bookings SET check_in = '` + c.write(c.moment(30)) + `' WHERE id = ` + one,
			`UPDATE bookings SET payment_date = CASE WHEN payment_date IS NULL THEN '` + c.write(c.moment(45)) + `'::timestamp END WHERE id = ` + one,
			`DELETE FROM bookings WHERE id = ` + one,
		}[c.r.IntN(5)])
	}
	done := make(chan error, 1)
	go func() {
		for _, statement := range statements {
			if _, err := c.Pool.Exec(statement); err != nil {
				done <- fmt.Errorf("%s: %w", statement, err)
				return
			}
		}
		done <- nil
	}()
	questions := c.largest()
	for running, n := true, 0; running || n < len(questions); n++ {
		if running {
			select {
			case err := <-done:
				must(t, err)
				running = false
			default:
			}
		}
		got, err := c.store.Trends(t.Context(), c.owner.ID, questions[n%len(questions)], c.now)
		must(t, err)
		if !got.Kept {
			t.Fatal("the answer is from the tables")
		}
		if sum, want := sumOf(got.Series.Revenue), *got.Totals.Revenue.Value; sum.FloatString(2) != string(want) {
			t.Fatalf("buckets have a revenue of %s, the total is %s", sum.FloatString(2), want)
		}
		if sum, want := sumOf(got.Series.Bookings), *got.Totals.Bookings.Value; sum.FloatString(0) != string(want) {
			t.Fatalf("buckets have %s bookings, the total is %s", sum.FloatString(0), want)
		}
		if n%3 == 0 {
			_, err := c.keeper.Apply(t.Context())
			must(t, err)
		}
	}
	lag, err := c.keeper.Apply(t.Context())
	must(t, err)
	if !lag.Valid {
		t.Fatalf("upkeep %+v", lag)
	}
	c.load(t)
	for _, q := range questions {
		got, err := c.store.Trends(t.Context(), c.owner.ID, q, c.now)
		must(t, err)
		want := c.oracle.answer(q)
		if lines := trendLines(got, c.loc); !slices.Equal(lines, want) {
			t.Fatalf("%s compared with %s, weekdays %t:%s", q.Interval, q.Compare, q.Weekdays, difference(lines, want))
		}
	}
	differ, err := c.keeper.Check(t.Context(), c.owner.ID)
	must(t, err)
	if differ != 0 {
		t.Fatalf("%d sums differ from the tables", differ)
	}
}

// largest are the largest questions of each interval, compared in different ways.
func (c *trendFixture) largest() []db.TrendQuery {
	to := next(c.oracle.shown(c.now))
	return []db.TrendQuery{
		{Interval: db.TrendHour, From: to.AddDate(0, 0, -13), To: to, Compare: db.CompareBefore},
		{Interval: db.TrendDay, From: to.AddDate(0, 0, -400), To: to, Compare: db.CompareBefore, Weekdays: true},
		{Interval: db.TrendDay, From: to.AddDate(0, 0, -365), To: to, Compare: db.CompareYear},
		{Interval: db.TrendWeek, From: to.AddDate(0, 0, -7*158), To: to, Compare: db.CompareBefore},
		{Interval: db.TrendMonth, From: to.AddDate(0, -58, 0), To: to, Compare: db.CompareYear},
	}
}

func sumOf(values []*db.Decimal) *big.Rat {
	sum := new(big.Rat)
	for _, value := range values {
		if value != nil {
			one, _ := new(big.Rat).SetString(string(*value))
			sum.Add(sum, one)
		}
	}
	return sum
}
