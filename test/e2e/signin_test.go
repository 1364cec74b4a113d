//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	before := time.Now()
	response, body := s.Call(t, "POST", "auth/login", "", map[string]any{"email": " " + strings.ToUpper(email) + " ", "password": harness.Password})
	session := harness.SessionOf(t, response, body)
	if accounts := harness.EncodeJSON(t, body["accounts"]); !strings.Contains(accounts, `"role":"owner"`) || !strings.Contains(accounts, `"ownerId":"`+s.Owner.ID+`"`) {
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
	if status, _, me := s.Get(t, "auth/me", session.Token); status != 200 || strings.Contains(harness.EncodeJSON(t, me), "password") {
		t.Errorf("me: %d %v", status, me)
	}
	s.Connect(t, session.Token, s.Owner.ID, "").Next(harness.OfType("connection_established"))

	locked := s.Portal.AddOwner(t, 0) // its hash is "!"
	s.Portal.Exec(t, `UPDATE users SET email = 'locked@owner.example' WHERE id::text = $1`, locked.UserID)
	s.Portal.Exec(t, `INSERT INTO users (first_name, last_name, email, password_hash) VALUES ('Nie', 'Mand', 'none@owner.example', '')`)
	var refusals []string
	for _, attempt := range [][2]string{
		{email, harness.Password + "x"}, {"nobody@owner.example", harness.Password}, {"locked@owner.example", "!"}, {"none@owner.example", harness.Password},
		{email, strings.Repeat("x", 100)}, {"' OR true --", harness.Password},
	} {
		response, body := s.Call(t, "POST", "auth/login", "", map[string]any{"email": attempt[0], "password": attempt[1]})
		text := harness.WithoutRequestID(response.Header, harness.EncodeJSON(t, body))
		refusals = append(refusals, response.Status+text+harness.EncodeJSON(t, response.Header))
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
		if response, body := s.Call(t, "POST", "auth/login", "", bad); response.StatusCode != http.StatusBadRequest || body["field"] != field {
			t.Errorf("%v: %s %v", bad, response.Status, body)
		}
	}
}

func TestRefreshTokensRotate(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	first, other := s.SignIn(t, email), s.SignIn(t, email)
	refresh := func(token string) (*http.Response, map[string]any) {
		return s.Call(t, "POST", "auth/refresh", "ended.or.foreign", map[string]any{"refreshToken": token})
	}
	response, body := refresh(first.Refresh)
	second := harness.SessionOf(t, response, body)
	if second.Refresh == first.Refresh || second.Refresh == "" {
		t.Fatal("the refresh token stays the same")
	}
	response, body = refresh(second.Refresh)
	third := harness.SessionOf(t, response, body)
	ws, sse := s.Connect(t, first.Token, s.Owner.ID, ""), s.Listen(t, third.Token, "?ownerId="+s.Owner.ID)
	bystander := s.Connect(t, other.Token, s.Owner.ID, "")
	for _, stream := range []*harness.Stream{ws, sse, bystander} {
		stream.Next(harness.OfType("connection_established"))
	}
	if response, body := refresh(first.Refresh); response.StatusCode != http.StatusUnauthorized {
		t.Fatalf("a refresh token serves twice: %s %v", response.Status, body)
	}
	ws.Next(harness.OfType("token_expired"))
	if code := ws.End(); code != 4401 {
		t.Errorf("the WebSocket of a stolen session ends with %d", code)
	}
	if m := sse.Next(harness.OfType("error")); m.Field("code") != "4401" {
		t.Errorf("the event stream of a stolen session ends with %s", m.Data)
	}
	if response, _ := refresh(third.Refresh); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("the newest token of a stolen session: %s", response.Status)
	}
	if status, _, _ := s.Get(t, "owners/"+s.Owner.ID+"/metrics", third.Token); status != http.StatusUnauthorized {
		t.Errorf("the access token of a stolen session: %d", status)
	}
	if status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/metrics", other.Token); status != http.StatusOK {
		t.Errorf("the user's other session: %d %v %s", status, body, s.Output)
	}
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	bystander.Next(harness.IsEvent)
	for name, token := range map[string]string{"unknown": "AAAAAAAAAAAAAAAAAAAAAAAAAA", "none": ""} {
		if response, body := refresh(token); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s %v", name, response.Status, body)
		}
	}
	s.Portal.Exec(t, `UPDATE realtime.sessions SET expires_at = now()`)
	if response, _ := refresh(other.Refresh); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("an old refresh token: %s", response.Status)
	}
}

