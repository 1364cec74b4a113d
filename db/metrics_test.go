package db_test

import (
	"cmp"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

// metricsSeed repeats the run of a random seed that found a difference.
var metricsSeed = flag.Uint64("metrics.seed", 0, "seed of the random histories, instead of a new one")

// day is a calendar date, as the days since 1970-01-01.
type day int64

// dayOf returns the date that a calendar in loc shows at an instant.
func dayOf(at time.Time, loc *time.Location) day {
	y, m, d := at.In(loc).Date()
	return day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

func (d day) String() string { return time.Unix(int64(d)*24*60*60, 0).UTC().Format(time.DateOnly) }

func (d day) weekday() time.Weekday { return time.Unix(int64(d)*24*60*60, 0).UTC().Weekday() }

// start returns the first instant of the date in loc, found by halving: dates only grow
// in the zones of this test.
func (d day) start(loc *time.Location) time.Time {
	before, after := (int64(d)-2)*24*60*60, (int64(d)+2)*24*60*60
	for before+1 < after {
		if middle := (before + after) / 2; dayOf(time.Unix(middle, 0), loc) < d {
			before = middle
		} else {
			after = middle
		}
	}
	return time.Unix(after, 0).UTC()
}

// moment is what a column holds: an instant or, where the column is a date, a date. A nil
// moment is NULL.
type moment struct {
	at   time.Time
	date day
	bare bool // only date is known
}

func (m *moment) day(loc *time.Location) day {
	if m.bare {
		return m.date
	}
	return dayOf(m.at, loc)
}

// reached says whether the moment is not after now.
func (m *moment) reached(now time.Time, loc *time.Location) bool {
	if m.bare {
		return m.date <= dayOf(now, loc)
	}
	return !m.at.After(now)
}

// numbers are an owner's metrics as text, exactly as they have to be sent.
type numbers struct {
	revenue, occupancy, growth, pending, nextPayout string
	bookings, active                                int
}

// metrics computes an owner's numbers from the rows, one row after the other, in exact fractions.
func (h *history) metrics(owner string, now time.Time, loc *time.Location) numbers {
	var n numbers
	today := dayOf(now, loc)
	owned, published, spaces, occupied := map[string]bool{}, map[string]bool{}, map[string]int{}, map[string]int{}
	for _, l := range h.listings {
		if l.owner != owner {
			continue
		}
		owned[l.id] = true
		spaces[l.id] = 1
		if l.spaces != nil {
			spaces[l.id] = *l.spaces
		}
		if holds(l.status, "active") && l.available != nil && *l.available {
			n.active++
			published[l.id] = true
		}
	}
	revenue, pending, last, earlier := new(big.Rat), new(big.Rat), new(big.Rat), new(big.Rat)
	for _, b := range h.bookings {
		if !owned[b.listing] {
			continue
		}
		cancelled := holds(b.status, "cancelled")
		if b.created != nil && b.created.day(loc) == today && !cancelled {
			n.bookings++
		}
		if holds(b.status, "confirmed", "active") && b.in != nil && b.in.reached(now, loc) && b.out != nil && !b.out.reached(now, loc) {
			occupied[b.listing]++
		}
		payment, paid := h.paid(b)
		if !paid || cancelled {
			continue
		}
		if holds(b.status, "completed") && !h.paidOut(b) {
			pending.Add(pending, rational(b.subtotal))
			pending.Sub(pending, rational(b.fees))
		}
		if payment == nil {
			continue
		}
		switch age := today - payment.day(loc); {
		case age == 0:
			revenue.Add(revenue, rational(b.total))
			fallthrough
		case age >= 0 && age < 7:
			last.Add(last, rational(b.total))
		case age >= 7 && age < 14:
			earlier.Add(earlier, rational(b.total))
		}
	}
	all, taken := 0, 0
	for id, count := range spaces {
		taken += min(count, occupied[id])
		if published[id] {
			all += count
		} else { // off the market, perhaps because it is booked
			all += min(count, occupied[id])
		}
	}
	n.revenue, n.pending = rounded(revenue, 2), rounded(pending, 2)
	n.occupancy, n.growth = percentage(taken, all), growth(last, earlier)
	n.nextPayout = h.nextPayout(owner, today, loc)
	return n
}

// rounded writes a fraction with some decimals, halves away from zero. Zero has no sign.
func rounded(r *big.Rat, decimals int) string {
	text := r.FloatString(decimals)
	if strings.Trim(text, "-0.") == "" {
		return strings.TrimPrefix(text, "-")
	}
	return text
}

// growth returns how much more was paid in the last days than in as many days before.
func growth(last, earlier *big.Rat) string {
	switch {
	case last.Sign() == 0 && earlier.Sign() == 0:
		return "0.0"
	case earlier.Sign() == 0:
		return "100.0"
	}
	change := new(big.Rat).Sub(last, earlier)
	return rounded(change.Quo(change, earlier).Mul(change, big.NewRat(100, 1)), 1)
}

func percentage(part, whole int) string {
	if whole == 0 {
		return "0.0"
	}
	return rounded(big.NewRat(int64(part)*100, int64(whole)), 1)
}

// nextPayout returns the first instant of the next payout day, as it is sent.
func (h *history) nextPayout(owner string, today day, loc *time.Location) string {
	next := today
	for next.weekday() != time.Friday {
		next++
	}
	for _, p := range h.payouts {
		if p.owner == owner && !p.done && p.scheduled != nil && *p.scheduled >= today {
			next = min(next, *p.scheduled)
		}
	}
	return next.start(loc).In(loc).Format(time.RFC3339)
}

// paidStatus are the states of a paid booking, where no column says it.
var paidStatus = []string{"confirmed", "active", "completed"}

// paid says whether a booking counts as paid, and since when, which may be unknown.
func (h *history) paid(b *booking) (*moment, bool) {
	if h.hasPaymentDate() {
		return b.payment, b.payment != nil
	}
	if !holds(b.status, paidStatus...) {
		return nil, false
	}
	if noted, ok := h.noted[b.id]; ok {
		return &moment{at: noted}, true
	}
	return cmp.Or(b.updated, b.created), true
}

func (h *history) paidOut(b *booking) bool {
	return slices.ContainsFunc(h.payouts, func(p *payout) bool { return p.booking == b.id && p.done })
}

// holds says whether a text that may be NULL is one of the given.
func holds(text *string, states ...string) bool { return text != nil && slices.Contains(states, *text) }

// rational reads a price; what is not there counts nothing.
func rational(price *string) *big.Rat {
	r := new(big.Rat)
	if price != nil {
		if _, ok := r.SetString(*price); !ok {
			panic("no number: " + *price)
		}
	}
	return r
}

// sent returns metrics in the form in which the calculation gives them.
func sent(t *testing.T, m db.RealTimeMetrics) numbers {
	t.Helper()
	text := func(v interface{ MarshalJSON() ([]byte, error) }) string {
		b, err := v.MarshalJSON()
		must(t, err)
		return string(b)
	}
	return numbers{
		revenue: text(m.RevenueToday), occupancy: text(m.OccupancyRate), growth: text(m.GrowthPercentage),
		pending: text(m.PendingPayouts), nextPayout: m.NextPayoutDate.Format(time.RFC3339),
		bookings: m.BookingsToday, active: m.ActiveListings,
	}
}

// relaxed allows NULL wherever a portal may have forgotten to forbid it, and gives
// sessions a zone that must not matter.
const relaxed = `
DO $relax$
DECLARE name text; kept name;
BEGIN
	FOR name, kept IN SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relname IN ('bookings', 'hangar_bookings', 'hangar_listings') AND c.relkind = 'r' AND a.attnum > 0
			AND a.attnotnull AND a.attname NOT IN ('id', 'hangar_id', 'owner_id')
	LOOP EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', name, kept); END LOOP;
	EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Kathmandu');
END $relax$;`

// metricsVariants are all shapes of the portal's tables, and some that matter to numbers only.
func metricsVariants() []variant {
	dates := []string{"check_in       timestamp", "check_in date", "check_out      timestamp", "check_out date"}
	view := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(demo.ViewSchema) }
	return append(variants(),
		variant{name: "a view with dates", schema: view(dates...)},
		variant{name: "a view with instants", schema: view(" timestamp", " timestamptz", "(now() AT TIME ZONE 'utc')", "now()")},
		variant{name: "a view with uuid ids", schema: idColumn.ReplaceAllStringFunc(
			view("ALTER SEQUENCE public.bookings_id_seq RENAME TO hangar_bookings_id_seq;", ""), uuidColumn)},
		variant{name: "payment on a date", schema: retyped("payment_date   timestamp", "payment_date date")},
		variant{name: "prices of any scale", schema: retyped("numeric(12,2)", "numeric")},
	)
}

// uuidColumn makes a column of ids one of UUIDs.
func uuidColumn(column string) string {
	if strings.Contains(column, "IDENTITY") {
		return "id uuid DEFAULT gen_random_uuid()"
	}
	return strings.Replace(column, "integer", "uuid", 1)
}

// metricsCheck compares the store's numbers with the calculation's in one database.
type metricsCheck struct {
	portal     *dbtest.Portal
	stores     map[string]*db.Store
	projection *db.Projection
	zones      []string
	// met counts by field how often a number was not its usual zero, since zeros alone
	// would prove nothing.
	met map[string]int
}

// metricsZones lie far apart; in some of them midnight was skipped or came twice.
var metricsZones = []string{
	"America/Sao_Paulo", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "America/Havana", "UTC",
}

func newMetricsCheck(t *testing.T, v variant) *metricsCheck {
	t.Helper()
	p := v.migrated(t)
	p.Exec(t, relaxed)
	p = dbtest.Open(t, p.URL) // for the new setting
	c := &metricsCheck{portal: p, stores: map[string]*db.Store{}, zones: metricsZones, met: map[string]int{}}
	for _, zone := range c.zones {
		loc, err := time.LoadLocation(zone)
		must(t, err)
		c.stores[zone], err = db.NewStore(t.Context(), c.portal.Pool, loc)
		must(t, err)
	}
	c.projection = db.NewProjection(c.stores[c.zones[0]])
	return c
}

// keep lets the projection be behind, brings it up to date or prunes it, and sees that it never
// differs from the tables.
func (c *metricsCheck) keep(t *testing.T, h *history) {
	t.Helper()
	switch h.rng.IntN(4) {
	case 0:
		upkeep, err := c.projection.Apply(t.Context())
		must(t, err)
		if !upkeep.Valid {
			t.Errorf("%s: the projection is void", h.name)
		}
	case 1:
		must(t, c.projection.Prune(t.Context(), h.now))
	}
	for _, owner := range h.owners {
		trusted, difference, err := c.projection.Compare(t.Context(), owner, h.now)
		must(t, err)
		if difference != nil {
			t.Fatalf("%s: the projection differs: %+v\n%s", h.name, difference, h.dump(owner))
		}
		if trusted {
			c.met["projection"]++
		}
		c.compareListings(t, h, owner)
	}
}

// compareListings sees that the projection and the tables say the same of an owner's hangars, and
// the numbers of their spaces.
func (c *metricsCheck) compareListings(t *testing.T, h *history, owner string) {
	t.Helper()
	store := c.stores[c.zones[0]]
	byProjection, err := store.ListingsByProjection(t.Context(), owner, h.now)
	must(t, err)
	byTables, err := store.ListingsByTables(t.Context(), owner, h.now)
	must(t, err)
	if len(byProjection) > 0 && !slices.Equal(byProjection, byTables) {
		t.Fatalf("%s: listings by the projection\n%+v\nby the tables\n%+v\n%s", h.name, byProjection, byTables, h.dump(owner))
	}
	for _, l := range byProjection {
		if l.IsNowOccupied {
			c.met["occupant"]++
		}
	}
	d, err := store.Dashboard(t.Context(), owner, h.now)
	must(t, err)
	m, _, err := store.Metrics(t.Context(), owner, h.now)
	must(t, err)
	spaces, rate := d.Overview.Spaces, "0.0"
	if spaces.Offered > 0 {
		rate = new(big.Rat).SetFrac64(spaces.Occupied*100, spaces.Offered).FloatString(1)
	}
	if d.Metrics != m || string(m.OccupancyRate) != rate {
		t.Fatalf("%s: %+v beside %+v", h.name, d, m)
	}
	many, err := store.DashboardsAtOnce(t.Context(), h.owners, h.now)
	must(t, err)
	if one, answered := many[owner]; answered {
		c.met["many"]++
		if one != d {
			t.Fatalf("%s: asked with others %+v, alone %+v", h.name, one, d)
		}
	}
	basis := d.Overview.GrowthBasis
	if basis == db.GrowthNone && m.GrowthPercentage != "0.0" || basis == db.GrowthNew && m.GrowthPercentage != "100.0" {
		t.Fatalf("%s: growth %s is %s", h.name, m.GrowthPercentage, basis)
	}
	c.met[string(basis)]++
}

// compare asks for the numbers of each owner at one moment.
func (c *metricsCheck) compare(t *testing.T, h *history, zone string, now time.Time) {
	t.Helper()
	store := c.stores[zone]
	for _, owner := range h.owners {
		m, validity, err := store.Metrics(t.Context(), owner, now)
		must(t, err)
		until := validity.Until
		want := h.metrics(owner, now, store.Location())
		if !until.IsZero() { // nothing changes by itself before
			last := until.Add(-time.Microsecond)
			if last.Before(now.Truncate(time.Microsecond)) || h.metrics(owner, last, store.Location()) != want {
				t.Fatalf("%s: the numbers of owner %s at %s are said to hold until %s\n%s", h.name, owner, now.UTC().Format(time.RFC3339Nano),
					until.UTC().Format(time.RFC3339Nano), h.dump(owner))
			}
			if h.metrics(owner, until, store.Location()).occupancy != want.occupancy {
				c.met["until"]++
			}
		}
		if got := sent(t, m); got != want {
			t.Fatalf("%s: owner %s at %s, which is %s in %s:\n got %+v\nwant %+v\n%s", h.name, owner, now.UTC().Format(time.RFC3339Nano),
				now.In(store.Location()).Format(time.RFC3339Nano), zone, got, want, h.dump(owner))
		}
		for field, usual := range map[string]bool{
			"revenue": want.revenue == "0.00", "occupancy": want.occupancy == "0.0" || want.occupancy == "100.0",
			"growth": want.growth == "0.0" || want.growth == "100.0" || want.growth == "-100.0", "pending": want.pending == "0.00",
			"bookings": want.bookings == 0, "active": want.active == 0,
		} {
			if !usual {
				c.met[field]++
			}
		}
	}
}

// TestMetricsOfRandomHistories compares the numbers of random histories with a
// calculation of its own.
func TestMetricsOfRandomHistories(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2, rand.Uint64()}
	if *metricsSeed != 0 {
		seeds = []uint64{*metricsSeed}
	}
	t.Logf("the random seed is %d", seeds[len(seeds)-1])
	for i, v := range metricsVariants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			c := newMetricsCheck(t, v)
			for _, seed := range seeds {
				c.history(t, seed, uint64(i))
			}
			for _, field := range []string{"revenue", "occupancy", "growth", "pending", "bookings", "active", "projection", "until", "occupant", "compared", "none", "many"} {
				if *metricsSeed == 0 && c.met[field] < 10 {
					t.Errorf("only %d interesting numbers of %s were compared", c.met[field], field)
				}
			}
		})
	}
}

