package demo_test

import (
	"context"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// open returns a pool for an empty database.
func open(t *testing.T) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", dbtest.Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// seeded returns a pool for a database with a demo.
func seeded(t *testing.T, opts demo.SeedOptions) *sqlx.DB {
	t.Helper()
	db := open(t)
	must(t, demo.CreateSchema(t.Context(), db))
	must(t, demo.Seed(t.Context(), db, opts))
	return db
}

var must = dbtest.Must

// get returns the single value of a query.
func get[T any](t *testing.T, db *sqlx.DB, query string, args ...any) (value T) {
	t.Helper()
	if err := db.GetContext(t.Context(), &value, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

// utc is t as a value for a timestamp without a zone.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func saoPaulo(t *testing.T) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("America/Sao_Paulo")
	must(t, err)
	return loc
}

// broken counts the bookings and hangars that break a rule which holds at any time. Stays whose end
// has come may wait for the simulator; everything else holds always.
func broken(t *testing.T, db *sqlx.DB, now time.Time) map[string]int {
	t.Helper()
	rules := map[string]string{
		"more aircraft than spaces": `
			SELECT count(*) FROM bookings p JOIN hangar_listings l ON l.id = p.hangar_id
			WHERE p.status IN ('pending', 'confirmed', 'active') AND $1::timestamp IS NOT NULL AND l.total_spaces < (
				SELECT count(*) FROM bookings b WHERE b.hangar_id = p.hangar_id
					AND b.status IN ('pending', 'confirmed', 'active') AND b.check_in <= p.check_in AND b.check_out > p.check_in)`,
		"price does not add up": `
			SELECT count(*) FROM bookings WHERE $1::timestamp IS NOT NULL
				AND (total_price <> subtotal + fees OR subtotal <= 0 OR fees <= 0 OR nights < 1)`,
		"completed before its end":    `SELECT count(*) FROM bookings WHERE status = 'completed' AND check_out > $1`,
		"active before its beginning": `SELECT count(*) FROM bookings WHERE status = 'active' AND check_in > $1`,
		"happened in the future": `
			SELECT count(*) FROM bookings WHERE created_at > $1 OR updated_at > $1 OR payment_date > $1
				OR updated_at < created_at OR payment_date < created_at`,
		"pending but paid": `SELECT count(*) FROM bookings WHERE status = 'pending' AND payment_date IS NOT NULL AND $1::timestamp IS NOT NULL`,
	}
	found := map[string]int{}
	for rule, query := range rules {
		if n := get[int](t, db, query, utc(now)); n > 0 {
			found[rule] = n
		}
	}
	return found
}

// figures is what an owner's screen shows, by SQL.
type figures struct {
	Owner     int     `db:"owner"`
	Revenue   float64 `db:"revenue"`
	Today     int     `db:"today"`
	Comings   int     `db:"comings"`
	Goings    int     `db:"goings"`
	Occupancy float64 `db:"occupancy"`
	Growth    float64 `db:"growth"`
}

func figuresOf(ctx context.Context, t *testing.T, db *sqlx.DB, now time.Time) (found []figures) {
	t.Helper()
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	err := db.SelectContext(ctx, &found, `
		SELECT l.owner_id AS owner,
			coalesce(sum(b.total_price) FILTER (WHERE b.payment_date >= $2), 0)::float AS revenue,
			count(*) FILTER (WHERE b.created_at >= $2) AS today,
			count(*) FILTER (WHERE b.check_in >= $2 AND b.check_in < $3) AS comings,
			count(*) FILTER (WHERE b.check_out >= $2 AND b.check_out < $3) AS goings,
			100.0 * count(*) FILTER (WHERE b.status IN ('confirmed', 'active') AND b.check_in <= $1 AND b.check_out > $1
				AND l.status = 'active' AND l.is_available)
				/ (SELECT sum(total_spaces) FROM hangar_listings x WHERE x.owner_id = l.owner_id AND x.status = 'active' AND x.is_available)
				AS occupancy,
			(100 * (sum(b.total_price) FILTER (WHERE b.payment_date >= $4)
				/ sum(b.total_price) FILTER (WHERE b.payment_date >= $5 AND b.payment_date < $4) - 1))::float AS growth
		FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id
		WHERE b.status <> 'cancelled' GROUP BY l.owner_id ORDER BY l.owner_id`,
		utc(now), utc(midnight), utc(midnight.AddDate(0, 0, 1)), utc(midnight.AddDate(0, 0, -6)), utc(midnight.AddDate(0, 0, -13)))
	must(t, err)
	return found
}
