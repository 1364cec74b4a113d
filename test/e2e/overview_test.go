package e2e

import (
	"encoding/json"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestOverviewFollows changes what the page shows beside the numbers in every way, and sees that
// the stream says so and that /listings answers it.
func TestOverviewFollows(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	stream := s.Connect(t, s.Token, s.Owner.ID, "")
	read := func(m harness.Message) (o db.Overview) {
		t.Helper()
		if err := json.Unmarshal(m.Data, &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	o := read(stream.Next(harness.OfType("overview_updated")))
	if o.Spaces != (db.Spaces{Offered: 2}) || o.GrowthBasis != db.GrowthNone {
		t.Fatalf("at first %+v", o)
	}
	var booking string
	for _, change := range []struct {
		name   string
		do     func()
		spaces db.Spaces
	}{
		{"an arrival", func() {
			booking = s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
			s.Portal.Exec(t, `UPDATE bookings SET status = 'confirmed', check_in = now() AT TIME ZONE 'utc' - interval '1 hour',
				check_out = now() AT TIME ZONE 'utc' + interval '1 day' WHERE id = `+booking)
		}, db.Spaces{Occupied: 1, Offered: 2}},
		{"another guest in the same hangar", func() {
			s.Portal.Exec(t, `UPDATE bookings SET user_id = `+s.Portal.AddGuest(t, "Lia", "Prado")+` WHERE id = `+booking)
		}, db.Spaces{Occupied: 1, Offered: 2}},
		{"a price", func() {
			s.Portal.Exec(t, `UPDATE hangar_listings SET daily_rate = daily_rate + 1 WHERE id = `+s.Owner.Hangars[0])
		}, db.Spaces{Occupied: 1, Offered: 2}},
		{"a name", func() {
			s.Portal.Exec(t, `UPDATE hangar_listings SET hangar_number = 'Z-9' WHERE id = `+s.Owner.Hangars[1])
		}, db.Spaces{Occupied: 1, Offered: 2}},
		{"a new hangar", func() {
			s.Portal.Exec(t, `INSERT INTO hangar_listings (owner_id, hangar_number, icao_code, aerodrome_name, city, state, daily_rate)
				VALUES (`+s.Owner.ID+`, 'N-1', 'SBMT', 'Campo de Marte', 'São Paulo', 'SP', 100)`)
		}, db.Spaces{Occupied: 1, Offered: 3}},
		{"a hangar that is withdrawn", func() {
			s.Portal.Exec(t, `DELETE FROM hangar_listings WHERE hangar_number = 'N-1'`)
		}, db.Spaces{Occupied: 1, Offered: 2}},
		{"an hour that comes", func() {
			s.Portal.Exec(t, `UPDATE bookings SET check_out = now() AT TIME ZONE 'utc' + interval '1500 milliseconds' WHERE id = `+booking)
		}, db.Spaces{Offered: 2}},
	} {
		before := o.ListingsRevision
		change.do()
		stream.Next(func(m harness.Message) bool {
			if m.Type != "overview_updated" {
				return false
			}
			o = read(m)
			return o.ListingsRevision != before && o.Spaces == change.spaces
		})
		var now db.Overview
		harness.Eventually(t, change.name, func() bool {
			_, _, answer := s.Get(t, "owners/"+s.Owner.ID+"/overview", s.Token)
			text, err := json.Marshal(answer)
			if err == nil {
				err = json.Unmarshal(text, &now)
			}
			return err == nil && now == o
		})
	}
}
