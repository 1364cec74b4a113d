package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/realtime/outbox/outboxtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// vapid returns a key as the command prints it.
func vapid(t *testing.T) string {
	t.Helper()
	var out, log bytes.Buffer
	if code := harness.Run(t.Context(), []string{"vapid"}, &out, &log); code != 0 {
		t.Fatalf("%d %s", code, &log)
	}
	found := regexp.MustCompile(`^VAPID_PRIVATE_KEY=([A-Za-z0-9_-]{43})\n# .*: [A-Za-z0-9_-]{87}\n`).FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("the command prints %q", &out)
	}
	return found[1]
}

// wantChannels holds the channels that a server says it has.
func wantChannels(t *testing.T, s harness.Setup, want string) {
	t.Helper()
	if _, _, body := s.Get(t, "owners/"+s.Owner.ID+"/notifications/preferences", s.Token); fmt.Sprint(body["channels"]) != want {
		t.Errorf("the channels are %v, want %s", body["channels"], want)
	}
}

// TestMailLeavesTheHouse sends a mail by the whole program, follows its link as a link scanner, a
// browser and a mail program do, and sees its delivery.
func TestMailLeavesTheHouse(t *testing.T) {
	t.Parallel()
	server := outboxtest.NewMailServer(t, true)
	s := harness.NewSetup(t, "--smtp-url", "smtp://"+server.Address+"?starttls=no", "--mail-from", "avisos@portal.example", "--public-url", "https://live.portal.example")
	for range 2 { // in a hangar of one space
		s.Portal.Exec(t, `UPDATE bookings SET status = 'confirmed' WHERE id::text = $1`, s.Portal.Book(t, s.Owner.Hangars[0], s.Guest))
	}
	wantChannels(t, s, "[inApp mail]")
	var deliveries []any
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the deliveries: %v\nthe server's log:\n%s", deliveries, s.Output)
		}
	})
	harness.Eventually(t, "sent", func() bool {
		_, _, body := s.Get(t, "me/notifications/deliveries", s.Token)
		deliveries, _ = body["deliveries"].([]any)
		return len(deliveries) > 0 && deliveries[0].(map[string]any)["doneAt"] != nil
	})
	if len(deliveries) != 1 {
		t.Fatalf("the deliveries are %v", deliveries)
	}
	one := deliveries[0].(map[string]any)
	if one["outcome"] != "sent" || one["channel"] != "mail" || one["openedAt"] != nil || one["attempts"] != 1.0 {
		t.Errorf("the delivery is %v", one)
	}
	delivery := one["id"].(string)
	notification := s.Portal.ID(t, `SELECT notification_id::text FROM realtime.deliveries WHERE id = $1::bigint`, delivery)
	letters := server.Letters()
	if len(letters) != 1 {
		t.Fatalf("%d letters", len(letters))
	}
	link := regexp.MustCompile(`(?m)^List-Unsubscribe: <https://live\.portal\.example(/unsubscribe\?t=\S+)>\r$`).FindStringSubmatch(letters[0].Text)
	if link == nil || !strings.Contains(letters[0].Text, "?d=3D"+delivery+"&n=3D"+notification) {
		t.Fatalf("the letter is\n%s", letters[0].Text)
	}
	wanted := func() string {
		return s.Portal.ID(t, `SELECT coalesce(string_agg(kind || ' ' || mode, ','), '') FROM realtime.preferences`)
	}
	ask := func(method, path, body string, header ...string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(s.Base, "/")+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := harness.Client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if h := response.Header; len(h.Values("Set-Cookie")) > 0 || h.Get("Access-Control-Allow-Origin") != "" || strings.Contains(h.Get("Content-Security-Policy"), "script-src") || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", method, h)
		}
		return response.StatusCode, string(text)
	}
	// scanners and browsers that look ahead
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		for _, header := range [][]string{{"User-Agent", "link scanner"}, {"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}, {"X-Moz", "prefetch"}} {
			if code, _ := ask(method, link[1], "", header...); code != 200 && code != 204 {
				t.Errorf("%s: %d", method, code)
			}
		}
	}
	if code, page := ask("GET", link[1], "", "Accept-Language", "en-GB,en;q=0.9"); code != 200 || !strings.Contains(page, `<form method="post"`) || !strings.Contains(page, "Stop receiving these e-mails?") || strings.Contains(page, s.Owner.UserID+"@") {
		t.Errorf("the page: %d\n%s", code, page)
	}
	if wanted() != "" {
		t.Fatalf("looking at the link ended %s", wanted())
	}
	// what stands for nothing looks like what does
	form := "application/x-www-form-urlencoded"
	_, real := ask("GET", link[1], "")
	_, unknown := ask("GET", "/unsubscribe?t="+strings.Repeat("a", 43), "")
	token := link[1][len("/unsubscribe?t="):]
	if strings.ReplaceAll(real, token, "") != strings.ReplaceAll(unknown, strings.Repeat("a", 43), "") {
		t.Error("a page tells whether its token is one")
	}
	_, none := ask("POST", "/unsubscribe?t="+strings.Repeat("a", 43), "List-Unsubscribe=One-Click", "Content-Type", form)
	for _, bad := range [][2]string{{"/unsubscribe", ""}, {"/unsubscribe", "t="}, {"/unsubscribe?t=" + strings.Repeat("a", 2000), ""}, {"/unsubscribe?t=x", strings.Repeat("b", 10_000)}} {
		if code, text := ask("POST", bad[0], bad[1], "Content-Type", form); code != 200 || text != none {
			t.Errorf("POST %.60s: %d", bad[0], code)
		}
	}
	if wanted() != "" {
		t.Fatalf("nothing ended %s", wanted())
	}
	// one click, by a mail program: no Origin, no cookie
	for range 2 {
		if code, text := ask("POST", link[1], "List-Unsubscribe=One-Click", "Content-Type", form); code != 200 || text != none || wanted() != "overbooked off" {
			t.Errorf("one click: %d, %s", code, wanted())
		}
	}
	s.Portal.Exec(t, `DELETE FROM realtime.preferences`)
	multipart := "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
	if code, _ := ask("POST", link[1], multipart, "Content-Type", "multipart/form-data; boundary=b"); code != 200 || wanted() != "overbooked off" {
		t.Errorf("one click in parts: %d, %s", code, wanted())
	}
	if code, _ := ask("POST", "/unsubscribe", url.Values{"t": {token}, "all": {"1"}}.Encode(), "Content-Type", form, "Origin", "https://elsewhere.example"); code != 200 || strings.Count(wanted(), "off") < 10 {
		t.Errorf("the page's button: %d, %s", code, wanted())
	}

	// opened: by its own user, the first time
	_, _, stranger := harness.AddUser(t, s.Portal, "Vera")
	for token, want := range map[string]int{stranger: 404, s.Token: 204} {
		if response, body := s.Call(t, "PATCH", "me/notifications/deliveries/"+delivery, token, map[string]any{"opened": true}); response.StatusCode != want {
			t.Errorf("opened: %d %v", response.StatusCode, body)
		}
	}
	if _, _, body := s.Get(t, "me/notifications/deliveries", s.Token); body["deliveries"].([]any)[0].(map[string]any)["openedAt"] == nil {
		t.Errorf("it is not opened: %v", body)
	}
	if strings.Contains(s.Output.String(), token) {
		t.Error("a token is in the log")
	}
}

