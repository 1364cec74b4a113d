package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// notified is a notification, a page or a message as clients get it.
type notified struct {
	ID, Kind, Severity string
	Count              int
	Facts              map[string]any
	UserID             *string
	Revision           int64
	ReadAt             *string
	ReadBy, ArchivedBy *struct{ ID, Name *string }
	ArchivedAt         *string
	ResolvedAt         *string
}

// notifications is a list, or the data of a message.
type notifications struct {
	Items                           []notified
	Unread, Unseen, Revision, Since int64
	Next                            *string
	Reset, More                     bool
	ClearedUntil                    *int64
	ReadThrough                     *struct{ ID, At string }
}

// listed reads a user's list of an account.
func listed(t testing.TB, s *harness.Program, ownerID, token, query string) (list notifications) {
	t.Helper()
	response, body := s.Call(t, "GET", "owners/"+ownerID+"/notifications"+query, token, nil)
	if response.StatusCode != 200 {
		t.Fatalf("list%s: %d %v", query, response.StatusCode, body)
	}
	text, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// ofNotifications is the data of a message notifications_updated.
func ofNotifications(t testing.TB, m harness.Message) (n notifications) {
	t.Helper()
	if err := json.Unmarshal(m.Data, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// awaitNotifications waits for a message with which want is content.
func awaitNotifications(t testing.TB, stream *harness.Stream, want func(notifications) bool) (n notifications) {
	t.Helper()
	stream.Next(func(m harness.Message) bool {
		if m.Type != "notifications_updated" {
			return false
		}
		n = ofNotifications(t, m)
		return want(n)
	})
	return n
}

// TestNotifications books, and follows what comes of it through REST and both transports: made,
// counted together, read, archived, seen and cleared.
func TestNotifications(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	path := "owners/" + s.Owner.ID + "/notifications"
	call := func(method, at, token string, body any, want int) map[string]any {
		t.Helper()
		response, answer := s.Call(t, method, path+at, token, body)
		if response.StatusCode != want {
			t.Fatalf("%s %s %v: %d %v", method, at, body, response.StatusCode, answer)
		}
		return answer
	}
	manager, _, managerToken := harness.AddUser(t, s.Portal, "Marta")
	viewer, _, viewerToken := harness.AddUser(t, s.Portal, "Vera")
	s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager'), ($1, $3, 'viewer')`, s.Owner.ID, manager, viewer)
	// the owner alone is told who came
	harness.Eventually(t, "the owner is told of the members", func() bool {
		list := listed(t, s.Program, s.Owner.ID, s.Token, "")
		return len(list.Items) == 2 && list.Items[0].Kind == "member_changed" && list.Items[0].UserID != nil && list.Unread == 2
	})
	came := listed(t, s.Program, s.Owner.ID, s.Token, "")
	if others := listed(t, s.Program, s.Owner.ID, managerToken, ""); len(others.Items)+int(others.Unread) != 0 || came.Items[1].Facts["memberName"] != "Marta Lima" ||
		came.Items[1].Facts["role"] != "manager" {
		t.Errorf("the manager sees what is the owner's alone: %+v, or it does not say who: %+v", others, came)
	}
	call("PATCH", "/"+came.Items[0].ID, managerToken, map[string]any{"read": true}, 404)
	call("POST", "/read", s.Token, map[string]any{"through": came.Items[0].ID}, 200)
	for _, one := range came.Items {
		call("PATCH", "/"+one.ID, s.Token, map[string]any{"archived": true}, 200)
	}
	socket := s.Connect(t, s.Token, s.Owner.ID, "")
	events := s.Listen(t, s.Token, "?ownerId="+s.Owner.ID)
	for _, stream := range []*harness.Stream{socket, events} {
		if n := awaitNotifications(t, stream, func(notifications) bool { return true }); n.Unread != 0 || n.Items == nil || n.Since != n.Revision {
			t.Errorf("at first: %+v", n)
		}
	}
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	for _, stream := range []*harness.Stream{socket, events} {
		n := awaitNotifications(t, stream, func(n notifications) bool { return n.Unread == 1 })
		if len(n.Items) != 1 || n.Items[0].Kind != "booking_created" || n.Items[0].Facts["bookingId"] != booking || n.Items[0].Facts["guestName"] != "Caio Brandão" ||
			n.Items[0].Facts["hangarNumber"] != "H1" || n.Items[0].Facts["amount"] != 220.5 || n.Unseen != 1 || n.Since >= n.Revision {
			t.Errorf("a booking: %+v", n)
		}
	}
	list := listed(t, s.Program, s.Owner.ID, s.Token, "")
	if len(list.Items) != 1 || list.Unread != 1 || list.Unseen != 1 || list.Items[0].ReadAt != nil {
		t.Fatalf("list: %+v", list)
	}
	first := list.Items[0]

	// another in the same hangar is counted into it, one elsewhere is not
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	s.Portal.Book(t, s.Owner.Hangars[1], s.Guest)
	awaitNotifications(t, socket, func(n notifications) bool { return n.Unread == 2 })
	harness.Eventually(t, "both bookings are told", func() bool {
		list = listed(t, s.Program, s.Owner.ID, s.Token, "?state=unread")
		return len(list.Items) == 2 && list.Items[1].Count == 2 && list.Items[1].ID == first.ID
	})
	if byHangar := listed(t, s.Program, s.Owner.ID, s.Token, "?hangarId="+s.Owner.Hangars[1]); len(byHangar.Items) != 1 || byHangar.Unread != 2 {
		t.Errorf("of one hangar: %+v", byHangar)
	}
	page := listed(t, s.Program, s.Owner.ID, s.Token, "?limit=1")
	if len(page.Items) != 1 || page.Next == nil {
		t.Fatalf("the first page: %+v", page)
	}
	if rest := listed(t, s.Program, s.Owner.ID, s.Token, "?limit=1&before="+*page.Next); len(rest.Items) != 1 || rest.Items[0].ID != first.ID || rest.Next != nil {
		t.Errorf("the next page: %+v", rest)
	}

	// read by one is read for all, with who and when; undo is the reverse
	call("PATCH", "/"+first.ID, managerToken, map[string]any{"read": true}, 200)
	n := awaitNotifications(t, socket, func(n notifications) bool { return n.Unread == 1 })
	if len(n.Items) == 0 || n.Items[0].ReadBy == nil || *n.Items[0].ReadBy.ID != manager || *n.Items[0].ReadBy.Name != "Marta Lima" {
		t.Errorf("read by the manager: %+v", n)
	}
	again := call("PATCH", "/"+first.ID, viewerToken, map[string]any{"read": true}, 200)
	if by, _ := again["readBy"].(map[string]any); by["id"] != manager {
		t.Errorf("read again, by the viewer: %v", again)
	}
	before := listed(t, s.Program, s.Owner.ID, s.Token, "").Revision
	call("PATCH", "/"+first.ID, viewerToken, map[string]any{"read": false}, 200)
	if since := listed(t, s.Program, s.Owner.ID, s.Token, fmt.Sprint("?since=", before)); len(since.Items) != 1 || since.Items[0].ReadBy != nil || since.Unread != 2 {
		t.Errorf("unread again: %+v", since)
	}
	if reset := listed(t, s.Program, s.Owner.ID, s.Token, fmt.Sprint("?since=", before+1000)); !reset.Reset || len(reset.Items) != 0 {
		t.Errorf("since a revision that never was: %+v", reset)
	}

	// what a viewer may not, and what nobody may
	call("PATCH", "/"+first.ID, viewerToken, map[string]any{"archived": true}, 403)
	call("PATCH", "/rules", viewerToken, map[string]any{"kind": "to_confirm", "enabled": false}, 403)
	call("PATCH", "/"+first.ID, s.Token, map[string]any{}, 400)
	call("PATCH", "/999999", s.Token, map[string]any{"read": true}, 404)
	call("PATCH", "/x", s.Token, map[string]any{"read": true}, 404)
	call("POST", "/read", s.Token, map[string]any{}, 400)
	call("POST", "/cleared", s.Token, map[string]any{"until": "yesterday"}, 400)
	stranger := s.Portal.AddOwner(t, 1)
	_, _, strangerToken := harness.AddUser(t, s.Portal, "Sem Conta")
	call("GET", "", strangerToken, nil, 403)
	if response, _ := s.Call(t, "PATCH", "owners/"+stranger.ID+"/notifications/"+first.ID, harness.TokenFor(t, stranger.UserID, time.Hour), map[string]any{"read": true}); response.StatusCode != 404 {
		t.Errorf("another account's notification: %d", response.StatusCode)
	}

	// archived and back
	call("PATCH", "/"+first.ID, managerToken, map[string]any{"archived": true}, 200)
	if now := listed(t, s.Program, s.Owner.ID, s.Token, ""); len(now.Items) != 1 || now.Unread != 1 {
		t.Errorf("archived: %+v", now)
	}
	if old := listed(t, s.Program, s.Owner.ID, managerToken, "?state=archived"); len(old.Items) != 1 || *old.Items[0].ArchivedBy.Name != "Marta Lima" {
		t.Errorf("the archive: %+v", old)
	}
	call("PATCH", "/"+first.ID, managerToken, map[string]any{"archived": false}, 200)

	// seen is each one's own
	top := listed(t, s.Program, s.Owner.ID, s.Token, "")
	call("POST", "/seen", s.Token, map[string]any{"through": top.Items[0].ID}, 204)
	awaitNotifications(t, events, func(n notifications) bool { return n.Unseen == 0 && n.Unread == 2 })
	if now := listed(t, s.Program, s.Owner.ID, s.Token, ""); now.Unseen != 0 || now.Unread != 2 {
		t.Errorf("seen: %+v", now)
	}

	// mark all: what came after the screen was drawn stays unread
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	awaitNotifications(t, socket, func(n notifications) bool { return n.Unseen == 1 && n.Revision > top.Revision })
	call("POST", "/read", s.Token, map[string]any{"through": top.Items[0].ID, "revision": top.Revision}, 200)
	if now := listed(t, s.Program, s.Owner.ID, s.Token, "?state=unread"); len(now.Items) != 1 || now.Items[0].Count != 3 {
		t.Errorf("marked while another came: %+v", now)
	}
	// A message that tells of both marks lists what they changed, and does not say "all".
	awaitNotifications(t, socket, func(n notifications) bool { return n.Unread == 1 })
	call("POST", "/read", s.Token, map[string]any{"through": top.Items[0].ID}, 200)
	n = awaitNotifications(t, socket, func(n notifications) bool { return n.Unread == 0 })
	if n.ReadThrough == nil || n.ReadThrough.ID != top.Items[0].ID {
		t.Errorf("all read: %+v", n)
	}

	// my own two lists, on every device
	call("POST", "/cleared", s.Token, map[string]any{"until": 1768977456006}, 204)
	awaitNotifications(t, events, func(n notifications) bool { return n.ClearedUntil != nil && *n.ClearedUntil == 1768977456006 })
	call("POST", "/cleared", s.Token, map[string]any{"until": nil}, 204)
	awaitNotifications(t, socket, func(n notifications) bool { return n.ClearedUntil == nil })
	if now := listed(t, s.Program, s.Owner.ID, managerToken, ""); now.ClearedUntil != nil {
		t.Errorf("another's lists were cleared: %+v", now)
	}
	response, counts := s.Call(t, "GET", "me/notifications/counts", s.Token, nil)
	if accounts, _ := counts["accounts"].([]any); response.StatusCode != 200 || len(accounts) != 1 || counts["unread"] != 0.0 {
		t.Errorf("counts: %d %v", response.StatusCode, counts)
	}
}

// screen is what one tab of a user shows of an account: a list that messages keep up to date.
type screen struct {
	stream   *harness.Stream
	server   *harness.Program
	token    string
	user     string
	ownerID  string
	revision int64
	unread   int64
	items    map[string]notified
	asked    int // how often it asked for what it lacked
}

// take shows what a message says.
func (s *screen) take(t testing.TB, n notifications) {
	if n.Since != s.revision || n.More {
		s.asked++
		list := listed(t, s.server, s.ownerID, s.token, fmt.Sprint("?since=", max(s.revision, 0)))
		if list.Reset {
			s.items = map[string]notified{}
			list = listed(t, s.server, s.ownerID, s.token, "?limit=100")
		}
		n.Items, n.Revision, n.Unread = list.Items, list.Revision, list.Unread
	}
	for _, item := range n.Items {
		if item.ArchivedAt != nil {
			delete(s.items, item.ID)
		} else {
			s.items[item.ID] = item
		}
	}
	s.revision, s.unread = n.Revision, n.Unread
}

// follow takes messages until the screen shows a revision.
func (s *screen) follow(t testing.TB, revision int64) {
	for s.revision < revision {
		s.take(t, awaitNotifications(t, s.stream, func(notifications) bool { return true }))
	}
}

// TestScreensAgree has members of an account book, cancel, read, archive and mark all on two
// servers at random, on many screens of both transports. In the end every screen shows what the
// table allows its user, asked for once for all of them; the projection stays, and who was removed
// got nothing.
func TestScreensAgree(t *testing.T) {
	t.Parallel()
	users, tabs, deeds := 3, 2, 60
	if os.Getenv("HANGARSHARE_FIGURES") != "" {
		users, tabs, deeds = 50, 4, 1000
	}
	admins := []string{harness.FreeAddress(t), harness.FreeAddress(t)}
	s := harness.NewSetup(t, "--admin-addr", admins[0])
	second := harness.Serve(t, s.Portal, "--admin-addr", admins[1])
	servers := []*harness.Program{s.Program, second}
	sumOf := func(name string) (sum float64) {
		t.Helper()
		for i, one := range servers {
			value, err := strconv.ParseFloat(one.Metric(t, admins[i], name), 64)
			harness.Must(t, err)
			sum += value
		}
		return sum
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	harness.Eventually(t, "the projection is valid", func() bool { return sumOf("hangarshare_ledger_valid") >= 1 })

	built := sumOf("hangarshare_ledger_valid")
	generation := s.Portal.ID(t, `SELECT number::text FROM realtime.ledger_generation`)
	tokens := []string{s.Token}
	ids := []string{s.Owner.UserID}
	for i := range users - 1 {
		id, _, token := harness.AddUser(t, s.Portal, fmt.Sprint("M", i))
		s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'manager')`, s.Owner.ID, id)
		ids, tokens = append(ids, id), append(tokens, token)
	}
	removed, _, removedToken := harness.AddUser(t, s.Portal, "Removed")
	s.Portal.Exec(t, `INSERT INTO realtime.members (owner_id, user_id, role) VALUES ($1, $2, 'viewer')`, s.Owner.ID, removed)
	leaving := second.Connect(t, removedToken, s.Owner.ID, "")
	var screens []*screen
	for i, token := range tokens {
		for tab := range tabs {
			one := &screen{server: servers[(i+tab)%2], token: token, user: ids[i], ownerID: s.Owner.ID, revision: -1, items: map[string]notified{}}
			if tab%2 == 0 {
				one.stream = one.server.Connect(t, token, s.Owner.ID, "")
			} else {
				one.stream = one.server.Listen(t, token, "?ownerId="+s.Owner.ID)
			}
			screens = append(screens, one)
		}
	}
	var bookings []string
	for deed := range deeds {
		i := random.IntN(len(tokens))
		at, token := servers[random.IntN(2)], tokens[i]
		list := listed(t, at, s.Owner.ID, token, "?limit=20")
		path := "owners/" + s.Owner.ID + "/notifications/"
		one := ""
		if len(list.Items) > 0 {
			one = list.Items[random.IntN(len(list.Items))].ID
		}
		switch kind := random.IntN(8); {
		case one == "" || kind == 0:
			bookings = append(bookings, s.Portal.Book(t, s.Owner.Hangars[random.IntN(2)], s.Guest))
		case kind == 1 && len(bookings) > 0:
			s.Portal.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id = `+bookings[random.IntN(len(bookings))])
		case kind == 2:
			at.Call(t, "POST", path+"read", token, map[string]any{"through": list.Items[0].ID, "revision": list.Revision})
		case kind == 3:
			at.Call(t, "PATCH", path+one, token, map[string]any{"archived": true})
		default:
			at.Call(t, "PATCH", path+one, token, map[string]any{"read": kind%2 == 0})
		}
		if deed == deeds/2 {
			s.Portal.Exec(t, `DELETE FROM realtime.members WHERE user_id = $1`, removed)
			if code := leaving.End(); code != 4403 {
				t.Errorf("the stream of who was removed ended with %d", code)
			}
		}
	}
	// what is on its way comes: then nothing changes any more
	last := s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	s.Portal.Exec(t, `UPDATE bookings SET status = 'cancelled' WHERE id = `+last)
	harness.Eventually(t, "the last deed is told", func() bool {
		return s.Portal.ID(t, `SELECT count(*)::text FROM realtime.notifications WHERE kind = 'booking_cancelled' AND facts->>'bookingId' = $1`, last) == "1"
	})
	revision, err := strconv.ParseInt(s.Portal.ID(t, `SELECT revision::text FROM realtime.notification_accounts WHERE owner_id = $1`, s.Owner.ID), 10, 64)
	harness.Must(t, err)
	asked := 0
	for _, one := range screens {
		one.follow(t, revision)
		asked += one.asked
		var want []string
		harness.Must(t, s.Portal.Pool.Select(&want, `SELECT concat_ws(' ', id, count, revision, read_at IS NOT NULL) FROM realtime.notifications
			WHERE owner_id = $1 AND (user_id IS NULL OR user_id = $2) AND archived_at IS NULL ORDER BY id`, s.Owner.ID, one.user))
		var shown []string
		unread := 0
		for _, item := range one.items {
			shown = append(shown, fmt.Sprintf("%s %d %d %s", item.ID, item.Count, item.Revision, map[bool]string{true: "t", false: "f"}[item.ReadAt != nil]))
			if item.ReadAt == nil && item.ResolvedAt == nil {
				unread++
			}
		}
		slices.SortFunc(shown, func(a, b string) int { return idOf(a) - idOf(b) })
		if !slices.Equal(shown, want) || int(one.unread) != unread {
			t.Errorf("user %s shows %d unread and\n%s\nwant %d and\n%s", one.user, one.unread, strings.Join(shown, "\n"), unread, strings.Join(want, "\n"))
		}
	}
	questions := sumOf("hangarshare_notifications_asked_total")
	if questions > float64(4*len(servers)*(int(revision)+deeds+len(screens))) {
		t.Errorf("%v questions for %d revisions and %d screens", questions, revision, len(screens))
	}
	if valid := sumOf("hangarshare_ledger_valid"); valid < built {
		t.Errorf("the projection is valid on %v servers, and was on %v", valid, built)
	}
	if now := s.Portal.ID(t, `SELECT number::text FROM realtime.ledger_generation`); now != generation {
		t.Errorf("the projection was built anew: generation %s, before %s", now, generation)
	}
	t.Logf("%d screens, %d revisions, %v questions; screens asked %d times", len(screens), revision, questions, asked)
}

func idOf(line string) (id int) {
	fmt.Sscan(line, &id)
	return id
}

// TestPersonalNotifications invites a user who has an account of their own, and signs another in
// on a new device: each finds it where nobody else does.
func TestPersonalNotifications(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	guest := s.Portal.AddOwner(t, 1)
	email := harness.SetPassword(t, s.Portal, guest.UserID)
	token := harness.TokenFor(t, guest.UserID, time.Hour)
	of := func(kind string) (found []notified) {
		for _, one := range listed(t, s.Program, guest.ID, token, "?kind="+kind).Items {
			found = append(found, one)
		}
		return found
	}
	if response, body := s.Call(t, "POST", "owners/"+s.Owner.ID+"/members", s.Token, map[string]any{"email": email, "role": "manager"}); response.StatusCode != 202 {
		t.Fatalf("invite: %d %v", response.StatusCode, body)
	}
	harness.Eventually(t, "the invitation is told", func() bool { return len(of("invitation")) == 1 })
	one := of("invitation")[0]
	if one.UserID == nil || *one.UserID != guest.UserID || one.Facts["companyName"] != "Hangares Prado" || one.Facts["accountId"] != s.Owner.ID || one.Facts["role"] != "manager" {
		t.Errorf("the invitation: %+v", one)
	}
	if response, body := s.Call(t, "POST", fmt.Sprint("me/invitations/", one.Facts["invitationId"]), token, map[string]any{"accept": true}); response.StatusCode != 200 {
		t.Fatalf("accept: %d %v", response.StatusCode, body)
	}
	harness.Eventually(t, "it is resolved", func() bool { return of("invitation")[0].ResolvedAt != nil })
	harness.Eventually(t, "the owner is told who came", func() bool {
		list := listed(t, s.Program, s.Owner.ID, s.Token, "?kind=member_changed")
		return len(list.Items) == 1 && list.Items[0].Facts["memberId"] == guest.UserID && list.Unread == 1
	})
	// what the owner does is no news to the owner
	if response, _ := s.Call(t, "PATCH", "owners/"+s.Owner.ID+"/members/"+guest.UserID, s.Token, map[string]any{"role": "viewer"}); response.StatusCode != 200 {
		t.Fatalf("change: %d", response.StatusCode)
	}
	harness.Eventually(t, "the own deed is listed as read", func() bool {
		list := listed(t, s.Program, s.Owner.ID, s.Token, "?kind=member_changed")
		return len(list.Items) == 2 && list.Items[0].ReadBy != nil && *list.Items[0].ReadBy.ID == s.Owner.UserID && list.Unread == 1
	})
	s.SignIn(t, email) // the first session is no news
	s.SignIn(t, email)
	harness.Eventually(t, "the second sign-in is told", func() bool { return len(of("new_sign_in")) == 1 })
	response, counts := s.Call(t, "GET", "me/notifications/counts", token, nil)
	if accounts, _ := counts["accounts"].([]any); response.StatusCode != 200 || len(accounts) != 2 || counts["unread"] != 1.0 {
		t.Errorf("counts of two accounts: %v", counts)
	}
	// preferences, rules and settings
	for _, c := range []struct {
		method, path string
		body         map[string]any
		want         int
	}{
		{"PATCH", "owners/" + guest.ID + "/notifications/preferences", map[string]any{"kind": "booking_created", "channel": "push", "mode": "off"}, 200},
		{"PATCH", "owners/" + guest.ID + "/notifications/preferences", map[string]any{"kind": "booking_created", "channel": "push", "mode": "digest"}, 400},
		{"PATCH", "owners/" + guest.ID + "/notifications/preferences", map[string]any{"kind": "new_sign_in", "channel": "mail", "mode": "off"}, 400},
		{"PATCH", "owners/" + guest.ID + "/notifications/preferences", map[string]any{"kind": "none", "channel": "mail", "mode": "off"}, 400},
		{"PATCH", "owners/" + guest.ID + "/notifications/rules", map[string]any{"kind": "to_confirm", "params": map[string]any{"hours": 4}}, 200},
		{"PATCH", "owners/" + guest.ID + "/notifications/rules", map[string]any{"kind": "to_confirm", "params": map[string]any{"hours": 400}}, 400},
		{"PATCH", "owners/" + guest.ID + "/notifications/rules", map[string]any{"kind": "arrives_tomorrow", "params": map[string]any{"at": "25:00"}}, 400},
		{"PATCH", "owners/" + s.Owner.ID + "/notifications/rules", map[string]any{"kind": "to_confirm", "enabled": false}, 403},
		{"PATCH", "me/notifications", map[string]any{"quietFrom": "22:00", "quietTo": "07:00", "zone": "America/Manaus", "quietDays": []int{6, 0}}, 200},
		{"PATCH", "me/notifications", map[string]any{"quietTo": nil}, 400},
		{"PATCH", "me/notifications", map[string]any{"zone": "Mars/Olympus"}, 400},
	} {
		if response, body := s.Call(t, c.method, c.path, token, c.body); response.StatusCode != c.want {
			t.Errorf("%s %v: %d %v, want %d", c.path, c.body, response.StatusCode, body, c.want)
		}
	}
	if _, body := s.Call(t, "GET", "me/notifications", token, nil); body["zone"] != "America/Manaus" || body["quietTo"] != "07:00" {
		t.Errorf("settings: %v", body)
	}
	_, body := s.Call(t, "GET", "owners/"+guest.ID+"/notifications/rules", token, nil)
	if rule := body["rules"].([]any)[0].(map[string]any); rule["params"].(map[string]any)["hours"] != 4.0 || rule["changedBy"].(map[string]any)["id"] != guest.UserID {
		t.Errorf("rules: %v", body)
	}
	_, body = s.Call(t, "GET", "owners/"+guest.ID+"/notifications/preferences", token, nil)
	if push := body["kinds"].([]any)[0].(map[string]any)["channels"].(map[string]any)["push"].(map[string]any); push["mode"] != "off" || push["default"] != "now" {
		t.Errorf("preferences: %v", body)
	}
}

// TestNotificationFigures measures how soon bookings are told and how fast long lists are read. It
// asserts no time. HANGARSHARE_FIGURES has it run.
func TestNotificationFigures(t *testing.T) {
	if os.Getenv("HANGARSHARE_FIGURES") == "" {
		t.Skip("set HANGARSHARE_FIGURES")
	}
	s := harness.NewSetup(t)
	stream := s.Connect(t, s.Token, s.Owner.ID, "")
	awaitNotifications(t, stream, func(notifications) bool { return true })
	others := []dbtest.Owner{}
	for range 20 {
		others = append(others, s.Portal.AddOwner(t, 2))
	}
	// 100 bookings a second of others, and each 200 ms one of the owner's
	done := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			tick := time.NewTicker(40 * time.Millisecond)
			defer tick.Stop()
			for n := i; ; n += 4 {
				select {
				case <-done:
					return
				case <-tick.C:
					o := others[n%len(others)]
					s.Portal.Pool.Exec(`INSERT INTO bookings (` + dbtest.BookingColumns + `) VALUES ` + dbtest.BookingValues(o.Hangars[n%2], s.Guest))
				}
			}
		})
	}
	var took []time.Duration
	for i := range 150 {
		id := s.Portal.Book(t, s.Owner.Hangars[i%2], s.Guest)
		committed := time.Now()
		awaitNotifications(t, stream, func(n notifications) bool {
			return slices.ContainsFunc(n.Items, func(one notified) bool { return one.Facts["bookingId"] == id })
		})
		took = append(took, time.Since(committed))
	}
	close(done)
	writers.Wait()
	slices.Sort(took)
	t.Logf("commit to notifications_updated: p50 %v, p99 %v", took[len(took)/2], took[len(took)*99/100])
	s.Portal.Exec(t, `INSERT INTO realtime.notifications (owner_id, kind, key, group_key, facts, revision, news, happened_at)
		SELECT $1, 'booking_created', 'x' || n, 'x' || n, json_build_object('bookingId', '1'), 1, 1, now() FROM generate_series(1, 10000) n`, s.Owner.ID)
	s.Portal.Exec(t, `ANALYZE realtime.notifications`)
	took = nil
	for range 300 {
		begun := time.Now()
		listed(t, s.Program, s.Owner.ID, s.Token, "")
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("a page of 10,000 unread, over HTTP: p50 %v, p99 %v", took[150], took[297])
	s.Portal.Exec(t, `UPDATE realtime.notifications SET read_at = now() WHERE id % 50 <> 0`)
	s.Portal.Exec(t, `VACUUM ANALYZE realtime.notifications`)
	took = nil
	for range 300 {
		begun := time.Now()
		listed(t, s.Program, s.Owner.ID, s.Token, "")
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	t.Logf("a page of 10,000, 200 of them unread, over HTTP: p50 %v, p99 %v", took[150], took[297])
}
