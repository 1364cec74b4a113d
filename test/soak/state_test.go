package soak

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// bookingState is a booking as a client knows it from the events that it received, and nothing
// else.
type bookingState struct {
	HangarNumber, GuestName, Amount, Nights, CheckIn, CheckOut string
	// "" while no event has said it
	Status string
	// Whole: known since it was made, in this account
	Paid, Whole bool
}

// clientState is what a client knows at the end.
type clientState struct {
	bookings map[string]bookingState
	occupied map[string]bool // by hangar
}

// rebuildState computes the state from events.
func (c *soakClient) rebuildState(events []int32) clientState {
	p := clientState{make(map[string]bookingState), make(map[string]bool)}
	c.owner.received.mu.Lock()
	defer c.owner.received.mu.Unlock()
	for _, n := range events {
		d := c.owner.received.list[n].data
		b := p.bookings[d.BookingID]
		switch c.owner.received.list[n].kind {
		case "occupancy_changed":
			p.occupied[d.HangarID] = d.IsNowOccupied
			continue
		case "revenue_received":
			b.Paid = true
		default:
			if d.Status == "deleted" {
				delete(p.bookings, d.BookingID)
				continue
			}
			b.Whole = b.Whole || c.owner.received.list[n].kind == "booking_created"
			b.HangarNumber, b.GuestName, b.Amount, b.Nights = d.HangarNumber, d.GuestName, d.Amount.String(), fmt.Sprint(d.Duration)
			b.CheckIn, b.CheckOut = d.CheckInDate, d.CheckOutDate
			if d.Status != "" {
				b.Status = d.Status
			}
		}
		p.bookings[d.BookingID] = b
	}
	return p
}

// tableState is what the tables say of an owner.
type tableState struct {
	bookings map[string]bookingState
	occupied map[string]bool
}

// readTables asks the portal's tables.
func (s *soak) readTables(ctx context.Context, ownerID string) (*tableState, error) {
	const rfc3339 = `'YYYY-MM-DD"T"HH24:MI:SS'`
	p := &tableState{make(map[string]bookingState), make(map[string]bool)}
	var rows []struct {
		ID string
		bookingState
	}
	err := s.portal.Pool.SelectContext(ctx, &rows, `SELECT b.id::text, l.hangar_number AS hangarnumber, u.first_name || ' ' || u.last_name AS guestname,
		b.total_price::text AS amount, b.nights::text, b.status, b.payment_date IS NOT NULL AS paid,
		to_char(b.check_in AT TIME ZONE 'UTC' AT TIME ZONE 'America/Sao_Paulo', `+rfc3339+`) AS checkin,
		to_char(b.check_out AT TIME ZONE 'UTC' AT TIME ZONE 'America/Sao_Paulo', `+rfc3339+`) AS checkout
		FROM bookings b JOIN hangar_listings l ON l.id = b.hangar_id JOIN users u ON u.id = b.user_id WHERE l.owner_id = $1`, ownerID)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		p.bookings[row.ID] = row.bookingState
	}
	p.occupied, err = s.readOccupied(ctx, ownerID)
	return p, err
}

// readOccupied returns which of an owner's hangars are occupied now, or of everybody's.
func (s *soak) readOccupied(ctx context.Context, ownerID string) (map[string]bool, error) {
	var hangars []string
	err := s.portal.Pool.SelectContext(ctx, &hangars, `SELECT DISTINCT l.id::text FROM hangar_listings l JOIN bookings b ON b.hangar_id = l.id
		WHERE l.owner_id::text LIKE $1 AND b.status IN ('confirmed', 'active')
		AND b.check_in <= now() AT TIME ZONE 'UTC' AND now() AT TIME ZONE 'UTC' < b.check_out`, ownerID)
	occupied := make(map[string]bool)
	for _, id := range hangars {
		occupied[id] = true
	}
	return occupied, err
}

// occupancySettled returns an error while the log does not say of every hangar what the tables do.
func (s *soak) occupancySettled(ctx context.Context, log *logContents) error {
	tables, err := s.readOccupied(ctx, "%")
	if err != nil {
		return err
	}
	for _, list := range log.events {
		told := make(map[string]bool)
		for _, f := range list {
			if f.Type == "occupancy_changed" {
				told[f.HangarID] = f.Occupied
			}
		}
		for id, occupied := range told {
			if occupied != tables[id] {
				return fmt.Errorf("hangar %s is occupied: %v, the log says %v", id, tables[id], occupied)
			}
			delete(tables, id)
		}
	}
	for id := range tables {
		return fmt.Errorf("hangar %s is occupied, the log does not say so", id)
	}
	return nil
}

