//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

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

	"github.com/hangarshare/hangarshare-realtime/test/harness"
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
	s := harness.NewSetup(t)
	soon := time.Now().Add(time.Hour).Unix()
	user := json.Number(s.Owner.UserID)
	id, err := user.Int64()
	if err != nil {
		t.Fatal(err)
	}
	const unsigned = "eyJhbGciOiJub25lIn0." // {"alg":"none"}
	good := signed(t, harness.Secret, map[string]any{"sub": s.Owner.UserID, "exp": soon})
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"sub":                         {good, 200},
		"the portal's id, a number":   {signed(t, harness.Secret, map[string]any{"id": id, "email": "a@b", "role": "owner", "name": "A", "exp": soon}), 200},
		"the portal's userId":         {signed(t, harness.Secret, map[string]any{"userId": id, "email": "a@b", "exp": soon}), 200},
		"the portal's tests' ownerId": {signed(t, harness.Secret, map[string]any{"ownerId": s.Owner.ID, "id": s.Owner.UserID, "exp": soon}), 200},
		"sub before userId before id": {signed(t, harness.Secret, map[string]any{"sub": s.Owner.UserID, "userId": "77", "id": "78", "exp": soon}), 200},
		"ended within the skew":       {signed(t, harness.Secret, map[string]any{"sub": s.Owner.UserID, "exp": time.Now().Unix() - 30}), 200},
		"ended":                       {signed(t, harness.Secret, map[string]any{"sub": s.Owner.UserID, "exp": time.Now().Unix() - 90}), 401},
		"without exp":                 {signed(t, harness.Secret, map[string]any{"sub": s.Owner.UserID}), 401},
		"not yet":                     {signed(t, harness.Secret, map[string]any{"sub": s.Owner.UserID, "exp": soon, "nbf": time.Now().Unix() + 600}), 401},
		"another key":                 {signed(t, harness.Secret+"x", map[string]any{"sub": s.Owner.UserID, "exp": soon}), 401},
		"no user":                     {signed(t, harness.Secret, map[string]any{"email": "a@b", "exp": soon}), 401},
		"alg none":                    {unsigned + strings.Split(good, ".")[1] + ".", 401},
		"cut":                         {good[:len(good)-2], 401},
		"garbage":                     {"garbage", 401},
		"empty":                       {" ", 401},
	} {
		status, _, body := s.Get(t, "owners/"+s.Owner.ID+"/metrics", test.token)
		if status != test.want {
			t.Errorf("%s: %d %v, want %d", name, status, body, test.want)
		}
	}
}

func TestWaysIn(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	query := "?ownerId=" + s.Owner.ID
	t.Run("sub-protocol", func(t *testing.T) {
		ws := s.Dial(t, query, &websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + s.Token}})
		ws.Next(harness.OfType("connection_established"))
		if got := ws.Conn.Subprotocol(); got != "hangarshare.v1" {
			t.Errorf("the server answers sub-protocol %q", got)
		}
	})
	t.Run("first message", func(t *testing.T) {
		ws := s.Dial(t, "", nil)
		ws.Send(`{"type":"auth","ownerId":"` + s.Owner.ID + `","token":"` + s.Token + `"}`)
		if m := ws.Next(nil); m.Type != "connection_established" {
			t.Errorf("the first message is %s", m.Type)
		}
	})
	t.Run("cookie", func(t *testing.T) {
		ws := s.Dial(t, query, &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"jwt=" + s.Token}}})
		ws.Next(harness.OfType("connection_established"))
	})
	t.Run("without ownerId, for a user with one account", func(t *testing.T) {
		if hello := s.Connect(t, s.Token, "", "").Next(nil); hello.OwnerID != s.Owner.ID {
			t.Errorf("connected to %q", hello.OwnerID)
		}
	})
	t.Run("without ownerId, for a user with two accounts", func(t *testing.T) {
		two := s.Portal.AddOwner(t, 0)
		s.Portal.Exec(t, `INSERT INTO hangar_owners (user_id, company_name) VALUES ($1, 'Zwei')`, two.UserID)
		status, _, body := s.Get(t, "sse", harness.TokenFor(t, two.UserID, time.Hour))
		if status != 400 || body["field"] != "ownerId" {
			t.Errorf("%d %v", status, body)
		}
	})

	stranger := s.Portal.AddOwner(t, 1)
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
		"another's account":             {&websocket.DialOptions{Subprotocols: []string{"hangarshare.v1", "bearer." + harness.TokenFor(t, stranger.UserID, time.Hour)}}, "", 4403},
		"another's account, by message": {nil, `{"type":"auth","ownerId":"` + s.Owner.ID + `","token":"` + harness.TokenFor(t, stranger.UserID, time.Hour) + `"}`, 4403},
	} {
		ws := s.Dial(t, query, test.options)
		if test.send != "" {
			ws.Send(test.send)
		}
		if code := ws.End(); code != test.want {
			t.Errorf("%s: closed with %d, want %d", name, code, test.want)
		}
	}
	t.Run("a bad cookie ends an event stream with a message", func(t *testing.T) {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"api/sse"+query, nil)
		request.AddCookie(&http.Cookie{Name: "jwt", Value: "garbage"})
		response, err := harness.Client.Do(request)
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
		if status := s.Upgrade(t, query, header); status != 401 {
			t.Errorf("%s: %d, want 401", name, status)
		}
	}
	if status := s.Upgrade(t, query, http.Header{"Authorization": {"Bearer " + harness.TokenFor(t, stranger.UserID, time.Hour)}}); status != 403 {
		t.Errorf("another's account with the header: %d, want 403", status)
	}
	if status := s.Upgrade(t, query+"&token="+s.Token, nil); status != 401 {
		t.Errorf("a token in the address: %d, want 401", status)
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--allowed-origins", "https://portal.example")
	own := strings.TrimSuffix(s.Base, "/")
	query := "?ownerId=" + s.Owner.ID
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
		test.header.Set("Authorization", "Bearer "+s.Token)
		if status := s.Upgrade(t, query, test.header); status != test.want {
			t.Errorf("%s: %d, want %d", name, status, test.want)
		}
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"api/auth/me", nil)
	request.Header.Set("Origin", "https://evil.example")
	request.AddCookie(&http.Cookie{Name: "jwt", Value: s.Token})
	response, err := harness.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("a cookie from a stranger's page: %d, want 403", response.StatusCode)
	}
	request, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+"api/owners/"+s.Owner.ID+"/metrics", nil)
	request.Header.Set("Origin", "https://portal.example")
	request.Header.Set("Authorization", "Bearer "+s.Token)
	allowed, err := harness.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer allowed.Body.Close()
	if allowed.Header.Get("Access-Control-Allow-Origin") != "https://portal.example" ||
		!strings.Contains(allowed.Header.Get("Access-Control-Expose-Headers"), "Last-Event-Id") {
		t.Errorf("the portal's page gets %v", allowed.Header)
	}
}

