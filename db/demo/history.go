package demo

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	// historyDays is how far back a new demo's bookings reach.
	historyDays = 165
	// horizonDays is how far ahead guests book.
	horizonDays = 35
	// historyDraws bounds the histories drawn in search of one whose latest days look ordinary.
	historyDraws = 300
)

// hangar is what the demo must know of a listing to fill it.
type hangar struct {
	id      int64
	number  string
	rate    int64 // daily, in centavos
	spaces  int
	open    bool // published and available
	demand  float64
	ownerID int64
}

// historian draws the bookings of an owner's hangars up to now.
type historian struct {
	habits
	now    time.Time
	guests []int64
}

// drawHistory returns the bookings that an owner's hangars saw since from, as they stand at now.
// Small businesses have wild weeks; of several drawn it takes the first, or else the best, whose
// latest days look ordinary.
func drawHistory(opts SeedOptions, salt uint64, from time.Time, hangars []hangar, guests []int64) []stay {
	var best []stay
	lowest := math.Inf(1)
	for draw := range uint64(historyDraws) {
		h := historian{habits{rand.New(rand.NewPCG(opts.Random, salt<<16|draw)), opts.Location}, opts.Now, guests}
		stays := h.draw(from, hangars)
		if oddness := measure(stays, hangars, opts.Now, opts.Location).oddness(); oddness < lowest {
			best, lowest = stays, oddness
		}
		if lowest == 0 {
			break
		}
	}
	return best
}

func (h historian) draw(from time.Time, hangars []hangar) []stay {
	var stays []stay
	for _, hangar := range hangars {
		until := h.now.AddDate(0, 0, horizonDays)
		if !hangar.open {
			until = h.now.AddDate(0, 0, -60) // when the works began
		}
		for range hangar.spaces {
			stays = h.fill(stays, hangar, from, until)
		}
		if hangar.open {
			stays = h.ahead(stays, hangar)
		}
	}
	return h.fillToday(stays)
}

// fill appends one space's stays, one after the other, and beside them those that were called off.
func (h historian) fill(stays []stay, hangar hangar, from, until time.Time) []stay {
	const meanStay = 61 * time.Hour
	free := from.Add(time.Duration(h.Float64() * float64(3*24*time.Hour)))
	for {
		demand := min(hangar.demand*season[free.In(h.loc).Month()], .9)
		// Arrivals wait for the next daytime, which is part of the gap.
		gap := time.Duration(float64(meanStay)*(1-demand)/demand) - 7*time.Hour
		in := h.arrival(free.Add(time.Hour + h.exponential(max(gap, time.Hour))))
		nights := h.nights()
		out := h.departure(in, nights)
		if in.After(until) {
			return stays
		}
		free = out
		if s, known := h.book(hangar, in, out, nights); known {
			stays = append(stays, s)
		}
		if h.Float64() < .1 {
			if s, known := h.book(hangar, in, out, nights); known {
				stays = append(stays, h.callOff(s))
			}
		}
	}
}

// ahead appends a hangar's stays of the coming weeks, so that its calendar has something to show.
// Some follow each other on one day. A third of them are still to be confirmed.
func (h historian) ahead(stays []stay, hangar hangar) []stay {
	var held []stay
	for _, s := range stays {
		if s.hangarID == hangar.id && s.holds() {
			held = append(held, s)
		}
	}
	for range hangar.spaces {
		until := h.now.AddDate(0, 0, horizonDays-7)
		for in := h.arrival(h.now.Add(72 * time.Hour)); in.Before(until); {
			nights := h.nights()
			out := h.departure(in, nights)
			s := stay{
				hangarID: hangar.id, userID: h.guests[h.IntN(len(h.guests))], checkIn: in, checkOut: out,
				price: quote(hangar.rate, nights), method: h.method(), status: confirmed,
				created: h.now.Add(-26*time.Hour - time.Duration(h.Float64()*float64(18*24*time.Hour))).Truncate(time.Second),
			}
			s.updated = s.created
			if h.Float64() < .33 {
				s.status = pending
			}
			if h.Float64() < .7 && fits(held, in, out, hangar.spaces) {
				stays, held = append(stays, s), append(held, s)
			}
			in = h.arrival(out.Add(30*time.Minute + h.exponential(20*time.Hour)))
		}
	}
	return stays
}

// book returns a booking as it stands now, unless it is still to be made.
func (h historian) book(hangar hangar, in, out time.Time, nights int) (s stay, known bool) {
	s = stay{
		hangarID: hangar.id, userID: h.guests[h.IntN(len(h.guests))], checkIn: in, checkOut: out,
		price: quote(hangar.rate, nights), method: h.method(),
	}
	s.created = in.Add(-time.Hour - time.Duration(h.Float64()*float64(4*time.Hour)))
	if h.Float64() > .15 {
		day := in.Add(-h.exponential(5 * 24 * time.Hour)).In(h.loc)
		daytime := time.Duration(7*60+h.IntN(15*60))*time.Minute + time.Duration(h.IntN(60))*time.Second
		if c := startOfDay(day, h.loc).Add(daytime); c.Before(s.created) {
			s.created = c
		}
	}
	if s.created.After(h.now) {
		return s, false
	}
	var paid time.Time
	switch {
	case h.Float64() < .08: // on leaving
		paid = out.Add(-time.Duration(h.IntN(40)) * time.Minute)
	case s.method == boleto:
		paid = s.created.Add(time.Duration(20+h.IntN(50)) * time.Hour)
	default:
		paid = s.created.Add(time.Duration(60+h.IntN(5400)) * time.Second)
	}
	switch {
	case !out.After(h.now):
		s.status = completed
	case !in.After(h.now):
		s.status = active
	case h.now.Sub(s.created) < 18*time.Hour && h.Float64() < .4:
		s.status = pending
	default:
		s.status = confirmed
	}
	if s.status != pending && !paid.After(h.now) && h.Float64() > .03 {
		s.paid = paid
	}
	s.updated = h.lastChange(s)
	return s, true
}