// compareState compares a client's state with the tables. A client that came late knows only what
// has happened since.
func (s *soak) compareState(c *soakClient, p clientState, tables *tableState) {
	wrong := 0
	for id, got := range p.bookings {
		want, exists := tables.bookings[id]
		// The zone's offset is behind the digits.
		got.CheckIn, got.CheckOut = strings.TrimSuffix(got.CheckIn, "-03:00"), strings.TrimSuffix(got.CheckOut, "-03:00")
		if c.late && got.Amount == "" { // only its payment was told of
			continue
		}
		if got.Status == "" { // a new booking is told without
			want.Status = ""
		}
		if !got.Whole && !got.Paid { // it may have been paid before
			want.Paid = false
		}
		got.Whole = false
		if !exists || got != want {
			if wrong++; wrong <= 3 {
				s.fail("client %d knows booking %s as %+v, the tables say %+v (%v)", c.number, id, got, want, exists)
			}
		}
	}
	for id, occupied := range p.occupied {
		if occupied != tables.occupied[id] {
			s.fail("client %d knows hangar %s occupied: %v", c.number, id, occupied)
		}
	}
	if c.late {
		return
	}
	if len(p.bookings) != len(tables.bookings) {
		s.fail("client %d knows %d bookings, the tables have %d", c.number, len(p.bookings), len(tables.bookings))
	}
	for id := range tables.occupied {
		if !p.occupied[id] {
			s.fail("client %d does not know that hangar %s is occupied", c.number, id)
		}
	}
}

// metricsTruth computes an owner's numbers by their definitions, independently of the product.
const metricsTruth = `
WITH clock AS (SELECT (now() AT TIME ZONE 'America/Sao_Paulo')::date AS today, now() AT TIME ZONE 'UTC' AS now),
hangars AS (SELECT * FROM hangar_listings WHERE owner_id = $1),
mine AS (SELECT b.*, (payment_date AT TIME ZONE 'UTC' AT TIME ZONE 'America/Sao_Paulo')::date AS paid_on,
	(created_at AT TIME ZONE 'UTC' AT TIME ZONE 'America/Sao_Paulo')::date AS created_on
	FROM bookings b WHERE hangar_id IN (SELECT id FROM hangars)),
paid AS (SELECT * FROM mine WHERE paid_on IS NOT NULL AND status <> 'cancelled'),
weeks AS (SELECT coalesce(sum(total_price) FILTER (WHERE paid_on BETWEEN today - 6 AND today), 0) AS recent,
	coalesce(sum(total_price) FILTER (WHERE paid_on BETWEEN today - 13 AND today - 7), 0) AS earlier FROM paid, clock),
counted AS (SELECT h.status = 'active' AND h.is_available AS published, h.total_spaces AS spaces, (SELECT count(*) FROM mine, clock
	WHERE hangar_id = h.id AND mine.status IN ('confirmed', 'active') AND check_in <= now AND now < check_out) AS stays FROM hangars h),
offered AS (SELECT published, least(stays, spaces) AS taken, CASE WHEN published THEN spaces ELSE least(stays, spaces) END AS spaces FROM counted)
SELECT json_build_object(
	'revenueToday', (SELECT coalesce(sum(total_price), 0)::numeric(14,2) FROM paid, clock WHERE paid_on = today),
	'bookingsToday', (SELECT count(*) FROM mine, clock WHERE created_on = today AND status <> 'cancelled'),
	'occupancyRate', (SELECT coalesce(round(sum(taken) * 100 / nullif(sum(spaces), 0), 1), 0.0) FROM offered),
	'growthPercentage', (SELECT CASE WHEN earlier > 0 THEN round((recent - earlier) * 100 / earlier, 1) WHEN recent > 0 THEN 100.0 ELSE 0.0 END FROM weeks),
	'activeListings', (SELECT count(*) FROM offered WHERE published),
	'pendingPayouts', (SELECT coalesce(sum(subtotal - fees), 0)::numeric(14,2) FROM paid WHERE status = 'completed'),
	'nextPayoutDate', (SELECT to_char(today + (12 - extract(dow FROM today)::int) % 7, 'YYYY-MM-DD') || 'T00:00:00-03:00' FROM clock))::text`

