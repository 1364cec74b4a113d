package db_test

import (
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// TestQuietHours asks when a user may be called: over midnight, on some days, in a zone whose
// clocks were put forward over midnight and back before it.
func TestQuietHours(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	night := db.Quiet{Zone: zone, From: 22 * 60, To: 7 * 60}
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, c := range []struct {
		name      string
		quiet     db.Quiet
		asked, is string // is "" where they may be called at once
	}{
		{"before", night, "2026-03-12T21:59:59-03:00", ""},
		{"its first instant", night, "2026-03-12T22:00:00-03:00", "2026-03-13T07:00:00-03:00"},
		{"after midnight", night, "2026-03-13T03:00:00-03:00", "2026-03-13T07:00:00-03:00"},
		{"its end", night, "2026-03-13T07:00:00-03:00", ""},
		{"over midday", db.Quiet{Zone: zone, From: 12 * 60, To: 14 * 60}, "2026-03-13T13:00:00-03:00", "2026-03-13T14:00:00-03:00"},
		{"from is to", db.Quiet{Zone: zone, From: 600, To: 600}, "2026-03-13T10:00:00-03:00", ""},
		{"no zone", db.Quiet{From: 1, To: 2}, "2026-03-13T10:00:00-03:00", ""},
		// Friday the 13th
		{"a day that is not quiet", db.Quiet{Zone: zone, From: 22 * 60, To: 7 * 60, Days: []int{6}}, "2026-03-13T23:00:00-03:00", ""},
		{"the morning after one that is", db.Quiet{Zone: zone, From: 22 * 60, To: 7 * 60, Days: []int{4}}, "2026-03-13T03:00:00-03:00", "2026-03-13T07:00:00-03:00"},
		{"nearly all the time", db.Quiet{Zone: zone, From: 60, To: 59}, "2026-03-13T10:00:00-03:00", "2026-03-14T00:59:00-03:00"},
		// 4 November 2018 began at 01:00: midnight was left out.
		{"until a midnight that is not", db.Quiet{Zone: zone, From: 22 * 60, To: 0}, "2018-11-03T23:00:00-03:00", "2018-11-04T01:00:00-02:00"},
		{"from a time that is not", db.Quiet{Zone: zone, From: 30, To: 7 * 60}, "2018-11-04T01:00:00-02:00", "2018-11-04T07:00:00-02:00"},
		{"just before it", db.Quiet{Zone: zone, From: 30, To: 7 * 60}, "2018-11-03T23:59:59-03:00", ""},
		// On 16 February 2019 it was 23:00 to 24:00 twice.
		{"from the first time", db.Quiet{Zone: zone, From: 23*60 + 30, To: 7 * 60}, "2019-02-16T23:40:00-02:00", "2019-02-17T07:00:00-03:00"},
		{"until the second time", db.Quiet{Zone: zone, From: 20 * 60, To: 23*60 + 30}, "2019-02-16T23:40:00-02:00", "2019-02-16T23:30:00-03:00"},
		{"until it begins again", db.Quiet{Zone: zone, From: 60, To: 0}, "2018-11-03T12:00:00-03:00", "2018-11-05T00:00:00-02:00"},
	} {
		want := at(c.asked)
		if c.is != "" {
			want = at(c.is)
		}
		if got := c.quiet.End(at(c.asked)); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", c.name, got.In(zone).Format(time.RFC3339), want.Format(time.RFC3339))
		}
	}
}

// TestDigestHours asks whose digest is due.
func TestDigestHours(t *testing.T) {
	t.Parallel()
	loc, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	user := func(digest, zone string, at int) db.DigestUser {
		return db.DigestUser{DigestAt: at, Settings: db.DeliverySettings{Digest: digest, Zone: zone}}
	}
	for _, c := range []struct {
		name   string
		user   db.DigestUser
		now    string
		period string
	}{
		{"off", user("off", "", 480), "2026-03-12T12:00:00Z", ""},
		{"a minute before", user("day", "", 480), "2026-03-12T10:59:59Z", ""},
		{"at its hour", user("day", "", 480), "2026-03-12T11:00:00Z", "2026-03-12"},
		{"in the user's zone", user("day", "America/Manaus", 480), "2026-03-12T11:00:00Z", ""},
		{"an hour later there", user("day", "America/Manaus", 480), "2026-03-12T12:00:00Z", "2026-03-12"},
		{"a zone that is none", user("day", "Mars/Olympus", 480), "2026-03-12T11:00:00Z", "2026-03-12"},
		{"after midnight", user("day", "", 23*60), "2026-03-13T05:00:00Z", "2026-03-12"},
		{"half a day late", user("day", "", 480), "2026-03-12T23:00:00Z", ""},
		{"a week's, on Thursday", user("week", "", 480), "2026-03-12T11:00:00Z", ""},
		{"a week's, on Monday", user("week", "", 480), "2026-03-16T11:00:00Z", "2026-W12"},
		// In Berlin 02:30 is left out on 29 March 2026, and comes twice on 25 October.
		{"before an hour that is left out", user("day", "Europe/Berlin", 150), "2026-03-29T00:59:59Z", ""},
		{"when it would have been", user("day", "Europe/Berlin", 150), "2026-03-29T01:00:00Z", "2026-03-29"},
		{"before the first of two", user("day", "Europe/Berlin", 150), "2026-10-25T00:29:59Z", ""},
		{"at the first of two", user("day", "Europe/Berlin", 150), "2026-10-25T00:30:00Z", "2026-10-25"},
		{"at the second", user("day", "Europe/Berlin", 150), "2026-10-25T01:30:00Z", "2026-10-25"},
		{"the day after", user("day", "Europe/Berlin", 150), "2026-10-26T01:29:59Z", ""},
		{"at an hour that is not", user("day", "", 15), "2018-11-04T03:00:00Z", "2018-11-04"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if period, at, due := c.user.Due(now, loc); due != (c.period != "") || period != c.period || due && at.After(now) {
			t.Errorf("%s: %q at %s, %t", c.name, period, at, due)
		}
	}
}
