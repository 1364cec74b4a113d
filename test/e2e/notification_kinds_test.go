package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// told is an account whose owner and one manager are told of one kind of notification.
type told struct {
	harness.Setup
	t         *testing.T
	owner     dbtest.Owner
	token     string
	colleague string // the manager's token
	bystander dbtest.Owner
}

// book adds a booking in a hangar of the account: its status, and how long from now it is made,
// begins and ends.
func (k told) book(hangar int, status string, made, in, out time.Duration) string {
	k.t.Helper()
	return k.Portal.ID(k.t, `INSERT INTO bookings (hangar_id, user_id, nights, subtotal, fees, total_price, status, created_at, check_in, check_out)
		SELECT $1, $2, 1, 200, 20, 220.50, $3, n + make_interval(secs => $4), n + make_interval(secs => $5), n + make_interval(secs => $6)
		FROM (SELECT now() AT TIME ZONE 'UTC') c(n) RETURNING id::text`, k.owner.Hangars[hangar], k.Guest, status, made.Seconds(), in.Seconds(), out.Seconds())
}

// change updates a booking.
func (k told) change(booking, set string) {
	k.t.Helper()
	k.Portal.Exec(k.t, `UPDATE bookings SET `+set+` WHERE id::text = $1`, booking)
}

// rule decides about a rule of the account.
func (k told) rule(kind string, params map[string]any) {
	k.t.Helper()
	body := map[string]any{"kind": kind, "enabled": true, "params": params}
	if response, answer := k.Call(k.t, "PATCH", "owners/"+k.owner.ID+"/notifications/rules", k.token, body); response.StatusCode != 200 {
		k.t.Fatalf("rule: %d %v", response.StatusCode, answer)
	}
}

// pass has three hours go by: the server finds that time was looked at up to then. What has it look
// is a booking in an account that nobody looks at.
func (k told) pass() {
	k.t.Helper()
	k.Portal.Exec(k.t, `UPDATE realtime.notifier SET ran_at = now() - interval '3 hours'`)
	k.Portal.Book(k.t, k.bystander.Hangars[0], k.Guest)
}

// kindCase has a kind of notification come from what the portal does or from time, and returns what
// ends it; nil for what is an event, and stays.
type kindCase func(k told) (end func())

// oneDay is long enough for another date.
const oneDay = 24 * time.Hour

// beforeNow is a time of day which came within the last three hours, in the zone of a test.
const beforeNow = "11:30"

