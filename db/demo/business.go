package demo

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// booking is a stay that is in the database.
type booking struct {
	id int64
	stay
}

// business is an owner's present: the hangars and the bookings in which something may still happen.
type business struct {
	ownerID       int64
	now           time.Time
	columns       shape
	hangars       []hangar
	bookings      []*booking // that hold a space, and recent ones still to be paid
	bookingsToday int
	revenueToday  int64 // in centavos
	dailyRevenue  int64 // what two thirds of the open spaces earn in a day
	spaces        int   // of open hangars
	occupied      int   // of them
}

// loadBusiness reads an owner's present. It locks the listings, as a portal does that must not book
// a space twice, in a way that lets others' bookings pass.
func loadBusiness(ctx context.Context, tx *sqlx.Tx, columns shape, ownerID int64, now time.Time) (*business, error) {
	b := &business{ownerID: ownerID, now: now, columns: columns}
	wrap := func(err error) error { return fmt.Errorf("read the business of owner %d: %w", ownerID, err) }
	hangars, err := tx.QueryContext(ctx, `
		SELECT l.id, l.hangar_number, `+cents("l.daily_rate")+`, `+columns.hangarSpaces()+`, l.is_available
		FROM hangar_listings l WHERE l.owner_id = $1 AND l.status = 'active' ORDER BY l.id FOR NO KEY UPDATE`, ownerID)
	if err != nil {
		return nil, wrap(err)
	}
	defer hangars.Close()
	for hangars.Next() {
		h := hangar{ownerID: ownerID}
		if err := hangars.Scan(&h.id, &h.number, &h.rate, &h.spaces, &h.open); err != nil {
			return nil, wrap(err)
		}
		b.hangars = append(b.hangars, h)
	}
	if err := hangars.Err(); err != nil {
		return nil, wrap(err)
	}
	paymentDate, unpaid := "NULL::timestamp", "false"
	if columns.PaymentDate {
		paymentDate, unpaid = "b.payment_date", "b.status = 'completed' AND b.payment_date IS NULL AND b.check_out > $2::timestamp - interval '10 days'"
	}
	rows, err := tx.QueryContext(ctx, `
		SELECT b.id, b.hangar_id, b.user_id, b.check_in, b.check_out, b.nights, `+cents("b.subtotal")+`,
			`+cents("b.fees")+`, `+cents("b.total_price")+`, b.status, coalesce(b.payment_method, ''), `+paymentDate+`, b.created_at
		FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id
		WHERE l.owner_id = $1 AND $2::timestamp IS NOT NULL AND (b.status IN ('pending', 'confirmed', 'active') OR `+unpaid+`)
			AND isfinite(b.check_in) AND isfinite(b.check_out) AND isfinite(b.created_at)
		ORDER BY b.id`, ownerID, utc(now))
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var k booking
		var paid sql.NullTime
		err := rows.Scan(&k.id, &k.hangarID, &k.userID, &k.checkIn, &k.checkOut, &k.price.nights, &k.price.subtotal,
			&k.price.fees, &k.price.charged, &k.status, &k.method, &paid, &k.created)
		if err != nil {
			return nil, wrap(err)
		}
		k.paid = paid.Time
		b.bookings = append(b.bookings, &k)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(err)
	}
	revenue := "0"
	if columns.PaymentDate {
		revenue = "(SELECT coalesce(sum(" + cents("total_price") + "), 0)::bigint FROM today WHERE payment_date >= $2)"
	}
	err = tx.QueryRowContext(ctx, `
		WITH today AS (
			SELECT b.* FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id
			WHERE l.owner_id = $1 AND b.updated_at >= $2 AND b.status <> 'cancelled')
		SELECT (SELECT count(*) FROM today WHERE created_at >= $2), `+revenue,
		ownerID, utc(startOfDay(now, now.Location()))).Scan(&b.bookingsToday, &b.revenueToday)
	if err != nil {
		return nil, wrap(err)
	}
	for _, h := range b.hangars {
		if h.open {
			b.spaces += h.spaces
			b.occupied += min(h.spaces, b.presentIn(h.id))
			b.dailyRevenue += int64(h.spaces) * h.rate * 2 / 3
		}
	}
	return b, nil
}

// cents is a price in centavos. What the simulator would not have written, NaN for one, counts
// nothing.
func cents(price string) string {
	return "CASE WHEN " + price + " BETWEEN -1e12 AND 1e12 THEN (" + price + " * 100)::bigint ELSE 0 END"
}

// occupancy is the share of open spaces that are taken.
func (b *business) occupancy() float64 { return float64(b.occupied) / float64(max(b.spaces, 1)) }

// elapsed is the share of the business day that has passed.
func (b *business) elapsed() float64 {
	hours := b.now.Sub(startOfDay(b.now, b.now.Location())).Hours()
	return math.Min(math.Max(hours-6, 0)/16, 1)
}

// surplus is how many bookings today has beyond what the owner's hangars can serve in the long run.
func (b *business) surplus() float64 {
	const perSpace = .26 // bookings a day that keep a space two thirds full
	return float64(b.bookingsToday) - float64(b.spaces)*perSpace*(.4+.6*b.elapsed()) - 1
}

// wealth is today's revenue as a share of what the hangars can earn in the long run.
func (b *business) wealth() float64 {
	return float64(b.revenueToday) / math.Max(float64(b.dailyRevenue)*(.4+.7*b.elapsed()), 1)
}

// holding returns the bookings, but one, that hold a space in a hangar.
func (b *business) holding(hangarID int64, except *booking) (stays []stay) {
	for _, k := range b.bookings {
		if k != except && k.hangarID == hangarID && k.holds() {
			stays = append(stays, k.stay)
		}
	}
	return stays
}

// room reports whether a hangar has a space from in to out beside all bookings but one.
func (b *business) room(h hangar, in, out time.Time, except *booking) bool {
	return fits(b.holding(h.id, except), in, out, h.spaces)
}

// presentIn counts the aircraft that are in a hangar now.
func (b *business) presentIn(hangarID int64) int {
	count := 0
	for _, k := range b.bookings {
		if k.hangarID == hangarID && (k.status == confirmed || k.status == active) && !k.checkIn.After(b.now) && k.checkOut.After(b.now) {
			count++
		}
	}
	return count
}

func (b *business) hangar(id int64) (hangar, bool) {
	for _, h := range b.hangars {
		if h.id == id {
			return h, true
		}
	}
	return hangar{}, false
}

// save writes a booking back, whole, as portals do.
func (b *business) save(ctx context.Context, tx *sqlx.Tx, k *booking) error {
	query := `UPDATE bookings SET hangar_id = $2, check_in = $3, check_out = $4, nights = $5, subtotal = $6::bigint / 100.0,
		fees = $7::bigint / 100.0, total_price = $8::bigint / 100.0, status = $9, payment_method = $10, {payment} updated_at = $11 WHERE id = $1`
	args := []any{
		k.id, k.hangarID, utc(k.checkIn), utc(k.checkOut), k.price.nights, k.price.subtotal, k.price.fees, k.price.charged,
		k.status, k.method, utc(b.now),
	}
	payment := ""
	if b.columns.PaymentDate {
		payment = "payment_date = $12,"
		var paid any
		if !k.paid.IsZero() {
			paid = utc(k.paid)
		}
		args = append(args, paid)
	}
	if _, err := tx.ExecContext(ctx, strings.Replace(query, "{payment}", payment, 1), args...); err != nil {
		return fmt.Errorf("update booking %d: %w", k.id, err)
	}
	return nil
}
