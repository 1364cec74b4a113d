package db_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// calendarFixture is a portal whose calendar is looked at in one zone.
type calendarFixture struct {
	*dbtest.Portal
	store      *db.Store
	projection *db.Projection
	owner      dbtest.Owner
	guest      string
	loc        *time.Location
	dates      bool
	stays      map[string]wanted
	found      map[time.Time]time.Time
}

func variantOf(t *testing.T, name string) variant {
	t.Helper()
	i := slices.IndexFunc(variants(), func(v variant) bool { return v.name == name })
	if i < 0 {
		t.Fatalf("no variant is called %q", name)
	}
	return variants()[i]
}

func newCalendarFixture(t *testing.T, v variant, zone string, hangars int) *calendarFixture {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	must(t, err)
	p := v.migrated(t)
	// A portal may check less than the demo's does.
	p.Exec(t, `ALTER TABLE bookings DROP CONSTRAINT bookings_dates_check; ALTER TABLE hangar_listings DROP CONSTRAINT hangar_listings_total_spaces_check`)
	store, err := db.NewStore(t.Context(), p.Pool, loc)
	must(t, err)
	return &calendarFixture{Portal: p, store: store, projection: db.NewProjection(store), owner: p.AddOwner(t, hangars),
		guest: p.AddGuest(t, "Ana", "Reis"), loc: loc, dates: v.name == "dates", stays: make(map[string]wanted), found: make(map[time.Time]time.Time)}
}

// write makes a moment what this portal's columns hold.
func (c *calendarFixture) write(at time.Time) string {
	if c.dates {
		return at.Format(time.DateOnly)
	}
	return at.UTC().Format("2006-01-02 15:04:05.999999")
}