// briefly is how long a token lasts whose end a test waits for: long enough to come with it on a
// machine with much else to do.
const briefly = 15 * time.Second

func TestTokenEnds(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	brief := harness.TokenFor(t, s.Owner.UserID, briefly)
	for name, stream := range map[string]*harness.Stream{
		"WebSocket": s.Connect(t, brief, s.Owner.ID, ""), "SSE": s.Listen(t, brief, "?ownerId="+s.Owner.ID),
	} {
		if m := stream.Next(harness.OfType("token_expiring")); m.Field("expiresAt") == "" {
			t.Errorf("%s: token_expiring says %s", name, m.Data)
		}
		stream.Next(harness.OfType("token_expired"))
		if name == "SSE" {
			if m := stream.Next(nil); m.Type != "error" || m.Field("code") != "4401" {
				t.Errorf("the event stream ends with %s %s", m.Type, m.Data)
			}
		} else if code := stream.End(); code != 4401 {
			t.Errorf("the WebSocket ends with %d", code)
		}
	}
}

func TestRefreshExtends(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--heartbeat-interval", "1s")
	for life := briefly; ; life *= 2 {
		ends := time.Now().Add(life)
		ws := s.Connect(t, harness.TokenFor(t, s.Owner.UserID, life), s.Owner.ID, "")
		ws.Next(harness.OfType("token_expiring"))
		ws.Send(`{"type":"refresh","token":"` + s.Token + `"}`)
		m := ws.Next(func(m harness.Message) bool { return m.Type == "refreshed" || m.Type == "token_expired" })
		if m.Type == "token_expired" && life < harness.Timeout { // so slow is this machine
			continue
		}
		for past := ends.Add(2 * time.Second); m.Type != "token_expired" && time.Now().Before(past); {
			m = ws.Next(nil)
		}
		if m.Type == "token_expired" {
			t.Fatal("the connection ends with its first token")
		}
		return
	}
}

func TestLosingAnAccountClosesIt(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	heir := s.Portal.AddOwner(t, 0)
	ws, sse := s.Connect(t, s.Token, s.Owner.ID, ""), s.Listen(t, s.Token, "?ownerId="+s.Owner.ID)
	ws.Next(harness.OfType("connection_established"))
	sse.Next(harness.OfType("connection_established"))
	s.Portal.Exec(t, `UPDATE hangar_owners SET user_id = $1 WHERE id = $2`, heir.UserID, s.Owner.ID)
	if code := ws.End(); code != 4403 {
		t.Errorf("the WebSocket ends with %d, want 4403", code)
	}
	if m := sse.Next(harness.OfType("error")); m.Field("code") != "4403" {
		t.Errorf("the event stream ends with %s", m.Data)
	}
	s.Connect(t, harness.TokenFor(t, heir.UserID, time.Hour), s.Owner.ID, "").Next(harness.OfType("connection_established"))
}
