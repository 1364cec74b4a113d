package db_test

import (
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestGrowthBasis has revenue in neither week, in this one, in both, and in the earlier one.
func TestGrowthBasis(t *testing.T) {
	t.Parallel()
	b := newProjectionFixture(t)
	pay := func(ago string) {
		b.Exec(t, `UPDATE bookings SET payment_date = now() AT TIME ZONE 'UTC' - $1::interval WHERE payment_date IS NOT NULL`, ago)
	}
	says := func(basis db.GrowthBasis, growth db.Decimal) {
		t.Helper()
		d, err := b.store.Dashboard(t.Context(), b.owner.ID, b.now)
		must(t, err)
		if d.Overview.GrowthBasis != basis || d.Metrics.GrowthPercentage != growth {
			t.Errorf("%s %s, want %s %s", d.Overview.GrowthBasis, d.Metrics.GrowthPercentage, basis, growth)
		}
	}
	says(db.GrowthNew, "100.0")
	pay("9 days")
	says(db.GrowthCompared, "-100.0")
	pay("30 days")
	says(db.GrowthNone, "0.0")
}
