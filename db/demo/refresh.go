package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"
)

// fillAfter is how long a demo must have slept for Refresh to invent what happened meanwhile.
const fillAfter = 12 * time.Hour

// Refresh brings a demo that was left alone up to opts.Now: bookings whose time passed are
// completed, guests who came are there, requests that nobody answered are cancelled, and the days
// in between get bookings of their own.
func Refresh(ctx context.Context, db *sqlx.DB, opts SeedOptions) error {
	opts = opts.withDefaults()
	tx, err := begin(ctx, db)
	if err != nil {
		return fmt.Errorf("refresh demo data: %w", err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, schemaLock); err != nil {
		return fmt.Errorf("lock the demo tables: %w", err)
	}
	columns, err := inspect(ctx, tx)
	if err != nil {
		return err
	}
	if err := advance(ctx, tx, columns, opts.Now); err != nil {
		return err
	}
	if err := fillAbsence(ctx, tx, columns, opts); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("refresh demo data: %w", err)
	}
	return nil
}

// advance gives all bookings the status that the time demands.
func advance(ctx context.Context, q sqlx.ExecerContext, columns shape, now time.Time) error {
	ours := ` AND hangar_id IN (` + demoHangars + `)`
	payment := ""
	if columns.PaymentDate {
		// A guest who has not paid by then pays on leaving.
		payment = "payment_date = coalesce(payment_date, CASE WHEN id % 20 <> 0 THEN check_out END),"
	}
	for _, statement := range []string{
		`UPDATE bookings SET status = 'cancelled', updated_at = check_in WHERE status = 'pending' AND check_in <= $1` + ours,
		`UPDATE bookings SET status = 'completed', ` + payment + ` updated_at = check_out
			WHERE status IN ('confirmed', 'active') AND check_out <= $1` + ours,
		`UPDATE bookings SET status = 'active', updated_at = check_in
			WHERE status = 'confirmed' AND check_in <= $1 AND check_out > $1` + ours,
	} {
		if _, err := q.ExecContext(ctx, statement, utc(now)); err != nil {
			return fmt.Errorf("advance bookings: %w", err)
		}
	}
	return nil
}

// fillAbsence draws what happened since the last booking was made, and keeps of it
// what fits beside what was booked.
func fillAbsence(ctx context.Context, tx *sqlx.Tx, columns shape, opts SeedOptions) error {
	hangars, err := loadHangars(ctx, tx, columns)
	if err != nil {
		return err
	}
	guests, err := loadGuests(ctx, tx)
	if err != nil {
		return err
	}
	for i, owned := range hangars {
		var last time.Time
		err := tx.GetContext(ctx, &last, `SELECT coalesce(max(b.created_at), 'epoch') FROM bookings b
			JOIN hangar_listings l ON l.id = b.hangar_id WHERE l.owner_id = $1`, owned[0].ownerID)
		if err != nil {
			return fmt.Errorf("find the last booking of owner %d: %w", owned[0].ownerID, err)
		}
		if opts.Now.Sub(last) < fillAfter {
			continue
		}
		from := last.AddDate(0, 0, -horizonDays)
		if oldest := opts.Now.AddDate(0, 0, -historyDays); from.Before(oldest) {
			from = oldest
		}
		taken, err := loadTaken(ctx, tx, owned[0].ownerID, last)
		if err != nil {
			return err
		}
		var missed []stay
		for _, s := range drawHistory(opts, uint64(i), from, owned, guests) {
			if !s.created.After(last) {
				continue
			}
			if s.status != cancelled && !accommodate(&s, owned, taken) {
				continue
			}
			missed = append(missed, s)
		}
		if err := insertStays(ctx, tx, columns, missed); err != nil {
			return err
		}
	}
	return nil
}

// accommodate finds a stay a space, in its own hangar or else in another, and takes it.
func accommodate(s *stay, hangars []hangar, taken map[int64][]stay) bool {
	for _, anywhere := range []bool{false, true} {
		for _, h := range hangars {
			if (anywhere && h.open || h.id == s.hangarID) && fits(taken[h.id], s.checkIn, s.checkOut, h.spaces) {
				s.hangarID, s.price = h.id, quote(h.rate, s.price.nights)
				taken[h.id] = append(taken[h.id], *s)
				return true
			}
		}
	}
	return false
}

// loadTaken returns, hangar by hangar, the stays of an owner that end after an
// instant and were not called off.
func loadTaken(ctx context.Context, q sqlx.QueryerContext, ownerID int64, after time.Time) (map[int64][]stay, error) {
	rows, err := q.QueryxContext(ctx, `SELECT b.hangar_id, b.check_in, b.check_out
		FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id
		WHERE l.owner_id = $1 AND b.check_out > $2 AND b.status <> 'cancelled'`, ownerID, utc(after))
	if err != nil {
		return nil, fmt.Errorf("list stays of owner %d: %w", ownerID, err)
	}
	defer rows.Close()
	taken := map[int64][]stay{}
	for rows.Next() {
		var s stay
		if err := rows.Scan(&s.hangarID, &s.checkIn, &s.checkOut); err != nil {
			return nil, fmt.Errorf("list stays of owner %d: %w", ownerID, err)
		}
		taken[s.hangarID] = append(taken[s.hangarID], s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list stays of owner %d: %w", ownerID, err)
	}
	return taken, nil
}

// SeedPayouts records, in our table realtime.payouts, that demo owners were paid
// out what guests paid for stays that ended more than ten days ago, each on the
// first Friday two days or more after the stay. It may be called again at any time
// after the migration, and then adds what has become due.
func SeedPayouts(ctx context.Context, db *sqlx.DB, now time.Time) error {
	columns, err := inspect(ctx, db)
	if err != nil {
		return err
	}
	paid := ""
	if columns.PaymentDate {
		paid = "AND b.payment_date IS NOT NULL"
	}
	_, err = db.ExecContext(ctx, `
		INSERT INTO realtime.payouts (booking_id, owner_id, scheduled_on, paid_out_at)
		SELECT b.id::text, l.owner_id::text, f.day::date, (f.day + interval '15 hours') AT TIME ZONE 'UTC'
		FROM bookings b
		JOIN hangar_listings l ON l.id = b.hangar_id
		JOIN hangar_owners o ON o.id = l.owner_id
		JOIN users u ON u.id = o.user_id
		CROSS JOIN LATERAL (SELECT date_trunc('week', b.check_out + interval '4 days') + interval '4 days' AS day) f
		WHERE u.email LIKE '%@' || $1 AND b.status = 'completed' `+paid+`
			AND b.check_out < $2::timestamp - interval '10 days'
		ON CONFLICT (booking_id) DO NOTHING`, emailDomain, utc(now))
	if err != nil {
		return fmt.Errorf("record demo payouts: %w", err)
	}
	return nil
}

// payoutInterval is how often demo owners are paid out what has become due.
const payoutInterval = time.Hour

// Payouts pays demo owners out as long as it runs.
type Payouts struct {
	Pool *sqlx.DB
	Log  *slog.Logger
}

// Run pays out now and then every hour, until ctx ends.
func (p *Payouts) Run(ctx context.Context) error {
	ticker := time.NewTicker(payoutInterval)
	defer ticker.Stop()
	for {
		if err := SeedPayouts(ctx, p.Pool, time.Now()); err != nil && ctx.Err() == nil {
			p.Log.Warn("demo owners were not paid out; trying again in an hour", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
