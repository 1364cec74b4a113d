package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	members := "owners/" + s.Owner.ID + "/members"
	ana, anaMail, anaToken := harness.AddUser(t, s.Portal, "Ana")
	bia, biaMail, biaToken := harness.AddUser(t, s.Portal, "Bia")
	_, ciaMail, ciaToken := harness.AddUser(t, s.Portal, "Cia")
	want := func(what string, response *http.Response, body map[string]any, status int) {
		t.Helper()
		if response.StatusCode != status {
			t.Errorf("%s: %s %v, want %d", what, response.Status, body, status)
		}
	}
	add := func(token, email, role string) (*http.Response, map[string]any) {
		return s.Call(t, "POST", members, token, map[string]any{"email": email, "role": role})
	}
	change := func(token, user, role string) (*http.Response, map[string]any) {
		return s.Call(t, "PATCH", members+"/"+user, token, map[string]any{"role": role})
	}
	remove := func(token, user string) (*http.Response, map[string]any) {
		return s.Call(t, "DELETE", members+"/"+user, token, nil)
	}

	response, body := add(anaToken, anaMail, "viewer")
	want("a stranger lets himself in", response, body, 403)
	shareAccount(t, s.Program, s.Owner.ID, s.Token, strings.ToUpper(anaMail), "manager", anaToken)
	if _, _, list := s.Get(t, members, s.Token); !strings.Contains(harness.EncodeJSON(t, list), `{"email":"`+anaMail+`","name":"Ana Lima","role":"manager","since":`) {
		t.Errorf("the members are %v", list)
	}
	response, body = add(s.Token, biaMail, "pilot")
	want("an unknown role", response, body, 400)
	response, body = add(s.Token, "", "viewer")
	want("no address", response, body, 400)
	response, body = s.Call(t, "POST", members, s.Token, "hello")
	want("no object", response, body, 400)
	response, body = add(anaToken, biaMail, "manager")
	want("a manager makes a manager", response, body, 403)
	shareAccount(t, s.Program, s.Owner.ID, anaToken, biaMail, "viewer", biaToken)
	response, body = add(biaToken, ciaMail, "viewer")
	want("a viewer adds a viewer", response, body, 403)

	if status, _, list := s.Get(t, members, anaToken); status != 200 || strings.Count(harness.EncodeJSON(t, list), `"userId"`) != 3 ||
		!strings.HasPrefix(harness.EncodeJSON(t, list["members"]), `[{"email"`) || list["members"].([]any)[0].(map[string]any)["role"] != "owner" {
		t.Errorf("a manager lists %d %v", status, list)
	}
	if status, _, list := s.Get(t, members, biaToken); status != 403 {
		t.Errorf("a viewer lists %d %v", status, list)
	}
	if _, _, me := s.Get(t, "auth/me", biaToken); !strings.Contains(harness.EncodeJSON(t, me["accounts"]), `"role":"viewer"`) {
		t.Errorf("a viewer's accounts: %v", me)
	}

	// Everybody sees the account live, each by a session of their own.
	streams := map[string]*harness.Stream{"owner": s.Connect(t, s.Token, "", ""), "ana": s.Connect(t, anaToken, "", ""), "bia": s.Listen(t, biaToken, "")}
	for _, stream := range streams {
		stream.Next(harness.OfType("connection_established"))
	}
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	id := streams["owner"].Next(harness.IsEvent).ID
	for name, stream := range streams {
		if name != "owner" && stream.Next(harness.IsEvent).ID != id {
			t.Errorf("%s sees another event", name)
		}
	}

	response, body = change(anaToken, bia, "manager")
	want("a manager promotes a viewer", response, body, 403)
	response, body = change(s.Token, bia, "manager")
	want("an owner promotes a viewer", response, body, 200)
	response, body = remove(anaToken, bia)
	want("a manager removes a manager", response, body, 403)
	response, body = change(s.Token, s.Owner.UserID, "viewer")
	want("the account's own user", response, body, 409)
	response, body = remove(s.Token, s.Owner.UserID)
	want("removing the account's own user", response, body, 409)
	response, body = change(s.Token, "999999", "viewer")
	want("changing nobody", response, body, 404)
	response, body = change(s.Token, "no-id", "viewer")
	want("changing what is no id", response, body, 404)
	response, body = remove(s.Token, ana)
	want("an owner removes a manager", response, body, 204)
	if code := streams["ana"].End(); code != 4403 {
		t.Errorf("a removed member's WebSocket ends with %d", code)
	}
	if status, _, _ := s.Get(t, "owners/"+s.Owner.ID+"/metrics", anaToken); status != 403 {
		t.Errorf("a removed member's snapshot: %d", status)
	}
	response, body = remove(biaToken, bia)
	want("a member leaves", response, body, 204)
	if m := streams["bia"].Next(harness.OfType("error")); m.Field("code") != "4403" {
		t.Errorf("a leaving member's event stream ends with %s", m.Data)
	}
	shareAccount(t, s.Program, s.Owner.ID, s.Token, ciaMail, "owner", ciaToken)
	shareAccount(t, s.Program, s.Owner.ID, ciaToken, anaMail, "manager", anaToken)
	s.Portal.Exec(t, `DELETE FROM hangar_owners WHERE id::text = $1`, s.Portal.AddOwner(t, 0).ID)
	s.Portal.Book(t, s.Owner.Hangars[1], s.Guest)
	streams["owner"].Next(harness.IsEvent)
}

