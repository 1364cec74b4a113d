package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// openInvitation returns the id of the invitation to an account in what me tells a user,
// "" for none.
func openInvitation(t testing.TB, p *harness.Program, ownerID, token string) string {
	t.Helper()
	status, _, me := p.Get(t, "auth/me", token)
	list, ok := me["invitations"].([]any)
	if status != http.StatusOK || !ok {
		t.Fatalf("me: %d %v", status, me)
	}
	for _, one := range list {
		if i := one.(map[string]any); i["ownerId"] == ownerID {
			return i["id"].(string)
		}
	}
	return ""
}

// shareAccount invites the user with an e-mail address to an account and has them accept.
func shareAccount(t testing.TB, p *harness.Program, ownerID, inviter, email, role, invitee string) {
	t.Helper()
	if response, body := p.Call(t, "POST", "owners/"+ownerID+"/members", inviter, map[string]any{"email": email, "role": role}); response.StatusCode != http.StatusAccepted {
		t.Fatalf("invite %s: %s %v", email, response.Status, body)
	}
	response, body := answerInvitation(t, p, openInvitation(t, p, ownerID, invitee), invitee, true)
	if response.StatusCode != http.StatusOK || body["ownerId"] != ownerID {
		t.Fatalf("%s accepts: %s %v", email, response.Status, body)
	}
}

