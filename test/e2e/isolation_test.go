package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// secret is what belongs to one account and would betray it: every answer to another is
// searched for it.
func secret(owner int) string { return fmt.Sprintf("Segredo-%c%c%c", 'P'+owner, 'A'+owner, 'X') }

// accessModel is several accounts, users and who may see what, as it should be.
type accessModel struct {
	*harness.Program
	random *rand.Rand
	owners []dbtest.Owner
	guests []string
	users  []modelUser
	roles  map[[2]int]string // of a user in an account
}

type modelUser struct {
	id, email, token string
	streams          map[int]*harness.Stream // by account
}

func newAccessModel(t *testing.T, seed uint64) *accessModel {
	s := harness.NewSetup(t)
	model := &accessModel{Program: s.Program, random: rand.New(rand.NewPCG(seed, 0)), roles: map[[2]int]string{}}
	for n := range 4 {
		o := s.Portal.AddOwner(t, 1)
		s.Portal.Exec(t, `UPDATE hangar_owners SET company_name = $1 WHERE id::text = $2`, secret(n)+" Hangares", o.ID)
		s.Portal.Exec(t, `UPDATE hangar_listings SET hangar_number = $1, city = $1 WHERE owner_id::text = $2`, secret(n), o.ID)
		model.owners = append(model.owners, o)
		model.guests = append(model.guests, s.Portal.AddGuest(t, secret(n), "Hóspede"))
		email := s.Portal.ID(t, `SELECT email FROM users WHERE id::text = $1`, o.UserID)
		model.users = append(model.users, modelUser{o.UserID, email, harness.TokenFor(t, o.UserID, time.Hour), map[int]*harness.Stream{}})
		model.roles[[2]int{n, n}] = "owner"
	}
	for n := range 3 {
		id, email, token := harness.AddUser(t, s.Portal, "User"+strconv.Itoa(n))
		model.users = append(model.users, modelUser{id, email, token, map[int]*harness.Stream{}})
	}
	return model
}

// TestIsolation grants and takes away at random, and sees that nobody ever learns anything of an
// account that is not theirs, while those who may miss nothing. ISOLATION_SEED repeats a run.
func TestIsolation(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if text := os.Getenv("ISOLATION_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ISOLATION_SEED=%d", seed)
	model := newAccessModel(t, seed)
	for range 40 {
		user, owner := model.random.IntN(len(model.users)), model.random.IntN(len(model.owners))
		switch model.random.IntN(4) {
		case 0, 1:
			model.changeAccess(t, user, owner)
		case 2:
			model.book(t, owner)
		case 3:
			model.checkAccess(t, user, owner)
		}
	}
	for user := range model.users {
		for owner := range model.owners {
			model.checkAccess(t, user, owner)
		}
	}
	for owner := range model.owners {
		model.book(t, owner)
	}
}

// changeAccess gives a user a role in an account, another one, or takes it away.
func (model *accessModel) changeAccess(t *testing.T, user, owner int) {
	t.Helper()
	if user == owner {
		return
	}
	key, token := [2]int{user, owner}, model.users[owner].token
	members := "owners/" + model.owners[owner].ID + "/members"
	role := []string{"viewer", "manager", ""}[model.random.IntN(3)]
	want, method, path, body := 200, "PATCH", members+"/"+model.users[user].id, map[string]any{"role": role}
	switch {
	case model.roles[key] == "" && role == "":
		return
	case model.roles[key] == "":
		shareAccount(t, model.Program, model.owners[owner].ID, token, model.users[user].email, role, model.users[user].token)
		model.roles[key] = role
		return
	case role == "":
		want, method = 204, "DELETE"
	}
	response, answer := model.Call(t, method, path, token, body)
	if response.StatusCode != want {
		t.Fatalf("%s %s %v: %s %v", method, path, body, response.Status, answer)
	}
	model.roles[key] = role
	if stream := model.users[user].streams[owner]; role == "" && stream != nil {
		if code := stream.End(); code != 4403 {
			t.Errorf("the stream of a removed member ends with %d", code)
		}
		delete(model.users[user].streams, owner)
	}
}

