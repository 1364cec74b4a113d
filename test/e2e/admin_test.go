package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

const adminToken = "a token of operators"

// operate sends a request to the operators' address.
func operate(t *testing.T, method, address, body string, header ...string) (status int, answer map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	json.Unmarshal(text, &answer)
	return response.StatusCode, answer
}

// TestAdmin sees and ends connections on two servers, and drains one.
func TestAdmin(t *testing.T) {
	t.Parallel()
	portal := dbtest.New(t)
	one, other := portal.AddOwner(t, 1), portal.AddOwner(t, 1)
	admins := []string{harness.FreeAddress(t), harness.FreeAddress(t)}
	var servers []*harness.Program
	for _, admin := range admins {
		servers = append(servers, harness.Serve(t, portal, "--admin-addr", admin, "--admin-token", adminToken,
			"--trusted-proxies", "127.0.0.1"))
	}
	bearer := []string{"Authorization", "Bearer " + adminToken}
	token := harness.TokenFor(t, one.UserID, time.Hour)
	connect := func(server int, o dbtest.Owner) (*harness.Stream, string) {
		s := servers[server].Connect(t, harness.TokenFor(t, o.UserID, time.Hour), o.ID, "")
		return s, s.Next(harness.OfType("connection_established")).Field("connectionId")
	}
	a, _ := connect(0, one)
	b, connection := connect(1, one)
	c, _ := connect(1, other)

	t.Run("the token is asked for", func(t *testing.T) {
		for _, path := range []string{"/admin/", "/admin/page.js", "/admin/state", "/admin/connections", "/debug/pprof/"} {
			if status, _ := operate(t, "GET", admins[0]+path, ""); status != http.StatusUnauthorized {
				t.Errorf("%s without a token: %d", path, status)
			}
			if status, _ := operate(t, "GET", admins[0]+path, "", "Authorization", "Bearer "+adminToken+"x"); status != http.StatusUnauthorized {
				t.Errorf("%s with another: %d", path, status)
			}
			if status, _ := operate(t, "GET", admins[0]+path, "", bearer...); status != http.StatusOK {
				t.Errorf("%s with the token: %d", path, status)
			}
		}
		for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
			if status, _ := operate(t, "GET", admins[0]+path, ""); status != http.StatusOK {
				t.Errorf("%s without a token: %d", path, status)
			}
		}
		request, err := http.NewRequest("GET", "http://"+admins[0]+"/admin/", nil)
		if err != nil {
			t.Fatal(err)
		}
		asking, err := http.DefaultClient.Do(request)
		harness.Must(t, err)
		asking.Body.Close()
		if asks := asking.Header.Get("WWW-Authenticate"); !strings.HasPrefix(asks, "Basic ") {
			t.Errorf("a browser is asked for %q", asks)
		}
		request.SetBasicAuth("anybody", adminToken)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK || !strings.Contains(response.Header.Get("Content-Security-Policy"), "script-src 'self'") {
			t.Errorf("the page by Basic: %v", response)
		}
		if status, _ := operate(t, "POST", admins[0]+"/admin/drain", "{}", append(bearer, "Sec-Fetch-Site", "cross-site")...); status != http.StatusForbidden {
			t.Errorf("a post of another site's page: %d", status)
		}
	})

	t.Run("state and connections", func(t *testing.T) {
		leaders := 0
		for _, admin := range admins {
			_, state := operate(t, "GET", admin+"/admin/state", "", bearer...)
			if state["leader"] == true {
				leaders++
			}
			if state["status"] != "ready" || len(state["parts"].([]any)) < 4 || state["started"] == "" {
				t.Errorf("the state is %v", state)
			}
		}
		if leaders != 1 {
			t.Errorf("%d servers number the log", leaders)
		}
		page := func(query string) (ids []string, next string) {
			_, answer := operate(t, "GET", admins[1]+"/admin/connections?"+query, "", bearer...)
			for _, one := range answer["connections"].([]any) {
				ids = append(ids, one.(map[string]any)["connection"].(string))
			}
			return ids, answer["next"].(string)
		}
		if ids, _ := page("owner=" + one.ID); len(ids) != 1 || ids[0] != connection {
			t.Errorf("the owner's connections are %v", ids)
		}
		first, next := page("limit=1")
		second, end := page("limit=1&after=" + next)
		if len(first) != 1 || len(second) != 1 || first[0] >= second[0] || end != "" {
			t.Errorf("the pages are %v and %v, then %q", first, second, end)
		}
	})

	t.Run("disconnect", func(t *testing.T) {
		for _, body := range []string{`{}`, `{"user":"1","owner":"2"}`, `{"all":true}`, `[]`} {
			if status, _ := operate(t, "POST", admins[0]+"/admin/disconnect", body, bearer...); status != http.StatusBadRequest {
				t.Errorf("%s: %d", body, status)
			}
		}
		// one of the other server
		operate(t, "POST", admins[0]+"/admin/disconnect", `{"connection":"`+connection+`"}`, bearer...)
		b.Next(harness.OfType("server_closing"))
		if code := b.End(); code != 1001 {
			t.Errorf("one connection ends with %d", code)
		}
		b, _ = connect(1, one)
		// an owner's, on both: how long that takes is told, and depends on the machine
		begun := time.Now()
		operate(t, "POST", admins[1]+"/admin/disconnect", `{"owner":"`+one.ID+`"}`, bearer...)
		for _, s := range []*harness.Stream{a, b} {
			if code := s.End(); code != 1001 {
				t.Errorf("an owner's connection ends with %d", code)
			}
		}
		t.Logf("an owner's connections on two servers have ended after %s", time.Since(begun).Round(time.Millisecond))
		a, _ = connect(0, one)
		b, _ = connect(1, one)
		// a user's, who must sign in again
		if status, answer := operate(t, "POST", admins[0]+"/admin/disconnect", `{"user":"`+one.UserID+`"}`, bearer...); status != http.StatusAccepted {
			t.Errorf("disconnect answers %d %v", status, answer)
		}
		for _, s := range []*harness.Stream{a, b} {
			if code := s.End(); code != 4401 {
				t.Errorf("a user's connection ends with %d", code)
			}
		}
		if status, _, _ := servers[1].Get(t, "owners/"+one.ID+"/metrics", token); status != http.StatusUnauthorized {
			t.Errorf("the user's former token is answered by %d", status)
		}
	})

	t.Run("drain", func(t *testing.T) {
		operate(t, "POST", admins[1]+"/admin/drain", `{}`, bearer...)
		c.Next(harness.OfType("server_closing"))
		if code := c.End(); code != 1001 {
			t.Errorf("it ends with %d", code)
		}
		if status, answer := operate(t, "GET", admins[1]+"/readyz", ""); status != http.StatusServiceUnavailable || answer["status"] != "stopping" {
			t.Errorf("readyz says %d %v", status, answer)
		}
		if status, _ := operate(t, "GET", admins[0]+"/readyz", ""); status != http.StatusOK {
			t.Errorf("the other server is not ready: %d", status)
		}
	})

	harness.Eventually(t, "kept in the journal", func() bool {
		return portal.ID(t, `SELECT count(*)::text FROM realtime.journal WHERE kind = 'admin' AND network = '127.0.0.1' AND port > 0`) == "4"
	})
	if code := servers[1].Stop(); code != 0 {
		t.Errorf("the drained server stops with %d", code)
	}
}

