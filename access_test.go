//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"
	"nhooyr.io/websocket"
)

// signed returns a token with any claims, signed with a key.
func signed(t *testing.T, key string, claims map[string]any) string {
	t.Helper()
	token := jwt.New()
	for name, value := range claims {
		if err := token.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	text, err := jwt.Sign(token, jwt.WithKey(jwa.HS256, []byte(key)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	soon := time.Now().Add(time.Hour).Unix()
	user := json.Number(s.owner.UserID)
	id, err := user.Int64()
	if err != nil {
		t.Fatal(err)
	}
	const unsigned = "eyJhbGciOiJub25lIn0." // {"alg":"none"}
	good := signed(t, testSecret, map[string]any{"sub": s.owner.UserID, "exp": soon})
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"sub":                         {good, 200},
		"the portal's id, a number":   {signed(t, testSecret, map[string]any{"id": id, "email": "a@b", "role": "owner", "name": "A", "exp": soon}), 200},
		"the portal's userId":         {signed(t, testSecret, map[string]any{"userId": id, "email": "a@b", "exp": soon}), 200},
		"the portal's tests' ownerId": {signed(t, testSecret, map[string]any{"ownerId": s.owner.ID, "id": s.owner.UserID, "exp": soon}), 200},
		"sub before userId before id": {signed(t, testSecret, map[string]any{"sub": s.owner.UserID, "userId": "77", "id": "78", "exp": soon}), 200},
		"ended within the skew":       {signed(t, testSecret, map[string]any{"sub": s.owner.UserID, "exp": time.Now().Unix() - 30}), 200},
		"ended":                       {signed(t, testSecret, map[string]any{"sub": s.owner.UserID, "exp": time.Now().Unix() - 90}), 401},
		"without exp":                 {signed(t, testSecret, map[string]any{"sub": s.owner.UserID}), 401},
		"not yet":                     {signed(t, testSecret, map[string]any{"sub": s.owner.UserID, "exp": soon, "nbf": time.Now().Unix() + 600}), 401},
		"another key":                 {signed(t, testSecret+"x", map[string]any{"sub": s.owner.UserID, "exp": soon}), 401},
		"no user":                     {signed(t, testSecret, map[string]any{"email": "a@b", "exp": soon}), 401},
		"alg none":                    {unsigned + strings.Split(good, ".")[1] + ".", 401},
		"cut":                         {good[:len(good)-2], 401},
		"garbage":                     {"garbage", 401},
		"empty":                       {" ", 401},
	} {
		status, _, body := s.get(t, "owners/"+s.owner.ID+"/metrics", test.token)
		if status != test.want {
			t.Errorf("%s: %d %v, want %d", name, status, body, test.want)
		}
	}
}

func TestWaysIn(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	query := "?ownerId=" + s.owner.ID
	t.Run("sub-protocol", func(t *testing.T) {
		ws := s.dial(t, query, &websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + s.token}})
		ws.next(of("connection_established"))
		if got := ws.conn.Subprotocol(); got != "hangarshare.v1" {
			t.Errorf("the server answers sub-protocol %q", got)
		}
	})
	t.Run("first message", func(t *testing.T) {
		ws := s.dial(t, "", nil)
		ws.send(`{"type":"auth","ownerId":"` + s.owner.ID + `","token":"` + s.token + `"}`)
		if m := ws.next(nil); m.Type != "connection_established" {
			t.Errorf("the first message is %s", m.Type)
		}
	})
	t.Run("cookie", func(t *testing.T) {
		ws := s.dial(t, query, &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"jwt=" + s.token}}})
		ws.next(of("connection_established"))
	})
	t.Run("without ownerId, for a user with one account", func(t *testing.T) {
		if hello := s.connect(t, s.token, "", "").next(nil); hello.OwnerID != s.owner.ID {
			t.Errorf("connected to %q", hello.OwnerID)
		}
	})
	t.Run("without ownerId, for a user with two accounts", func(t *testing.T) {
		two := s.portal.AddOwner(t, 0)
		s.portal.Exec(t, `INSERT INTO hangar_owners (user_id, company_name) VALUES ($1, 'Zwei')`, two.UserID)
		status, _, body := s.get(t, "sse", tokenFor(t, two.UserID, time.Hour))
		if status != 400 || body["field"] != "ownerId" {
			t.Errorf("%d %v", status, body)
		}
	})

	stranger := s.portal.AddOwner(t, 1)
	for name, test := range map[string]struct {
		options *websocket.DialOptions
		send    string
		want    int
	}{
		"bad token as sub-protocol":     {&websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer.garbage"}}, "", 4401},
		"bad token as cookie":           {&websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"jwt=garbage"}}}, "", 4401},
		"bad token as first message":    {nil, `{"type":"auth","token":"garbage"}`, 4401},
		"another message first":         {nil, `{"type":"ping"}`, 4401},
		"no JSON first":                 {nil, `hello`, 4401},
		"another's account":             {&websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + tokenFor(t, stranger.UserID, time.Hour)}}, "", 4403},
		"another's account, by message": {nil, `{"type":"auth","ownerId":"` + s.owner.ID + `","token":"` + tokenFor(t, stranger.UserID, time.Hour) + `"}`, 4403},
	} {
		ws := s.dial(t, query, test.options)
		if test.send != "" {
			ws.send(test.send)
		}
		if code := ws.end(); code != test.want {
			t.Errorf("%s: closed with %d, want %d", name, code, test.want)
		}
	}
	t.Run("a bad cookie ends an event stream with a message", func(t *testing.T) {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"api/sse"+query, nil)
		request.AddCookie(&http.Cookie{Name: "jwt", Value: "garbage"})
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != 200 || !strings.Contains(string(text), `"code":4401`) {
			t.Errorf("%d %s", response.StatusCode, text)
		}
	})
	for name, header := range map[string]http.Header{
		"bad token in the header": {"Authorization": {"Bearer garbage"}},
		"not a bearer":            {"Authorization": {"Basic YTpi"}},
	} {
		if status := s.upgrade(t, query, header); status != 401 {
			t.Errorf("%s: %d, want 401", name, status)
		}
	}
	if status := s.upgrade(t, query, http.Header{"Authorization": {"Bearer " + tokenFor(t, stranger.UserID, time.Hour)}}); status != 403 {
		t.Errorf("another's account with the header: %d, want 403", status)
	}
	if status := s.upgrade(t, query+"&token="+s.token, nil); status != 401 {
		t.Errorf("a token in the address: %d, want 401", status)
	}
}