func TestTwoRefreshesAtOnce(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	session := s.SignIn(t, harness.SetPassword(t, s.Portal, s.Owner.UserID))
	statuses := make(chan int)
	for range 2 {
		go func() {
			response, err := s.Client.Post(s.Base+"api/auth/refresh", "application/json", strings.NewReader(`{"refreshToken":"`+session.Refresh+`"}`))
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
	s := harness.NewSetup(t)
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	one, two, three := s.SignIn(t, email), s.SignIn(t, email), s.SignIn(t, email)
	streams := map[string]*harness.Stream{}
	for name, token := range map[string]string{"one": one.Token, "two": two.Token, "three": three.Token, "portal": s.Token} {
		streams[name] = s.Connect(t, token, s.Owner.ID, "")
		streams[name].Next(harness.OfType("connection_established"))
	}
	gone := func(name string) {
		t.Helper()
		if code := streams[name].End(); code != 4401 {
			t.Errorf("the stream of %s ends with %d", name, code)
		}
	}
	if response, body := s.Call(t, "POST", "auth/logout", "", map[string]any{"refreshToken": one.Refresh}); response.StatusCode != 204 {
		t.Fatalf("by refresh token: %s %v", response.Status, body)
	}
	gone("one")
	if response, body := s.Call(t, "POST", "auth/logout", "", map[string]any{"refreshToken": one.Refresh}); response.StatusCode != 204 {
		t.Errorf("twice: %s %v", response.Status, body)
	}
	if response, body := s.Call(t, "POST", "auth/logout", two.Token, nil); response.StatusCode != 204 {
		t.Fatalf("by access token: %s %v", response.Status, body)
	}
	gone("two")
	if response, _ := s.Call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": two.Refresh}); response.StatusCode != 401 {
		t.Errorf("the refresh token of an ended session: %s", response.Status)
	}
	if response, body := s.Call(t, "POST", "auth/logout", "", nil); response.StatusCode != 401 {
		t.Errorf("without anything: %s %v", response.Status, body)
	}
	if response, body := s.Call(t, "POST", "auth/logout", s.Token, nil); response.StatusCode != 400 {
		t.Errorf("the portal's token alone: %s %v", response.Status, body)
	}
	ticketed, ticket := s.Call(t, "POST", "auth/ticket", three.Token, nil)
	if ticketed.StatusCode != 200 {
		t.Fatalf("no ticket: %s", ticketed.Status)
	}
	if response, body := s.Call(t, "POST", "auth/logout", s.Token, map[string]any{"all": true}); response.StatusCode != 204 {
		t.Fatalf("all: %s %v", response.Status, body)
	}
	gone("three")
	gone("portal")
	for name, token := range map[string]string{"session": three.Token, "portal": s.Token} {
		if status, _, body := s.Get(t, "auth/me", token); status != 401 {
			t.Errorf("me by the token of the %s after it ended: %d %v", name, status, body)
		}
		if status := s.Upgrade(t, "", http.Header{"Authorization": {"Bearer " + token}}); status != 401 {
			t.Errorf("a WebSocket by the token of the %s after it ended: %d", name, status)
		}
	}
	if code := s.Dial(t, "?ticket="+ticket["ticket"].(string), nil).End(); code != 4401 {
		t.Errorf("a ticket of an ended session: closed with %d", code)
	}
	s.SignIn(t, email)
}

func TestSigningOutReachesOtherServers(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	other := harness.Serve(t, s.Portal)
	session := s.SignIn(t, harness.SetPassword(t, s.Portal, s.Owner.UserID))
	ws := other.Connect(t, session.Token, s.Owner.ID, "")
	ws.Next(harness.OfType("connection_established"))
	s.Call(t, "POST", "auth/logout", session.Token, nil)
	if code := ws.End(); code != 4401 {
		t.Errorf("the stream on the other server ends with %d", code)
	}
}

func TestTickets(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	stranger := s.Portal.AddOwner(t, 0)
	ticket := func(body any) string {
		t.Helper()
		response, answer := s.Call(t, "POST", "auth/ticket", s.Token, body)
		text, ok := answer["ticket"].(string)
		if response.StatusCode != 200 || !ok {
			t.Fatalf("no ticket: %s %v", response.Status, answer)
		}
		return text
	}
	first := ticket(nil)
	s.Dial(t, "?ticket="+first, nil).Next(harness.OfType("connection_established"))
	if code := s.Dial(t, "?ticket="+first, nil).End(); code != 4401 {
		t.Errorf("a ticket that was used closes with %d", code)
	}
	named := s.Listen(t, "", "?ticket="+ticket(map[string]any{"ownerId": s.Owner.ID}))
	if hello := named.Next(harness.OfType("connection_established")); hello.OwnerID != s.Owner.ID {
		t.Errorf("connected to %s", hello.OwnerID)
	}
	late := ticket(nil)
	s.Portal.Exec(t, `UPDATE realtime.tickets SET expires_at = now()`)
	if m := s.Listen(t, "", "?ticket="+late).Next(nil); m.Type != "error" || m.Field("code") != "4401" {
		t.Errorf("an old ticket: %s %s", m.Type, m.Data)
	}
	if code := s.Dial(t, "?ownerId="+stranger.ID+"&ticket="+ticket(nil), nil).End(); code != 4403 {
		t.Errorf("a ticket to another's account closes with %d", code)
	}
	if status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/metrics?ticket="+ticket(nil), ""); status != 401 {
		t.Errorf("a ticket for a snapshot: %d %v", status, body)
	}
	if response, body := s.Call(t, "POST", "auth/ticket", s.Token, map[string]any{"ownerId": stranger.ID}); response.StatusCode != 403 {
		t.Errorf("a ticket for another's account: %s %v", response.Status, body)
	}
	if response, body := s.Call(t, "POST", "auth/ticket", "", nil); response.StatusCode != 401 {
		t.Errorf("a ticket for nobody: %s %v", response.Status, body)
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	credentials := map[string]any{"email": email, "password": harness.Password, "cookie": true}
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
	response, body := s.Call(t, "POST", "auth/login", "", credentials)
	if session := harness.SessionOf(t, response, body); session.Refresh != "" {
		t.Error("the refresh token is in the body and in a cookie")
	}
	jar := cookies(response)
	if strings.Count(jar, "=") != 3 || !strings.Contains(jar, "hangarshare_device=") {
		t.Fatalf("cookies %q", jar)
	}
	s.Dial(t, "", &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {jar}}}).Next(harness.OfType("connection_established"))
	own := strings.TrimSuffix(s.Base, "/")
	for name, header := range map[string][]string{
		"another page's post":    {"Cookie", jar, "Origin", "https://evil.example"},
		"another site's request": {"Cookie", jar, "Sec-Fetch-Site", "cross-site"},
		"a form":                 {"Cookie", jar, "Origin", own, "Content-Type", "text/plain"},
	} {
		for _, path := range []string{"auth/refresh", "auth/logout", "auth/ticket"} {
			if response, body := s.Call(t, "POST", path, "", nil, header...); response.StatusCode != 403 && response.StatusCode != 415 {
				t.Errorf("%s to %s: %s %v", name, path, response.Status, body)
			}
		}
	}
	if response, _ := s.Call(t, "POST", "auth/login", "", credentials, "Origin", "https://evil.example"); response.StatusCode != 403 || len(response.Cookies()) > 0 {
		t.Errorf("another page signs a browser in: %s", response.Status)
	}
	// to which browsers add no cookies
	form := []string{"Origin", "https://evil.example", "Content-Type", "text/plain"}
	if response, _ := s.Call(t, "POST", "auth/logout", "", map[string]any{"refreshToken": "x"}, form...); len(response.Cookies()) > 0 {
		t.Errorf("another page signs a browser out: %s %v", response.Status, response.Cookies())
	}
	response, body = s.Call(t, "POST", "auth/refresh", "", nil, "Cookie", jar, "Origin", own)
	harness.SessionOf(t, response, body)
	next := cookies(response)
	if next == jar || strings.Count(next, "=") != 2 {
		t.Errorf("the next cookies are %q", next)
	}
	response, _ = s.Call(t, "POST", "auth/logout", "", nil, "Cookie", next, "Origin", own)
	if response.StatusCode != 204 || cookies(response) != "" || len(response.Cookies()) != 2 {
		t.Errorf("signed out: %s %v", response.Status, response.Cookies())
	}
	if response, _ := s.Call(t, "POST", "auth/refresh", "", nil, "Cookie", next, "Origin", own); response.StatusCode != 401 {
		t.Errorf("the cookie of an ended session: %s", response.Status)
	}
}

