package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"golang.org/x/crypto/bcrypt"
)

// SeedOptions say which history to write.
type SeedOptions struct {
	Now      time.Time      // the moment at which history ends; default the present
	Location *time.Location // the zone in which guests live; default UTC
	Random   uint64         // the same value and the same Now give the same rows
}

func (o SeedOptions) withDefaults() SeedOptions {
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	o.Now = o.Now.In(o.Location)
	return o
}

// passwordHash is made once: bcrypt is slow on purpose.
var passwordHash = sync.OnceValues(func() (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(DemoPassword), bcrypt.DefaultCost)
	return string(hash), err
})

// Seed fills empty demo tables with owners, hangars, guests and months of bookings. It does nothing
// when demo owners are already there. It works on every variant of the tables.
func Seed(ctx context.Context, db *sqlx.DB, opts SeedOptions) error {
	opts = opts.withDefaults()
	tx, err := begin(ctx, db)
	if err != nil {
		return fmt.Errorf("seed demo data: %w", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, schemaLock); err != nil {
		return fmt.Errorf("lock the demo tables: %w", err)
	}
	var seeded bool
	if err := tx.GetContext(ctx, &seeded, `SELECT EXISTS (SELECT FROM users WHERE email LIKE '%@' || $1)`, emailDomain); err != nil {
		return fmt.Errorf("look for demo owners: %w", err)
	}
	if seeded {
		return nil
	}
	columns, err := inspect(ctx, tx)
	if err != nil {
		return err
	}
	from := opts.Now.AddDate(0, 0, -historyDays)
	if err := insertOwners(ctx, tx, columns, from); err != nil {
		return err
	}
	guests, err := insertGuests(ctx, tx, from)
	if err != nil {
		return err
	}
	hangars, err := loadHangars(ctx, tx, columns)
	if err != nil {
		return err
	}
	var stays []stay
	for i, owned := range hangars {
		stays = append(stays, drawHistory(opts, uint64(i), from, owned, guests)...)
	}
	if err := insertStays(ctx, tx, columns, stays); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("seed demo data: %w", err)
	}
	// Statistics make the first queries as fast as the later ones.
	if _, err := db.ExecContext(ctx, `ANALYZE users, hangar_owners, hangar_listings, `+columns.bookingsTable()); err != nil {
		return fmt.Errorf("analyze demo tables: %w", err)
	}
	return nil
}

func insertOwners(ctx context.Context, tx *sqlx.Tx, columns shape, since time.Time) error {
	hash, err := passwordHash()
	if err != nil {
		return fmt.Errorf("hash the demo password: %w", err)
	}
	for _, plan := range ownerPlans {
		var ownerID int64
		err := tx.GetContext(ctx, &ownerID, `
			WITH person AS (
				INSERT INTO users (first_name, last_name, email, password_hash, role, created_at, updated_at)
				VALUES ($1, $2, $3, $4, 'owner', $6, $6) RETURNING id)
			INSERT INTO hangar_owners (user_id, company_name, created_at, updated_at)
			SELECT id, $5, $6, $6 FROM person RETURNING id`,
			plan.firstName, plan.lastName, plan.login+"@"+emailDomain, hash, plan.company, utc(since.AddDate(0, -2, 0)))
		if err != nil {
			return fmt.Errorf("insert owner %s: %w", plan.company, err)
		}
		for _, h := range plan.hangars {
			status := "active"
			if h.retired {
				status = "inactive"
			}
			names, values := "", ""
			args := []any{
				ownerID, h.number, h.place.icao, h.place.name, h.place.city, h.place.state, h.size, h.rate, !h.retired, status,
				utc(since.AddDate(0, -1, 0)),
			}
			if columns.TotalSpaces {
				names, values, args = ", total_spaces", ", $12", append(args, h.spaces)
			}
			_, err := tx.ExecContext(ctx, `
				INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, size_sqm,
					daily_rate, is_available, status, created_at, updated_at`+names+`)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11`+values+`)`, args...)
			if err != nil {
				return fmt.Errorf("insert hangar %s: %w", h.number, err)
			}
		}
	}
	return nil
}

