package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestMakersStop has two servers of which one makes notifications. Each is stopped in turn while
// bookings come, and goes on when the other has taken its place; then one is killed. Every booking
// is counted once.
func TestMakersStop(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	owner, guest := portal.AddOwner(t, 2), portal.AddGuest(t, "Ana", "Reis")
	binary := harness.OwnBinary(t)
	var servers []*harness.Process
	for range 2 {
		process := harness.Launch(t, nil, binary, harness.ServeFlags(portal.URL)...)
		(&harness.Program{Base: process.Output.Await(t, "HangarShare Realtime is at "), Client: harness.Client, Portal: portal, Output: process.Output}).Ready(t)
		servers = append(servers, process)
	}
	booked := 0
	book := func(n int) {
		for range n {
			portal.Book(t, owner.Hangars[booked%2], guest)
			booked++
		}
	}
	counted := func() string {
		return portal.ID(t, `SELECT coalesce(sum(count), 0)::text FROM realtime.notifications WHERE kind = 'booking_created'`)
	}
	made := func(what string) {
		t.Helper()
		harness.Eventually(t, what+": all bookings are told", func() bool { return counted() == strconv.Itoa(booked) })
	}
	book(5)
	made("at first")
	for i := range 4 {
		one := servers[i%2]
		book(5) // of which some are under way when it stops
		harness.Must(t, syscall.Kill(one.PID(), syscall.SIGSTOP))
		book(5)
		made("one is stopped")
		harness.Must(t, syscall.Kill(one.PID(), syscall.SIGCONT))
		book(5)
		made("it goes on")
	}
	book(5)
	servers[0].End(syscall.SIGKILL)
	book(5)
	made("one is killed")
	servers[0] = harness.Launch(t, nil, binary, harness.ServeFlags(portal.URL)...)
	servers[0].Output.Await(t, "HangarShare Realtime is at ")
	book(5)
	servers[1].End(syscall.SIGKILL)
	book(5)
	made("the other is killed")
	if got := counted(); got != strconv.Itoa(booked) {
		t.Errorf("%s bookings are told, want %d", got, booked)
	}
}

// TestReadAndUnreadRace has one member mark a notification read while another marks it unread, and
// a third marks all, each at another server: in the end all screens show what the table holds,
// which is what the last revision made of it.
func TestReadAndUnreadRace(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	servers := []*harness.Program{s.Program, harness.Serve(t, s.Portal)}
	tokens := []string{s.Token}
	for _, name := range []string{"Marta", "Vera"} {
		id, _, token := harness.AddUser(t, s.Portal, name)
		s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, s.Owner.ID, id)
		tokens = append(tokens, token)
	}
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	var first notified
	harness.Eventually(t, "the booking is told", func() bool {
		list := listed(t, s.Program, s.Owner.ID, tokens[1], "")
		if len(list.Items) == 1 {
			first = list.Items[0]
		}
		return len(list.Items) == 1
	})
	var screens []*screen
	for i, token := range tokens[1:] {
		one := &screen{server: servers[i%2], token: token, ownerID: s.Owner.ID, revision: -1, items: map[string]notified{}}
		one.stream = one.server.Connect(t, token, s.Owner.ID, "")
		screens = append(screens, one)
	}
	path := "owners/" + s.Owner.ID + "/notifications"
	for round := range 20 {
		var deeds sync.WaitGroup
		deeds.Go(func() { servers[0].Call(t, "PATCH", path+"/"+first.ID, tokens[0], map[string]any{"read": true}) })
		deeds.Go(func() { servers[1].Call(t, "PATCH", path+"/"+first.ID, tokens[1], map[string]any{"read": false}) })
		deeds.Go(func() { servers[1].Call(t, "POST", path+"/read", tokens[2], map[string]any{"through": first.ID}) })
		deeds.Wait()
		if round%5 != 4 {
			continue
		}
		list := listed(t, servers[0], s.Owner.ID, tokens[1], "")
		row := s.Portal.ID(t, `SELECT concat_ws(' ', revision, read_at IS NOT NULL, read_at IS NULL = (read_by IS NULL)) FROM realtime.notifications WHERE id = $1::bigint`, first.ID)
		one := list.Items[0]
		if want := fmt.Sprintf("%d %c t", one.Revision, "ft"[map[bool]int{true: 1}[one.ReadAt != nil]]); row != want || (one.ReadAt == nil) != (one.ReadBy == nil) || (list.Unread == 1) != (one.ReadAt == nil) {
			t.Errorf("the list says %q with %d unread, the table %q", want, list.Unread, row)
		}
		for _, at := range screens {
			at.follow(t, list.Revision)
			if at.unread != list.Unread || (at.items[first.ID].ReadAt == nil) != (one.ReadAt == nil) || at.items[first.ID].Revision != one.Revision {
				t.Errorf("a screen shows %+v with %d unread, the list %+v with %d", at.items[first.ID], at.unread, one, list.Unread)
			}
		}
	}
}

