package db_test

import (
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

func TestToday(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			l := newOccupancyFixture(t, v.migrated(t))
			l.stay(t, l.hangar, "Ana Reis", "confirmed", l.day(10), l.day(12))
			l.stay(t, l.hangar, "Bia Luz", "completed", l.day(8), l.day(10))
			l.stay(t, l.hangar, "Caio Melo", "pending", l.day(10), l.day(11))
			l.stay(t, l.hangar, "In Between", "active", l.day(9), l.day(11))
			l.stay(t, l.hangar, "Not Coming", "cancelled", l.day(10), l.day(12))
			l.stay(t, l.hangar, "Much Later", "confirmed", l.day(11), l.day(12))
			store, err := db.NewStore(t.Context(), l.Pool, l.loc)
			must(t, err)
			guests := func(now time.Time, limit int) (told []string) {
				t.Helper()
				rows, err := store.Today(t.Context(), l.owner, "", now, limit)
				must(t, err)
				for _, b := range rows {
					told = append(told, b.GuestName)
					if b.CheckIn.Location() != l.loc {
						t.Errorf("%s arrives at %s", b.GuestName, b.CheckIn)
					}
				}
				return told
			}
			for _, now := range []time.Time{l.day(10), l.day(10).Add(23*time.Hour + 59*time.Minute)} {
				l.expect(t, "today", guests(now, 50), "Ana Reis", "Bia Luz", "Caio Melo")
			}
			l.expect(t, "the evening before", guests(l.day(10).Add(-time.Second), 50), "In Between")
			l.expect(t, "bounded", guests(l.day(10), 1), "Ana Reis")
		})
	}
}
