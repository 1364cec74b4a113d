package soak

import (
	"context"
	"math/rand/v2"

	"github.com/lib/pq"
)

var statuses = []string{"pending", "confirmed", "active", "completed", "cancelled"}

// statement does one random thing to the portal's tables.
func (w *writer) statement(x *transaction) error {
	crowded := w.soak.live.count() > livePerOwner*len(w.soak.owners)
	switch chance := w.random.IntN(100); {
	case crowded && chance < 25:
		return w.remove(x, 2+w.random.IntN(12))
	case chance < 22:
		return w.book(x, 1)
	case chance < 27:
		return w.book(x, 2+w.random.IntN(20))
	case chance < 31:
		return w.remove(x, 1)
	case chance < 37:
		return w.move(x)
	case chance < 40:
		return w.raise(x)
	case chance < 46:
		return w.list(x)
	}
	return w.amend(x)
}

// book inserts a number of bookings in one statement, of several owners.
func (w *writer) book(x *transaction, n int) error {
	var hangars, guests, state []string
	var begin, length, cents, paid []int64
	for range n {
		o := w.owner()
		hangars = append(hangars, o.Hangars[w.random.IntN(len(o.Hangars))])
		guests = append(guests, w.soak.guests[w.random.IntN(len(w.soak.guests))])
		from, duration := someStay(w.random)
		begin, length = append(begin, from), append(length, duration)
		cents = append(cents, 1000+w.random.Int64N(500000))
		status := statuses[w.random.IntN(len(statuses))]
		days := int64(-1) // not paid
		if status != "cancelled" && w.random.IntN(3) == 0 {
			days = w.random.Int64N(15)
		}
		state, paid = append(state, status), append(paid, days)
	}
	var rows []struct {
		ID   string
		Paid bool
	}
	err := x.SelectContext(x.ctx, &rows, `
		INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status, payment_method, payment_date)
		SELECT h::int, g::int, d.at + b * interval '1 s', d.at + (b + l) * interval '1 s', ceil(l / 86400.0), c / 100.0, round(c / 1000.0, 2),
			c / 100.0 + round(c / 1000.0, 2), s, CASE WHEN p >= 0 THEN 'pix' END,
			CASE WHEN p >= 0 THEN (now() AT TIME ZONE 'utc') - p * interval '1 day' END
		FROM (SELECT date_trunc('second', now() AT TIME ZONE 'utc')) d(at),
			unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[]) t(h, g, b, l, c, s, p)
		RETURNING id::text, payment_date IS NOT NULL AS paid`,
		pq.Array(hangars), pq.Array(guests), pq.Array(begin), pq.Array(length), pq.Array(cents), pq.Array(state), pq.Array(paid))
	for _, row := range rows {
		x.expected[row.ID]++
		if row.Paid {
			x.expected[row.ID]++
		}
		x.created = append(x.created, row.ID)
	}
	return err
}

// someStay is when a stay begins, in seconds from now, and how long it lasts: many begin
// or end while the test runs.
func someStay(r *rand.Rand) (begin, length int64) {
	switch r.IntN(3) {
	case 0:
		return r.Int64N(20), 1 + r.Int64N(60)
	case 1:
		return -r.Int64N(86400), 86400 + r.Int64N(40)
	}
	return (r.Int64N(30) - 15) * 86400, (1 + r.Int64N(10)) * 86400
}

// remove deletes random bookings in one statement.
func (w *writer) remove(x *transaction, n int) error {
	var ids []string
	for range n {
		ids = append(ids, w.soak.live.pick(w.random))
	}
	gone, err := x.run(1, `DELETE FROM bookings WHERE id = ANY ($1::int[]) RETURNING id::text`, pq.Array(ids))
	x.deleted = append(x.deleted, gone...)
	return err
}

// move gives a booking another hangar, often another owner's: that is gone for the one
// and news for the other.
func (w *writer) move(x *transaction) error {
	o := w.owner()
	var rows []struct{ ID, Was string }
	err := x.SelectContext(x.ctx, &rows, `
		WITH o AS (SELECT id, hangar_id FROM bookings WHERE id = $1::int AND hangar_id <> $2::int FOR UPDATE)
		UPDATE bookings b SET hangar_id = $2::int FROM o WHERE b.id = o.id
		RETURNING b.id::text, (SELECT owner_id::text FROM hangar_listings l WHERE l.id = o.hangar_id) AS was`,
		w.soak.live.pick(w.random), o.Hangars[w.random.IntN(len(o.Hangars))])
	for _, row := range rows {
		x.expected[row.ID]++
		if row.Was != o.ID {
			x.expected[row.ID]++
		}
	}
	return err
}

// raise changes the price of all bookings of a hangar at once.
func (w *writer) raise(x *transaction) error {
	o := w.owner()
	_, err := x.run(1, `UPDATE bookings SET total_price = total_price + 1.10 WHERE hangar_id = $1::int RETURNING id::text`,
		o.Hangars[w.random.IntN(len(o.Hangars))])
	return err
}