// TestReaderIsNoUserAnyMore deletes the user who read and archived: what they did stays, by
// their id and without a name.
func TestReaderIsNoUserAnyMore(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	gone, _, token := harness.AddUser(t, s.Portal, "Marta")
	s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, s.Owner.ID, gone)
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	var list notifications
	harness.Eventually(t, "the booking is told", func() bool {
		list = listed(t, s.Program, s.Owner.ID, token, "")
		return len(list.Items) == 1
	})
	path := "owners/" + s.Owner.ID + "/notifications/" + list.Items[0].ID
	if response, body := s.Call(t, "PATCH", path, token, map[string]any{"read": true, "archived": true}); response.StatusCode != 200 {
		t.Fatalf("%s %v", response.Status, body)
	}
	s.Portal.Exec(t, `DELETE FROM users WHERE id::text = $1`, gone)
	one := listed(t, s.Program, s.Owner.ID, s.Token, "?state=archived").Items[0]
	for what, by := range map[string]*struct{ ID, Name *string }{"read": one.ReadBy, "archived": one.ArchivedBy} {
		if by == nil || by.ID == nil || *by.ID != gone || by.Name != nil {
			t.Errorf("%s by %+v", what, by)
		}
	}
}

// TestAccountChangesHands gives an account to another user: the former one's streams end and
// nothing of it is told them any more, the new one sees the history.
func TestAccountChangesHands(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	second := harness.Serve(t, s.Portal)
	buyer, _, buyerToken := harness.AddUser(t, s.Portal, "Berta")
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	streams := []*harness.Stream{s.Connect(t, s.Token, s.Owner.ID, ""), second.Listen(t, s.Token, "?ownerId="+s.Owner.ID)}
	for _, stream := range streams {
		awaitNotifications(t, stream, func(n notifications) bool { return n.Unread == 1 })
	}
	id := listed(t, s.Program, s.Owner.ID, s.Token, "").Items[0].ID
	s.Portal.Exec(t, `UPDATE hangar_owners SET user_id = $1::int WHERE id = $2::int`, buyer, s.Owner.ID)
	if code := streams[0].End(); code != 4403 {
		t.Errorf("the former owner's stream ended with %d", code)
	}
	streams[1].End()
	path := "owners/" + s.Owner.ID + "/notifications"
	for method, at := range map[string]string{"GET": "", "PATCH": "/" + id} {
		if response, body := second.Call(t, method, path+at, s.Token, map[string]any{"read": true}); response.StatusCode != 403 {
			t.Errorf("%s by the former owner: %d %v", method, response.StatusCode, body)
		}
	}
	if list := listed(t, second, s.Owner.ID, buyerToken, ""); len(list.Items) != 1 || list.Unread != 1 || list.Items[0].Facts["guestName"] != "Caio Brandão" {
		t.Errorf("the new owner sees %+v", list)
	}
	if response, counts := s.Call(t, "GET", "me/notifications/counts", s.Token, nil); response.StatusCode != 200 || counts["unread"] != 0.0 {
		t.Errorf("the former owner counts %v", counts)
	}
}

