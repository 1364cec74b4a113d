package db_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// occupancyFixture is one hangar of one owner in any variant of the portal, and what is logged of
// its occupation.
type occupancyFixture struct {
	*dbtest.Portal
	occupancy           *db.Occupancy
	loc                 *time.Location
	owner, hangar, user string
	dates               bool // check_in is a date
	zoned               bool
	mark                int64
}

func newOccupancyFixture(t *testing.T, p *dbtest.Portal) *occupancyFixture {
	t.Helper()
	loc, err := time.LoadLocation("America/Sao_Paulo")
	must(t, err)
	store, err := db.NewStore(t.Context(), p.Pool, loc)
	must(t, err)
	l := &occupancyFixture{Portal: p, occupancy: db.NewOccupancy(store), loc: loc}
	l.user = p.AddGuest(t, "Olga", "Prado")
	l.owner = p.ID(t, `INSERT INTO hangar_owners (user_id, company_name) VALUES ($1, 'Hangares Prado') RETURNING id::text`, l.user)
	l.hangar = l.addHangar(t, "H1")
	var kind string
	must(t, p.Pool.Get(&kind, `SELECT data_type FROM information_schema.columns WHERE column_name = 'check_in' LIMIT 1`))
	l.dates, l.zoned = kind == "date", kind == "timestamp with time zone"
	return l
}

func (l *occupancyFixture) addHangar(t *testing.T, number string) string {
	t.Helper()
	return l.ID(t, `INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
		VALUES ($1, $2, 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100) RETURNING id::text`, l.owner, number)
}

// stay books the hangar, by instants that are midnights in São Paulo, as this variant writes them.
func (l *occupancyFixture) stay(t *testing.T, hangar, guest, status string, from, to time.Time) (id string) {
	t.Helper()
	written := func(at time.Time) string {
		switch {
		case l.dates:
			return at.In(l.loc).Format(time.DateOnly)
		case l.zoned:
			return at.Format(time.RFC3339)
		}
		return at.UTC().Format("2006-01-02 15:04:05")
	}
	first, last, _ := strings.Cut(guest, " ")
	user := l.AddGuest(t, first, last)
	return l.ID(t, `INSERT INTO bookings (hangar_id, user_id, check_in, check_out, nights, subtotal, total_price, status)
		VALUES ($1, $2, $3, $4, 1, 1, 1, $5) RETURNING id::text`, hangar, user, written(from), written(to), status)
}

// reconcile reconciles and tells what was logged.
func (l *occupancyFixture) reconcile(t *testing.T, now time.Time, hangars, reached []string) []string {
	t.Helper()
	must(t, l.Pool.Get(&l.mark, `SELECT coalesce(max(id), 0) FROM realtime.events`))
	count, err := l.occupancy.Reconcile(t.Context(), now, hangars, reached)
	must(t, err)
	told := []string{}
	must(t, l.Pool.Select(&told, `SELECT CASE type WHEN 'occupancy_changed' THEN
			format('%s %s: %s > %s', data->>'hangarNumber', CASE data->>'isNowOccupied' WHEN 'true' THEN 'occupied' ELSE 'empty' END,
				data->>'previousOccupant', data->>'newOccupant')
			ELSE type END || CASE WHEN owner_id = $2 THEN '' ELSE ' of a stranger' END
		FROM realtime.events WHERE id > $1 ORDER BY id`, l.mark, l.owner))
	if count != len(told) {
		t.Errorf("Settle says that it logged %d rows; %d are there", count, len(told))
	}
	return told
}

func (l *occupancyFixture) expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: logged %q, want %q", what, got, want)
	}
}

// day is midnight in São Paulo.
func (l *occupancyFixture) day(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, l.loc) }