func (c *calendarFixture) book(t *testing.T, hangar, status string, in, out time.Time) string {
	t.Helper()
	id := c.ID(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) VALUES ($1, $2, $3, $4, 1, 200, 20, 220.50, $5) RETURNING id::text`,
		hangar, c.guest, c.write(in), c.write(out), status)
	c.stays[id] = wanted{id, hangar, status, in, out}
	return id
}

func (c *calendarFixture) build(t *testing.T, now time.Time) {
	t.Helper()
	built, err := c.projection.Build(t.Context(), now)
	must(t, err)
	if !built {
		t.Fatal("the projection was not built")
	}
}

func date(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}

// window asks for n days from a date on.
func window(from string, n int) db.CalendarQuery {
	return db.CalendarQuery{From: date(from), To: date(from).AddDate(0, 0, n)}
}

// agrees holds a calendar against the oracle.
func (c *calendarFixture) agrees(t *testing.T, what string, q db.CalendarQuery, got db.BookingCalendar) {
	t.Helper()
	o := oracle{c.loc, c.dates, q.From, int(q.To.Sub(q.From).Hours() / 24), c.found}
	nights, arrivals := make([]int64, o.days), make([]int64, o.days)
	for _, h := range got.Hangars {
		var own []wanted
		for _, s := range c.stays {
			if s.hangar == h.HangarID && (s.status != "cancelled" || q.Cancelled) {
				own = append(own, s)
			}
		}
		if want, cells := o.cells(own, int(h.Spaces)), cellsOf(h); !slices.Equal(want, cells) {
			t.Errorf("%s, hangar %s from %s: cells\n%q, want\n%q", what, h.HangarNumber, q.From.Format(time.DateOnly), cells, want)
		}
		if want, bars := o.bars(own), barsOf(got, h.HangarID); !slices.Equal(want, bars) {
			t.Errorf("%s, hangar %s from %s: bars\n%q, want\n%q", what, h.HangarNumber, q.From.Format(time.DateOnly), bars, want)
		}
		for day := range o.days {
			nights[day] += min(int64(h.Nights[day]), h.Spaces)
			arrivals[day] += int64(h.Arrivals[day])
		}
	}
	for i, day := range got.Days {
		start, end := o.start(i), o.start(i+1)
		if !day.Start.Equal(start) || day.Hours != end.Sub(start).Hours() || day.Nights != nights[i] || day.Arrivals != arrivals[i] {
			t.Errorf("%s: day %s is %+v, and should begin at %s, end at %s and have %d nights and %d arrivals", what, day.Date, day, start, end, nights[i], arrivals[i])
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// TestCalendarAgreesWithOracle holds random histories against brute force: in zones with days of 23
// and 25 hours, with midnights that are not or come twice, and with a date that is not; in both
// kinds of columns; from the projection, also before it has read what changed, and from the tables.
func TestCalendarAgreesWithOracle(t *testing.T) {
	t.Parallel()
	statuses := []string{"confirmed", "confirmed", "active", "completed", "pending", "cancelled"}
	for _, place := range []struct{ zone, around string }{
		{"America/Sao_Paulo", "2018-11-04"}, {"America/Sao_Paulo", "2018-02-17"}, {"America/Manaus", "2019-03-01"},
		{"UTC", "2017-12-31"}, {"Pacific/Apia", "2011-12-30"},
	} {
		for _, v := range []variant{variantOf(t, "a table"), variantOf(t, "dates")} {
			t.Run(fmt.Sprint(place.zone, " ", place.around, " ", v.name), func(t *testing.T) {
				t.Parallel()
				seed := rand.Uint64()
				r := rand.New(rand.NewPCG(seed, 17))
				t.Logf("seed %d", seed)
				c := newCalendarFixture(t, v, place.zone, 3)
				c.Exec(t, `UPDATE hangar_listings SET total_spaces = 3 WHERE id = $1`, c.owner.Hangars[1])
				c.Exec(t, `UPDATE hangar_listings SET total_spaces = 0 WHERE id = $1`, c.owner.Hangars[2])
				middle := date(place.around)
				moment := func() time.Time {
					at := middle.AddDate(0, 0, r.IntN(24)-12)
					if c.dates {
						return at
					}
					y, m, d := at.Date()
					clock := [][2]int{{0, 0}, {23, 59}, {14, 0}, {11, 30}, {1, 0}, {r.IntN(24), r.IntN(60)}}[r.IntN(6)]
					return time.Date(y, m, d, clock[0], clock[1], 0, 0, c.loc)
				}
				stay := func() (in, out time.Time) {
					for {
						in, out = moment(), moment()
						o := oracle{c.loc, c.dates, middle, 1, c.found}
						if begin, end := o.ends(wanted{in: in, out: out}); begin.Before(end) {
							return in, out
						}
					}
				}
				add := func(n int) {
					for range n {
						in, out := stay()
						c.book(t, c.owner.Hangars[r.IntN(3)], statuses[r.IntN(len(statuses))], in, out)
					}
				}
				add(40)
				c.build(t, middle)
				check := func(what string) {
					q := db.CalendarQuery{From: middle.AddDate(0, 0, r.IntN(12)-8), Cancelled: r.IntN(2) == 0}
					q.To = q.From.AddDate(0, 0, 1+r.IntN(12))
					kept, err := c.store.CalendarByProjection(t.Context(), c.owner.ID, q)
					must(t, err)
					c.agrees(t, what+", projection", q, kept)
					read, err := c.store.CalendarByTables(t.Context(), c.owner.ID, q)
					must(t, err)
					c.agrees(t, what+", tables", q, read)
				}
				for range 4 {
					check("built")
				}
				for round := range 6 {
					add(3)
					ids := make([]string, 0, len(c.stays))
					for id := range c.stays {
						ids = append(ids, id)
					}
					slices.Sort(ids)
					for range 6 {
						s := c.stays[ids[r.IntN(len(ids))]]
						if s.id == "" { // deleted by now
							continue
						}
						switch r.IntN(4) {
						case 0:
							c.Exec(t, `DELETE FROM bookings WHERE id = $1`, s.id)
							delete(c.stays, s.id)
							continue
						case 1:
							s.status = statuses[r.IntN(len(statuses))]
						case 2:
							s.hangar = c.owner.Hangars[r.IntN(3)]
						default:
							s.in, s.out = stay()
						}
						c.stays[s.id] = s
						c.Exec(t, `UPDATE bookings SET status = $2, hangar_id = $3, check_in = $4, check_out = $5 WHERE id = $1`, s.id, s.status, s.hangar,
							c.write(s.in), c.write(s.out))
					}
					check("before the projection knows")
					if round%2 == 0 {
						upkeep, err := c.projection.Apply(t.Context())
						must(t, err)
						if !upkeep.Valid || upkeep.Fresh == 0 {
							t.Fatalf("the projection was not brought up to date: %+v", upkeep)
						}
						check("applied")
					}
				}
			})
		}
	}
}

// TestCalendarSource sees who answers: the projection for the last 62 days, also after it was
// pruned, and the tables before that.
func TestCalendarSource(t *testing.T) {
	t.Parallel()
	c := newCalendarFixture(t, variantOf(t, "a table"), "America/Sao_Paulo", 1)
	now := time.Now()
	day := func(n int) time.Time { return now.AddDate(0, 0, n).Truncate(24 * time.Hour) }
	for _, n := range []int{-400, -80, -61, -30, 0, 30} {
		c.book(t, c.owner.Hangars[0], "completed", day(n).Add(17*time.Hour), day(n+1).Add(14*time.Hour))
	}
	c.build(t, now)
	must(t, c.projection.Prune(t.Context(), now))
	for from, projected := range map[int]bool{-62: true, -63: true, -66: false, -400: false, 1: true} {
		q := db.CalendarQuery{From: day(from), To: day(from + 90)}
		_, err := c.store.CalendarByProjection(t.Context(), c.owner.ID, q)
		if (err == nil) != projected || err != nil && !errors.Is(err, db.ErrNotProjected) {
			t.Errorf("from %d days ago the projection answers %v", -from, err)
		}
		got, err := c.store.Calendar(t.Context(), c.owner.ID, q)
		must(t, err)
		c.agrees(t, "asked", q, got)
	}
	must(t, c.projection.Invalidate(t.Context(), c.owner.ID))
	q := db.CalendarQuery{From: day(-7), To: day(7)}
	if _, err := c.store.CalendarByProjection(t.Context(), c.owner.ID, q); !errors.Is(err, db.ErrNotProjected) {
		t.Errorf("a projection that is not to be believed answers %v", err)
	}
	got, err := c.store.Calendar(t.Context(), c.owner.ID, q)
	must(t, err)
	c.agrees(t, "not to be believed", q, got)
}

// TestCalendarDaysOfChange is about the days on which clocks change in São Paulo, and the hours
// around midnight.
func TestCalendarDaysOfChange(t *testing.T) {
	t.Parallel()
	c := newCalendarFixture(t, variantOf(t, "a table"), "America/Sao_Paulo", 1)
	at := func(text string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04", text, c.loc)
		must(t, err)
		return when
	}
	h := c.owner.Hangars[0]
	c.book(t, h, "confirmed", at("2018-11-03 23:59"), at("2018-11-05 00:00"))
	c.book(t, h, "confirmed", at("2018-02-16 14:00"), at("2018-02-18 00:00"))
	first, err := c.store.Calendar(t.Context(), c.owner.ID, window("2018-11-03", 3))
	must(t, err)
	if d := first.Days[1]; d.Hours != 23 || d.Start.Format(time.RFC3339) != "2018-11-04T01:00:00-02:00" {
		t.Errorf("4 November 2018 is %+v", d)
	}
	if got := cellsOf(first.Hangars[0]); !slices.Equal(got, []string{
		"1 nights, 1 in, 0 out, 0 over", "1 nights, 0 in, 0 out, 0 over", "0 nights, 0 in, 1 out, 0 over"}) {
		t.Errorf("3 to 5 November 2018: %q", got)
	}
	second, err := c.store.Calendar(t.Context(), c.owner.ID, window("2018-02-16", 3))
	must(t, err)
	if second.Days[1].Hours != 25 {
		t.Errorf("17 February 2018 has %v hours", second.Days[1].Hours)
	}
	if got := second.Hangars[0].Nights; !slices.Equal(got, []int{1, 1, 0}) {
		t.Errorf("16 to 18 February 2018: nights %v", got)
	}
}

// TestCalendarTurnover: one leaves and another comes on one day, in the same minute, and with a
// negative gap.
func TestCalendarTurnover(t *testing.T) {
	t.Parallel()
	c := newCalendarFixture(t, variantOf(t, "a table"), "America/Sao_Paulo", 2)
	noon := time.Date(2026, 3, 12, 12, 0, 0, 0, c.loc)
	same, overlap := c.owner.Hangars[0], c.owner.Hangars[1]
	c.book(t, same, "confirmed", noon.AddDate(0, 0, -2), noon)
	c.book(t, same, "confirmed", noon, noon.AddDate(0, 0, 2))
	c.book(t, overlap, "confirmed", noon.AddDate(0, 0, -2), noon.Add(time.Minute))
	c.book(t, overlap, "confirmed", noon, noon.AddDate(0, 0, 2))
	got, err := c.store.Calendar(t.Context(), c.owner.ID, window("2026-03-10", 5))
	must(t, err)
	c.agrees(t, "turnover", window("2026-03-10", 5), got)
	over := func(i int) int { return got.Hangars[i].Over[2] }
	if over(0) != 0 || over(1) != 1 || got.Days[2].Spaces != 2 || got.Days[2].Nights != 2 {
		t.Errorf("over-booked by %d and %d, %+v", over(0), over(1), got.Days[2])
	}
}

// TestCalendarSpaces: 1, 10, none said, 0, lowered below the stays that there are; and one that is
// not published.
func TestCalendarSpaces(t *testing.T) {
	t.Parallel()
	c := newCalendarFixture(t, variantOf(t, "a table"), "UTC", 5)
	for i, spaces := range []string{"1", "10", "NULL", "0", "3"} {
		c.Exec(t, `UPDATE hangar_listings SET total_spaces = `+spaces+` WHERE id = $1`, c.owner.Hangars[i])
		for range 2 {
			c.book(t, c.owner.Hangars[i], "confirmed", date("2026-03-10").Add(14*time.Hour), date("2026-03-11").Add(12*time.Hour))
		}
	}
	c.Exec(t, `UPDATE hangar_listings SET total_spaces = 1 WHERE id = $1`, c.owner.Hangars[4])
	c.Exec(t, `UPDATE hangar_listings SET is_available = false WHERE id = $1`, c.owner.Hangars[1])
	q := window("2026-03-10", 1)
	got, err := c.store.Calendar(t.Context(), c.owner.ID, q)
	must(t, err)
	c.agrees(t, "spaces", q, got)
	var over []int
	for _, h := range got.Hangars {
		over = append(over, h.Over[0])
	}
	if !slices.Equal(over, []int{1, 0, 1, 2, 1}) {
		t.Errorf("over-booked by %v", over)
	}
	if d := got.Days[0]; d.Spaces != 1+2+1+0+1 || d.Nights != 1+2+1+0+1 {
		t.Errorf("the day has %d of %d", d.Nights, d.Spaces)
	}
}

// TestCalendarTellsWhatChanged: a stay that is cancelled, deleted, moved to another hangar or
// owner.
func TestCalendarTellsWhatChanged(t *testing.T) {
	t.Parallel()
	c := newCalendarFixture(t, variantOf(t, "a table"), "UTC", 2)
	other := c.AddOwner(t, 1)
	var ids []string
	for range 5 {
		ids = append(ids, c.book(t, c.owner.Hangars[0], "confirmed", date("2026-03-10").Add(14*time.Hour), date("2026-03-11").Add(12*time.Hour)))
	}
	q := window("2026-03-10", 2)
	c.build(t, date("2026-03-10"))
	c.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id = $1`, ids[0])
	c.Exec(t, `DELETE FROM bookings WHERE id = $1`, ids[1])
	c.Exec(t, `UPDATE bookings SET hangar_id = $2 WHERE id = $1`, ids[2], c.owner.Hangars[1])
	c.Exec(t, `UPDATE bookings SET hangar_id = $2 WHERE id = $1`, ids[3], other.Hangars[0])
	q.Changed = append(slices.Clone(ids), "999999", "no id", ids[0])
	got, err := c.store.Calendar(t.Context(), c.owner.ID, q)
	must(t, err)
	var told []string
	for _, s := range got.Stays {
		told = append(told, s.BookingID+" in "+s.HangarID)
	}
	slices.Sort(told)
	want := []string{ids[2] + " in " + c.owner.Hangars[1], ids[4] + " in " + c.owner.Hangars[0]}
	slices.Sort(want)
	if !slices.Equal(told, want) || !slices.Equal(got.Gone, []string{ids[0], ids[1], ids[3], "999999", "no id"}) {
		t.Errorf("told %q, gone %q", told, got.Gone)
	}
	if got.Hangars[0].Nights[0] != 1 || got.Hangars[1].Nights[0] != 1 || got.Days[0].Nights != 2 {
		t.Errorf("nights %v and %v", got.Hangars[0].Nights, got.Hangars[1].Nights)
	}
}