func insertGuests(ctx context.Context, tx *sqlx.Tx, since time.Time) (ids []int64, err error) {
	var first, last, email []string
	for i, name := range guestNames {
		first, last = append(first, name[0]), append(last, name[1])
		email = append(email, fmt.Sprintf("guest%02d@%s", i+1, guestDomain))
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO users (first_name, last_name, email, password_hash, role, created_at, updated_at)
		SELECT first, last, email, $4, 'user', $5::timestamp, $5::timestamp
		FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS g(first, last, email, n) ORDER BY n`,
		pq.Array(first), pq.Array(last), pq.Array(email), lockedPassword, utc(since.AddDate(0, -1, 0)))
	if err != nil {
		return nil, fmt.Errorf("insert guests: %w", err)
	}
	return loadGuests(ctx, tx)
}

func loadGuests(ctx context.Context, q sqlx.QueryerContext) (ids []int64, err error) {
	if err := sqlx.SelectContext(ctx, q, &ids, `SELECT id FROM users WHERE email LIKE '%@' || $1 ORDER BY id`, guestDomain); err != nil {
		return nil, fmt.Errorf("list demo guests: %w", err)
	}
	if len(ids) == 0 {
		return nil, errors.New("list demo guests: there are none")
	}
	return ids, nil
}

// ordinaryDemand is the share of time that a space is taken in a hangar that was not planned.
const ordinaryDemand = .6

// loadHangars returns the demo owners' hangars, owner by owner.
func loadHangars(ctx context.Context, q sqlx.QueryerContext, columns shape) (owners [][]hangar, err error) {
	rows, err := q.QueryxContext(ctx, `
		SELECT l.id, l.owner_id, l.hangar_number, `+cents("l.daily_rate")+`, `+columns.hangarSpaces()+`,
			l.status = 'active' AND l.is_available
		FROM hangar_listings l JOIN hangar_owners o ON o.id = l.owner_id JOIN users u ON u.id = o.user_id
		WHERE u.email LIKE '%@' || $1 ORDER BY l.owner_id, l.id`, emailDomain)
	if err != nil {
		return nil, fmt.Errorf("list demo hangars: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var h hangar
		if err := rows.Scan(&h.id, &h.ownerID, &h.number, &h.rate, &h.spaces, &h.open); err != nil {
			return nil, fmt.Errorf("list demo hangars: %w", err)
		}
		h.demand = ordinaryDemand
		if plan, known := planOf(h.number); known {
			h.demand = plan.demand
		}
		if n := len(owners); n == 0 || owners[n-1][0].ownerID != h.ownerID {
			owners = append(owners, nil)
		}
		owners[len(owners)-1] = append(owners[len(owners)-1], h)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list demo hangars: %w", err)
	}
	return owners, nil
}

// insertStays inserts bookings in the order in which they were made, by one statement.
func insertStays(ctx context.Context, q sqlx.ExecerContext, columns shape, stays []stay) error {
	var ids, guests, nights, subtotals, fees, totals []int64
	var ins, outs, statuses, methods, created, updated []string
	var paid []sql.NullString
	stamp := func(t time.Time) string { return t.UTC().Format(time.DateTime) }
	for _, s := range stays {
		ids, guests, nights = append(ids, s.hangarID), append(guests, s.userID), append(nights, int64(s.price.nights))
		subtotals, fees = append(subtotals, s.price.subtotal), append(fees, s.price.fees)
		totals = append(totals, s.price.charged)
		ins, outs = append(ins, stamp(s.checkIn)), append(outs, stamp(s.checkOut))
		statuses, methods = append(statuses, s.status), append(methods, s.method)
		created, updated = append(created, stamp(s.created)), append(updated, stamp(s.updated))
		paid = append(paid, sql.NullString{String: stamp(s.paid), Valid: !s.paid.IsZero()})
	}
	query := `
		INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status,
			payment_method, {paid} created_at, updated_at)
		SELECT hangar, guest, checkin, checkout, nights, subtotal / 100.0, fees / 100.0, total / 100.0, status,
			method, {paid} created, updated
		FROM unnest($1::int[], $2::int[], $3::timestamp[], $4::timestamp[], $5::int[], $6::numeric[], $7::numeric[],
			$8::numeric[], $9::text[], $10::text[], $11::timestamp[], $12::timestamp[], $13::timestamp[]) WITH ORDINALITY
			AS s(hangar, guest, checkin, checkout, nights, subtotal, fees, total, status, method, payment_date, created, updated, n)
		ORDER BY created, n`
	column := ""
	if columns.PaymentDate {
		column = "payment_date,"
	}
	_, err := q.ExecContext(ctx, strings.ReplaceAll(query, "{paid}", column),
		pq.Array(ids), pq.Array(guests), pq.Array(ins), pq.Array(outs), pq.Array(nights), pq.Array(subtotals), pq.Array(fees),
		pq.Array(totals), pq.Array(statuses), pq.Array(methods), pq.Array(paid), pq.Array(created), pq.Array(updated))
	if err != nil {
		return fmt.Errorf("insert %d bookings: %w", len(stays), err)
	}
	return nil
}