func TestOccupancyVariants(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			l := newOccupancyFixture(t, v.migrated(t))
			own := []string{l.hangar}
			l.stay(t, l.hangar, "Ana Reis", "confirmed", l.day(10), l.day(12))
			l.stay(t, l.hangar, "Bia Luz", "active", l.day(12), l.day(13))
			for _, status := range []string{"pending", "cancelled", "completed"} {
				l.stay(t, l.hangar, "Nobody", status, l.day(9), l.day(20))
			}
			l.expect(t, "first of all", l.reconcile(t, l.day(9), nil, nil))
			l.expect(t, "a second before", l.reconcile(t, l.day(10).Add(-time.Second), own, nil))
			l.expect(t, "check-in", l.reconcile(t, l.day(10), own, own), "H1 occupied:  > Ana Reis", "changed")
			l.expect(t, "once more", l.reconcile(t, l.day(10), own, nil))
			l.expect(t, "in between", l.reconcile(t, l.day(12).Add(-time.Second), nil, nil))
			l.expect(t, "hand-over", l.reconcile(t, l.day(12), own, own), "changed")
			l.expect(t, "check-out", l.reconcile(t, l.day(13), own, own), "H1 empty: Bia Luz > ", "changed")
			l.expect(t, "afterwards", l.reconcile(t, l.day(14), nil, nil))

			due, err := l.occupancy.Transitions(t.Context(), l.day(10), l.day(12))
			must(t, err)
			slices.SortFunc(due, func(a, b db.Transition) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.HangarID, b.HangarID)) })
			var told []string
			for _, b := range due {
				if b.HangarID != l.hangar {
					t.Errorf("hangar %s is due", b.HangarID)
				}
				told = append(told, b.At.In(l.loc).Format(time.RFC3339))
			}
			// Ana leaves, Bia arrives; that Ana arrived on the 10th is past
			midnight := l.day(12).Format(time.RFC3339)
			l.expect(t, "due", told, midnight, midnight)
			if due, err := l.occupancy.Transitions(t.Context(), l.day(12), l.day(13).Add(-time.Second)); err != nil || len(due) != 0 {
				t.Errorf("due before the last check-out: %v (%v)", due, err)
			}
		})
	}
}

func TestOccupancySpaces(t *testing.T) {
	t.Parallel()
	l := newOccupancyFixture(t, dbtest.New(t))
	l.Exec(t, `UPDATE hangar_listings SET total_spaces = 2`)
	own := []string{l.hangar}
	l.stay(t, l.hangar, "Ana Reis", "confirmed", l.day(10), l.day(12))
	l.stay(t, l.hangar, "Bia Luz", "confirmed", l.day(11), l.day(13))
	l.reconcile(t, l.day(9), nil, nil)
	l.expect(t, "the first arrives", l.reconcile(t, l.day(10), own, own), "H1 occupied:  > Ana Reis", "changed")
	l.expect(t, "the second arrives", l.reconcile(t, l.day(11), own, own), "changed")
	l.expect(t, "the first leaves", l.reconcile(t, l.day(12), own, own), "changed")
	l.expect(t, "the second leaves", l.reconcile(t, l.day(13), own, own), "H1 empty: Bia Luz > ", "changed")
}

func TestOccupancyFirstSettle(t *testing.T) {
	t.Parallel()
	l := newOccupancyFixture(t, dbtest.New(t))
	l.stay(t, l.hangar, "Ana Reis", "confirmed", l.day(10), l.day(12))
	// it was so before anybody looked
	l.expect(t, "first of all", l.reconcile(t, l.day(11), nil, nil))
	second := l.addHangar(t, "H2")
	l.stay(t, second, "Bia Luz", "confirmed", l.day(10), l.day(12))
	l.expect(t, "a new hangar counts as empty before", l.reconcile(t, l.day(11), nil, nil), "H2 occupied:  > Bia Luz")
}