// book makes a booking in an account and sees that exactly its streams tell of it.
func (model *accessModel) book(t *testing.T, owner int) {
	t.Helper()
	booking := model.Portal.Book(t, model.owners[owner].Hangars[0], model.guests[owner])
	for user := range model.users {
		stream := model.users[user].streams[owner]
		if stream == nil {
			continue
		}
		m := stream.Next(func(m harness.Message) bool {
			if m.OwnerID != model.owners[owner].ID {
				t.Errorf("a stream of account %s tells of %s", model.owners[owner].ID, m.OwnerID)
			}
			model.search(t, user, withoutInvitations(t, m))
			return harness.IsEvent(m)
		})
		if m.Field("bookingId") != booking {
			t.Errorf("user %d expects booking %s and gets %s", user, booking, m.Data)
		}
	}
}

// withoutInvitations is what a message tells beside invitations to its user, which name the account
// that invites.
func withoutInvitations(t *testing.T, m harness.Message) string {
	t.Helper()
	if m.Type != "notifications_updated" {
		return string(m.Data)
	}
	var data map[string]any
	harness.Must(t, json.Unmarshal(m.Data, &data))
	items, _ := data["items"].([]any)
	data["items"] = slices.DeleteFunc(items, func(item any) bool {
		one, _ := item.(map[string]any)
		return one["kind"] == "invitation"
	})
	rest, err := json.Marshal(data)
	harness.Must(t, err)
	return string(rest)
}

// search looks for what a user may not know in something that they got.
func (model *accessModel) search(t *testing.T, user int, text string) {
	t.Helper()
	for owner := range model.owners {
		if model.roles[[2]int{user, owner}] == "" && strings.Contains(text, secret(owner)) {
			t.Errorf("user %d learns of account %d: %s", user, owner, text)
		}
	}
}

// checkAccess asks for everything there is of an account, and of one that does not exist: those who
// may not see it cannot tell them apart, neither by the answers nor by what is done for them.
func (model *accessModel) checkAccess(t *testing.T, user, owner int) {
	t.Helper()
	u, may := model.users[user], model.roles[[2]int{user, owner}] != ""
	if _, text := model.Ask(t, "GET", "api/auth/me", harness.Bearer(u.token)); true {
		model.search(t, user, text)
	}
	for _, path := range []string{"metrics", "events", "bookings", "bookings?on=today", "listings", "members", "invitations"} {
		there, text := model.Ask(t, "GET", "api/owners/"+model.owners[owner].ID+"/"+path, harness.Bearer(u.token))
		model.search(t, user, text)
		if (path == "members" || path == "invitations") && may {
			continue // roles decide
		}
		if may != (there.StatusCode == http.StatusOK) {
			t.Errorf("user %d, account %d, %s: %s %s", user, owner, path, there.Status, text)
		}
		if !may {
			nowhere, same := model.Ask(t, "GET", "api/owners/987654/"+path, harness.Bearer(u.token))
			text, same = harness.WithoutRequestID(there.Header, text), harness.WithoutRequestID(nowhere.Header, same)
			if there.StatusCode != http.StatusForbidden || text != same || headers(t, there) != headers(t, nowhere) {
				t.Errorf("an account of somebody else: %s %s; one that does not exist: %s %s", there.Status, text, nowhere.Status, same)
			}
		}
	}
	for method, path := range map[string]string{"POST": "", "PATCH": "/" + model.users[owner].id, "DELETE": "/" + model.users[owner].id} {
		if may {
			break
		}
		body := map[string]any{"email": u.email, "role": "owner"}
		there, a := model.Call(t, method, "owners/"+model.owners[owner].ID+"/members"+path, u.token, body)
		nowhere, b := model.Call(t, method, "owners/987654/members"+path, u.token, body)
		first := harness.WithoutRequestID(there.Header, harness.EncodeJSON(t, a))
		second := harness.WithoutRequestID(nowhere.Header, harness.EncodeJSON(t, b))
		if there.StatusCode != http.StatusForbidden || first != second || headers(t, there) != headers(t, nowhere) {
			t.Errorf("%s members of somebody else: %s %v; of nobody: %s %v", method, there.Status, a, nowhere.Status, b)
		}
	}
	if may && u.streams[owner] == nil {
		u.streams[owner] = model.Connect(t, u.token, model.owners[owner].ID, "")
		u.streams[owner].Next(harness.OfType("connection_established"))
	}
	if !may {
		query := "?ownerId=" + model.owners[owner].ID
		if status := model.Upgrade(t, query, harness.Bearer(u.token)); status != http.StatusForbidden {
			t.Errorf("a WebSocket to account %d for user %d: %d", owner, user, status)
		}
		if response, text := model.Ask(t, "GET", "api/sse"+query, harness.Bearer(u.token)); response.StatusCode != http.StatusForbidden {
			t.Errorf("an event stream of account %d for user %d: %s %s", owner, user, response.Status, text)
		}
		if response, body := model.Call(t, "POST", "auth/ticket", u.token, map[string]any{"ownerId": model.owners[owner].ID}); response.StatusCode != http.StatusForbidden {
			t.Errorf("a ticket to account %d for user %d: %s %v", owner, user, response.Status, body)
		}
	}
}

