//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/api/issuertest"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// withIssuer is a setup whose users sign in elsewhere: users.external_id holds what the
// issuer calls them.
type withIssuer struct {
	harness.Setup
	foreign *issuertest.Issuer
	key     *ecdsa.PrivateKey
}

func setIssuer(t *testing.T, flags ...string) withIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreign := &issuertest.Issuer{T: t}
	foreign.Publish(map[string]crypto.Signer{"k": key})
	web := httptest.NewServer(foreign)
	t.Cleanup(web.Close)
	portal := dbtest.New(t)
	o := portal.AddOwner(t, 2)
	portal.Exec(t, `ALTER TABLE users ADD COLUMN external_id text UNIQUE`)
	portal.Exec(t, `UPDATE users SET external_id = 'auth0|Ana' WHERE id::text = $1`, o.UserID)
	program := harness.Serve(t, portal, append([]string{"--jwks-url", web.URL}, flags...)...)
	program.Output.Await(t, "the issuer's keys are known")
	return withIssuer{harness.Setup{Program: program, Owner: o, Token: harness.TokenFor(t, o.UserID, time.Hour)}, foreign, key}
}

// token signs claims, in pairs, as the issuer.
func (b withIssuer) token(t *testing.T, claims ...any) string {
	t.Helper()
	now := time.Now().Unix()
	made := map[string]any{"iat": now, "exp": now + 3600}
	for i := 0; i+1 < len(claims); i += 2 {
		made[claims[i].(string)] = claims[i+1]
	}
	return issuertest.Sign(t, jwa.ES384, b.key, "k", made)
}

// outcome is what a stream says first: 200 for a beginning, or the code that ends it.
func outcome(s *harness.Stream) int {
	s.T.Helper()
	for late := time.After(harness.Timeout); ; {
		select {
		case m, open := <-s.Messages:
			switch {
			case !open:
				return int(s.Closed.Code)
			case m.Type == "connection_established":
				return http.StatusOK
			case m.Type == "error":
				var code int
				fmt.Sscan(m.Field("code"), &code)
				return code
			}
		case <-late:
			s.T.Fatal("the stream says nothing")
		}
	}
}

// waysIn offers a token in every way in, and says how each was answered: an HTTP status, or a close
// code. Cookies are left out where it is too large for one.
func (b withIssuer) waysIn(t *testing.T, token string) map[string]int {
	t.Helper()
	query, ways := "?ownerId="+b.Owner.ID, make(map[string]int)
	ways["REST"], _, _ = b.Get(t, "owners/"+b.Owner.ID+"/metrics", token)
	ways["me"], _, _ = b.Get(t, "auth/me", token)
	ways["header"] = b.Upgrade(t, query, http.Header{"Authorization": {"Bearer " + token}})
	if ways["header"] == http.StatusSwitchingProtocols {
		ways["header"] = http.StatusOK
	}
	ways["sub-protocol"] = outcome(b.Dial(t, query, &websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + token}}))
	first := b.Dial(t, query, nil)
	first.Send(`{"type":"auth","token":"` + token + `"}`)
	ways["first message"] = outcome(first)
	if len(token) < 4096 {
		ways["cookie"] = outcome(b.Listen(t, "", query, "Cookie", "theme=dark; jwt="+token))
	}
	response, ticket := b.Call(t, "POST", "auth/ticket", token, map[string]any{})
	ways["ticket"] = response.StatusCode
	if response.StatusCode == http.StatusOK {
		ways["ticket"] = outcome(b.Listen(t, "", query+"&ticket="+ticket["ticket"].(string)))
	}
	open := b.Connect(t, b.Setup.Token, b.Owner.ID, "")
	open.Next(harness.OfType("connection_established"))
	open.Send(`{"type":"refresh","token":"` + token + `"}`)
	answer := open.Next(func(m harness.Message) bool { return m.Type == "refreshed" || m.Type == "error" })
	ways["refresh"] = http.StatusOK
	if answer.Type == "error" {
		var code int
		fmt.Sscan(answer.Field("code"), &code)
		ways["refresh"] = code
	}
	return ways
}

