//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

const testPassword = "Decolagem às 7h30"

// password gives a user a password and returns his e-mail address.
func password(t testing.TB, portal *dbtest.Portal, userID string) (email string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(testPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return portal.ID(t, `UPDATE users SET password_hash = $1 WHERE id::text = $2 RETURNING email`, string(hash), userID)
}

// call sends JSON by a method and returns the answer, "" in body for none.
func (p *program) call(t testing.TB, method, path, token string, body any, header ...string) (*http.Response, map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, p.base+"api/"+path, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := p.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &fields); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, answer, err)
		}
	}
	return response, fields
}

// signedIn is a user with a session.
type signedIn struct {
	token, refresh string
}

func (p *program) signIn(t testing.TB, email string) signedIn {
	t.Helper()
	response, body := p.call(t, "POST", "auth/login", "", map[string]any{"email": email, "password": testPassword})
	return sessionOf(t, response, body)
}

func sessionOf(t testing.TB, response *http.Response, body map[string]any) signedIn {
	t.Helper()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("no session: %s %v", response.Status, body)
	}
	token, _ := body["token"].(string)
	refresh, _ := body["refreshToken"].(string)
	return signedIn{token, refresh}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	email := password(t, s.portal, s.owner.UserID)
	before := time.Now()
	response, body := s.call(t, "POST", "auth/login", "", map[string]any{"email": " " + strings.ToUpper(email) + " ", "password": testPassword})
	session := sessionOf(t, response, body)
	if accounts := asJSON(t, body["accounts"]); !strings.Contains(accounts, `"role":"owner"`) || !strings.Contains(accounts, `"ownerId":"`+s.owner.ID+`"`) {
		t.Errorf("accounts %s", accounts)
	}
	ends := func(field string) time.Duration {
		ms, _ := body[field].(float64)
		return time.UnixMilli(int64(ms)).Sub(before)
	}
	if life := ends("expiresAt"); life < 14*time.Minute || life > 16*time.Minute {
		t.Errorf("the access token lasts %s", life)
	}
	if life := ends("refreshExpiresAt"); life < 29*24*time.Hour || life > 31*24*time.Hour {
		t.Errorf("the refresh token lasts %s", life)
	}
	if response.Header.Get("Set-Cookie") != "" {
		t.Error("a cookie that nobody asked for")
	}
	if status, _, me := s.get(t, "auth/me", session.token); status != 200 || strings.Contains(asJSON(t, me), "password") {
		t.Errorf("me: %d %v", status, me)
	}
	s.connect(t, session.token, s.owner.ID, "").next(of("connection_established"))

	locked := s.portal.AddOwner(t, 0) // its hash is "!"
	s.portal.Exec(t, `UPDATE users SET email = 'locked@owner.example' WHERE id::text = $1`, locked.UserID)
	s.portal.Exec(t, `INSERT INTO users (first_name, last_name, email, password_hash) VALUES ('Nie', 'Mand', 'none@owner.example', '')`)
	var refusals []string
	for _, attempt := range [][2]string{
		{email, testPassword + "x"}, {"nobody@owner.example", testPassword}, {"locked@owner.example", "!"}, {"none@owner.example", testPassword},
		{email, strings.Repeat("x", 100)}, {"' OR true --", testPassword},
	} {
		response, body := s.call(t, "POST", "auth/login", "", map[string]any{"email": attempt[0], "password": attempt[1]})
		response.Header.Del("Date")
		refusals = append(refusals, response.Status+asJSON(t, body)+asJSON(t, response.Header))
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %s %v", attempt, response.Status, body)
		}
	}
	for i, refusal := range refusals {
		if refusal != refusals[0] {
			t.Errorf("refusal %d tells more than the first: %s", i, refusal)
		}
	}
	for field, bad := range map[string]any{
		"email": map[string]any{"password": "x"}, "password": map[string]any{"email": email}, "body": "hello",
	} {
		if response, body := s.call(t, "POST", "auth/login", "", bad); response.StatusCode != http.StatusBadRequest || body["field"] != field {
			t.Errorf("%v: %s %v", bad, response.Status, body)
		}
	}
}

