package demo

import (
	"math/rand/v2"
	"time"
)

// The life of a booking.
const (
	pending   = "pending"
	confirmed = "confirmed"
	active    = "active"
	completed = "completed"
	cancelled = "cancelled"
)

// How guests pay.
const (
	pix    = "pix"
	card   = "credit_card"
	boleto = "boleto"
)

// stay is a booking: one aircraft in one hangar for some days.
type stay struct {
	hangarID, userID  int64
	checkIn, checkOut time.Time
	price             price
	status, method    string
	paid              time.Time // zero until paid
	created, updated  time.Time
}

// holds reports whether the booking keeps a space for its guest.
func (s stay) holds() bool {
	return s.status == pending || s.status == confirmed || s.status == active
}

// price is what a stay costs, in centavos.
type price struct {
	nights                  int
	subtotal, fees, charged int64
}

// quote returns the price of a stay at a daily rate in centavos: a tenth less from a week on, and
// the portal's fee of a tenth on top.
func quote(rate int64, nights int) price {
	subtotal := rate * int64(nights)
	if nights >= 7 {
		subtotal -= subtotal / 10
	}
	fees := (subtotal + 5) / 10
	return price{nights, subtotal, fees, subtotal + fees}
}

// nightsBetween counts the nights of a stay by the local calendar; a stay within
// one day counts as one.
func nightsBetween(in, out time.Time, loc *time.Location) int {
	y, m, d := in.In(loc).Date()
	oy, om, od := out.In(loc).Date()
	from, to := time.Date(y, m, d, 0, 0, 0, 0, time.UTC), time.Date(oy, om, od, 0, 0, 0, 0, time.UTC)
	return max(1, int(to.Sub(from)/(24*time.Hour)))
}

// fits reports whether a hangar with the given spaces can take one more stay from in to out beside
// the others, which are the bookings that hold a space there.
func fits(others []stay, in, out time.Time, spaces int) bool {
	// The most aircraft are there at the beginning or at some other's arrival.
	if present(others, in) >= spaces {
		return false
	}
	for _, other := range others {
		if other.checkIn.After(in) && other.checkIn.Before(out) && present(others, other.checkIn) >= spaces {
			return false
		}
	}
	return true
}

// present counts the stays that cover an instant.
func present(stays []stay, at time.Time) int {
	count := 0
	for _, s := range stays {
		if !s.checkIn.After(at) && s.checkOut.After(at) {
			count++
		}
	}
	return count
}

var (
	arrivalHours   = []int{7, 8, 9, 10, 11, 13, 14, 14, 15, 16, 17, 18, 19}
	departureHours = []int{6, 7, 8, 9, 10, 11, 11, 12, 14, 16}
)

// habits draws what guests do: a random number generator that knows people.
type habits struct {
	*rand.Rand
	loc *time.Location
}

// nights draws the length of a stay, 2.6 nights on average.
func (h habits) nights() int {
	switch x := h.Float64(); {
	case x < .36:
		return 1
	case x < .64:
		return 2
	case x < .82:
		return 3
	case x < .90:
		return 4
	case x < .95:
		return 5
	case x < .98:
		return 7
	default:
		return 10
	}
}

// method draws a payment method.
func (h habits) method() string {
	switch x := h.Float64(); {
	case x < .55:
		return pix
	case x < .88:
		return card
	default:
		return boleto
	}
}

// exponential draws from an exponential distribution.
func (h habits) exponential(mean time.Duration) time.Duration {
	return time.Duration(h.ExpFloat64() * float64(mean))
}

// arrival returns the first check-in time at or after t that a guest might choose: by day, and
// rather from Thursday to Saturday.
func (h habits) arrival(t time.Time) time.Time {
	t = t.In(h.loc)
	if w := t.Weekday(); (w == time.Monday || w == time.Tuesday) && h.Float64() < .15 {
		t = at(t, int(time.Thursday-w), 7)
	}
	for days := 0; ; days++ {
		if in := at(t, days, arrivalHours[h.IntN(len(arrivalHours))]); !in.Before(t) {
			return in
		}
	}
}

// departure returns a check-out time the given nights after a check-in.
func (h habits) departure(in time.Time, nights int) time.Time {
	return at(in.In(h.loc), nights, departureHours[h.IntN(len(departureHours))])
}

// at returns a full hour on the day that lies some days after t's, in t's zone.
func at(t time.Time, days, hour int) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+days, hour, 0, 0, 0, t.Location())
}

// startOfDay returns the midnight with which t's day began in loc.
func startOfDay(t time.Time, loc *time.Location) time.Time { return at(t.In(loc), 0, 0) }

// season is how busy each month is beside the average: summer and July are high.
var season = [...]float64{
	time.January: 1.1, time.February: 1.06, time.March: .97, time.April: .95, time.May: .94, time.June: .98,
	time.July: 1.1, time.August: .95, time.September: .96, time.October: .98, time.November: 1.02, time.December: 1.1,
}