// TestClaimsOnEveryWayIn takes users from namespaced, nested and colon claims, by a column,
// wherever a token may come in.
func TestClaimsOnEveryWayIn(t *testing.T) {
	t.Parallel()
	b := setIssuer(t, "--jwt-user-claim", "https://portal.example/user_id,/app_metadata/portal,custom:user_id,sub", "--jwt-user-column", "external_id",
		"--jwt-audience", "live")
	groups := make([]string, 200)
	for i := range groups {
		groups[i] = fmt.Sprintf("%08x-2b34-4da1-9baa-8bc8c9d6a490-%d", i, i)
	}
	large := b.token(t, "sub", "auth0|Ana", "aud", "live", "groups", groups)
	if len(large) < 11<<10 || len(large) > 16<<10 {
		t.Fatalf("a token of 200 groups has %d bytes", len(large))
	}
	for name, token := range map[string]string{
		"a namespaced claim": b.token(t, "https://portal.example/user_id", "auth0|Ana", "sub", "1", "aud", "live"),
		"a nested claim":     b.token(t, "app_metadata", map[string]any{"portal": "auth0|Ana"}, "sub", "1", "aud", []string{"live"}),
		"a claim of a colon": b.token(t, "custom:user_id", "auth0|Ana", "sub", "1", "aud", "live"),
		"200 groups":         large,
	} {
		for way, got := range b.waysIn(t, token) {
			if got != http.StatusOK {
				t.Errorf("%s by %s: %d", name, way, got)
			}
		}
	}
	early := map[string]bool{"REST": true, "me": true, "header": true, "ticket": true}
	for name, token := range map[string]string{
		"the id itself is nobody":   b.token(t, "sub", b.Owner.UserID, "aud", "live"),
		"another audience":          b.token(t, "sub", "auth0|Ana", "aud", "other"),
		"a claim present, unusable": b.token(t, "https://portal.example/user_id", nil, "sub", "auth0|Ana", "aud", "live"),
		"NUL":                       b.token(t, "sub", "auth0|Ana\x00", "aud", "live"),
		"a refresh token":           b.token(t, "sub", "auth0|Ana", "aud", "live", "token_type", "refresh"),
		"a program":                 b.token(t, "sub", "auth0|Ana", "aud", "live", "client_id", "auth0|Ana"),
	} {
		for way, got := range b.waysIn(t, token) {
			if want := map[bool]int{true: http.StatusUnauthorized, false: 4401}[early[way]]; got != want {
				t.Errorf("%s by %s: %d, want %d", name, way, got, want)
			}
		}
	}
	// of our own key: the id, whatever the column
	if status, _, _ := b.Get(t, "auth/me", b.Setup.Token); status != http.StatusOK {
		t.Errorf("a token of the server's own secret: %d", status)
	}
}

// TestGarbageAtARotation asks with good tokens of a new key while a stranger sends garbage all the
// time: nobody is told to sign in.
func TestGarbageAtARotation(t *testing.T) {
	t.Parallel()
	admin := harness.FreeAddress(t)
	b := setIssuer(t, "--jwt-user-column", "external_id", "--admin-addr", admin)
	garbage := issuertest.Sign(t, jwa.ES384, b.key, "nobody's", map[string]any{"sub": "auth0|Ana", "exp": time.Now().Add(time.Hour).Unix()})
	once := b.WithoutRetries()
	status, _, _ := once.Get(t, "auth/me", garbage)
	if status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
		t.Fatalf("garbage is answered by %d", status)
	}
	next, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.foreign.Publish(map[string]crypto.Signer{"k": b.key, "next": next})
	good := issuertest.Sign(t, jwa.ES384, next, "next", map[string]any{"sub": "auth0|Ana", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()})
	seen := make(map[int]int)
	harness.Eventually(t, "taking the new key", func() bool {
		once.Get(t, "auth/me", issuertest.Sign(t, jwa.ES384, b.key, fmt.Sprint("x", len(seen), time.Now().UnixNano()), map[string]any{"sub": "1", "exp": time.Now().Add(time.Hour).Unix()}))
		status, header, _ := once.Get(t, "auth/me", good)
		seen[status]++
		if status == http.StatusServiceUnavailable {
			if header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if seen[status] == 1 {
				query := "?ownerId=" + b.Owner.ID
				if code := outcome(b.Dial(t, query, &websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + good}})); code != 1013 && code != 200 {
					t.Errorf("a WebSocket ends with %d", code)
				}
				if code := outcome(b.Listen(t, "", query, "Cookie", "jwt="+good)); code != 1013 && code != 200 {
					t.Errorf("an event stream ends with %d", code)
				}
			}
		}
		return status == http.StatusOK
	})
	if seen[http.StatusUnauthorized] > 0 {
		t.Errorf("answers %v", seen)
	}
	if n := stat(t, admin, `hangarshare_tokens_refused_total{reason="not_checkable"}`); n < seen[http.StatusServiceUnavailable] {
		t.Errorf("%d refusals are counted, of %v", n, seen)
	}
}