// TestCookiesByHTTPS signs in behind a proxy that has HTTPS: cookies are bound to the host, and
// those of plain names are not ours.
func TestCookiesByHTTPS(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.1")
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	by := func(path string, body any, cookie string) (*http.Response, string) {
		t.Helper()
		response, _ := s.Call(t, "POST", path, "", body, "X-Forwarded-For", "203.0.113.1", "X-Forwarded-Proto", "https", "Cookie", cookie)
		var names, pairs []string
		for _, c := range response.Cookies() {
			if c.Path != "/" || c.Domain != "" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || (c.MaxAge < 0) != (c.Value == "") {
				t.Errorf("%s: %s", path, c.Raw)
			}
			names, pairs = append(names, c.Name), append(pairs, c.Name+"="+c.Value)
		}
		slices.Sort(names)
		got := strings.TrimPrefix(strings.Join(names, " "), "__Host-hangarshare_device ")
		if len(names) > 0 && got != "__Host-hangarshare_refresh __Host-jwt" {
			t.Errorf("%s sets %s", path, names)
		}
		return response, strings.Join(pairs, "; ")
	}
	_, jar := by("auth/login", map[string]any{"email": email, "password": harness.Password, "cookie": true}, "")
	if response, _ := by("auth/refresh", nil, strings.ReplaceAll(jar, "__Host-", "")); response.StatusCode != 401 {
		t.Errorf("a refresh cookie of a plain name: %s", response.Status)
	}
	if response, _ := s.Call(t, "POST", "auth/refresh", "", nil, "Cookie", jar); response.StatusCode != 401 {
		t.Errorf("a cookie of HTTPS by plain HTTP: %s", response.Status)
	}
	response, jar := by("auth/refresh", nil, jar)
	if response.StatusCode != 200 || jar == "" {
		t.Fatalf("a refresh: %s %q", response.Status, jar)
	}
	if response, gone := by("auth/logout", nil, jar); response.StatusCode != 204 || gone != "__Host-jwt=; __Host-hangarshare_refresh=" {
		t.Errorf("signed out: %s %q", response.Status, gone)
	}
}