// headers are those of a response but for its date.
func headers(t *testing.T, r *http.Response) string {
	h := r.Header.Clone()
	h.Del("Date")
	return harness.EncodeJSON(t, h)
}

// TestNoSecretIsLogged signs in by every way there is, in a server that logs all it can, and looks
// for every secret that was used in what it wrote.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--log-level", "debug")
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	session := s.SignIn(t, email)
	secrets := []string{harness.Password, email, session.Token, session.Refresh, s.Token, harness.Secret, "Caio", "Brandão"}
	query := "?ownerId=" + s.Owner.ID
	s.Connect(t, session.Token, s.Owner.ID, "").Next(harness.OfType("connection_established"))
	s.Listen(t, s.Token, query).Next(harness.OfType("connection_established"))
	ws := s.Dial(t, "", nil)
	ws.Send(`{"type":"auth","ownerId":"` + s.Owner.ID + `","token":"` + s.Token + `"}`)
	ws.Next(harness.OfType("connection_established"))
	ws.Send(`{"type":"refresh","token":"` + session.Token + `"}`)
	ws.Next(harness.OfType("refreshed"))
	ws.Send(`{"type":"nonsense","token":"` + session.Token + `"}`)
	ws.Next(harness.OfType("error"))
	ws.Send(session.Token)
	ws.Next(harness.OfType("error"))
	for _, token := range []string{session.Token, session.Token[:len(session.Token)-3] + "xyz"} {
		for _, path := range []string{"ws", "sse", "owners/" + s.Owner.ID + "/metrics"} {
			for _, place := range []string{"?token=", "?access_token=", "?ticket=", "?x="} {
				s.Ask(t, "GET", "api/"+path+place+token, http.Header{})
			}
			method := "GET"
			if path == "sse" {
				// the cookie counts, and a stream would not end before its token does
				method = "HEAD"
			}
			s.Ask(t, method, "api/"+path+query, http.Header{"Cookie": {"jwt=" + token + "; hangarshare_refresh=" + session.Refresh}, "Accept": {"application/json"}, "Connection": {"close"}, "Authorization": {"Basic " + token}})
		}
		secrets = append(secrets, token)
	}
	_, ticket := s.Call(t, "POST", "auth/ticket", session.Token, nil)
	text, _ := ticket["ticket"].(string)
	secrets = append(secrets, text)
	s.Listen(t, "", "?ticket="+text).Next(harness.OfType("connection_established"))
	s.Call(t, "POST", "auth/login", "", map[string]any{"email": email, "password": "Falsche Landung"})
	s.Call(t, "POST", "auth/login", "", map[string]any{"email": "Falsche Landung", "password": harness.Password})
	secrets = append(secrets, "Falsche Landung")
	response, body := s.Call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": session.Refresh})
	next := harness.SessionOf(t, response, body)
	s.Call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": session.Refresh})
	s.Call(t, "POST", "auth/logout", next.Token, map[string]any{"refreshToken": next.Refresh})
	secrets = append(secrets, next.Token, next.Refresh)
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	s.Stop()
	written := s.Output.String()
	for _, line := range []string{"signed in", "sign-in failed", "connection opened"} {
		if !strings.Contains(written, line) {
			t.Errorf("the log does not say %q: it is not the one that was meant", line)
		}
	}
	for _, secret := range secrets {
		if secret == "" || strings.Contains(written, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}