// metricsAgree reports whether the newest numbers that an owner's clients received are
// those of the tables.
func (s *soak) metricsAgree(ctx context.Context, o *soakOwner) (agree bool, got, want string) {
	if err := s.portal.Pool.GetContext(ctx, &want, metricsTruth, o.ID); err != nil {
		return false, "", err.Error()
	}
	for _, c := range s.clients {
		if c.owner != o {
			continue
		}
		c.mu.Lock()
		got = string(harness.ParseMessage(c.metrics).Data)
		c.mu.Unlock()
		if !sameFields(got, want) {
			return false, fmt.Sprintf("client %d: %s", c.number, got), want
		}
	}
	return true, got, want
}

// overviewAgrees reports whether the newest overview that an owner's clients received is
// the present one.
func (s *soak) overviewAgrees(ctx context.Context, store *db.Store, o *soakOwner) (agree bool, got, want string) {
	now, err := store.Dashboard(ctx, o.ID, time.Now())
	if err != nil {
		return false, "", err.Error()
	}
	text, err := json.Marshal(now.Overview)
	if err != nil {
		return false, "", err.Error()
	}
	for _, c := range s.clients {
		if c.owner != o {
			continue
		}
		c.mu.Lock()
		got = string(harness.ParseMessage(c.overview).Data)
		c.mu.Unlock()
		if !sameFields(got, string(text)) {
			return false, fmt.Sprintf("client %d: %s", c.number, got), string(text)
		}
	}
	return true, got, string(text)
}

// sameFields compares two JSON objects, their numbers by their digits.
func sameFields(a, b string) bool {
	var left, right map[string]json.RawMessage
	if json.Unmarshal([]byte(a), &left) != nil || json.Unmarshal([]byte(b), &right) != nil || len(left) != len(right) {
		return false
	}
	for name, value := range left {
		if string(value) != string(right[name]) {
			return false
		}
	}
	return true
}

// compare waits until everybody has caught up, and then compares everything with everything.
func (s *soak) compare(ctx context.Context) {
	var log *logContents
	lists := make([][]int32, len(s.clients))
	caught := time.Now()
	s.await("end of the log at every client", func() bool {
		var err error
		if log, err = s.readLog(ctx); err == nil {
			err = s.occupancySettled(ctx, log)
		}
		if err != nil {
			s.report.behind = err.Error()
			return false
		}
		return within(2*time.Second, func() bool { return s.caughtUp(log, lists) })
	})
	s.report.catchUp = time.Since(caught)
	s.report.events = len(log.rows)
	for i, c := range s.clients {
		want, err := log.after(c.owner.ID, c.first)
		if err != nil {
			s.fail("client %d: %v", i, err)
			continue
		}
		s.holds(c, lists[i], want)
	}
	if err := s.checkNotes(ctx, log); err != nil {
		s.fail("read the journal: %v", err)
	}
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		s.fail("load the zone: %v", err)
		return
	}
	store, err := db.NewStore(ctx, s.portal.Pool, zone)
	if err != nil {
		s.fail("read the portal's shape: %v", err)
		return
	}
	for _, o := range s.owners {
		tables, err := s.readTables(ctx, o.ID)
		if err != nil {
			s.fail("read the tables: %v", err)
			continue
		}
		for i, c := range s.clients {
			if c.owner == o {
				s.compareState(c, c.rebuildState(lists[i]), tables)
			}
		}
		var got, want string
		if !within(10*time.Second, func() (agree bool) { agree, got, want = s.metricsAgree(ctx, o); return }) {
			s.fail("owner %s: the metrics are %s, the tables say %s", o.ID, got, want)
		}
		if !within(10*time.Second, func() (agree bool) { agree, got, want = s.overviewAgrees(ctx, store, o); return }) {
			s.fail("owner %s: the overview is %s, and should be %s", o.ID, got, want)
		}
	}
}

// caughtUp reports whether every client holds the last event of its owner, and takes the
// lists if so.
func (s *soak) caughtUp(log *logContents, lists [][]int32) bool {
	for i, c := range s.clients {
		c.mu.Lock()
		if events := log.events[c.owner.ID]; c.last == "" || len(events) > 0 && c.last != events[len(events)-1].text {
			rest, err := log.after(c.owner.ID, cmp.Or(c.last, c.first))
			s.report.behind = fmt.Sprintf("client %d (late: %v, slow: %v) holds %d events up to %q and lacks %d (%v)",
				i, c.late, c.slow, len(c.events), c.last, len(rest), err)
			c.mu.Unlock()
			return false
		}
		lists[i] = append(lists[i][:0], c.events...)
		c.mu.Unlock()
	}
	return true
}