func TestFailedSignInsWait(t *testing.T) {
	t.Parallel()
	// which failures do not heed
	admin := harness.FreeAddress(t)
	s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.1", "--limit-exempt", "127.0.0.1,203.0.113.0/24", "--admin-addr", admin)
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	try := func(email, password, address string) *http.Response { return s.LogInFrom(t, email, password, address) }
	over := func() { s.Portal.Exec(t, `UPDATE realtime.failures SET until = now()`) }
	for _, account := range []string{email, "nobody@owner.example"} {
		over()
		for i := range 6 {
			if response := try(account, "wrong", "203.0.113.1"); response.StatusCode != 401 {
				t.Fatalf("failure %d: %s", i+1, response.Status)
			}
		}
		harness.WantTooMany(t, "the seventh failure of "+account, try(strings.ToUpper(account), "wrong", "203.0.113.1"))
		harness.WantTooMany(t, "the right password meanwhile", try(account, harness.Password, "203.0.113.1"))
	}
	if n := series(scrape(admin), `hangarshare_refused_total{limit="failed_sign_ins"}`); n != 4 {
		t.Errorf("%v sign-ins are counted as refused, want 4", n)
	}
	if response := try(email, harness.Password, "203.0.113.2"); response.StatusCode != 200 {
		t.Errorf("the account from another network: %s", response.Status)
	}
	// The pause grows.
	var before, after float64
	pause := `SELECT max(date_part('epoch', until - clock_timestamp())) FROM realtime.failures`
	over()
	try(email, "wrong", "203.0.113.1")
	s.Portal.Pool.Get(&before, pause)
	over()
	try(email, "wrong", "203.0.113.1")
	s.Portal.Pool.Get(&after, pause)
	if after < before*1.3 {
		t.Errorf("the pause grows from %.1f to %.1f s", before, after)
	}
	over()
	if response := try(email, harness.Password, "203.0.113.1"); response.StatusCode != 200 {
		t.Errorf("the right password after the pause: %s", response.Status)
	}
	if response := try(email, "wrong", "203.0.113.1"); response.StatusCode != 401 {
		t.Errorf("a failure after a success: %s", response.Status)
	}
	if response := try(email, harness.Password, "203.0.113.1"); response.StatusCode != 200 {
		t.Errorf("a success forgets the failures: %s", response.Status)
	}
}