// upgrade tries to open a WebSocket and returns the status of a refusal.
func (p *program) upgrade(t *testing.T, query string, header http.Header) int {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.base, "http")+"api/ws"+query, &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		conn.CloseNow()
		return http.StatusSwitchingProtocols
	}
	if response == nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--allowed-origins", "https://portal.example")
	own := strings.TrimSuffix(s.base, "/")
	query := "?ownerId=" + s.owner.ID
	for name, test := range map[string]struct {
		header http.Header
		want   int
	}{
		"no browser":       {http.Header{}, 101},
		"our own page":     {http.Header{"Origin": {own}}, 101},
		"an allowed page":  {http.Header{"Origin": {"https://portal.example"}}, 101},
		"a stranger":       {http.Header{"Origin": {"https://evil.example"}}, 403},
		"another scheme":   {http.Header{"Origin": {"http://portal.example"}}, 403},
		"a longer host":    {http.Header{"Origin": {"https://portal.example.evil.example"}}, 403},
		"a sandboxed page": {http.Header{"Origin": {"null"}}, 403},
	} {
		test.header.Set("Authorization", "Bearer "+s.token)
		if status := s.upgrade(t, query, test.header); status != test.want {
			t.Errorf("%s: %d, want %d", name, status, test.want)
		}
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"api/auth/me", nil)
	request.Header.Set("Origin", "https://evil.example")
	request.AddCookie(&http.Cookie{Name: "jwt", Value: s.token})
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("a cookie from a stranger's page: %d, want 403", response.StatusCode)
	}
	request, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, s.base+"api/owners/"+s.owner.ID+"/metrics", nil)
	request.Header.Set("Origin", "https://portal.example")
	request.Header.Set("Authorization", "Bearer "+s.token)
	allowed, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer allowed.Body.Close()
	if allowed.Header.Get("Access-Control-Allow-Origin") != "https://portal.example" ||
		!strings.Contains(allowed.Header.Get("Access-Control-Expose-Headers"), "Last-Event-Id") {
		t.Errorf("the portal's page gets %v", allowed.Header)
	}
}

func TestTokenEnds(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	brief := tokenFor(t, s.owner.UserID, 3*time.Second)
	for name, stream := range map[string]*stream{
		"WebSocket": s.connect(t, brief, s.owner.ID, ""), "SSE": s.listen(t, brief, "?ownerId="+s.owner.ID),
	} {
		if m := stream.next(of("token_expiring")); m.field("expiresAt") == "" {
			t.Errorf("%s: token_expiring says %s", name, m.Data)
		}
		stream.next(of("token_expired"))
		if name == "SSE" {
			if m := stream.next(nil); m.Type != "error" || m.field("code") != "4401" {
				t.Errorf("the event stream ends with %s %s", m.Type, m.Data)
			}
		} else if code := stream.end(); code != 4401 {
			t.Errorf("the WebSocket ends with %d", code)
		}
	}
}

func TestRefreshExtends(t *testing.T) {
	t.Parallel()
	s := setStage(t, "--heartbeat-interval", "200ms")
	ws := s.connect(t, tokenFor(t, s.owner.UserID, 2*time.Second), s.owner.ID, "")
	ws.next(of("token_expiring"))
	ws.send(`{"type":"refresh","token":"` + s.token + `"}`)
	ws.next(of("refreshed"))
	for ended := time.Now().Add(3 * time.Second); time.Now().Before(ended); {
		if m := ws.next(nil); m.Type == "token_expired" {
			t.Fatal("the connection ends with its first token")
		}
	}
}

func TestLosingAnAccountClosesIt(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	heir := s.portal.AddOwner(t, 0)
	ws, sse := s.connect(t, s.token, s.owner.ID, ""), s.listen(t, s.token, "?ownerId="+s.owner.ID)
	ws.next(of("connection_established"))
	sse.next(of("connection_established"))
	s.portal.Exec(t, `UPDATE hangar_owners SET user_id = $1 WHERE id = $2`, heir.UserID, s.owner.ID)
	if code := ws.end(); code != 4403 {
		t.Errorf("the WebSocket ends with %d, want 4403", code)
	}
	if m := sse.next(of("error")); m.field("code") != "4403" {
		t.Errorf("the event stream ends with %s", m.Data)
	}
	s.connect(t, tokenFor(t, heir.UserID, time.Hour), s.owner.ID, "").next(of("connection_established"))
}