func TestMembershipEndsWithTheAccount(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	_, mail, token := harness.AddUser(t, s.Portal, "Ana")
	doomed := s.Portal.AddOwner(t, 0)
	shareAccount(t, s.Program, doomed.ID, harness.TokenFor(t, doomed.UserID, time.Hour), mail, "viewer", token)
	ws := s.Connect(t, token, doomed.ID, "")
	ws.Next(harness.OfType("connection_established"))
	s.Portal.Exec(t, `DELETE FROM hangar_owners WHERE id::text = $1`, doomed.ID)
	if code := ws.End(); code != 4403 {
		t.Errorf("the stream of a deleted account ends with %d", code)
	}
	if _, _, me := s.Get(t, "auth/me", token); harness.EncodeJSON(t, me["accounts"]) != "[]" {
		t.Errorf("accounts %v", me["accounts"])
	}
}

// TestMembershipEndsWithTheUser deletes a user of the portal who is a member: they see
// nothing more, also where it was remembered that they may, and are listed nowhere. An
// account's own user needs no row.
func TestMembershipEndsWithTheUser(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	ana, mail, token := harness.AddUser(t, s.Portal, "Ana")
	account := "owners/" + s.Owner.ID
	shareAccount(t, s.Program, s.Owner.ID, s.Token, mail, "owner", token)
	ws := s.Connect(t, token, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))
	for range 2 {
		if status, _, body := s.Get(t, account+"/metrics", token); status != http.StatusOK {
			t.Fatalf("a member's metrics: %d %v", status, body)
		}
	}
	s.Portal.Exec(t, `DELETE FROM users WHERE id::text = $1`, ana)
	for _, path := range []string{"/metrics", "/members", "/invitations", "/bookings"} {
		if status, _, body := s.Get(t, account+path, token); status != http.StatusForbidden {
			t.Errorf("%s for who is no user any more: %d %v", path, status, body)
		}
	}
	if code := ws.End(); code != 4403 {
		t.Errorf("their stream ends with %d", code)
	}
	if response, body := s.Call(t, "POST", account+"/members", token, map[string]any{"email": "x@y.example", "role": "owner"}); response.StatusCode != http.StatusForbidden {
		t.Errorf("they invite: %s %v", response.Status, body)
	}
	if status, _, body := s.Get(t, "auth/me", token); status != http.StatusUnauthorized {
		t.Errorf("me: %d %v", status, body)
	}
	if _, _, list := s.Get(t, account+"/members", s.Token); strings.Contains(harness.EncodeJSON(t, list), mail) {
		t.Errorf("they are listed: %v", list)
	}
	if response, body := s.Call(t, "PATCH", account+"/members/"+ana, s.Token, map[string]any{"role": "viewer"}); response.StatusCode != http.StatusNotFound {
		t.Errorf("they get another role: %s %v", response.Status, body)
	}

	s.Portal.Exec(t, `ALTER TABLE hangar_owners DROP CONSTRAINT hangar_owners_user_id_fkey`)
	s.Portal.Exec(t, `DELETE FROM users WHERE id::text = $1`, s.Owner.UserID)
	s.Connect(t, s.Token, "", "").Next(harness.OfType("connection_established"))
	status, _, me := s.Get(t, "auth/me", s.Token)
	if accounts := harness.EncodeJSON(t, me["accounts"]); status != http.StatusOK || me["user"].(map[string]any)["id"] != s.Owner.UserID || !strings.Contains(accounts, `"role":"owner"`) {
		t.Errorf("me for an account's user without a row: %d %v", status, me)
	}
}