// TestFailedSignInsOfManyWait fails with many accounts from one network, and from many
// networks of one site.
func TestFailedSignInsOfManyWait(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.1")
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	guess := func(n int, network string) *http.Response {
		return s.LogInFrom(t, fmt.Sprintf("guess%d@owner.example", n), "wrong", network)
	}
	// hold makes the pause that the last failure began long: on a busy machine the next
	// try may come after it.
	hold := func() {
		s.Portal.Exec(t, `UPDATE realtime.failures SET until = clock_timestamp() + interval '1 hour' WHERE until = (
			SELECT max(until) FROM realtime.failures WHERE until < clock_timestamp() + interval '30 minutes')`)
	}
	for n := range 21 {
		guess(n, "198.51.100.7")
	}
	hold()
	harness.WantTooMany(t, "a network's 22nd failure", guess(21, "198.51.100.7"))
	if response := s.LogInFrom(t, email, harness.Password, "198.51.100.8"); response.StatusCode != 200 {
		t.Errorf("another network: %s", response.Status)
	}
	for n := range 61 {
		guess(n, fmt.Sprintf("2001:db8:1:%x::1", n))
	}
	hold()
	harness.WantTooMany(t, "a site's 62nd failure", guess(61, "2001:db8:1:61::1"))
	if response := s.LogInFrom(t, email, harness.Password, "2001:db8:2:1::1"); response.StatusCode != 200 {
		t.Errorf("another site: %s", response.Status)
	}
	// Attempts that are refused count nowhere: who tries while their account waits does
	// not use up their network's.
	for n := range 40 {
		if response := s.LogInFrom(t, email, "wrong", "203.0.113.9"); (response.StatusCode == 401) != (n < 6) {
			t.Errorf("try %d: %s", n+1, response.Status)
		}
		if n == 5 {
			hold()
		}
	}
	if response := guess(1, "203.0.113.9"); response.StatusCode != 401 {
		t.Errorf("a neighbour of somebody who tried 40 times: %s", response.Status)
	}
}