// TestPushRoutes adds devices, whose keys and endpoints may be wrong, and takes them over.
func TestPushRoutes(t *testing.T) {
	t.Parallel()
	service := outboxtest.NewService(t, nil)
	s := harness.NewSetup(t, "--vapid-private-key", vapid(t), "--vapid-subject", "mailto:ops@portal.com.br", "--push-hosts", service.Host())
	status, _, key := s.Get(t, "push/key", s.Token)
	raw, err := base64.RawURLEncoding.DecodeString(key["key"].(string))
	if status != 200 || err != nil || len(raw) != 65 || key["keyId"] == "" {
		t.Fatalf("the key: %d %v", status, key)
	}
	d := outboxtest.NewDevice(t, service.URL+"/one")
	body := func(endpoint, p256dh, auth string) map[string]any {
		return map[string]any{"endpoint": endpoint, "expirationTime": nil, "keys": map[string]any{"p256dh": p256dh, "auth": auth}, "label": "Firefox\r\n\u202eno Linux"}
	}
	for field, bad := range map[string]map[string]any{
		"endpoint": body("https://169.254.169.254/latest", d.P256dh(), d.Auth()), "p256dh": body(d.Endpoint, d.P256dh()[:80], d.Auth()), "auth": body(d.Endpoint, d.P256dh(), d.Auth()[:20]),
		"body": {"endpoint": 1},
	} {
		if response, answer := s.Call(t, "POST", "push/subscriptions", s.Token, bad); response.StatusCode != 400 || answer["field"] != field {
			t.Errorf("%s: %d %v", field, response.StatusCode, answer)
		}
	}
	if response, answer := s.Call(t, "POST", "push/subscriptions", s.Token, body(service.URL+"/"+strings.Repeat("a", 3000), d.P256dh(), d.Auth())); response.StatusCode != 400 || answer["field"] != "endpoint" {
		t.Errorf("3 KB: %d %v", response.StatusCode, answer)
	}
	email := harness.SetPassword(t, s.Portal, s.Owner.UserID)
	signedIn := s.SignIn(t, email)
	response, added := s.Call(t, "POST", "push/subscriptions", signedIn.Token, body(d.Endpoint, d.P256dh(), d.Auth()))
	if response.StatusCode != 201 || added["label"] != "Firefoxno Linux" || added["works"] != true || added["endpoint"] != nil {
		t.Fatalf("added: %d %v", response.StatusCode, added)
	}
	if response, again := s.Call(t, "POST", "push/subscriptions", signedIn.Token, body(d.Endpoint, d.P256dh(), d.Auth())); response.StatusCode != 200 || again["id"] != added["id"] {
		t.Errorf("again: %d %v", response.StatusCode, again)
	}
	if n := s.Portal.ID(t, `SELECT count(*)::text FROM realtime.push_subscriptions p JOIN realtime.sessions s ON s.id = p.session_id AND s.user_id = p.user_id`); n != "1" {
		t.Errorf("%s devices belong to a session", n)
	}
	// this process does not trust the fake's certificate, so that nothing arrives; that is told
	if response, result := s.Call(t, "POST", "push/test", s.Token, map[string]any{"id": added["id"]}); response.StatusCode != 200 || result["result"] != "unavailable" {
		t.Errorf("the test: %d %v", response.StatusCode, result)
	}
	response, _ = s.Call(t, "POST", "push/test", s.Token, map[string]any{"id": added["id"]})
	harness.WantTooMany(t, "a second test", response)
	_, _, stranger := harness.AddUser(t, s.Portal, "Vera")
	if response, answer := s.Call(t, "POST", "push/test", stranger, map[string]any{"id": added["id"]}); response.StatusCode != 400 || answer["field"] != "id" {
		t.Errorf("another's device is tested: %d %v", response.StatusCode, answer)
	}
	if response, _ := s.Call(t, "DELETE", "push/subscriptions/"+added["id"].(string), stranger, nil); response.StatusCode != 404 {
		t.Errorf("another's device is removed: %d", response.StatusCode)
	}
	// two users, one browser
	response, taken := s.Call(t, "POST", "push/subscriptions", stranger, body(d.Endpoint, d.P256dh(), d.Auth()))
	if response.StatusCode != 201 || taken["id"] == added["id"] {
		t.Errorf("taken over: %d %v", response.StatusCode, taken)
	}
	if _, _, list := s.Get(t, "push/subscriptions", s.Token); len(list["subscriptions"].([]any)) != 0 {
		t.Errorf("the former user still has %v", list)
	}
	if response, _ := s.Call(t, "DELETE", "push/subscriptions/"+taken["id"].(string), stranger, nil); response.StatusCode != 204 {
		t.Errorf("removed: %d", response.StatusCode)
	}
	// it comes back by its user alone
	renewed := body(d.Endpoint, d.P256dh(), d.Auth())
	renewed["renews"] = taken["id"]
	if response, answer := s.Call(t, "POST", "push/subscriptions", stranger, renewed); response.StatusCode != 410 {
		t.Errorf("renewed after its removal: %d %v", response.StatusCode, answer)
	}
	delete(renewed, "renews")
	if response, answer := s.Call(t, "POST", "push/subscriptions", stranger, renewed); response.StatusCode != 201 {
		t.Errorf("added again: %d %v", response.StatusCode, answer)
	}
	wantChannels(t, s, "[inApp push]")
	if strings.Contains(s.Output.String(), service.Host()+"/one") {
		t.Error("an endpoint is in the log")
	}
	if r, text := s.Ask(t, "GET", "sw.js", nil); r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-cache" || !strings.Contains(text, "showNotification") {
		t.Errorf("/sw.js: %s %v", r.Status, r.Header)
	}
}