var kindCases = map[string]kindCase{
	db.KindBookingCreated: func(k told) func() {
		k.book(0, "pending", 0, 10*oneDay, 11*oneDay)
		return nil
	},
	db.KindBookingCancelled: func(k told) func() {
		k.change(k.book(0, "confirmed", 0, 10*oneDay, 11*oneDay), "status = 'cancelled'")
		return nil
	},
	db.KindBookingChanged: func(k told) func() {
		k.change(k.book(0, "pending", 0, 10*oneDay, 11*oneDay), "check_out = check_out + interval '1 day'")
		return nil
	},
	db.KindPaymentReceived: func(k told) func() {
		k.change(k.book(0, "confirmed", 0, 10*oneDay, 11*oneDay), "payment_date = now() AT TIME ZONE 'UTC', payment_method = 'pix'")
		return nil
	},
	db.KindPayoutSent: func(k told) func() {
		booking := k.book(0, "completed", -9*oneDay, -2*oneDay, -oneDay)
		k.Portal.Exec(k.t, `INSERT INTO realtime.payouts (booking_id, owner_id, paid_out_at) VALUES ($1, $2, now())`, booking, k.owner.ID)
		takeBack := func() { k.Portal.Exec(k.t, `DELETE FROM realtime.payouts WHERE booking_id = $1`, booking) }
		return takeBack
	},
	db.KindOverbooked: func(k told) func() {
		k.book(0, "confirmed", 0, 10*oneDay, 12*oneDay)
		second := k.book(0, "confirmed", 0, 11*oneDay, 13*oneDay)
		return func() { k.change(second, "hangar_id = "+k.owner.Hangars[1]) }
	},
	db.KindToConfirm: func(k told) func() {
		booking := k.book(0, "pending", -3*time.Hour, 10*oneDay, 11*oneDay)
		k.pass()
		return func() { k.change(booking, "status = 'confirmed'") }
	},
	db.KindUnpaid: func(k told) func() {
		booking := k.book(0, "confirmed", -3*oneDay, 22*time.Hour, 3*oneDay)
		k.pass()
		return func() {
			k.change(booking, "check_in = check_in + interval '7 days', check_out = check_out + interval '7 days'")
		}
	},
	db.KindArrivesTomorrow: func(k told) func() {
		k.rule(db.KindArrivesTomorrow, map[string]any{"at": beforeNow})
		booking := k.book(0, "confirmed", 0, oneDay, 2*oneDay)
		k.pass()
		return func() {
			k.change(booking, "check_in = check_in + interval '12 hours', check_out = check_out + interval '1 day'")
			k.pass()
		}
	},
	db.KindLeavesToday: func(k told) func() {
		k.rule(db.KindLeavesToday, map[string]any{"at": beforeNow})
		booking := k.book(0, "active", -3*oneDay, -2*oneDay, time.Hour)
		k.pass()
		return func() { k.change(booking, "check_out = check_out + interval '1 day'"); k.pass() }
	},
	db.KindPayoutTomorrow: func(k told) func() {
		k.rule(db.KindPayoutTomorrow, map[string]any{"at": beforeNow})
		k.Portal.Exec(k.t, `INSERT INTO realtime.payouts (booking_id, owner_id, scheduled_on) VALUES ($1, $2, $3)`,
			k.book(0, "completed", -9*oneDay, -2*oneDay, -oneDay), k.owner.ID, time.Now().In(dbtest.Noon()).AddDate(0, 0, 1).Format(time.DateOnly))
		k.pass()
		return func() {
			k.Portal.Exec(k.t, `UPDATE realtime.payouts SET scheduled_on = scheduled_on + 3 WHERE owner_id = $1`, k.owner.ID)
			k.pass()
		}
	},
	db.KindOccupancyLow: func(k told) func() {
		k.rule(db.KindOccupancyLow, map[string]any{"percent": 50})
		k.pass()
		return func() {
			for hangar := range k.owner.Hangars {
				k.book(hangar, "confirmed", 0, -time.Hour, 20*oneDay)
			}
			k.pass()
		}
	},
	db.KindMemberChanged: func(k told) func() {
		id, _, _ := harness.AddUser(k.t, k.Portal, "Rui")
		k.Portal.Exec(k.t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, k.owner.ID, id)
		return nil
	},
	db.KindNewSignIn: func(k told) func() {
		email := harness.SetPassword(k.t, k.Portal, k.owner.UserID)
		k.SignIn(k.t, email) // the first device is no news
		k.SignIn(k.t, email)
		return nil
	},
	db.KindInvitation: func(k told) func() {
		email := k.Portal.ID(k.t, `SELECT email FROM users WHERE id::text = $1`, k.owner.UserID)
		path := "owners/" + k.bystander.ID + "/members"
		if response, body := k.Call(k.t, "POST", path, harness.TokenFor(k.t, k.bystander.UserID, time.Hour), map[string]any{"email": email, "role": "viewer"}); response.StatusCode != 202 {
			k.t.Fatalf("invite: %d %v", response.StatusCode, body)
		}
		return func() {
			id := k.Portal.ID(k.t, `SELECT id FROM realtime.invitations WHERE email = $1`, email)
			if response, body := k.Call(k.t, "POST", "me/invitations/"+id, k.token, map[string]any{"accept": false}); response.StatusCode >= 300 {
				k.t.Fatalf("refuse: %d %v", response.StatusCode, body)
			}
		}
	},
}