// TestStrangersLockNobodyOut keeps an account's count full from everywhere: a browser on which its
// user has signed in before is let in, and no other is by its cookie.
func TestStrangersLockNobodyOut(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.1")
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	other := harness.SetPassword(t, s.Portal, s.Portal.AddOwner(t, 0).UserID)
	device := func(email string) (cookie string) {
		response, body := s.Call(t, "POST", "auth/login", "", map[string]any{"email": email, "password": harness.Password, "cookie": true}, "X-Forwarded-For", "203.0.113.1")
		harness.SessionOf(t, response, body)
		for _, c := range response.Cookies() {
			if c.Name == "hangarshare_device" && c.HttpOnly && c.SameSite == http.SameSiteStrictMode && c.MaxAge > 0 {
				cookie = c.Name + "=" + c.Value
			}
		}
		if cookie == "" {
			t.Fatalf("no device in %v", response.Cookies())
		}
		return cookie
	}
	known, foreign := device(strings.ToUpper(email)), device(other)
	for _, count := range []string{"account " + email, "network 203.0.113.1"} {
		s.Portal.Exec(t, `INSERT INTO realtime.failures (hash, count, until) VALUES (sha256(convert_to($1, 'UTF8')), 200, now() + interval '15 minutes')
			ON CONFLICT (hash) DO UPDATE SET count = excluded.count, until = excluded.until`, count)
	}
	try := func(password, cookie string) *http.Response {
		return s.LogInFrom(t, email, password, "203.0.113.1", "Cookie", cookie)
	}
	harness.WantTooMany(t, "no device", s.LogInFrom(t, email, harness.Password, "203.0.113.2"))
	harness.WantTooMany(t, "another account's device", try(harness.Password, foreign))
	harness.WantTooMany(t, "a forged device", try(harness.Password, known[:len(known)-2]+"AA"))
	if response := try(harness.Password, known); response.StatusCode != 200 {
		t.Errorf("the user's own device: %s", response.Status)
	}
	for n := range 6 {
		if response := try("wrong", known); response.StatusCode != 401 {
			t.Errorf("failure %d of the device: %s", n+1, response.Status)
		}
	}
	harness.WantTooMany(t, "the device's seventh failure", try(harness.Password, known))
}

// TestSignOutOfAllLeavesNoToken signs out of all with tokens that do not say when they were signed,
// and of a clock that is ahead.
func TestSignOutOfAllLeavesNoToken(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	now := time.Now()
	tokens := map[string]string{"ends in a month": "", "ends in an hour": "", "a clock ahead": "", "an hour old": ""}
	for name, claims := range map[string]string{
		"ends in a month": fmt.Sprintf(`{"id":%s,"exp":%d}`, s.Owner.UserID, now.Add(30*24*time.Hour).Unix()),
		"ends in an hour": fmt.Sprintf(`{"id":%s,"exp":%d}`, s.Owner.UserID, now.Add(time.Hour).Unix()),
		"a clock ahead":   fmt.Sprintf(`{"id":%s,"exp":%d,"iat":%d}`, s.Owner.UserID, now.Add(time.Hour).Unix(), now.Add(45*time.Second).Unix()),
		"an hour old":     fmt.Sprintf(`{"id":%s,"exp":%d,"iat":%d}`, s.Owner.UserID, now.Add(time.Hour).Unix(), now.Add(-time.Hour).Unix()),
	} {
		tokens[name] = signedByPortal(t, claims)
		if status, _, body := s.Get(t, "auth/me", tokens[name]); status != 200 {
			t.Fatalf("%s: %d %v", name, status, body)
		}
	}
	stream := s.Connect(t, tokens["ends in a month"], s.Owner.ID, "")
	stream.Next(harness.OfType("connection_established"))
	if response, body := s.Call(t, "POST", "auth/logout", s.Token, map[string]any{"all": true}); response.StatusCode != 204 {
		t.Fatalf("%s %v", response.Status, body)
	}
	for name, token := range tokens {
		if status, _, body := s.Get(t, "auth/me", token); status != 401 {
			t.Errorf("a token that %s: %d %v", name, status, body)
		}
	}
	if code := stream.End(); code != 4401 {
		t.Errorf("the stream ends with %d", code)
	}
}

// signedByPortal signs claims with the secret, as the portal does.
func signedByPortal(t testing.TB, claims string) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte(harness.Secret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

func TestSessionsOfAUserAreBounded(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	oldest := s.SignIn(t, email)
	s.Portal.Exec(t, `UPDATE realtime.sessions SET expires_at = expires_at - interval '3 days'`)
	second := s.SignIn(t, email)
	s.Portal.Exec(t, `INSERT INTO realtime.sessions (id, user_id, expires_at) SELECT n, $1, now() + interval '29 days' FROM generate_series(1, 48) n`, s.Owner.UserID)
	stream := s.Connect(t, oldest.Token, s.Owner.ID, "")
	stream.Next(harness.OfType("connection_established"))
	newest := s.SignIn(t, email)
	if code := stream.End(); code != 4401 {
		t.Errorf("the oldest session's stream ends with %d", code)
	}
	if n := s.Portal.ID(t, `SELECT count(*) FROM realtime.sessions WHERE ended_at IS NULL`); n != "50" {
		t.Errorf("%s sessions go on", n)
	}
	for name, one := range map[string]struct {
		session harness.SignedIn
		status  int
	}{"oldest": {oldest, 401}, "second": {second, 200}, "newest": {newest, 200}} {
		if response, body := s.Call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": one.session.Refresh}); response.StatusCode != one.status {
			t.Errorf("the %s session: %s %v", name, response.Status, body)
		}
	}
}

