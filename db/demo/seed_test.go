package demo_test

import (
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

func TestSeed(t *testing.T) {
	t.Parallel()
	loc := saoPaulo(t)
	for name, now := range map[string]time.Time{
		"just after midnight":       time.Date(2026, 3, 1, 0, 5, 0, 0, loc),
		"at noon in winter":         time.Date(2026, 7, 15, 12, 0, 0, 0, loc),
		"on a Monday morning":       time.Date(2026, 11, 23, 8, 20, 0, 0, loc),
		"just before midnight":      time.Date(2025, 12, 31, 23, 55, 0, 0, loc),
		"when daylight saving ends": time.Date(2019, 2, 16, 23, 30, 0, 0, loc),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			db := seeded(t, demo.SeedOptions{Now: now, Location: loc, Random: 7})
			t.Logf("seeded in %v", time.Since(began))
			if found := broken(t, db, now); len(found) > 0 {
				t.Errorf("broken rules: %v", found)
			}
			owners := figuresOf(t.Context(), t, db, now)
			if len(owners) != len(demo.Companies()) {
				t.Fatalf("%d owners have bookings, want %d", len(owners), len(demo.Companies()))
			}
			for _, v := range owners {
				t.Logf("%+v", v)
				if v.Revenue <= 0 || v.Today < 1 || v.Comings < 1 || v.Goings < 1 {
					t.Errorf("a day without business: %+v", v)
				}
				if v.Occupancy < 40 || v.Occupancy > 90 || v.Growth < -25 || v.Growth > 35 {
					t.Errorf("an odd business: %+v", v)
				}
			}
			counts := map[string]int{}
			for _, status := range []string{"pending", "confirmed", "active", "completed", "cancelled"} {
				counts[status] = get[int](t, db, `SELECT count(*) FROM bookings WHERE status = $1`, status)
				if counts[status] == 0 {
					t.Errorf("no booking is %s", status)
				}
			}
			t.Logf("%v", counts)
			unpaid := get[int](t, db, `SELECT count(*) FROM bookings WHERE status = 'completed' AND payment_date IS NULL`)
			if unpaid == 0 || unpaid > counts["completed"]/10 {
				t.Errorf("%d of %d completed bookings are unpaid", unpaid, counts["completed"])
			}
			if days := get[int](t, db, `SELECT count(DISTINCT created_at::date) FROM bookings`); days < 140 {
				t.Errorf("history has bookings on %d days, want five months", days)
			}
		})
	}
}

func TestSeedIsDeterministic(t *testing.T) {
	t.Parallel()
	loc := saoPaulo(t)
	rows := func(random uint64) string {
		db := seeded(t, demo.SeedOptions{Now: time.Date(2026, 5, 6, 15, 4, 5, 0, loc), Location: loc, Random: random})
		return get[string](t, db, `SELECT md5(string_agg(b::text, ',' ORDER BY id)) FROM bookings b`) +
			get[string](t, db, `SELECT md5(string_agg(l::text, ',' ORDER BY id)) FROM hangar_listings l`)
	}
	first := rows(1)
	if again := rows(1); again != first {
		t.Error("the same seed gave other rows")
	}
	if other := rows(2); other == first {
		t.Error("another seed gave the same rows")
	}
}

func TestSeedTwice(t *testing.T) {
	t.Parallel()
	opts := demo.SeedOptions{Location: saoPaulo(t)}
	db := seeded(t, opts)
	before := get[int](t, db, `SELECT count(*) FROM bookings`)
	must(t, demo.Seed(t.Context(), db, opts))
	if after := get[int](t, db, `SELECT count(*) FROM bookings`); after != before {
		t.Errorf("%d bookings after the second time, %d before", after, before)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	db := open(t)
	must(t, demo.CreateSchema(t.Context(), db))
	owners, err := demo.Owners(t.Context(), db)
	must(t, err)
	if len(owners) != 0 {
		t.Errorf("an empty demo has owners %v", owners)
	}
	must(t, demo.Seed(t.Context(), db, demo.SeedOptions{}))
	owners, err = demo.Owners(t.Context(), db)
	must(t, err)
	if len(owners) != 3 {
		t.Fatalf("%d owners, want 3", len(owners))
	}
	for i, owner := range owners {
		if owner.CompanyName != demo.Companies()[i] || owner.ID == "" || owner.UserID == "" {
			t.Errorf("owner %+v, want %s", owner, demo.Companies()[i])
		}
		hash := get[string](t, db, `SELECT password_hash FROM users WHERE id::text = $1`, owner.UserID)
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(demo.DemoPassword)); err != nil {
			t.Errorf("the demo password does not open %s: %v", owner.Email, err)
		}
	}
}
