package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// action is something that may happen in a business; done is false when there is no
// occasion for it.
type action struct {
	name   string
	weight float64
	do     func(context.Context, *sqlx.Tx, *business) (done bool, err error)
}

// act does the first thing there is an occasion for, in an order drawn by weight,
// and returns its name.
func (s *Simulator) act(ctx context.Context, tx *sqlx.Tx, b *business) (string, error) {
	if len(b.hangars) == 0 {
		return "nothing", nil
	}
	actions := s.agenda(b)
	for {
		total := 0.0
		for _, a := range actions {
			total += a.weight
		}
		if total == 0 {
			return "nothing", nil
		}
		at, chosen := s.Float64()*total, 0
		for i, a := range actions {
			if a.weight > 0 {
				chosen = i
				if at -= a.weight; at < 0 {
					break
				}
			}
		}
		if done, err := actions[chosen].do(ctx, tx, b); err != nil || done {
			return actions[chosen].name, err
		}
		actions[chosen].weight = 0
	}
}

// agenda weighs the actions so that the business is drawn back to its steady state.
func (s *Simulator) agenda(b *business) []action {
	surplus, occupancy, wealth := b.surplus(), b.occupancy(), b.wealth()
	var late, ended float64 // stays that should have begun or ended, requests that came too late
	for _, k := range b.bookings {
		switch {
		case k.holds() && !k.checkOut.After(b.now):
			ended++
		case (k.status == pending || k.status == confirmed) && !k.checkIn.After(b.now):
			late++
		}
	}
	when := func(condition bool, yes, no float64) float64 {
		if condition {
			return yes
		}
		return no
	}
	return []action{
		{"request", when(surplus < 0, 14, when(surplus < 3, 7, 1)), s.request},
		{"group request", when(surplus < -1, 3, when(surplus < 1.5, 1.5, .6)), s.requestGroup},
		{"walk-in", when(occupancy < .8 && surplus < 2, when(wealth < 1.2, 6, 2), 0), s.walkIn},
		{"confirm", when(surplus <= 1, 13, 10), s.confirm},
		{"pay", when(wealth < 1, 12, when(wealth < rich, 9, when(wealth < 2, 5, .5))), s.pay},
		{"arrive", when(occupancy < .8, 12, 3) + 10*late, s.arrive},
		{"leave", when(occupancy > .68, 4, 0) + 20*ended, s.leave},
		{"fly out", when(occupancy > .8, 14, when(occupancy > .55, 10, 0)), s.flyOut},
		{"reschedule", 8, s.reschedule},
		{"cancel", when(surplus < 0, 1, when(surplus < 3, 7, 14)) + 5*late, s.cancel},
		{"refund", when(wealth < 1, .3, when(wealth < rich, 4, 9)), s.refund},
		{"reprice", 2, s.reprice},
		{"open or close", 1.5, s.openOrClose},
	}
}