func TestRefreshTokensRotate(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	email := password(t, s.portal, s.owner.UserID)
	first, other := s.signIn(t, email), s.signIn(t, email)
	refresh := func(token string) (*http.Response, map[string]any) {
		return s.call(t, "POST", "auth/refresh", "ended.or.foreign", map[string]any{"refreshToken": token})
	}
	response, body := refresh(first.refresh)
	second := sessionOf(t, response, body)
	if second.refresh == first.refresh || second.refresh == "" {
		t.Fatal("the refresh token stays the same")
	}
	response, body = refresh(second.refresh)
	third := sessionOf(t, response, body)
	ws, sse := s.connect(t, first.token, s.owner.ID, ""), s.listen(t, third.token, "?ownerId="+s.owner.ID)
	bystander := s.connect(t, other.token, s.owner.ID, "")
	for _, stream := range []*stream{ws, sse, bystander} {
		stream.next(of("connection_established"))
	}
	if response, body := refresh(first.refresh); response.StatusCode != http.StatusUnauthorized {
		t.Fatalf("a refresh token serves twice: %s %v", response.Status, body)
	}
	ws.next(of("token_expired"))
	if code := ws.end(); code != 4401 {
		t.Errorf("the WebSocket of a stolen session ends with %d", code)
	}
	if m := sse.next(of("error")); m.field("code") != "4401" {
		t.Errorf("the event stream of a stolen session ends with %s", m.Data)
	}
	if response, _ := refresh(third.refresh); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("the newest token of a stolen session: %s", response.Status)
	}
	if status, _, _ := s.get(t, "owners/"+s.owner.ID+"/metrics", third.token); status != http.StatusUnauthorized {
		t.Errorf("the access token of a stolen session: %d", status)
	}
	if status, _, body := s.get(t, "owners/"+s.owner.ID+"/metrics", other.token); status != http.StatusOK {
		t.Errorf("the user's other session: %d %v %s", status, body, s.output)
	}
	s.portal.Book(t, s.owner.Hangars[0], s.guest)
	bystander.next(isEvent)
	for name, token := range map[string]string{"unknown": "AAAAAAAAAAAAAAAAAAAAAAAAAA", "none": ""} {
		if response, body := refresh(token); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s %v", name, response.Status, body)
		}
	}
	s.portal.Exec(t, `UPDATE realtime.refresh_tokens SET expires_at = now()`)
	if response, _ := refresh(other.refresh); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("an old refresh token: %s", response.Status)
	}
}

func TestTwoRefreshesAtOnce(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	session := s.signIn(t, password(t, s.portal, s.owner.UserID))
	statuses := make(chan int)
	for range 2 {
		go func() {
			response, err := s.client.Post(s.base+"api/auth/refresh", "application/json", strings.NewReader(`{"refreshToken":"`+session.refresh+`"}`))
			if err != nil {
				statuses <- 0
				return
			}
			response.Body.Close()
			statuses <- response.StatusCode
		}()
	}
	if a, b := <-statuses, <-statuses; a+b != 200+401 {
		t.Errorf("two who bring one refresh token get %d and %d", a, b)
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	email := password(t, s.portal, s.owner.UserID)
	one, two, three := s.signIn(t, email), s.signIn(t, email), s.signIn(t, email)
	streams := map[string]*stream{}
	for name, token := range map[string]string{"one": one.token, "two": two.token, "three": three.token, "portal": s.token} {
		streams[name] = s.connect(t, token, s.owner.ID, "")
		streams[name].next(of("connection_established"))
	}
	gone := func(name string) {
		t.Helper()
		if code := streams[name].end(); code != 4401 {
			t.Errorf("the stream of %s ends with %d", name, code)
		}
	}
	if response, body := s.call(t, "POST", "auth/logout", "", map[string]any{"refreshToken": one.refresh}); response.StatusCode != 204 {
		t.Fatalf("by refresh token: %s %v", response.Status, body)
	}
	gone("one")
	if response, body := s.call(t, "POST", "auth/logout", "", map[string]any{"refreshToken": one.refresh}); response.StatusCode != 204 {
		t.Errorf("twice: %s %v", response.Status, body)
	}
	if response, body := s.call(t, "POST", "auth/logout", two.token, nil); response.StatusCode != 204 {
		t.Fatalf("by access token: %s %v", response.Status, body)
	}
	gone("two")
	if response, _ := s.call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": two.refresh}); response.StatusCode != 401 {
		t.Errorf("the refresh token of an ended session: %s", response.Status)
	}
	if response, body := s.call(t, "POST", "auth/logout", "", nil); response.StatusCode != 401 {
		t.Errorf("without anything: %s %v", response.Status, body)
	}
	if response, body := s.call(t, "POST", "auth/logout", s.token, nil); response.StatusCode != 400 {
		t.Errorf("the portal's token alone: %s %v", response.Status, body)
	}
	ticketed, ticket := s.call(t, "POST", "auth/ticket", three.token, nil)
	if ticketed.StatusCode != 200 {
		t.Fatalf("no ticket: %s", ticketed.Status)
	}
	if response, body := s.call(t, "POST", "auth/logout", s.token, map[string]any{"all": true}); response.StatusCode != 204 {
		t.Fatalf("all: %s %v", response.Status, body)
	}
	gone("three")
	gone("portal")
	for name, token := range map[string]string{"session": three.token, "portal": s.token} {
		if status, _, body := s.get(t, "auth/me", token); status != 401 {
			t.Errorf("me by the token of the %s after it ended: %d %v", name, status, body)
		}
		if status := s.upgrade(t, "", http.Header{"Authorization": {"Bearer " + token}}); status != 401 {
			t.Errorf("a WebSocket by the token of the %s after it ended: %d", name, status)
		}
	}
	if code := s.dial(t, "?ticket="+ticket["ticket"].(string), nil).end(); code != 4401 {
		t.Errorf("a ticket of an ended session: closed with %d", code)
	}
	s.signIn(t, email)
}

