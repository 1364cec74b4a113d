package dbtest

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

// Noon returns a zone in which it is about noon. A test that speaks of today does so there: the day
// does not end meanwhile.
var Noon = sync.OnceValue(func() *time.Location {
	behind := time.Now().UTC().Hour() - 12 // so many hours west of UTC; the name has the sign
	zone, err := time.LoadLocation(fmt.Sprintf("Etc/GMT%+d", behind))
	if err != nil {
		panic(err)
	}
	return zone
})

// Portal is a test's own database: the portal's tables, empty, with everything of ours installed.
type Portal struct {
	URL  string
	Pool *sqlx.DB
}

// New returns a portal that is dropped when the test ends.
func New(t testing.TB) *Portal {
	t.Helper()
	return Open(t, Clone(t, "portal", func(address string) error {
		pool, err := sqlx.Connect("postgres", address)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := demo.CreateSchema(context.Background(), pool); err != nil {
			return err
		}
		return db.Migrate(context.Background(), address, slog.New(slog.DiscardHandler))
	}))
}

// Open returns the portal in an existing database, whose connections are closed when the test ends.
// They wait for locks however long it takes, as a portal's do.
func Open(t testing.TB, address string) *Portal {
	t.Helper()
	waiting := address
	if u, err := url.Parse(address); err == nil && u.Scheme != "" {
		q := u.Query()
		q.Set("lock_timeout", "0")
		u.RawQuery = q.Encode()
		waiting = u.String()
	}
	pool, err := db.Open(t.Context(), waiting)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return &Portal{address, pool}
}

// Install is Open for an empty database, which gets the portal's tables and everything of ours.
func Install(t testing.TB, address string) *Portal {
	t.Helper()
	p := Open(t, address)
	Must(t, demo.CreateSchema(t.Context(), p.Pool))
	Must(t, db.Migrate(t.Context(), address, slog.New(slog.DiscardHandler)))
	return p
}

// Exec runs a statement that must succeed.
func (p *Portal) Exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := p.Pool.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// ID runs a statement that returns one id.
func (p *Portal) ID(t testing.TB, query string, args ...any) string {
	t.Helper()
	var id string
	if err := p.Pool.GetContext(t.Context(), &id, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return id
}

// Owner is an owner account with one user and some hangars.
type Owner struct {
	ID, UserID string
	Hangars    []string
}

// AddOwner adds a user, an owner account and hangars of one space each.
func (p *Portal) AddOwner(t testing.TB, hangars int) Owner {
	t.Helper()
	var o Owner
	o.UserID = p.ID(t, `INSERT INTO users (first_name, last_name, email, password_hash)
		VALUES ('Olga', 'Prado', gen_random_uuid() || '@owner.example', '!') RETURNING id::text`)
	o.ID = p.ID(t, `INSERT INTO hangar_owners (user_id, company_name) VALUES ($1, 'Hangares Prado') RETURNING id::text`, o.UserID)
	for i := range hangars {
		o.Hangars = append(o.Hangars, p.ID(t, `INSERT INTO hangar_listings
			(owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
			VALUES ($1, $2, 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100) RETURNING id::text`, o.ID, "H"+strconv.Itoa(i+1)))
	}
	return o
}

// AddGuest adds a user who books.
func (p *Portal) AddGuest(t testing.TB, first, last string) string {
	t.Helper()
	return p.ID(t, `INSERT INTO users (first_name, last_name, email, password_hash)
		VALUES ($1, $2, gen_random_uuid() || '@guest.example', '!') RETURNING id::text`, first, last)
}

// BookingColumns are the columns that BookingValues writes.
const BookingColumns = "hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status"

// BookingValues writes one row of bookings: two nights from now on, pending.
func BookingValues(hangarID, userID string) string {
	return fmt.Sprintf(`(%s, %s, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC' + interval '2 days', 2, 200, 20, 220.50, 'pending')`, hangarID, userID)
}

// Book adds a booking.
func (p *Portal) Book(t testing.TB, hangarID, userID string) string {
	t.Helper()
	return p.ID(t, `INSERT INTO bookings (`+BookingColumns+`) VALUES `+BookingValues(hangarID, userID)+` RETURNING id::text`)
}
