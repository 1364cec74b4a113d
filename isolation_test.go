package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// secret is what belongs to one account and would betray it: every answer to somebody else is searched for it.
func secret(owner int) string { return fmt.Sprintf("Segredo-%c%c%c", 'P'+owner, 'A'+owner, 'X') }

// town is several accounts, users and who may see what, as it should be.
type town struct {
	*program
	random *rand.Rand
	owners []dbtest.Owner
	guests []string
	users  []citizen
	roles  map[[2]int]string // of a user in an account
}

type citizen struct {
	id, email, token string
	streams          map[int]*stream // by account
}

func newTown(t *testing.T, seed uint64) *town {
	s := setStage(t)
	town := &town{program: s.program, random: rand.New(rand.NewPCG(seed, 0)), roles: map[[2]int]string{}}
	for n := range 4 {
		o := s.portal.AddOwner(t, 1)
		s.portal.Exec(t, `UPDATE hangar_owners SET company_name = $1 WHERE id::text = $2`, secret(n)+" Hangares", o.ID)
		s.portal.Exec(t, `UPDATE hangar_listings SET hangar_number = $1, city = $1 WHERE owner_id::text = $2`, secret(n), o.ID)
		town.owners = append(town.owners, o)
		town.guests = append(town.guests, s.portal.AddGuest(t, secret(n), "Hóspede"))
		email := s.portal.ID(t, `SELECT email FROM users WHERE id::text = $1`, o.UserID)
		town.users = append(town.users, citizen{o.UserID, email, tokenFor(t, o.UserID, time.Hour), map[int]*stream{}})
		town.roles[[2]int{n, n}] = "owner"
	}
	for n := range 3 {
		id, email, token := addUser(t, s.portal, "User"+strconv.Itoa(n))
		town.users = append(town.users, citizen{id, email, token, map[int]*stream{}})
	}
	return town
}

// TestIsolation grants and takes away at random, and sees that nobody ever learns anything of an account that is not his, while
// those who may miss nothing. ISOLATION_SEED repeats a run.
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
	town := newTown(t, seed)
	for range 40 {
		user, owner := town.random.IntN(len(town.users)), town.random.IntN(len(town.owners))
		switch town.random.IntN(4) {
		case 0, 1:
			town.decide(t, user, owner)
		case 2:
			town.book(t, owner)
		case 3:
			town.probe(t, user, owner)
		}
	}
	for user := range town.users {
		for owner := range town.owners {
			town.probe(t, user, owner)
		}
	}
	for owner := range town.owners {
		town.book(t, owner)
	}
}

// decide gives a user a role in an account, another one, or takes it away.
func (town *town) decide(t *testing.T, user, owner int) {
	t.Helper()
	if user == owner {
		return
	}
	key, token := [2]int{user, owner}, town.users[owner].token
	members := "owners/" + town.owners[owner].ID + "/members"
	role := []string{"viewer", "manager", ""}[town.random.IntN(3)]
	want, method, path, body := 200, "PATCH", members+"/"+town.users[user].id, map[string]any{"role": role}
	switch {
	case town.roles[key] == "" && role == "":
		return
	case town.roles[key] == "":
		want, method, path, body = 201, "POST", members, map[string]any{"role": role, "email": town.users[user].email}
	case role == "":
		want, method = 204, "DELETE"
	}
	response, answer := town.call(t, method, path, token, body)
	if response.StatusCode != want {
		t.Fatalf("%s %s %v: %s %v", method, path, body, response.Status, answer)
	}
	town.roles[key] = role
	if stream := town.users[user].streams[owner]; role == "" && stream != nil {
		if code := stream.end(); code != 4403 {
			t.Errorf("the stream of a removed member ends with %d", code)
		}
		delete(town.users[user].streams, owner)
	}
}

// book makes a booking in an account and sees that exactly its streams tell of it.
func (town *town) book(t *testing.T, owner int) {
	t.Helper()
	booking := town.portal.Book(t, town.owners[owner].Hangars[0], town.guests[owner])
	for user := range town.users {
		stream := town.users[user].streams[owner]
		if stream == nil {
			continue
		}
		m := stream.next(func(m message) bool {
			if m.OwnerID != town.owners[owner].ID {
				t.Errorf("a stream of account %s tells of %s", town.owners[owner].ID, m.OwnerID)
			}
			town.search(t, user, string(m.Data))
			return isEvent(m)
		})
		if m.field("bookingId") != booking {
			t.Errorf("user %d expects booking %s and gets %s", user, booking, m.Data)
		}
	}
}

// search looks for what a user may not know in something that he got.
func (town *town) search(t *testing.T, user int, text string) {
	t.Helper()
	for owner := range town.owners {
		if town.roles[[2]int{user, owner}] == "" && strings.Contains(text, secret(owner)) {
			t.Errorf("user %d learns of account %d: %s", user, owner, text)
		}
	}
}