// owner is a random owner: half of the time the first, so that much of its happens at once.
func (w *writer) owner() *soakOwner {
	if w.random.IntN(2) == 0 {
		return w.soak.owners[0]
	}
	return w.soak.owners[w.random.IntN(len(w.soak.owners))]
}

// toggle takes a hangar off the market or puts it there.
const toggle = `UPDATE hangar_listings SET is_available = NOT is_available WHERE id = $1`

// list changes a listing: the owner's numbers follow, no booking is told of.
func (w *writer) list(x *transaction) error {
	o := w.owner()
	hangar := o.Hangars[w.random.IntN(len(o.Hangars))]
	var err error
	switch w.random.IntN(4) {
	case 0:
		_, err = x.ExecContext(x.ctx, toggle, hangar)
	case 1:
		_, err = x.ExecContext(x.ctx, `UPDATE hangar_listings SET status = CASE status WHEN 'active' THEN 'paused' ELSE 'active' END WHERE id = $1`, hangar)
	case 2:
		_, err = x.ExecContext(x.ctx, `UPDATE hangar_listings SET total_spaces = $2 WHERE id = $1`, hangar, 1+w.random.IntN(4))
	default: // a hangar changes hands
		_, err = x.ExecContext(x.ctx, `UPDATE hangar_listings SET owner_id = $2 WHERE id = (
			SELECT id FROM hangar_listings WHERE hangar_number LIKE 'T%' ORDER BY id OFFSET $1 LIMIT 1)`, w.random.IntN(travellers), o.ID)
	}
	return err
}

// amend changes one booking. The conditions make sure that each statement either changes
// what is shown or does nothing.
func (w *writer) amend(x *transaction) (err error) {
	id := w.soak.live.pick(w.random)
	switch w.random.IntN(8) {
	case 0, 1, 2:
		_, err = x.run(1, `UPDATE bookings SET status = $2, updated_at = now() AT TIME ZONE 'utc' WHERE id = $1::int AND status <> $2 RETURNING id::text`,
			id, statuses[w.random.IntN(len(statuses))])
	case 3:
		_, err = x.run(1, `UPDATE bookings SET total_price = $2::numeric / 100 WHERE id = $1::int AND total_price <> $2::numeric / 100 RETURNING id::text`,
			id, 1000+w.random.Int64N(900000))
	case 4:
		begin, length := someStay(w.random)
		_, err = x.run(1, `UPDATE bookings SET check_in = d.at + $2::int * interval '1 s', check_out = d.at + ($2::int + $3::int) * interval '1 s'
			FROM (SELECT date_trunc('second', now() AT TIME ZONE 'utc')) d(at)
			WHERE id = $1::int AND check_in <> d.at + $2::int * interval '1 s' RETURNING id::text`, id, begin, length)
	case 5:
		_, err = x.run(1, `UPDATE bookings SET payment_date = now() AT TIME ZONE 'utc', payment_method = 'card'
			WHERE id = $1::int AND payment_date IS NULL AND status <> 'cancelled' RETURNING id::text`, id)
	case 6: // two events of one statement
		_, err = x.run(2, `UPDATE bookings SET payment_date = now() AT TIME ZONE 'utc', payment_method = 'pix', status = 'confirmed'
			WHERE id = $1::int AND payment_date IS NULL AND status = 'pending' RETURNING id::text`, id)
	default: // nothing that is shown
		_, err = x.run(0, `UPDATE bookings SET fees = fees + 0.01, updated_at = now() AT TIME ZONE 'utc' WHERE id = $1::int RETURNING id::text`, id)
	}
	return err
}

// writeLast moves every stay that would begin or end soon, so that nothing happens by itself while
// things are compared. Then comes a burst of changes: the numbers that clients hold in the end must
// be those after the last of it.
func (w *writer) writeLast() {
	pool := w.open()
	defer pool.Close()
	w.soak.await("last call", func() bool {
		return w.transact(context.Background(), pool, func(_ context.Context, x *transaction) error {
			_, err := x.run(1, `UPDATE bookings SET check_in = d.at - interval '1 day', check_out = d.at + interval '3 days'
				FROM (SELECT date_trunc('second', now() AT TIME ZONE 'utc')) d(at)
				WHERE check_in BETWEEN d.at - interval '1 min' AND d.at + interval '1 hour'
					OR check_out BETWEEN d.at - interval '1 min' AND d.at + interval '1 hour' RETURNING id::text`)
			return err
		})
	})
	for i := range 20 * len(w.soak.owners) {
		w.transact(context.Background(), pool, func(_ context.Context, x *transaction) error {
			o := w.owner()
			_, err := x.ExecContext(x.ctx, toggle, o.Hangars[w.random.IntN(len(o.Hangars))])
			if err != nil || i%8 > 0 {
				return err
			}
			return w.raise(x)
		})
	}
}