// TestJournal keeps who came and what was shared, and a stream once an hour.
func TestJournal(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.1")
	for range 3 {
		s.Connect(t, s.Token, s.Owner.ID, "").Next(nil)
	}
	s.Call(t, "POST", "owners/"+s.Owner.ID+"/members", s.Token, map[string]string{"email": "somebody@portal.example", "role": "viewer"})
	s.LogInFrom(t, "nobody@portal.example", "wrong", "203.0.113.9")
	rows := func(where string) string {
		return s.Portal.ID(t, `SELECT count(*)::text FROM realtime.journal WHERE `+where)
	}
	harness.Eventually(t, "kept", func() bool { return rows("true") == "3" })
	for where, what := range map[string]string{
		`kind = 'stream' AND user_id = '` + s.Owner.UserID + `' AND owner_id = '` + s.Owner.ID + `'`: "one stream",
		`kind = 'members' AND detail = 'POST /api/owners/{ownerId}/members'`:                         "an invitation",
		`kind = 'sign_in_failed' AND network = '203.0.113.9' AND port IS NULL`:                       "a failed sign-in",
	} {
		if n := rows(where); n != "1" {
			t.Errorf("%s is there %s times: %s", what, n, s.Portal.ID(t, `SELECT coalesce(string_agg(j::text, E'\n'), '') FROM realtime.journal j`))
		}
	}
}

// TestAdminNeedsAToken refuses an address that others reach without one.
func TestAdminNeedsAToken(t *testing.T) {
	t.Parallel()
	out := harness.NewOutput()
	if code := harness.Run(t.Context(), []string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "0.0.0.0:0", "--database-url", "postgres://127.0.0.1:1/x",
		"--jwt-secret", harness.Secret}, out, out); code != 1 || !strings.Contains(out.String(), "ADMIN_TOKEN") {
		t.Errorf("%d: %s", code, out)
	}
}