// TestCalendarOddDates: what cannot be drawn is told beside, where the dates that it has are.
func TestCalendarOddDates(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{variantOf(t, "a table"), variantOf(t, "dates")} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			c := newCalendarFixture(t, v, "America/Sao_Paulo", 1)
			c.Exec(t, `ALTER TABLE bookings ALTER check_in DROP NOT NULL, ALTER check_out DROP NOT NULL`)
			add := func(in, out string) {
				t.Helper()
				c.Exec(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, fees, total_price, status)
					VALUES ($1, $2, nullif($3, '')::timestamp, nullif($4, '')::timestamp, 1, 1, 1, 1, 'confirmed')`, c.owner.Hangars[0], c.guest, in, out)
			}
			add("", "")
			add("2026-03-12", "2026-03-12")
			add("2026-03-12", "2026-03-08")
			add("2026-03-12", "infinity")
			add("-infinity", "2026-03-12")
			add("2026-03-12", "12000-01-01")
			add("2026-05-12", "infinity")
			add("2026-03-12 15:00", "9999-12-01")
			q := window("2026-03-10", 5)
			c.build(t, date("2026-03-10"))
			for _, read := range []func() (db.BookingCalendar, error){
				func() (db.BookingCalendar, error) { return c.store.CalendarByProjection(t.Context(), c.owner.ID, q) },
				func() (db.BookingCalendar, error) { return c.store.CalendarByTables(t.Context(), c.owner.ID, q) },
			} {
				got, err := read()
				must(t, err)
				if got.UncertainCount != 6 || len(got.Uncertain) != 6 || got.Uncertain[0].GuestName != "Ana Reis" {
					t.Errorf("%d uncertain: %+v", got.UncertainCount, got.Uncertain)
				}
				if len(got.Stays) != 1 || !got.Stays[0].CutRight || !slices.Equal(got.Hangars[0].Nights, []int{0, 0, 1, 1, 1}) {
					t.Errorf("drawn: %+v, %v", got.Stays, got.Hangars[0].Nights)
				}
			}
		})
	}
}

// TestCalendarPages: 500 hangars in pages, one that goes meanwhile, one with more stays than are
// told.
func TestCalendarPages(t *testing.T) {
	t.Parallel()
	c := newCalendarFixture(t, variantOf(t, "a table"), "UTC", 5)
	c.Exec(t, `INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate, total_spaces)
		SELECT $1, 'N' || n, 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100, 1 FROM generate_series(6, 500) n`, c.owner.ID)
	crowded := c.owner.Hangars[3]
	c.Exec(t, `INSERT INTO bookings (`+dbtest.BookingColumns+`) SELECT $1, $2, '2026-03-10 14:00', '2026-03-11 12:00', 1, 1, 1, 1, 'confirmed'
		FROM generate_series(1, 5000)`, crowded, c.guest)
	q := window("2026-03-10", 10)
	var told []string
	for pages := 0; ; pages++ {
		got, err := c.store.Calendar(t.Context(), c.owner.ID, q)
		must(t, err)
		for _, h := range got.Hangars {
			told = append(told, h.HangarID)
			if h.HangarID == crowded && (h.Nights[0] != 5000 || !slices.Equal(got.Counted, []string{crowded})) {
				t.Errorf("the crowded hangar: %v, counted %v", h.Nights, got.Counted)
			}
		}
		if len(got.Hangars) > db.CalendarHangars || len(got.Stays) > db.CalendarStays || got.Days[0].Nights != 1 || len(got.AllHangars) != 500-min(pages, 1) {
			t.Errorf("page %d: %d hangars, %d stays, day %+v", pages, len(got.Hangars), len(got.Stays), got.Days[0])
		}
		if q.Cursor = got.Next; q.Cursor == "" {
			break
		}
		if pages == 0 { // the last one of the page goes
			gone := got.Hangars[len(got.Hangars)-1].HangarID
			c.Exec(t, `DELETE FROM hangar_listings WHERE id = $1`, gone)
		}
	}
	slices.Sort(told)
	if distinct := slices.Compact(slices.Clone(told)); len(told) < 499 || len(distinct) != len(told) {
		t.Errorf("%d hangars told, %d of them different", len(told), len(distinct))
	}
	one := window("2026-03-10", 7)
	one.HangarID = crowded
	got, err := c.store.Calendar(t.Context(), c.owner.ID, one)
	must(t, err)
	if len(got.Hangars) != 1 || len(got.Stays) != 0 || len(got.Counted) != 1 || got.Next != "" {
		t.Errorf("5,000 of one hangar: %d hangars, %d stays, counted %v", len(got.Hangars), len(got.Stays), got.Counted)
	}
	c.Exec(t, `DELETE FROM bookings WHERE id IN (SELECT id FROM bookings LIMIT 4000)`)
	if got, err = c.store.Calendar(t.Context(), c.owner.ID, one); err != nil || len(got.Stays) != 1000 {
		t.Errorf("1,000 of one hangar: %d stays, %v", len(got.Stays), err)
	}
	one.To = one.To.AddDate(0, 0, 1)
	if got, err = c.store.Calendar(t.Context(), c.owner.ID, one); err != nil || len(got.Stays) != 0 || len(got.Counted) != 1 {
		t.Errorf("1,000 in eight days: %d stays, %v", len(got.Stays), err)
	}
	one.HangarID = strconv.Itoa(1 << 30)
	if _, err := c.store.Calendar(t.Context(), c.owner.ID, one); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a hangar of nobody: %v", err)
	}
	for _, cursor := range []string{"x", "!", "MA", "LTEgMQ"} {
		q.Cursor = cursor
		if _, err := c.store.Calendar(t.Context(), c.owner.ID, q); !errors.Is(err, db.ErrInvalidID) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

// TestCalendarVariants reads the calendar of every shape of the portal's tables.
func TestCalendarVariants(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			l := newOccupancyFixture(t, v.migrated(t))
			l.stay(t, l.hangar, "Ana Reis", "confirmed", l.day(10), l.day(12))
			store, err := db.NewStore(t.Context(), l.Pool, l.loc)
			must(t, err)
			built, err := db.NewProjection(store).Build(t.Context(), l.day(10))
			must(t, err)
			if !built {
				t.Fatal("not built")
			}
			for _, read := range []func(db.CalendarQuery) (db.BookingCalendar, error){
				func(q db.CalendarQuery) (db.BookingCalendar, error) {
					return store.CalendarByProjection(t.Context(), l.owner, q)
				},
				func(q db.CalendarQuery) (db.BookingCalendar, error) {
					return store.CalendarByTables(t.Context(), l.owner, q)
				},
			} {
				got, err := read(window("2026-03-09", 4))
				must(t, err)
				if len(got.Stays) != 1 || got.Stays[0].GuestName != "Ana Reis" || got.Stays[0].Amount != "1.00" || !got.Stays[0].CheckIn.Equal(l.day(10)) ||
					!slices.Equal(got.Hangars[0].Nights, []int{0, 1, 1, 0}) || !slices.Equal(got.Hangars[0].Departures, []int{0, 0, 0, 1}) {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}