// TestMemberOfManyAccounts has a user with 30 accounts, in one browser: each account has its own
// list, counts and names, and reading in one changes nothing in another.
func TestMemberOfManyAccounts(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	member, _, token := harness.AddUser(t, s.Portal, "Marta")
	accounts := []dbtest.Owner{s.Owner}
	for range 29 {
		accounts = append(accounts, s.Portal.AddOwner(t, 1))
	}
	for i, account := range accounts {
		s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role, since) VALUES ($1, $2, 'manager', now() - interval '1 day')`, account.ID, member)
		guest := s.Portal.AddGuest(t, "Hóspede", fmt.Sprint("N", i))
		s.Portal.Book(t, account.Hangars[0], guest)
	}
	sums := func() (unread, unseen float64, by map[string]float64) {
		response, body := s.Call(t, "GET", "me/notifications/counts", token, nil)
		if response.StatusCode != 200 {
			t.Fatalf("counts: %d %v", response.StatusCode, body)
		}
		by = map[string]float64{}
		for _, one := range body["accounts"].([]any) {
			account := one.(map[string]any)
			by[account["ownerId"].(string)] = account["unread"].(float64)
		}
		return body["unread"].(float64), body["unseen"].(float64), by
	}
	harness.Eventually(t, "all 30 are told", func() bool { unread, _, _ := sums(); return unread == 30 })
	bells := map[string]*harness.Stream{}
	for _, account := range accounts[:2] {
		bells[account.ID] = s.Connect(t, token, account.ID, "")
		awaitNotifications(t, bells[account.ID], func(n notifications) bool { return n.Unread == 1 })
	}
	for i, account := range accounts {
		list := listed(t, s.Program, account.ID, token, "")
		if len(list.Items) != 1 || list.Unread != 1 || list.Items[0].Facts["guestName"] != fmt.Sprint("Hóspede N", i) {
			t.Errorf("account %d: %+v", i, list)
		}
	}
	mine := listed(t, s.Program, accounts[0].ID, token, "").Items[0].ID
	// the same id under another account's address is none of it
	if response, _ := s.Call(t, "PATCH", "owners/"+accounts[1].ID+"/notifications/"+mine, token, map[string]any{"read": true}); response.StatusCode != 404 {
		t.Errorf("by another account's address: %d", response.StatusCode)
	}
	s.Call(t, "POST", "owners/"+accounts[0].ID+"/notifications/read", token, map[string]any{"through": mine})
	awaitNotifications(t, bells[accounts[0].ID], func(n notifications) bool { return n.Unread == 0 })
	if list := listed(t, s.Program, accounts[1].ID, token, ""); list.Unread != 1 {
		t.Errorf("read in one account, the other has %+v", list)
	}
	unread, unseen, by := sums()
	if unread != 29 || unseen != 29 || by[accounts[0].ID] != 0 || by[accounts[29].ID] != 1 || len(by) != 30 {
		t.Errorf("then the counts are %v, %v, %v", unread, unseen, by)
	}
	s.Portal.Exec(t, `DELETE FROM realtime.members WHERE owner_id = $1`, accounts[1].ID)
	if code := bells[accounts[1].ID].End(); code != 4403 {
		t.Errorf("removed from an account, its bell ended with %d", code)
	}
	harness.Eventually(t, "29 accounts are left", func() bool { unread, _, by := sums(); return unread == 28 && len(by) == 29 })
}

// TestTwoUsersOfABrowser signs a second user in where another was: neither sees, counts or reads
// what is the other's alone, also in an account that both share.
func TestTwoUsersOfABrowser(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	members := map[string]string{}
	for _, name := range []string{"Ana", "Bia"} {
		id, _, token := harness.AddUser(t, s.Portal, name)
		s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, s.Owner.ID, id)
		s.Portal.Exec(t, `WITH a AS (INSERT INTO realtime.notification_accounts AS x (owner_id, revision) VALUES ($1, 1) ON CONFLICT (owner_id) DO UPDATE SET revision = x.revision + 1 RETURNING revision)
			INSERT INTO realtime.notifications (owner_id, user_id, kind, key, group_key, revision, news, happened_at) SELECT $1, $2, 'new_sign_in', 'k', 'k', revision, revision, now() FROM a`, s.Owner.ID, id)
		members[id] = token
	}
	lists := map[string]notifications{}
	for id, token := range members {
		list := listed(t, s.Program, s.Owner.ID, token, "")
		if len(list.Items) != 1 || list.Unread != 1 || *list.Items[0].UserID != id {
			t.Fatalf("user %s sees %+v", id, list)
		}
		lists[id] = list
	}
	for id, list := range lists {
		for other, otherToken := range members {
			if other != id {
				if response, _ := s.Call(t, "PATCH", "owners/"+s.Owner.ID+"/notifications/"+list.Items[0].ID, otherToken, map[string]any{"read": true}); response.StatusCode != 404 {
					t.Errorf("another's own notification: %d", response.StatusCode)
				}
				s.Call(t, "POST", "owners/"+s.Owner.ID+"/notifications/read", otherToken, map[string]any{"through": "999999"})
			}
		}
	}
	if read := s.Portal.ID(t, `SELECT count(*)::text FROM realtime.notifications WHERE user_id IS NOT NULL AND read_by <> user_id`); read != "0" {
		t.Errorf("%s were read by another", read)
	}
}

// TestPayoutsAreTold sends a payout, takes it back, and plans one for tomorrow.
func TestPayoutsAreTold(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	bookings := []string{s.Portal.Book(t, s.Owner.Hangars[0], s.Guest), s.Portal.Book(t, s.Owner.Hangars[1], s.Guest)}
	sent := func() (list []notified) { return listed(t, s.Program, s.Owner.ID, s.Token, "?kind=payout_sent").Items }
	s.Portal.Exec(t, `INSERT INTO realtime.payouts (booking_id, owner_id, paid_out_at) SELECT b, $1, now() FROM unnest($2::text[]) b`, s.Owner.ID, "{"+strings.Join(bookings, ",")+"}")
	harness.Eventually(t, "the payout is told", func() bool { return len(sent()) == 1 })
	if one := sent()[0]; one.Facts["amount"] != 360.0 || one.Facts["bookings"] != 2.0 || one.Facts["date"] == nil || one.ResolvedAt != nil || one.Count != 1 {
		t.Errorf("the payout: %+v", one)
	}
	s.Portal.Exec(t, `UPDATE realtime.payouts SET paid_out_at = NULL WHERE booking_id = $1`, bookings[0])
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest) // what is told of after it
	harness.Eventually(t, "the next booking is told", func() bool {
		return slices.ContainsFunc(listed(t, s.Program, s.Owner.ID, s.Token, "?kind=booking_created").Items, func(n notified) bool { return n.Count == 2 })
	})
	if one := sent(); len(one) != 1 || one[0].ResolvedAt != nil {
		t.Errorf("a part of it stands: %+v", one)
	}
	s.Portal.Exec(t, `DELETE FROM realtime.payouts WHERE booking_id = $1`, bookings[1])
	harness.Eventually(t, "it is resolved", func() bool { return sent()[0].ResolvedAt != nil })
	if list := listed(t, s.Program, s.Owner.ID, s.Token, "?state=unread&kind=payout_sent"); len(list.Items) != 0 {
		t.Errorf("and still unread: %+v", list)
	}
	s.Portal.Exec(t, `UPDATE realtime.payouts SET paid_out_at = $1`, time.Now().Add(time.Second))
	harness.Eventually(t, "sent again, it is told again", func() bool { return len(sent()) == 2 && sent()[0].ResolvedAt == nil })
}

// TestOldClientsAskForNothing follows an account as a client does that knows nothing of
// notifications: it steps over messages of other types, keeps the id of the last event, and loads
// everything again when a heartbeat names another. A hundred clicks on read, bookings between them,
// make it load nothing.
func TestOldClientsAskForNothing(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--heartbeat-interval", "1s")
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	path := "owners/" + s.Owner.ID + "/notifications"
	var id string
	harness.Eventually(t, "the booking is told", func() bool {
		list := listed(t, s.Program, s.Owner.ID, s.Token, "")
		if len(list.Items) == 1 {
			id = list.Items[0].ID
		}
		return id != ""
	})
	known := []string{"connection_established", "heartbeat", "metrics_updated", "overview_updated", "booking_created", "booking_updated",
		"booking_completed", "revenue_received", "occupancy_changed", "resync", "token_expiring", "token_expired", "server_closing", "error", "pong", "refreshed"}
	for name, open := range map[string]func() *harness.Stream{
		"WebSocket":    func() *harness.Stream { return s.Connect(t, s.Token, s.Owner.ID, "") },
		"event stream": func() *harness.Stream { return s.Listen(t, s.Token, "?ownerId="+s.Owner.ID) },
	} {
		stream := open()
		position := stream.Next(harness.OfType("connection_established")).Field("lastEventId")
		notified, bookings := 0, 0
		for click := range 100 {
			if click%20 == 10 {
				s.Portal.Book(t, s.Owner.Hangars[1], s.Guest)
			}
			if response, body := s.Call(t, "PATCH", path+"/"+id, s.Token, map[string]any{"read": click%2 == 0}); response.StatusCode != 200 {
				t.Fatalf("click: %d %v", response.StatusCode, body)
			}
			if click%10 != 9 {
				continue
			}
			stream.Next(func(m harness.Message) bool {
				switch {
				case m.Type == "resync":
					t.Errorf("%s: after %d clicks: resync", name, click+1)
				case m.Type == "heartbeat" && m.Field("lastEventId") != position:
					t.Errorf("%s: after %d clicks a heartbeat names %s, the last event was %s", name, click+1, m.Field("lastEventId"), position)
				case !slices.Contains(known, m.Type) && m.ID != "":
					t.Errorf("%s: a message %s with an id: the position stays behind", name, m.Type)
				case m.Type == "notifications_updated":
					notified++
				case m.ID != "":
					position = m.ID
					bookings++
				}
				return m.Type == "heartbeat" && bookings >= (click+10)/20
			})
		}
		if notified == 0 || bookings < 5 {
			t.Errorf("%s: %d messages of notifications, %d events", name, notified, bookings)
		}
	}
}