// TestOccupancyAfterHours is a server that was away while stays began and ended.
func TestOccupancyAfterHours(t *testing.T) {
	t.Parallel()
	l := newOccupancyFixture(t, dbtest.New(t))
	second, third := l.addHangar(t, "H2"), l.addHangar(t, "H3")
	l.stay(t, l.hangar, "Ana Reis", "confirmed", l.day(10), l.day(11))
	l.stay(t, second, "Bia Luz", "confirmed", l.day(10), l.day(20))
	l.stay(t, third, "Caio Dias", "confirmed", l.day(5), l.day(10))
	l.reconcile(t, l.day(9), nil, nil)
	again, err := db.NewStore(t.Context(), l.Pool, l.loc)
	must(t, err)
	l.occupancy = db.NewOccupancy(again)
	got := l.reconcile(t, l.day(12), nil, nil)
	slices.Sort(got)
	l.expect(t, "back again", got, "H2 occupied:  > Bia Luz", "H3 empty: Caio Dias > ")
	l.expect(t, "once more", l.reconcile(t, l.day(12), nil, nil))
}

func TestOccupancyRowsChange(t *testing.T) {
	t.Parallel()
	l := newOccupancyFixture(t, dbtest.New(t))
	own := []string{l.hangar}
	ana := l.stay(t, l.hangar, "Ana Reis", "pending", l.day(10), l.day(20))
	l.reconcile(t, l.day(9), nil, nil)
	now := l.day(11)
	l.expect(t, "pending", l.reconcile(t, now, own, nil))
	l.Exec(t, `UPDATE bookings SET status = 'confirmed' WHERE id = $1`, ana)
	l.expect(t, "confirmed", l.reconcile(t, now, own, nil), "H1 occupied:  > Ana Reis")
	l.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id = $1`, ana)
	l.expect(t, "cancelled", l.reconcile(t, now, own, nil), "H1 empty: Ana Reis > ")
	l.Exec(t, `UPDATE bookings SET status = 'active', check_in = '-infinity', check_out = 'infinity' WHERE id = $1`, ana)
	l.expect(t, "without end", l.reconcile(t, now, own, nil), "H1 occupied:  > Ana Reis")
	if due, err := l.occupancy.Transitions(t.Context(), l.day(1), l.day(28)); err != nil || len(due) != 0 {
		t.Errorf("a stay without end is transitions: %v (%v)", due, err)
	}
	l.expect(t, "another hangar", l.reconcile(t, now, []string{l.addHangar(t, "H2")}, nil))
	l.expect(t, "no hangar", l.reconcile(t, l.day(30), []string{}, nil))
	l.expect(t, "an unknown hangar", l.reconcile(t, now, []string{"999999"}, []string{"999999"}))

	other := l.ID(t, `INSERT INTO hangar_owners (user_id, company_name) VALUES ($1, 'Outra') RETURNING id::text`, l.user)
	l.Exec(t, `UPDATE hangar_listings SET owner_id = $1 WHERE id = $2`, other, l.hangar)
	l.expect(t, "another owner's", l.reconcile(t, now, nil, nil))
	l.Exec(t, `UPDATE hangar_listings SET owner_id = $1 WHERE id = $2`, l.owner, l.hangar)
}

func TestOccupancyListingGoes(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprintf("looking at all: %v", all), func(t *testing.T) {
			t.Parallel()
			l := newOccupancyFixture(t, dbtest.New(t))
			l.Exec(t, cascade)
			l.stay(t, l.hangar, "Ana Reis", "confirmed", l.day(10), l.day(20))
			empty := l.addHangar(t, "H2")
			l.reconcile(t, l.day(9), nil, nil)
			l.reconcile(t, l.day(10), nil, nil)
			l.Exec(t, `DELETE FROM hangar_listings`)
			hangars := []string{l.hangar, empty}
			if all {
				hangars = nil
			}
			l.expect(t, "the listing is gone", l.reconcile(t, l.day(11), hangars, nil), "H1 empty: Ana Reis > ")
			var kept int
			if must(t, l.Pool.Get(&kept, `SELECT count(*) FROM realtime.occupancy`)); kept != 0 {
				t.Errorf("%d hangars that are gone are still kept", kept)
			}
			l.expect(t, "once more", l.reconcile(t, l.day(11), hangars, nil))
		})
	}
}