// callOff turns a booking into one that was cancelled some time after it was made.
func (h historian) callOff(s stay) stay {
	last := s.checkIn
	if last.After(h.now) {
		last = h.now
	}
	s.status = cancelled
	s.updated = s.created.Add(time.Duration(h.Float64() * float64(last.Sub(s.created)))).Truncate(time.Second)
	if s.paid.After(s.updated) || h.Float64() < .6 {
		s.paid = time.Time{}
	}
	return s
}

// lastChange returns when something last happened to a booking.
func (h historian) lastChange(s stay) time.Time {
	last := s.created
	for _, t := range []time.Time{s.paid, s.checkIn, s.checkOut} {
		if t.After(last) && !t.After(h.now) {
			last = t
		}
	}
	return last
}

// fillToday brings forward to today as many bookings as the hour lets one expect, at least one of
// them paid: a demo opened five minutes past midnight has numbers to show too.
func (h historian) fillToday(stays []stay) []stay {
	midnight := startOfDay(h.now, h.loc)
	recent, today, paid := 0, 0, 0
	var candidates []int
	for i, s := range stays {
		if s.status == cancelled {
			continue
		}
		if s.created.After(h.now.AddDate(0, 0, -28)) {
			recent++
		}
		if !s.created.Before(midnight) {
			today++
		} else if s.status == confirmed {
			candidates = append(candidates, i)
		}
		if !s.paid.Before(midnight) {
			paid++
		}
	}
	// share of the business day that has passed
	open := math.Min(math.Max(h.now.Sub(midnight).Hours()-7, 0)/14, 1)
	missing := 1 + int(.7*open*float64(recent)/28) - today
	if paid == 0 {
		missing = max(missing, 1)
	}
	h.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	for _, i := range candidates[:max(0, min(missing, len(candidates)))] {
		s := &stays[i]
		s.created = midnight.Add(time.Duration(h.Float64() * float64(h.now.Sub(midnight)))).Truncate(time.Second)
		s.paid = s.created.Add(time.Duration(h.Float64() * float64(min(h.now.Sub(s.created), 10*time.Minute)))).Truncate(time.Second)
		s.method, s.updated = pix, s.paid
	}
	return stays
}

// vitals are the numbers by which one judges whether an owner's business looks ordinary.
type vitals struct {
	revenueToday, dailyRevenue     float64
	bookingsToday, comings, goings int
	occupancy, growth              float64 // percent
}

func measure(stays []stay, hangars []hangar, now time.Time, loc *time.Location) vitals {
	var v vitals
	midnight := startOfDay(now, loc)
	tomorrow, week, earlier := midnight.AddDate(0, 0, 1), midnight.AddDate(0, 0, -6), midnight.AddDate(0, 0, -13)
	var thisWeek, lastWeek float64
	spaces, occupied := 0, 0
	open := map[int64]bool{}
	for _, hangar := range hangars {
		if hangar.open {
			open[hangar.id], spaces = true, spaces+hangar.spaces
		}
	}
	within := func(t, from, until time.Time) bool { return !t.Before(from) && t.Before(until) }
	for _, s := range stays {
		if s.status == cancelled {
			continue
		}
		amount := float64(s.price.charged)
		switch {
		case within(s.paid, midnight, tomorrow):
			v.revenueToday += amount
			thisWeek += amount
		case within(s.paid, week, tomorrow):
			thisWeek += amount
		case within(s.paid, earlier, week):
			lastWeek += amount
		}
		if within(s.created, midnight, tomorrow) {
			v.bookingsToday++
		}
		if within(s.checkIn, midnight, tomorrow) {
			v.comings++
		}
		if within(s.checkOut, midnight, tomorrow) {
			v.goings++
		}
		if open[s.hangarID] && s.status != pending && !s.checkIn.After(now) && s.checkOut.After(now) {
			occupied++
		}
	}
	v.dailyRevenue = lastWeek / 7
	v.occupancy = 100 * float64(occupied) / float64(max(spaces, 1))
	if lastWeek > 0 {
		v.growth = 100 * (thisWeek - lastWeek) / lastWeek
	}
	return v
}

// oddness is how far the numbers are from an ordinary day's; 0 is ordinary.
func (v vitals) oddness() float64 {
	outside := func(x, low, high float64) float64 { return math.Max(0, math.Max(low-x, x-high)) }
	odd := outside(v.occupancy, 52, 80) + outside(v.growth, -12, 18)
	odd += outside(v.revenueToday/math.Max(v.dailyRevenue, 1), .1, 1.7) * 20
	odd += 10 * outside(float64(min(v.comings, v.goings)), 1, math.Inf(1))
	if v.revenueToday == 0 || v.bookingsToday == 0 {
		odd += 1000
	}
	return odd
}