func TestSigningOutReachesOtherServers(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	other := serve(t, s.portal)
	session := s.signIn(t, password(t, s.portal, s.owner.UserID))
	ws := other.connect(t, session.token, s.owner.ID, "")
	ws.next(of("connection_established"))
	s.call(t, "POST", "auth/logout", session.token, nil)
	if code := ws.end(); code != 4401 {
		t.Errorf("the stream on the other server ends with %d", code)
	}
}

func TestTickets(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	stranger := s.portal.AddOwner(t, 0)
	ticket := func(body any) string {
		t.Helper()
		response, answer := s.call(t, "POST", "auth/ticket", s.token, body)
		text, ok := answer["ticket"].(string)
		if response.StatusCode != 200 || !ok {
			t.Fatalf("no ticket: %s %v", response.Status, answer)
		}
		return text
	}
	first := ticket(nil)
	s.dial(t, "?ticket="+first, nil).next(of("connection_established"))
	if code := s.dial(t, "?ticket="+first, nil).end(); code != 4401 {
		t.Errorf("a ticket that was used closes with %d", code)
	}
	named := s.listen(t, "", "?ticket="+ticket(map[string]any{"ownerId": s.owner.ID}))
	if hello := named.next(of("connection_established")); hello.OwnerID != s.owner.ID {
		t.Errorf("connected to %s", hello.OwnerID)
	}
	late := ticket(nil)
	s.portal.Exec(t, `UPDATE realtime.tickets SET expires_at = now()`)
	if m := s.listen(t, "", "?ticket="+late).next(nil); m.Type != "error" || m.field("code") != "4401" {
		t.Errorf("an old ticket: %s %s", m.Type, m.Data)
	}
	if code := s.dial(t, "?ownerId="+stranger.ID+"&ticket="+ticket(nil), nil).end(); code != 4403 {
		t.Errorf("a ticket to another's account closes with %d", code)
	}
	if status, _, body := s.get(t, "owners/"+s.owner.ID+"/metrics?ticket="+ticket(nil), ""); status != 401 {
		t.Errorf("a ticket for a snapshot: %d %v", status, body)
	}
	if response, body := s.call(t, "POST", "auth/ticket", s.token, map[string]any{"ownerId": stranger.ID}); response.StatusCode != 403 {
		t.Errorf("a ticket for another's account: %s %v", response.Status, body)
	}
	if response, body := s.call(t, "POST", "auth/ticket", "", nil); response.StatusCode != 401 {
		t.Errorf("a ticket for nobody: %s %v", response.Status, body)
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	email := password(t, s.portal, s.owner.UserID)
	credentials := map[string]any{"email": email, "password": testPassword, "cookie": true}
	cookies := func(response *http.Response) string {
		var pairs []string
		for _, c := range response.Cookies() {
			if c.Value != "" {
				pairs = append(pairs, c.Name+"="+c.Value)
			}
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure {
				t.Errorf("cookie %s", c.Raw)
			}
		}
		return strings.Join(pairs, "; ")
	}
	response, body := s.call(t, "POST", "auth/login", "", credentials)
	if session := sessionOf(t, response, body); session.refresh != "" {
		t.Error("the refresh token is in the body and in a cookie")
	}
	jar := cookies(response)
	if strings.Count(jar, "=") != 2 {
		t.Fatalf("cookies %q", jar)
	}
	s.dial(t, "", &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {jar}}}).next(of("connection_established"))
	own := strings.TrimSuffix(s.base, "/")
	for name, header := range map[string][]string{
		"another page's post":    {"Cookie", jar, "Origin", "https://evil.example"},
		"another site's request": {"Cookie", jar, "Sec-Fetch-Site", "cross-site"},
		"a form":                 {"Cookie", jar, "Origin", own, "Content-Type", "text/plain"},
	} {
		for _, path := range []string{"auth/refresh", "auth/logout", "auth/ticket"} {
			if response, body := s.call(t, "POST", path, "", nil, header...); response.StatusCode != 403 && response.StatusCode != 415 {
				t.Errorf("%s to %s: %s %v", name, path, response.Status, body)
			}
		}
	}
	if response, _ := s.call(t, "POST", "auth/login", "", credentials, "Origin", "https://evil.example"); response.StatusCode != 403 || len(response.Cookies()) > 0 {
		t.Errorf("another page signs a browser in: %s", response.Status)
	}
	response, body = s.call(t, "POST", "auth/refresh", "", nil, "Cookie", jar, "Origin", own)
	sessionOf(t, response, body)
	next := cookies(response)
	if next == jar || strings.Count(next, "=") != 2 {
		t.Errorf("the next cookies are %q", next)
	}
	response, _ = s.call(t, "POST", "auth/logout", "", nil, "Cookie", next, "Origin", own)
	if response.StatusCode != 204 || cookies(response) != "" || len(response.Cookies()) != 2 {
		t.Errorf("signed out: %s %v", response.Status, response.Cookies())
	}
	if response, _ := s.call(t, "POST", "auth/refresh", "", nil, "Cookie", next, "Origin", own); response.StatusCode != 401 {
		t.Errorf("the cookie of an ended session: %s", response.Status)
	}
}