// probe asks for everything there is of an account, and of one that does not exist: whoever may not see it cannot tell them
// apart, neither by the answers nor by what is done for them.
func (town *town) probe(t *testing.T, user, owner int) {
	t.Helper()
	u, may := town.users[user], town.roles[[2]int{user, owner}] != ""
	if _, text := town.ask(t, "GET", "api/auth/me", bearer(u.token)); true {
		town.search(t, user, text)
	}
	for _, path := range []string{"metrics", "events", "bookings", "bookings?on=today", "listings", "members"} {
		there, text := town.ask(t, "GET", "api/owners/"+town.owners[owner].ID+"/"+path, bearer(u.token))
		town.search(t, user, text)
		if path == "members" && may {
			continue // roles decide
		}
		if may != (there.StatusCode == http.StatusOK) {
			t.Errorf("user %d, account %d, %s: %s %s", user, owner, path, there.Status, text)
		}
		if !may {
			nowhere, same := town.ask(t, "GET", "api/owners/987654/"+path, bearer(u.token))
			if there.StatusCode != http.StatusForbidden || text != same || headers(t, there) != headers(t, nowhere) {
				t.Errorf("an account of somebody else: %s %s; one that does not exist: %s %s", there.Status, text, nowhere.Status, same)
			}
		}
	}
	for method, path := range map[string]string{"POST": "", "PATCH": "/" + town.users[owner].id, "DELETE": "/" + town.users[owner].id} {
		if may {
			break
		}
		body := map[string]any{"email": u.email, "role": "owner"}
		there, a := town.call(t, method, "owners/"+town.owners[owner].ID+"/members"+path, u.token, body)
		nowhere, b := town.call(t, method, "owners/987654/members"+path, u.token, body)
		if there.StatusCode != http.StatusForbidden || asJSON(t, a) != asJSON(t, b) || headers(t, there) != headers(t, nowhere) {
			t.Errorf("%s members of somebody else: %s %v; of nobody: %s %v", method, there.Status, a, nowhere.Status, b)
		}
	}
	if may && u.streams[owner] == nil {
		u.streams[owner] = town.connect(t, u.token, town.owners[owner].ID, "")
		u.streams[owner].next(of("connection_established"))
	}
	if !may {
		query := "?ownerId=" + town.owners[owner].ID
		if status := town.upgrade(t, query, bearer(u.token)); status != http.StatusForbidden {
			t.Errorf("a WebSocket to account %d for user %d: %d", owner, user, status)
		}
		if response, text := town.ask(t, "GET", "api/sse"+query, bearer(u.token)); response.StatusCode != http.StatusForbidden {
			t.Errorf("an event stream of account %d for user %d: %s %s", owner, user, response.Status, text)
		}
		if response, body := town.call(t, "POST", "auth/ticket", u.token, map[string]any{"ownerId": town.owners[owner].ID}); response.StatusCode != http.StatusForbidden {
			t.Errorf("a ticket to account %d for user %d: %s %v", owner, user, response.Status, body)
		}
	}
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// headers are those of a response but for its date.
func headers(t *testing.T, r *http.Response) string {
	h := r.Header.Clone()
	h.Del("Date")
	return asJSON(t, h)
}

// TestNoSecretIsLogged signs in by every way there is, in a server that logs all it can, and looks for every secret that was
// used in what it wrote.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--log-level", "debug")
	email := password(t, s.portal, s.owner.UserID)
	session := s.signIn(t, email)
	secrets := []string{testPassword, email, session.token, session.refresh, s.token, testSecret, "Caio", "Brandão"}
	query := "?ownerId=" + s.owner.ID
	s.connect(t, session.token, s.owner.ID, "").next(of("connection_established"))
	s.listen(t, s.token, query).next(of("connection_established"))
	ws := s.dial(t, "", nil)
	ws.send(`{"type":"auth","ownerId":"` + s.owner.ID + `","token":"` + s.token + `"}`)
	ws.next(of("connection_established"))
	ws.send(`{"type":"refresh","token":"` + session.token + `"}`)
	ws.next(of("refreshed"))
	ws.send(`{"type":"nonsense","token":"` + session.token + `"}`)
	ws.next(of("error"))
	ws.send(session.token)
	ws.next(of("error"))
	for _, token := range []string{session.token, session.token[:len(session.token)-3] + "xyz"} {
		for _, path := range []string{"ws", "sse", "owners/" + s.owner.ID + "/metrics"} {
			for _, place := range []string{"?token=", "?access_token=", "?ticket=", "?x="} {
				s.ask(t, "GET", "api/"+path+place+token, http.Header{})
			}
			s.ask(t, "GET", "api/"+path+query, http.Header{"Cookie": {"jwt=" + token + "; hangarshare_refresh=" + session.refresh}, "Accept": {"application/json"}, "Connection": {"close"}, "Authorization": {"Basic " + token}})
		}
		secrets = append(secrets, token)
	}
	_, ticket := s.call(t, "POST", "auth/ticket", session.token, nil)
	text, _ := ticket["ticket"].(string)
	secrets = append(secrets, text)
	s.listen(t, "", "?ticket="+text).next(of("connection_established"))
	s.call(t, "POST", "auth/login", "", map[string]any{"email": email, "password": "Falsche Landung"})
	s.call(t, "POST", "auth/login", "", map[string]any{"email": "Falsche Landung", "password": testPassword})
	secrets = append(secrets, "Falsche Landung")
	response, body := s.call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": session.refresh})
	next := sessionOf(t, response, body)
	s.call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": session.refresh})
	s.call(t, "POST", "auth/logout", next.token, map[string]any{"refreshToken": next.refresh})
	secrets = append(secrets, next.token, next.refresh)
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	s.stop()
	written := s.output.String()
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