// history plays one random history and compares at moments around its days' edges. Each
// variant has another.
func (c *metricsCheck) history(t *testing.T, seed, variant uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, variant))
	zone := c.zones[rng.IntN(len(c.zones))]
	h := newHistory(t, c.portal, rng, c.stores[zone].Location())
	h.name = fmt.Sprintf("-metrics.seed=%d", seed)
	h.invent()
	h.write(t)
	must(t, c.projection.Invalidate(t.Context(), "")) // the triggers saw nothing of it
	c.around(t, h, zone)
	built, err := c.projection.Build(t.Context(), h.now)
	must(t, err)
	if !built {
		t.Fatalf("%s: the projection was not built", h.name)
	}
	c.around(t, h, zone)
	for range 12 {
		h.step(t)
		c.keep(t, h)
		c.compare(t, h, zone, h.instant())
	}
	c.around(t, h, zone)
	for _, other := range c.zones {
		c.compare(t, h, other, h.instant())
	}
}

// around compares at the first instants of the history's day and the next, beside them, and now.
func (c *metricsCheck) around(t *testing.T, h *history, zone string) {
	t.Helper()
	for _, start := range []time.Time{h.today.start(h.loc), (h.today + 1).start(h.loc)} {
		for _, beside := range []time.Duration{-time.Microsecond, 0, time.Microsecond} {
			c.compare(t, h, zone, start.Add(beside))
		}
	}
	c.compare(t, h, zone, h.now)
}