func TestFailedSignInsWait(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--trusted-proxies", "127.0.0.1")
	email := password(t, s.portal, s.owner.UserID)
	try := func(email, password, address string) *http.Response {
		response, _ := s.call(t, "POST", "auth/login", "", map[string]any{"email": email, "password": password}, "X-Forwarded-For", address)
		return response
	}
	over := func() { s.portal.Exec(t, `UPDATE realtime.failures SET until = now()`) }
	for _, account := range []string{email, "nobody@owner.example"} {
		over()
		for i := range 6 {
			if response := try(account, "wrong", "203.0.113.1"); response.StatusCode != 401 {
				t.Fatalf("failure %d: %s", i+1, response.Status)
			}
		}
		tooMany(t, "the seventh failure of "+account, try(account, "wrong", "203.0.113.2"))
		tooMany(t, "the right password meanwhile", try(account, testPassword, "203.0.113.2"))
	}
	// The pause grows.
	var before, after float64
	pause := `SELECT max(date_part('epoch', until - clock_timestamp())) FROM realtime.failures`
	over()
	try(email, "wrong", "203.0.113.3")
	s.portal.Pool.Get(&before, pause)
	over()
	try(email, "wrong", "203.0.113.3")
	s.portal.Pool.Get(&after, pause)
	if after < before*1.3 {
		t.Errorf("the pause grows from %.1f to %.1f s", before, after)
	}
	over()
	if response := try(email, testPassword, "203.0.113.3"); response.StatusCode != 200 {
		t.Errorf("the right password after the pause: %s", response.Status)
	}
	if response := try(email, "wrong", "203.0.113.3"); response.StatusCode != 401 {
		t.Errorf("a failure after a success: %s", response.Status)
	}
	if response := try(email, testPassword, "203.0.113.3"); response.StatusCode != 200 {
		t.Errorf("a success forgets the failures: %s", response.Status)
	}
	// Many addresses from one network.
	var last *http.Response
	for i := range 22 {
		last = try("guess"+string(rune('a'+i))+"@owner.example", "wrong", "198.51.100.7")
	}
	tooMany(t, "a network's 22nd failure", last)
	if response := try(email, testPassword, "198.51.100.8"); response.StatusCode != 200 {
		t.Errorf("another network: %s", response.Status)
	}
}