// TestNoWayOut has a server without anything set up, and settings that cannot work.
func TestNoWayOut(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	if status, _, body := s.Get(t, "push/key", s.Token); status != 404 || !strings.Contains(body["detail"].(string), "VAPID_PRIVATE_KEY") {
		t.Errorf("the key: %d %v", status, body)
	}
	wantChannels(t, s, "[inApp]")
	key := vapid(t)
	for _, c := range []struct {
		names string
		flags []string
	}{
		{"VAPID_SUBJECT", []string{"--vapid-private-key", key}},
		{"VAPID_SUBJECT", []string{"--vapid-private-key", key, "--vapid-subject", "mailto:ops@localhost"}},
		{"VAPID_SUBJECT", []string{"--vapid-private-key", key, "--vapid-subject", "ops@portal.com.br"}},
		{"VAPID_PRIVATE_KEY", []string{"--vapid-subject", "mailto:ops@portal.com.br"}},
		{"VAPID_PRIVATE_KEY", []string{"--vapid-private-key", "x", "--vapid-subject", "mailto:ops@portal.com.br"}},
		{"PUSH_HOSTS", []string{"--vapid-private-key", key, "--vapid-subject", "mailto:ops@portal.com.br", "--push-hosts", "https://push.example"}},
		{"MAIL_FROM", []string{"--smtp-url", "smtp://mail.example"}},
		{"PUBLIC_URL", []string{"--smtp-url", "smtp://mail.example", "--mail-from", "a@b.example"}},
		{"SMTP_URL", []string{"--smtp-url", "mail.example", "--mail-from", "a@b.example", "--public-url", "https://x.example"}},
		{"NOTIFY_WEBHOOK_SECRET", []string{"--notify-webhook-url", "https://x.example"}},
		{"NOTIFY_WEBHOOK_SECRET", []string{"--notify-webhook-url", "https://x.example", "--notify-webhook-secret", "short", "--public-url", "https://x.example"}},
		{"exclude", []string{"--notify-webhook-url", "https://x.example", "--notify-webhook-secret", "x", "--smtp-url", "smtp://a", "--mail-from", "a@b.example"}},
	} {
		var out bytes.Buffer
		args := append([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "", "--database-url", s.DatabaseURL, "--jwt-secret", harness.Secret}, c.flags...)
		if code := harness.Run(t.Context(), args, &out, &out); code != 1 || !strings.Contains(out.String(), c.names) || strings.Contains(out.String(), key) {
			t.Errorf("%v: %d %s", c.flags, code, &out)
		}
	}
}