// TestEveryKind has each kind of notification that there is come from what makes it: it is in the
// list and the counts of those whom it concerns, and in a message. Where its cause ends, a message
// says so, it leaves the counts and stays in the list.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, harness.AtNoon()...)
	for kind := range kindCases {
		if _, known := db.KindOf(kind); !known {
			t.Errorf("%s has a case and is no kind", kind)
		}
	}
	for i, kind := range db.NotificationKinds {
		t.Run(kind.Name, func(t *testing.T) {
			come, known := kindCases[kind.Name]
			if !known {
				t.Fatal("how it comes and how it ends is in no case")
			}
			k := told{Setup: s, t: t, owner: s.Portal.AddOwner(t, 2), bystander: s.Portal.AddOwner(t, 1)}
			k.token = harness.TokenFor(t, k.owner.UserID, time.Hour)
			member, _, token := harness.AddUser(t, s.Portal, fmt.Sprint("Colega", i))
			k.colleague = token
			s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role, since) VALUES ($1, $2, 'manager', now() - interval '1 day')`, k.owner.ID, member)
			harness.Eventually(t, "the owner is told of the colleague", func() bool { return len(k.listed(db.KindMemberChanged, k.token, "all").Items) == 1 })
			s.Portal.Exec(t, `DELETE FROM realtime.notifications WHERE owner_id = $1`, k.owner.ID)

			stream := s.Listen(t, k.token, "?ownerId="+k.owner.ID)
			if i%2 == 0 {
				stream = s.Connect(t, k.token, k.owner.ID, "")
			}
			awaitNotifications(t, stream, func(notifications) bool { return true })
			end := come(k)
			message := awaitNotifications(t, stream, func(n notifications) bool { return slices.ContainsFunc(n.Items, k.isOpen(kind.Name)) })
			one := message.Items[slices.IndexFunc(message.Items, k.isOpen(kind.Name))]
			list := k.listed(kind.Name, k.token, "unread")
			if len(list.Items) != 1 || list.Items[0].ID != one.ID || list.Items[0].Severity != kind.Severity.String() || one.Count != 1 || list.Unread < 1 {
				t.Errorf("it is told as %+v, and listed as %+v", one, list)
			}
			others := k.listed(kind.Name, k.colleague, "all").Items
			if kind.Personal != (len(others) == 0) || kind.Personal != (one.UserID != nil && *one.UserID == k.owner.UserID) {
				t.Errorf("it is personal, %t, as %+v; a colleague sees %+v", kind.Personal, one, others)
			}
			if end == nil {
				return
			}
			end()
			message = awaitNotifications(t, stream, func(n notifications) bool {
				return slices.ContainsFunc(n.Items, func(n notified) bool { return n.ID == one.ID && n.ResolvedAt != nil })
			})
			if slices.ContainsFunc(message.Items, k.isOpen(kind.Name)) {
				t.Errorf("when it is over there is another: %+v", message)
			}
			if open := k.listed(kind.Name, k.token, "unread"); len(open.Items) != 0 {
				t.Errorf("it is over and unread: %+v", open)
			}
			unread := s.Portal.ID(t, `SELECT count(*)::text FROM realtime.notifications WHERE owner_id = $1 AND (user_id IS NULL OR user_id = $2)
				AND read_at IS NULL AND archived_at IS NULL AND resolved_at IS NULL`, k.owner.ID, k.owner.UserID)
			all := k.listed(kind.Name, k.token, "all")
			if len(all.Items) != 1 || all.Items[0].ResolvedAt == nil || fmt.Sprint(all.Unread) != unread {
				t.Errorf("it is over and listed as %+v with %s unread", all, unread)
			}
		})
	}
}

// listed reads a list of one kind.
func (k told) listed(kind, token, state string) notifications {
	k.t.Helper()
	return listed(k.t, k.Program, k.owner.ID, token, "?state="+state+"&kind="+kind)
}

// isOpen wants a notification of a kind that is not over.
func (k told) isOpen(kind string) func(notified) bool {
	return func(n notified) bool { return n.Kind == kind && n.ResolvedAt == nil }
}

// TestWrongCountsAreTold spoils what is kept of an account's counts: the server finds that, and
// every screen gets what is right.
func TestWrongCountsAreTold(t *testing.T) {
	t.Parallel()
	admin := harness.FreeAddress(t)
	s := harness.NewSetup(t, "--admin-addr", admin)
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	stream := s.Connect(t, s.Token, s.Owner.ID, "")
	awaitNotifications(t, stream, func(n notifications) bool { return n.Unread == 1 })
	s.Portal.Exec(t, `UPDATE realtime.notification_counts SET unread = 5`)
	if list := listed(t, s.Program, s.Owner.ID, s.Token, ""); list.Unread != 5 || len(list.Items) != 1 {
		t.Fatalf("the counts are not what was spoilt: %+v", list)
	}
	awaitNotifications(t, stream, func(n notifications) bool { return n.Unread == 1 })
	if list := listed(t, s.Program, s.Owner.ID, s.Token, ""); list.Unread != 1 {
		t.Errorf("the list counts %+v", list)
	}
	harness.Eventually(t, "it is counted", func() bool { return s.Metric(t, admin, "hangarshare_notification_counts_mended_total") == "1" })
}