// answerInvitation answers an invitation.
func answerInvitation(t testing.TB, p *harness.Program, id, token string, accept bool) (*http.Response, map[string]any) {
	t.Helper()
	return p.Call(t, "POST", "me/invitations/"+id, token, map[string]any{"accept": accept})
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	account := "owners/" + s.Owner.ID
	_, anaMail, ana := harness.AddUser(t, s.Portal, "Ana")
	_, biaMail, bia := harness.AddUser(t, s.Portal, "Bia")
	want := func(what string, response *http.Response, body map[string]any, status int) {
		t.Helper()
		if response.StatusCode != status {
			t.Errorf("%s: %s %v, want %d", what, response.Status, body, status)
		}
	}
	invite := func(token, email, role string) (*http.Response, map[string]any) {
		return s.Call(t, "POST", account+"/members", token, map[string]any{"email": email, "role": role})
	}
	listed := func() int {
		t.Helper()
		status, _, list := s.Get(t, account+"/invitations", s.Token)
		if status != http.StatusOK {
			t.Errorf("invitations: %d %v", status, list)
		}
		return strings.Count(harness.EncodeJSON(t, list), `"id"`)
	}
	seesNothing := func(what, token string) {
		t.Helper()
		if status, _, body := s.Get(t, account+"/metrics", token); status != http.StatusForbidden {
			t.Errorf("%s: metrics %d %v", what, status, body)
		}
	}

	// Whatever the address, the answer is the same to the byte.
	var answers []string
	for _, email := range []string{anaMail, "nobody@member.example", anaMail, strings.ToUpper(biaMail), s.Portal.ID(t, `SELECT email FROM users WHERE id::text = $1`, s.Owner.UserID)} {
		request, err := http.NewRequestWithContext(t.Context(), "POST", s.Base+"api/"+account+"/members", strings.NewReader(`{"email":"`+email+`","role":"viewer"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+s.Token)
		response, err := s.Client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		answers = append(answers, response.Status+harness.WithoutRequestID(response.Header, string(text))+harness.EncodeJSON(t, response.Header))
		if response.StatusCode != http.StatusAccepted || answers[0] != answers[len(answers)-1] {
			t.Errorf("%s is invited: %s, others %s", email, answers[len(answers)-1], answers[0])
		}
	}
	if n := listed(); n != 4 {
		t.Errorf("%d invitations are open, want 4", n)
	}
	if id := openInvitation(t, s.Program, s.Owner.ID, s.Token); id != "" {
		t.Error("an owner may accept an invitation to their own account")
	}
	seesNothing("invited", ana)
	if accounts := func() string { _, _, me := s.Get(t, "auth/me", ana); return harness.EncodeJSON(t, me["accounts"]) }(); accounts != "[]" {
		t.Errorf("an account before its invitation was accepted: %s", accounts)
	}
	for name, token := range map[string]string{"invited": ana, "nobody": harness.TokenFor(t, "999999", time.Hour)} {
		if status, _, body := s.Get(t, account+"/invitations", token); status != http.StatusForbidden {
			t.Errorf("%s lists invitations: %d %v", name, status, body)
		}
	}

	id := openInvitation(t, s.Program, s.Owner.ID, ana)
	response, body := answerInvitation(t, s.Program, id, bia, true)
	want("another user accepts", response, body, 404)
	response, body = s.Call(t, "POST", "me/invitations/"+id, ana, map[string]any{})
	want("an answer without accept", response, body, 400)
	response, body = answerInvitation(t, s.Program, id, "", true)
	want("nobody accepts", response, body, 401)
	response, body = answerInvitation(t, s.Program, id, ana, true)
	want("Ana accepts", response, body, 200)
	if body["ownerId"] != s.Owner.ID || body["role"] != "viewer" || body["companyName"] != "Hangares Prado" {
		t.Errorf("accepted: %v", body)
	}
	response, body = answerInvitation(t, s.Program, id, ana, true)
	want("twice", response, body, 404)
	response, body = answerInvitation(t, s.Program, id, ana, false)
	want("declined when accepted", response, body, 404)
	if status, _, body := s.Get(t, account+"/metrics", ana); status != http.StatusOK {
		t.Errorf("a member's metrics: %d %v", status, body)
	}

	id = openInvitation(t, s.Program, s.Owner.ID, bia)
	response, body = answerInvitation(t, s.Program, id, bia, false)
	want("Bia declines", response, body, 204)
	response, body = answerInvitation(t, s.Program, id, bia, true)
	want("and changes their mind", response, body, 404)
	seesNothing("declined", bia)

	response, body = invite(s.Token, biaMail, "viewer")
	want("again", response, body, 202)
	id = openInvitation(t, s.Program, s.Owner.ID, bia)
	response, body = s.Call(t, "DELETE", account+"/invitations/"+id, ana, nil)
	want("a viewer withdraws", response, body, 403)
	response, body = s.Call(t, "DELETE", account+"/invitations/"+id, s.Token, nil)
	want("withdrawn", response, body, 204)
	response, body = s.Call(t, "DELETE", account+"/invitations/"+id, s.Token, nil)
	want("withdrawn twice", response, body, 404)
	response, body = answerInvitation(t, s.Program, id, bia, true)
	want("accepted when withdrawn", response, body, 404)

	response, body = invite(s.Token, biaMail, "viewer")
	want("once more", response, body, 202)
	id = openInvitation(t, s.Program, s.Owner.ID, bia)
	var days float64
	s.Portal.Pool.Get(&days, `SELECT date_part('epoch', expires_at - created_at) / 86400 FROM realtime.invitations WHERE id = $1`, id)
	if days != 14 {
		t.Errorf("an invitation lasts %f days", days)
	}
	s.Portal.Exec(t, `UPDATE realtime.invitations SET expires_at = now() WHERE id = $1`, id)
	if left := openInvitation(t, s.Program, s.Owner.ID, bia); left != "" {
		t.Error("an invitation past its end is shown")
	}
	response, body = answerInvitation(t, s.Program, id, bia, true)
	want("accepted past its end", response, body, 404)
	response, body = invite(s.Token, biaMail, "viewer")
	want("after the end", response, body, 202)
	response, body = answerInvitation(t, s.Program, openInvitation(t, s.Program, s.Owner.ID, bia), bia, true)
	want("accepted after all", response, body, 200)

	// What cannot be.
	for _, bad := range []string{"", "  ", "ana", "@", "a@", "@b", "a b@c", "a\u0000@b.example", strings.Repeat("a", 250) + "@b.example"} {
		response, body = invite(s.Token, bad, "viewer")
		want(fmt.Sprintf("the address %.20q", bad), response, body, 400)
	}
	response, body = answerInvitation(t, s.Program, "no%20such%00thing", ana, true)
	want("an invitation with a NUL", response, body, 400)
}

// TestInvitationsGiveNoMoreThanTheirInviter holds invitations to what who sent them may
// give, then and when accepted.
func TestInvitationsGiveNoMoreThanTheirInviter(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	account := "owners/" + s.Owner.ID
	ana, anaMail, anaToken := harness.AddUser(t, s.Portal, "Ana")
	_, biaMail, biaToken := harness.AddUser(t, s.Portal, "Bia")
	cia, ciaMail, ciaToken := harness.AddUser(t, s.Portal, "Cia")
	invite := func(token, email, role string, want int) {
		t.Helper()
		if response, body := s.Call(t, "POST", account+"/members", token, map[string]any{"email": email, "role": role}); response.StatusCode != want {
			t.Errorf("invite %s as %s: %s %v, want %d", email, role, response.Status, body, want)
		}
	}
	role := func(user string) string {
		t.Helper()
		return s.Portal.ID(t, `SELECT coalesce((SELECT role FROM realtime.members WHERE owner_id = $1 AND user_id = $2), '')`, s.Owner.ID, user)
	}
	shareAccount(t, s.Program, s.Owner.ID, s.Token, anaMail, "manager", anaToken)
	invite(anaToken, biaMail, "manager", 403)
	invite(s.Token, ciaMail, "manager", 202)
	invite(anaToken, ciaMail, "viewer", 202) // does not replace what only owners give
	id := openInvitation(t, s.Program, s.Owner.ID, ciaToken)
	if response, body := s.Call(t, "DELETE", account+"/invitations/"+id, anaToken, nil); response.StatusCode != 403 {
		t.Errorf("a manager withdraws an owner's invitation: %s %v", response.Status, body)
	}
	if response, body := answerInvitation(t, s.Program, id, ciaToken, true); response.StatusCode != 200 || body["role"] != "manager" {
		t.Errorf("accepted: %s %v", response.Status, body)
	}
	// An invitation takes nothing away from a member, and may give more.
	invite(anaToken, ciaMail, "viewer", 202)
	if response, body := answerInvitation(t, s.Program, openInvitation(t, s.Program, s.Owner.ID, ciaToken), ciaToken, true); response.StatusCode != 200 || role(cia) != "manager" {
		t.Errorf("a manager accepts to be a viewer: %s %v, and is %s", response.Status, body, role(cia))
	}
	invite(s.Token, ciaMail, "owner", 202)
	if response, body := answerInvitation(t, s.Program, openInvitation(t, s.Program, s.Owner.ID, ciaToken), ciaToken, true); response.StatusCode != 200 || role(cia) != "owner" {
		t.Errorf("a manager accepts to be an owner: %s %v, and is %s", response.Status, body, role(cia))
	}
	// With the right to give a role, a member loses the invitations to it.
	void := func(what, email, token string, lose func()) {
		t.Helper()
		id := openInvitation(t, s.Program, s.Owner.ID, token)
		if id == "" {
			t.Fatalf("%s: no invitation", what)
		}
		lose()
		if openInvitation(t, s.Program, s.Owner.ID, token) != "" {
			t.Errorf("%s: the invitation is shown", what)
		}
		if response, body := answerInvitation(t, s.Program, id, token, true); response.StatusCode != 404 {
			t.Errorf("%s: accepted: %s %v", what, response.Status, body)
		}
	}
	invite(ciaToken, biaMail, "manager", 202)
	void("an owner becomes a manager", biaMail, biaToken, func() {
		if response, body := s.Call(t, "PATCH", account+"/members/"+cia, s.Token, map[string]any{"role": "manager"}); response.StatusCode != 200 {
			t.Fatalf("%s %v", response.Status, body)
		}
	})
	s.Portal.Exec(t, `DELETE FROM realtime.invitations`)
	invite(anaToken, biaMail, "viewer", 202)
	void("a manager is removed", biaMail, biaToken, func() {
		if response, body := s.Call(t, "DELETE", account+"/members/"+ana, s.Token, nil); response.StatusCode != 204 {
			t.Fatalf("%s %v", response.Status, body)
		}
	})
	invite(s.Token, biaMail, "viewer", 202)
	void("the account changes hands", biaMail, biaToken, func() {
		s.Portal.Exec(t, `UPDATE hangar_owners SET user_id = $1 WHERE id::text = $2`, s.Portal.AddOwner(t, 0).UserID, s.Owner.ID)
	})
}

// TestInvitationsGoToOneAddress holds an invitation to the address it names: no other, however
// alike (a Kelvin sign is a k in lower case, and a fullwidth letter looks like one).
func TestInvitationsGoToOneAddress(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	user := func(email string) string {
		return harness.TokenFor(t, s.Portal.ID(t, `INSERT INTO users (first_name, last_name, email, password_hash) VALUES ('U', 'U', $1, '!') RETURNING id::text`, email), time.Hour)
	}
	mike, kelvin, wide := user("Mike@Ana.example"), user("mi\u212Ae@ana.example"), user("\uFF4Dike@ana.example")
	josé, jose := user("José@ana.example"), user("jose@ana.example")
	empty := user(" ")
	for _, email := range []string{"MIKE@ana.EXAMPLE", "josé@ana.example"} {
		if response, body := s.Call(t, "POST", "owners/"+s.Owner.ID+"/members", s.Token, map[string]any{"email": " " + email + " ", "role": "viewer"}); response.StatusCode != 202 {
			t.Fatalf("%s: %s %v", email, response.Status, body)
		}
	}
	for name, one := range map[string]struct {
		token string
		want  bool
	}{"Mike": {mike, true}, "mi\u212Ae": {kelvin, false}, "\uFF4Dike": {wide, false}, "José": {josé, true}, "jose": {jose, false}, "nobody": {empty, false}} {
		if got := openInvitation(t, s.Program, s.Owner.ID, one.token) != ""; got != one.want {
			t.Errorf("%s is invited: %t", name, got)
		}
	}
}

func TestInvitationsAreBounded(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	s.Portal.Exec(t, `INSERT INTO realtime.invitations (owner_id, email, role, invited_by) SELECT $1, n || '@m.example', 'viewer', $2 FROM generate_series(1, 100) n`,
		s.Owner.ID, s.Owner.UserID)
	invite := func(email string) int {
		response, _ := s.Call(t, "POST", "owners/"+s.Owner.ID+"/members", s.Token, map[string]any{"email": email, "role": "viewer"})
		return response.StatusCode
	}
	if status := invite("more@m.example"); status != http.StatusConflict {
		t.Errorf("the 101st: %d", status)
	}
	if status := invite("7@m.example"); status != http.StatusAccepted {
		t.Errorf("one of them again: %d", status)
	}
	s.Portal.Exec(t, `UPDATE realtime.invitations SET expires_at = now() WHERE email LIKE '1%'`)
	if status := invite("more@m.example"); status != http.StatusAccepted {
		t.Errorf("when some have expired: %d", status)
	}
}

// TestOneAnswersAnInvitation has an invitation accepted twice, declined and withdrawn at
// once: one of them happens.
func TestOneAnswersAnInvitation(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	ana, mail, token := harness.AddUser(t, s.Portal, "Ana")
	for range 8 {
		s.Portal.Exec(t, `DELETE FROM realtime.members`)
		if response, body := s.Call(t, "POST", "owners/"+s.Owner.ID+"/members", s.Token, map[string]any{"email": mail, "role": "viewer"}); response.StatusCode != 202 {
			t.Fatalf("%s %v", response.Status, body)
		}
		id := openInvitation(t, s.Program, s.Owner.ID, token)
		var done, accepted atomic.Int32
		var all sync.WaitGroup
		for _, do := range []struct{ method, path, token, body string }{
			{"POST", "me/invitations/" + id, token, `{"accept":true}`}, {"POST", "me/invitations/" + id, token, `{"accept":true}`},
			{"POST", "me/invitations/" + id, token, `{"accept":false}`}, {"DELETE", "owners/" + s.Owner.ID + "/invitations/" + id, s.Token, ""},
		} {
			all.Go(func() {
				response, _ := s.Call(t, do.method, do.path, do.token, json.RawMessage(orNull(do.body)))
				switch response.StatusCode {
				case http.StatusOK:
					accepted.Add(1)
					done.Add(1)
				case http.StatusNoContent:
					done.Add(1)
				case http.StatusNotFound:
				default:
					t.Errorf("%s %s: %s", do.method, do.path, response.Status)
				}
			})
		}
		all.Wait()
		members := s.Portal.ID(t, `SELECT count(*) FROM realtime.members WHERE user_id = $1`, ana)
		if done.Load() != 1 || fmt.Sprint(accepted.Load()) != members {
			t.Errorf("%d of four were done, %d accepted, %s members", done.Load(), accepted.Load(), members)
		}
	}
}

func orNull(text string) string {
	if text == "" {
		return "null"
	}
	return text
}

// TestOwnAccountStaysTheDefault asks without ownerId while other accounts are shared.
func TestOwnAccountStaysTheDefault(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	mail := s.Portal.ID(t, `SELECT email FROM users WHERE id::text = $1`, s.Owner.UserID)
	_, guestMail, guest := harness.AddUser(t, s.Portal, "Ana")
	first := s.Portal.AddOwner(t, 0) // its id is lower than that of the next
	for n, o := range []dbtest.Owner{first, s.Portal.AddOwner(t, 0)} {
		token := harness.TokenFor(t, o.UserID, time.Hour)
		shareAccount(t, s.Program, o.ID, token, mail, "owner", s.Token)
		shareAccount(t, s.Program, o.ID, token, guestMail, "owner", guest)
		m := s.Connect(t, s.Token, "", "").Next(harness.OfType("connection_established"))
		if m.OwnerID != s.Owner.ID {
			t.Errorf("with %d shared accounts a stream shows account %s, want %s", n+1, m.OwnerID, s.Owner.ID)
		}
		_, _, me := s.Get(t, "auth/me", s.Token)
		if list := me["accounts"].([]any); len(list) != n+2 || list[0].(map[string]any)["ownerId"] != s.Owner.ID {
			t.Errorf("accounts %v", list)
		}
	}
	if status := s.Upgrade(t, "", http.Header{"Authorization": {"Bearer " + guest}}); status != http.StatusBadRequest {
		t.Errorf("with two that were shared and none of their own: %d", status)
	}
	second := s.Portal.ID(t, `INSERT INTO hangar_owners (user_id, company_name) VALUES ($1, 'Zweite') RETURNING id::text`, s.Owner.UserID)
	if status := s.Upgrade(t, "", http.Header{"Authorization": {"Bearer " + s.Token}}); status != http.StatusBadRequest {
		t.Errorf("with two of their own: %d", status)
	}
	s.Connect(t, s.Token, second, "").Next(harness.OfType("connection_established"))
}