// pick draws one of the bookings that suit, or returns nil.
func (s *Simulator) pick(b *business, suits func(*booking) bool) *booking {
	var found []*booking
	for _, k := range b.bookings {
		if suits(k) {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[s.IntN(len(found))]
}

// pickHangars draws up to n open hangars that have room from in to out.
func (s *Simulator) pickHangars(b *business, in, out time.Time, n int) (found []hangar) {
	for _, i := range s.Perm(len(b.hangars)) {
		if h := b.hangars[i]; len(found) < n && h.open && b.room(h, in, out, nil) {
			found = append(found, h)
		}
	}
	return found
}

// reserve inserts a guest's bookings of the given hangars, by one statement.
func (s *Simulator) reserve(ctx context.Context, tx *sqlx.Tx, b *business, hangars []hangar, in, out time.Time, status string) error {
	first := stay{
		userID: s.guests[s.IntN(len(s.guests))], checkIn: in, checkOut: out, status: status, method: s.method(),
		created: b.now, updated: b.now,
	}
	if status == active {
		first.paid, first.method = b.now, pix
	}
	var stays []stay
	for _, h := range hangars {
		stay := first
		stay.hangarID, stay.price = h.id, quote(h.rate, nightsBetween(in, out, s.loc))
		stays = append(stays, stay)
	}
	return insertStays(ctx, tx, b.columns, stays)
}

func (s *Simulator) request(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	return s.requestSome(ctx, tx, b, 1, 1)
}

// requestGroup books several hangars at once: aircraft that travel together.
func (s *Simulator) requestGroup(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	return s.requestSome(ctx, tx, b, 2, 2+s.IntN(2))
}

func (s *Simulator) requestSome(ctx context.Context, tx *sqlx.Tx, b *business, least, most int) (bool, error) {
	for range 6 {
		in := s.arrival(b.now.Add(2*time.Hour + min(s.exponential(4*24*time.Hour), (horizonDays-5)*24*time.Hour)))
		out := s.departure(in, s.nights())
		if hangars := s.pickHangars(b, in, out, most); len(hangars) >= least {
			return true, s.reserve(ctx, tx, b, hangars, in, out, pending)
		}
	}
	return false, nil
}

// walkIn lets a guest in who has just landed, and pays at once.
func (s *Simulator) walkIn(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	out := s.departure(b.now, s.nights())
	hangars := s.pickHangars(b, b.now, out, 1)
	if len(hangars) == 0 {
		return false, nil
	}
	return true, s.reserve(ctx, tx, b, hangars, b.now, out, active)
}

func (s *Simulator) confirm(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	k := s.pick(b, func(k *booking) bool { return k.status == pending && k.checkIn.After(b.now) })
	if k == nil {
		return false, nil
	}
	k.status = confirmed
	if k.method != boleto && welcome(b, k) && s.Float64() < .7 {
		k.paid = b.now
	}
	return true, b.save(ctx, tx, k)
}

// rich is the wealth from which on a day's revenue only comes and goes.
const rich = 1.25

// welcome reports whether today's revenue can take a booking's payment: on a rich day only one that
// may still be refunded, of a guest who comes late enough not to be there early.
func welcome(b *business, k *booking) bool {
	return b.wealth() < rich || k.checkIn.Sub(b.now) > 48*time.Hour
}

// pay records the payment for a coming stay, or, on a poor day, for one that has begun or ended.
func (s *Simulator) pay(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	if !b.columns.PaymentDate {
		return false, nil
	}
	k := s.pick(b, func(k *booking) bool {
		return k.paid.IsZero() && k.status == confirmed && k.checkIn.After(b.now) && welcome(b, k)
	})
	if k == nil && b.wealth() < rich {
		k = s.pick(b, func(k *booking) bool { return k.paid.IsZero() && k.status != pending })
	}
	if k == nil {
		return false, nil
	}
	k.paid = b.now
	return true, b.save(ctx, tx, k)
}

// arrive begins a stay whose time has come, or the stay of a guest who comes early
// to a hangar that has room.
func (s *Simulator) arrive(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	if k := s.pick(b, func(k *booking) bool {
		return k.status == confirmed && !k.checkIn.After(b.now) && k.checkOut.After(b.now)
	}); k != nil {
		k.status = active
		return true, b.save(ctx, tx, k)
	}
	k := s.pick(b, func(k *booking) bool {
		h, known := b.hangar(k.hangarID)
		return known && h.open && k.status == confirmed && k.checkIn.After(b.now) && k.checkIn.Sub(b.now) < 36*time.Hour &&
			b.room(h, b.now, k.checkOut, k)
	})
	if k == nil {
		return false, nil
	}
	k.status, k.checkIn = active, b.now
	k.price.nights = nightsBetween(k.checkIn, k.checkOut, s.loc)
	return true, b.save(ctx, tx, k)
}

// leave ends a stay whose time is over, or that of a guest who leaves early and has
// paid for all of it.
func (s *Simulator) leave(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	k := s.pick(b, func(k *booking) bool {
		return (k.status == active || k.status == confirmed) && !k.checkOut.After(b.now)
	})
	if k == nil {
		k = s.pick(b, func(k *booking) bool {
			return k.status == active && b.now.Sub(k.checkIn) > time.Minute && k.checkOut.Sub(b.now) < 20*time.Hour
		})
		if k == nil || b.occupancy() < .6 {
			return false, nil
		}
		k.checkOut = b.now
		k.price.nights = nightsBetween(k.checkIn, k.checkOut, s.loc)
	}
	k.status = completed
	return true, b.save(ctx, tx, k)
}

// flyOut lets a guest take the aircraft out for some hours and keep the booking.
func (s *Simulator) flyOut(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	k := s.pick(b, func(k *booking) bool { return k.status == active && k.checkOut.Sub(b.now) > 8*time.Hour })
	if k == nil {
		return false, nil
	}
	k.status = confirmed
	k.checkIn = at(b.now, 0, b.now.Hour()+2+s.IntN(3))
	k.price.nights = nightsBetween(k.checkIn, k.checkOut, s.loc)
	return true, b.save(ctx, tx, k)
}

// reschedule moves a coming stay to other dates, or to another hangar of the owner, at the price of
// the day; what was paid before today stays the price.
func (s *Simulator) reschedule(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	k := s.pick(b, func(k *booking) bool {
		return (k.status == pending || k.status == confirmed) && k.checkIn.Sub(b.now) > 12*time.Hour
	})
	if k == nil {
		return false, nil
	}
	for range 8 {
		h, known := b.hangar(k.hangarID)
		in, out := k.checkIn.In(s.loc), k.checkOut.In(s.loc)
		switch s.IntN(4) {
		case 0:
			h, known = b.hangars[s.IntN(len(b.hangars))], true
		case 1:
			days := s.IntN(7) - 3
			in, out = in.AddDate(0, 0, days), out.AddDate(0, 0, days)
		default: // stays tend to their usual length
			if k.price.nights < 2+s.IntN(3) {
				out = out.AddDate(0, 0, 1)
			} else {
				out = out.AddDate(0, 0, -1)
			}
		}
		nights := nightsBetween(in, out, s.loc)
		same := h.id == k.hangarID && in.Equal(k.checkIn) && out.Equal(k.checkOut)
		if !known || !h.open || same || in.Sub(b.now) < 4*time.Hour || out.Sub(in) < 12*time.Hour || nights > 14 ||
			out.Sub(b.now) > (horizonDays+5)*24*time.Hour || !b.room(h, in, out, k) {
			continue
		}
		k.hangarID, k.checkIn, k.checkOut, k.price.nights = h.id, in, out, nights
		if k.paid.IsZero() || !k.paid.Before(startOfDay(b.now, s.loc)) {
			k.price = quote(h.rate, nights)
		}
		return true, b.save(ctx, tx, k)
	}
	return false, nil
}

// cancel calls off a request that came too late, else one of today's, else a
// booking that nobody has paid for.
func (s *Simulator) cancel(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	midnight := startOfDay(b.now, s.loc)
	for _, suits := range []func(*booking) bool{
		func(k *booking) bool { return k.status == pending && !k.checkIn.After(b.now) },
		func(k *booking) bool { return k.status == pending && !k.created.Before(midnight) },
		func(k *booking) bool {
			return k.status == confirmed && k.paid.IsZero() && k.checkIn.After(b.now) && !k.created.Before(midnight)
		},
		func(k *booking) bool { return k.status == pending && b.surplus() < 0 },
	} {
		if k := s.pick(b, suits); k != nil {
			k.status = cancelled
			return true, b.save(ctx, tx, k)
		}
	}
	return false, nil
}

// refund calls off a coming stay that was paid for today.
func (s *Simulator) refund(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	midnight := startOfDay(b.now, s.loc)
	k := s.pick(b, func(k *booking) bool {
		return k.status == confirmed && !k.paid.IsZero() && !k.paid.Before(midnight) && k.checkIn.Sub(b.now) > 12*time.Hour
	})
	if k == nil {
		return false, nil
	}
	k.status = cancelled
	return true, b.save(ctx, tx, k)
}

// reprice changes a hangar's daily rate, within an eighth of the planned one.
func (s *Simulator) reprice(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	h := b.hangars[s.IntN(len(b.hangars))]
	plan, known := planOf(h.number)
	if !known {
		return false, nil
	}
	rate := plan.rate * int64(88+s.IntN(25)) / 100 / 5 * 5
	_, err := tx.ExecContext(ctx, `UPDATE hangar_listings SET daily_rate = $2, updated_at = $3 WHERE id = $1`, h.id, rate, utc(b.now))
	if err != nil {
		return false, fmt.Errorf("update hangar %d: %w", h.id, err)
	}
	return rate*100 != h.rate, nil
}

// openOrClose opens the hangar that is closed, or closes a small one that is empty;
// never two at a time.
func (s *Simulator) openOrClose(ctx context.Context, tx *sqlx.Tx, b *business) (bool, error) {
	var chosen *hangar
	for _, i := range s.Perm(len(b.hangars)) {
		h := &b.hangars[i]
		if !h.open {
			chosen = h
			break
		}
		if h.spaces <= 2 && b.presentIn(h.id) == 0 {
			chosen = h
		}
	}
	if chosen == nil {
		return false, nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE hangar_listings SET is_available = $2, updated_at = $3 WHERE id = $1`,
		chosen.id, !chosen.open, utc(b.now))
	if err != nil {
		return false, fmt.Errorf("update hangar %d: %w", chosen.id, err)
	}
	return true, nil
}
