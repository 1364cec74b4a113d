package db_test

import (
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestNotices asks all questions about notifications, and makes some.
func TestNotices(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	o := p.AddOwner(t, 2)
	guest := p.AddGuest(t, "Caio", "Brandão")
	booking := p.Book(t, o.Hangars[0], guest)
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	notices := db.NewNotices(store, db.ChannelPush, db.ChannelMail)
	now := time.Now().Truncate(time.Microsecond)

	cursor := func() db.NotifierCursor {
		t.Helper()
		c, err := notices.Cursor(t.Context())
		must(t, err)
		return c
	}
	epoch := p.ID(t, `SELECT epoch::text FROM realtime.installation`)
	must(t, notices.Begin(t.Context(), cursor(), epoch, 0, 0, now))
	if c := cursor(); !c.Begun || c.Epoch != epoch || !c.RanAt.Equal(now) {
		t.Fatalf("begun: %+v", c)
	}
	happen := func(kind, subject, key string) db.Happening {
		return db.Happening{OwnerID: o.ID, Kind: kind, Key: key, Subject: subject, Group: true, At: now, Facts: map[string]string{"bookingId": booking}}
	}
	made, err := notices.Make(t.Context(), cursor(), cursor(), []db.Happening{happen(db.KindBookingCreated, "1", "a"), happen(db.KindBookingCreated, "1", "b")}, nil)
	must(t, err)
	if made.New != 1 || made.Counted != 0 {
		t.Errorf("two in one hangar: %+v", made)
	}
	news, err := store.NotificationNews(t.Context(), o.ID, []string{o.UserID, guest}, 0, 50)
	must(t, err)
	if len(news.Items) != 1 || news.Items[0].Count != 2 || news.Items[0].GuestName.String != "Caio Brandão" || len(news.People) != 2 || news.People[0].Unread != 1 {
		t.Errorf("news: %+v", news)
	}
	for _, ask := range []func() error{
		func() error { _, _, err := notices.Due(t.Context(), now.Add(-25*time.Hour), now); return err },
		func() error { _, _, err := notices.Overbooked(t.Context(), nil, now); return err },
		func() error { _, _, err := notices.Overbooked(t.Context(), o.Hangars, now); return err },
		func() error { _, err := notices.Payouts(t.Context(), []string{booking, "x"}); return err },
		func() error { _, _, err := notices.Invitations(t.Context()); return err },
		func() error { _, err := notices.Tidy(t.Context()); return err },
		func() error { _, err := store.Rules(t.Context(), o.ID); return err },
		func() error {
			_, err := store.Notifications(t.Context(), o.ID, o.UserID, db.NotificationFilter{State: "all", Limit: 10})
			return err
		},
		func() error {
			_, err := store.Notifications(t.Context(), o.ID, o.UserID, db.NotificationFilter{State: "unread", Limit: 10})
			return err
		},
		func() error { _, err := store.NotificationsSince(t.Context(), o.ID, o.UserID, 0); return err },
		func() error { _, err := store.UserSettings(t.Context(), o.UserID); return err },
		func() error { _, err := store.AccountCounts(t.Context(), o.UserID, []string{o.ID}); return err },
	} {
		must(t, ask())
	}
}
