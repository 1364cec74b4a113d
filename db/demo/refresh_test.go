package demo_test

import (
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/demo"
)

func TestRefresh(t *testing.T) {
	t.Parallel()
	for name, absence := range map[string]time.Duration{
		"after an hour":     time.Hour,
		"after a weekend":   60 * time.Hour,
		"after three weeks": 21 * 24 * time.Hour,
		"after a year":      365 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := saoPaulo(t)
			then := time.Date(2026, 4, 10, 16, 0, 0, 0, loc)
			db := seeded(t, demo.SeedOptions{Now: then, Location: loc, Random: 5})
			before := get[int](t, db, `SELECT count(*) FROM bookings`)
			now := then.Add(absence)
			opts := demo.SeedOptions{Now: now, Location: loc, Random: 5}
			must(t, demo.Refresh(t.Context(), db, opts))
			if found := broken(t, db, now); len(found) > 0 {
				t.Errorf("broken rules: %v", found)
			}
			after := get[int](t, db, `SELECT count(*) FROM bookings`)
			if absence < 12*time.Hour && after != before || absence > 12*time.Hour && after <= before {
				t.Errorf("%d bookings before and %d after", before, after)
			}
			for _, v := range figuresOf(t.Context(), t, db, now) {
				t.Logf("%+v", v)
				if v.Occupancy < 30 || v.Occupancy > 95 || v.Growth < -60 || v.Growth > 90 {
					t.Errorf("an odd business: %+v", v)
				}
			}
			stale := get[int](t, db, `SELECT count(*) FROM bookings
				WHERE status IN ('pending', 'confirmed') AND check_in <= $1 OR status = 'active' AND check_out <= $1`, utc(now))
			if stale > 0 {
				t.Errorf("%d bookings have a status whose time has passed", stale)
			}
			must(t, demo.Refresh(t.Context(), db, opts))
			if again := get[int](t, db, `SELECT count(*) FROM bookings`); again != after {
				t.Errorf("refreshing twice made %d bookings out of %d", again, after)
			}
		})
	}
}