// TestRefreshTokensAreOurs sees that a refresh token which we did not sign costs no question to the
// database, and that one of another turn, session or user is none of ours.
func TestRefreshTokensAreOurs(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	between, through := harness.BeforeDatabase(t, portal.URL)
	p := harness.Serve(t, &dbtest.Portal{URL: through, Pool: portal.Pool}, "--requests-per-minute-per-user", "20", "--limit-exempt", "")
	session := p.SignIn(t, harness.SetPassword(t, portal, portal.AddOwner(t, 0).UserID))
	refresh := func(token string) *http.Response {
		response, _ := p.WithoutRetries().Call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": token})
		return response
	}
	parts := strings.Split(session.Refresh, ".")
	if len(parts) != 4 {
		t.Fatalf("a refresh token of %d parts", len(parts))
	}
	if kept := portal.ID(t, `SELECT count(*) FROM realtime.refresh_tokens`); kept != "0" {
		t.Errorf("%s refresh tokens are kept", kept)
	}
	between.Set(harness.Refuse)
	between.Cut()
	forged := []string{"x", "....", session.Refresh + "A", session.Refresh[:len(session.Refresh)-1], session.Token}
	for n := range parts {
		other := slices.Clone(parts)
		other[n] = "eA"
		forged = append(forged, strings.Join(other, "."))
	}
	for _, token := range forged {
		if response := refresh(token); response.StatusCode != 401 {
			t.Errorf("%.12s… while the database is away: %s", token, response.Status)
		}
	}
	if response := refresh(session.Refresh); response.StatusCode != 503 {
		t.Errorf("a genuine one while the database is away: %s", response.Status)
	}
	between.Set(harness.Pass)
	token := session.Refresh
	var last *http.Response
	for range 40 {
		response, body := p.Call(t, "POST", "auth/refresh", "", map[string]any{"refreshToken": token})
		if next, ok := body["refreshToken"].(string); ok {
			token = next
		}
		if last = response; response.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	harness.WantTooMany(t, "a user's refreshes without end", last)
}

// TestRefusedRefreshTokensHarmNobody sends bad refresh tokens without a pause while others work.
func TestRefusedRefreshTokensHarmNobody(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	open := s.Connect(t, s.Token, s.Owner.ID, "")
	open.Next(harness.OfType("metrics_updated"))
	stop, sent := make(chan struct{}), make(chan int)
	enough := make(chan struct{}, 1)
	go func() {
		n := 0
		defer func() { sent <- n }()
		for {
			response, err := s.Client.Post(s.Base+"api/auth/refresh", "application/json", strings.NewReader(`{"refreshToken":"x"}`))
			if err != nil {
				return
			}
			response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized {
				t.Errorf("a bad refresh token: %s", response.Status)
				return
			}
			if n++; n == 20 { // four times as many as open a breaker
				enough <- struct{}{}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	<-enough
	for range 10 {
		for _, path := range []string{"owners/" + s.Owner.ID + "/metrics", "owners/" + s.Owner.ID + "/bookings", "auth/me"} {
			if status, _, body := s.Get(t, path, s.Token); status != http.StatusOK {
				t.Errorf("%s: %d %v", path, status, body)
			}
		}
		s.Connect(t, s.SignIn(t, email).Token, s.Owner.ID, "").Next(harness.OfType("metrics_updated"))
	}
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	open.Next(harness.OfType("metrics_updated"))
	close(stop)
	t.Logf("%d refused meanwhile", <-sent)
}