// TestCookiesByName takes the first valid token of several cookies, and holds all their
// names to the rules of origins.
func TestCookiesByName(t *testing.T) {
	t.Parallel()
	b := setIssuer(t, "--jwt-user-column", "external_id", "--jwt-cookie", "__session,portal_token", "--allowed-origins", "https://portal.example")
	good, stale := b.token(t, "sub", "auth0|Ana"), b.token(t, "sub", "auth0|Ana", "exp", time.Now().Add(-time.Minute).Unix())
	half := len(good) / 2
	for name, test := range map[string]struct {
		cookies, origin, authorization string
		want                           int
	}{
		"by its name":              {"__session=" + good, "", "", 200},
		"a stale one before":       {"__session=" + stale + "; portal_token=" + good, "", "", 200},
		"two of one name":          {"__session=" + stale + "; __session=" + good, "", "", 200},
		"all stale":                {"__session=" + stale + "; portal_token=" + stale, "", "", 401},
		"another name":             {"token=" + good, "", "", 401},
		"in two pieces":            {"__session.0=" + good[:half] + "; __session.1=" + good[half:], "", "", 200},
		"ours, preferred":          {"portal_token=" + stale + "; __Host-jwt=" + b.Setup.Token, "", "", 200},
		"from a friend's page":     {"portal_token=" + good, "https://portal.example", "", 200},
		"from a stranger's page":   {"portal_token=" + good, "https://evil.example", "", 403},
		"the same in two pieces":   {"__session.0=" + good[:half] + "; __session.1=" + good[half:], "https://evil.example", "", 403},
		"Basic beside":             {"portal_token=" + good, "https://evil.example", "Basic YTpi", 403},
		"Basic beside, from ours":  {"portal_token=" + good, "", "Basic YTpi", 200},
		"a good Bearer beside":     {"portal_token=" + stale, "https://evil.example", "Bearer " + good, 200},
		"a bad Bearer beside":      {"portal_token=" + good, "", "Bearer " + stale, 401},
		"a Bearer of two tokens":   {"", "", "Bearer " + good + ", Bearer " + good, 401},
		"a token without a scheme": {"", "", good, 401},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.Base+"api/owners/"+b.Owner.ID+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		for header, value := range map[string]string{"Cookie": test.cookies, "Origin": test.origin, "Authorization": test.authorization} {
			if value != "" {
				request.Header.Set(header, value)
			}
		}
		if got := statusOf(t, b.Setup.Program, request); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.Base+"api/auth/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + good}
	if got := statusOf(t, b.Setup.Program, request); got != 401 {
		t.Errorf("two headers: %d", got)
	}
}

// statusOf sends a request and returns the status of the answer.
func statusOf(t *testing.T, p *harness.Program, request *http.Request) int {
	t.Helper()
	response, err := p.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// TestHookOfThePortal lets the portal say who is asking, where sessions are opaque.
func TestHookOfThePortal(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	o := portal.AddOwner(t, 1)
	var away atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := r.Cookie("portal_session")
		known := err == nil && session.Value == "opaque-Ana" || r.Header.Get("Authorization") == "Bearer 1|opaque"
		switch {
		case away.Load():
			w.WriteHeader(http.StatusBadGateway)
		case !known:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprintf(w, `{"userId":%q,"expiresAt":%d}`, o.UserID, time.Now().Add(time.Hour).UnixMilli())
		}
	}))
	t.Cleanup(web.Close)
	s := harness.Serve(t, portal, "--auth-hook-url", web.URL+"/whoami", "--jwt-secret", "")
	query := "?ownerId=" + o.ID
	asking := s
	ask := func(header ...string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"api/owners/"+o.ID+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		return statusOf(t, asking, request)
	}
	for name, test := range map[string]struct {
		header []string
		want   int
	}{
		"a session":                   {[]string{"Cookie", "_ga=1; portal_session=opaque-Ana"}, 200},
		"an opaque token":             {[]string{"Authorization", "Bearer 1|opaque"}, 200},
		"nothing":                     {nil, 401},
		"other cookies":               {[]string{"Cookie", "_ga=1"}, 401},
		"another opaque token":        {[]string{"Authorization", "Bearer 2|opaque"}, 401},
		"from a stranger's page":      {[]string{"Cookie", "portal_session=opaque-Ana", "Origin", "https://evil.example"}, 403},
		"with Basic beside":           {[]string{"Cookie", "portal_session=opaque-Ana", "Origin", "https://evil.example", "Authorization", "Basic x"}, 403},
		"with another's token beside": {[]string{"Cookie", "portal_session=opaque-Ana", "Origin", "https://evil.example", "Authorization", "Bearer 2|opaque"}, 401},
	} {
		if got := ask(test.header...); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
	ws := s.Dial(t, query, &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"portal_session=opaque-Ana"}}})
	sse := s.Listen(t, "", query, "Cookie", "portal_session=opaque-Ana")
	// nobody yet
	message := s.Dial(t, query, &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"_ga=2"}}})
	message.Send(`{"type":"auth","token":"1|opaque"}`)
	for name, stream := range map[string]*harness.Stream{"WebSocket": ws, "SSE": sse, "first message": message} {
		if got := outcome(stream); got != 200 {
			t.Errorf("%s: %d", name, got)
		}
	}
	away.Store(true)
	asking = s.WithoutRetries()
	if got := ask("Cookie", "portal_session=opaque-Bia"); got != http.StatusServiceUnavailable {
		t.Errorf("with the portal away: %d", got)
	}
	if got := outcome(s.Listen(t, "", query, "Cookie", "portal_session=opaque-Bia")); got != 1013 {
		t.Errorf("with the portal away an event stream ends with %d", got)
	}
	if got := ask("Cookie", "_ga=1; portal_session=opaque-Ana"); got != 200 {
		t.Errorf("a remembered session with the portal away: %d", got)
	}
}

// TestTokenSettings refuses to start with settings that cannot work.
func TestTokenSettings(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"plain http":              {"--jwks-url", "http://issuer.example/keys"},
		"exclude each other":      {"--jwks-url", "https://issuer.example/keys", "--jwks-file", "keys.pem"},
		"JWKS_FILE":               {"--jwks-file", "no-such-file"},
		"AUTH_HOOK_URL":           {"--auth-hook-url", "portal.example/whoami"},
		"JWT_REQUIRED_CLAIMS":     {"--jwt-required-claims", "token_type"},
		"JWT_COOKIE":              {"--jwt-cookie", "a b"},
		"quotation marks":         {"--jwt-secret", `"` + harness.Secret + `"`},
		"no address of a key set": {"--jwks-url", "issuer.example"},
	} {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), harness.Timeout)
		args = append([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--data-dir", dbtest.Dir(t), "--database-url", "postgres://127.0.0.1:1/d", "--database-wait", "0s",
			"--jwt-secret", harness.Secret}, args...)
		code := harness.Run(ctx, args, &out, &out)
		cancel()
		if code != 1 || !strings.Contains(out.String(), says) {
			t.Errorf("%s: exit code %d, %s", says, code, out.String())
		}
	}
}
