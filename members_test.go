package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// addUser adds a user without an account and returns his id, e-mail address and token.
func addUser(t testing.TB, portal *dbtest.Portal, name string) (id, email, token string) {
	t.Helper()
	email = strings.ToLower(name) + "@member.example"
	id = portal.ID(t, `INSERT INTO users (first_name, last_name, email, password_hash) VALUES ($1, 'Lima', $2, '!') RETURNING id::text`, name, email)
	return id, email, tokenFor(t, id, time.Hour)
}

func TestMembers(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	members := "owners/" + s.owner.ID + "/members"
	ana, anaMail, anaToken := addUser(t, s.portal, "Ana")
	bia, biaMail, biaToken := addUser(t, s.portal, "Bia")
	_, ciaMail, ciaToken := addUser(t, s.portal, "Cia")
	want := func(what string, response *http.Response, body map[string]any, status int) {
		t.Helper()
		if response.StatusCode != status {
			t.Errorf("%s: %s %v, want %d", what, response.Status, body, status)
		}
	}
	add := func(token, email, role string) (*http.Response, map[string]any) {
		return s.call(t, "POST", members, token, map[string]any{"email": email, "role": role})
	}
	change := func(token, user, role string) (*http.Response, map[string]any) {
		return s.call(t, "PATCH", members+"/"+user, token, map[string]any{"role": role})
	}
	remove := func(token, user string) (*http.Response, map[string]any) {
		return s.call(t, "DELETE", members+"/"+user, token, nil)
	}

	response, body := add(anaToken, anaMail, "viewer")
	want("a stranger lets himself in", response, body, 403)
	response, body = add(s.token, strings.ToUpper(anaMail), "manager")
	want("add a manager", response, body, 201)
	if body["userId"] != ana || body["name"] != "Ana Lima" || body["email"] != anaMail || body["role"] != "manager" || body["since"] == nil {
		t.Errorf("the new member is %v", body)
	}
	response, body = add(s.token, anaMail, "viewer")
	want("add a member again", response, body, 409)
	response, body = add(s.token, "nobody@member.example", "viewer")
	want("add nobody", response, body, 404)
	response, body = add(s.token, biaMail, "pilot")
	want("an unknown role", response, body, 400)
	response, body = add(s.token, "", "viewer")
	want("no address", response, body, 400)
	response, body = s.call(t, "POST", members, s.token, "hello")
	want("no object", response, body, 400)
	response, body = add(anaToken, biaMail, "manager")
	want("a manager makes a manager", response, body, 403)
	response, body = add(anaToken, biaMail, "viewer")
	want("a manager adds a viewer", response, body, 201)
	response, body = add(biaToken, ciaMail, "viewer")
	want("a viewer adds a viewer", response, body, 403)

	if status, _, list := s.get(t, members, anaToken); status != 200 || strings.Count(asJSON(t, list), `"userId"`) != 3 ||
		!strings.HasPrefix(asJSON(t, list["members"]), `[{"email"`) || list["members"].([]any)[0].(map[string]any)["role"] != "owner" {
		t.Errorf("a manager lists %d %v", status, list)
	}
	if status, _, list := s.get(t, members, biaToken); status != 403 {
		t.Errorf("a viewer lists %d %v", status, list)
	}
	if _, _, me := s.get(t, "auth/me", biaToken); !strings.Contains(asJSON(t, me["accounts"]), `"role":"viewer"`) {
		t.Errorf("a viewer's accounts: %v", me)
	}

	// Everybody sees the account live, each by a session of his own.
	streams := map[string]*stream{"owner": s.connect(t, s.token, "", ""), "ana": s.connect(t, anaToken, "", ""), "bia": s.listen(t, biaToken, "")}
	for _, stream := range streams {
		stream.next(of("connection_established"))
	}
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	id := streams["owner"].next(isEvent).ID
	for name, stream := range streams {
		if name != "owner" && stream.next(isEvent).ID != id {
			t.Errorf("%s sees another event", name)
		}
	}

	response, body = change(anaToken, bia, "manager")
	want("a manager promotes a viewer", response, body, 403)
	response, body = change(s.token, bia, "manager")
	want("an owner promotes a viewer", response, body, 200)
	response, body = remove(anaToken, bia)
	want("a manager removes a manager", response, body, 403)
	response, body = change(s.token, s.owner.UserID, "viewer")
	want("the account's own user", response, body, 409)
	response, body = remove(s.token, s.owner.UserID)
	want("removing the account's own user", response, body, 409)
	response, body = change(s.token, "999999", "viewer")
	want("changing nobody", response, body, 404)
	response, body = change(s.token, "no-id", "viewer")
	want("changing what is no id", response, body, 404)
	response, body = remove(s.token, ana)
	want("an owner removes a manager", response, body, 204)
	if code := streams["ana"].end(); code != 4403 {
		t.Errorf("a removed member's WebSocket ends with %d", code)
	}
	if status, _, _ := s.get(t, "owners/"+s.owner.ID+"/metrics", anaToken); status != 403 {
		t.Errorf("a removed member's snapshot: %d", status)
	}
	response, body = remove(biaToken, bia)
	want("a member leaves", response, body, 204)
	if m := streams["bia"].next(of("error")); m.field("code") != "4403" {
		t.Errorf("a leaving member's event stream ends with %s", m.Data)
	}
	response, body = add(s.token, ciaMail, "owner")
	want("a second owner", response, body, 201)
	response, body = add(ciaToken, anaMail, "manager")
	want("the second owner adds a manager", response, body, 201)
	s.portal.Exec(t, `DELETE FROM hangar_owners WHERE id::text = $1`, s.portal.AddOwner(t, 0).ID)
	s.portal.Book(t, s.owner.Hangars[1], s.guest)
	streams["owner"].next(isEvent)
}

func TestMembershipEndsWithTheAccount(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	_, mail, token := addUser(t, s.portal, "Ana")
	doomed := s.portal.AddOwner(t, 0)
	if response, body := s.call(t, "POST", "owners/"+doomed.ID+"/members", tokenFor(t, doomed.UserID, time.Hour), map[string]any{"email": mail, "role": "viewer"}); response.StatusCode != 201 {
		t.Fatalf("%s %v", response.Status, body)
	}
	ws := s.connect(t, token, doomed.ID, "")
	ws.next(of("connection_established"))
	s.portal.Exec(t, `DELETE FROM hangar_owners WHERE id::text = $1`, doomed.ID)
	if code := ws.end(); code != 4403 {
		t.Errorf("the stream of a deleted account ends with %d", code)
	}
	if _, _, me := s.get(t, "auth/me", token); asJSON(t, me["accounts"]) != "[]" {
		t.Errorf("accounts %v", me["accounts"])
	}
}
