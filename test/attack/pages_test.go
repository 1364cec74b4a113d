package attack

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// caches asks in ways by which a shared cache before the server would keep what is not for
// everybody: a page that repeats a header (cache poisoning), or an answer of one user under a name
// that looks like a file (cache deception).
func caches(a *attackSetup) {
	const evil = "evil-4d11.example"
	pages := []string{"/", "/index.html", "/docs", "/docs/client", "/client/page.js", "/client/", "/client", "/openapi.yaml", "/openapi.json", "/healthz", "/favicon.ico", "/nothing", "/api/auth/me", "/api/nothing"}
	headers := []string{"X-Forwarded-Host: " + evil, "X-Forwarded-Server: " + evil, "X-Host: " + evil, "X-Original-Host: " + evil, "Forwarded: host=" + evil + ";proto=http", "X-Forwarded-Proto: " + evil, "X-Forwarded-Scheme: " + evil, "X-Forwarded-Prefix: //" + evil,
		"X-Forwarded-Port: 81@" + evil, "X-Original-URL: //" + evil, "X-Rewrite-URL: //" + evil, "Referer: https://" + evil + "/", "X-Script-Name: //" + evil, "X-Wap-Profile: http://" + evil + "/x", "Accept-Language: " + evil, "User-Agent: " + evil, "X-Request-Id: " + evil, "traceparent: " + evil}
	for _, page := range some(a, 3, pages) {
		for _, header := range headers {
			for _, address := range []string{page, page + "?lang=" + evil, page + "?callback=" + evil} {
				got := a.judge("caches", address+" "+header, a.send(a.plain, request("GET", address, header)))
				if strings.Contains(got.body+fmt.Sprint(got.header), evil) && !strings.Contains(header, "X-Request-Id") {
					a.t.Errorf("%s with %s repeats it: %v %.200s", address, header, got.header, got.body)
				}
			}
		}
	}
	forever := regexp.MustCompile(`immutable|max-age=[1-9]`)
	tree := regexp.MustCompile(`/client/[0-9a-f]{16}/`).FindString(a.send(a.plain, request("GET", "/")).body)
	for _, address := range []string{tree + "nothing.js", "/client/0123456789abcdef/page.js", "/client/0123456789abcdef/nothing.js", tree + "../page.js", tree + "index.html", "/client/page.js", "/", tree + "%70age.js"} {
		got := a.judge("caches", address, a.send(a.plain, request("GET", address)))
		if told := got.header.Get("Cache-Control"); forever.MatchString(told) && address != tree+"%70age.js" {
			a.t.Errorf("%s may be kept: %d %s", address, got.status, told)
		}
	}
	auth := "Authorization: Bearer " + a.victimToken
	for _, address := range []string{"/api/auth/me", "/api/owners/" + a.victim.ID + "/metrics", "/api/owners/" + a.victim.ID + "/bookings", "/api/owners/" + a.victim.ID + "/members"} {
		for _, ending := range []string{"/x.css", ";x.css", "%2fx.css", "%3bx.js", "%23x.js", "%00x.css", ".css", "%0a.css", "/..%2f..%2fclient%2fpage.js", "//x.png", "%20x.ico"} {
			for _, header := range []string{auth, "Cookie: jwt=" + a.victimToken} {
				a.refused("caches", address+ending, a.send(a.plain, request("GET", address+ending, header)))
			}
		}
		got := a.send(a.plain, request("GET", address, auth))
		if told := got.header.Get("Cache-Control"); got.status != 200 || !strings.Contains(told, "private") && !strings.Contains(told, "no-store") {
			a.t.Errorf("%s may be kept by a shared cache: %d %s", address, got.status, told)
		}
		a.count("caches", 1)
	}
	for _, address := range []string{"//evil.example", "//evil.example/%2e%2e", "/%2f%2fevil.example", "/%5cevil.example", "/\\evil.example", "///evil.example/..", "/client//evil.example", "/client/..//evil.example", "/docs//evil.example", "/.//evil.example", "/%09/evil.example", "/;@evil.example", "/@evil.example", "/client?//evil.example"} {
		got := a.judge("caches", address, a.send(a.plain, request("GET", address)))
		if to := got.header.Get("Location"); strings.Contains(to, "evil") || strings.HasPrefix(to, "//") {
			a.t.Errorf("%s leads to %s", address, to)
		}
	}
	for _, address := range pages {
		got := a.judge("caches", address, a.send(a.plain, request("GET", address)))
		if got.header.Get("X-Frame-Options") != "DENY" || !strings.Contains(got.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || !regexp.MustCompile(`^(no-referrer|same-origin)$`).MatchString(got.header.Get("Referrer-Policy")) {
			a.t.Errorf("%s (%d) may be framed, or tells where somebody comes from: %v", address, got.status, got.header)
		}
	}
}

// cookies brings several, of which others have planted some (session fixation, cookie tossing), and
// has forms of other sites sign a user in.
func cookies(a *attackSetup) {
	hash, err := bcrypt.GenerateFromPassword([]byte("password of the attacker"), bcrypt.MinCost)
	if err != nil {
		a.t.Fatal(err)
	}
	a.portal.Exec(a.t, `UPDATE users SET email = 'attacker@cookies.example', password_hash = $1 WHERE id::text = $2`, string(hash), a.attacker.UserID)
	who := func(s *server, lines ...string) string {
		got := a.judge("cookies", strings.Join(lines, " "), a.send(s, request("GET", "/api/auth/me", lines...)))
		var me struct{ User struct{ ID string } }
		_ = json.Unmarshal([]byte(got.body), &me)
		return me.User.ID
	}
	own, planted := "__Host-jwt="+a.attackerToken, "jwt="+forge(`{"alg":"HS256"}`, `{"sub":"1","exp":9999999999}`, nil, "")
	for _, cookie := range []string{own, planted + "; " + own, own + "; " + planted, "jwt=; " + own, "jwt=" + strings.Repeat("x", 4000) + "; " + own, strings.Repeat("jwt=x; ", 7) + own, `jwt="` + a.attackerToken[:20] + `"; ` + own} {
		if got := who(a.secure, "Cookie: "+cookie); got != a.attacker.UserID {
			a.t.Errorf("by %.60s… it is user %q, want the one of __Host-jwt", cookie, got)
		}
	}
	other := harness.TokenFor(a.t, a.portal.AddOwner(a.t, 1).UserID, time.Hour)
	for _, cookie := range []string{"jwt=" + other + "; " + own, own + "; jwt=" + other, "jwt=" + other + "\r\nCookie: " + own} {
		if got := who(a.secure, "Cookie: "+cookie); got != a.attacker.UserID {
			a.t.Errorf("a planted cookie outdoes __Host-jwt: it is user %q", got)
		}
	}
	login := func(s *server, lines ...string) answer {
		body := `{"email":"attacker@cookies.example","password":"password of the attacker","cookie":true}`
		return a.judge("cookies", "login "+strings.Join(lines, " "), a.send(s, request("POST", "/api/auth/login", append(lines, "", body)...)))
	}
	first, second := login(a.secure, "Content-Type: application/json"), login(a.secure, "Content-Type: application/json")
	session := func(got answer) string {
		return regexp.MustCompile(`__Host-hangarshare_refresh=([^;]+)`).FindString(strings.Join(got.header.Values("Set-Cookie"), "\n"))
	}
	if session(first) == "" || session(first) == session(second) {
		a.t.Errorf("two sign-ins: %d %q and %d %q", first.status, session(first), second.status, session(second))
	}
	fixed := login(a.secure, "Content-Type: application/json", "Cookie: "+session(first))
	if session(fixed) == "" || session(fixed) == session(first) {
		a.t.Errorf("who brings a session gets it: %d", fixed.status)
	}
	plain := strings.Replace(session(second), "__Host-", "", 1)
	a.refused("cookies", "a refresh token under the plain name", a.send(a.secure, request("POST", "/api/auth/refresh", "Content-Type: application/json", "Cookie: "+plain, "", "{}")))
	// A form of another site, with what a form can send, signs nobody in.
	for _, from := range []string{"null", "http://evil.example", "https://localhost.evil.example"} {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/json"} {
			for _, site := range []string{"cross-site", "same-site"} {
				got := login(a.plain, "Content-Type: "+kind, "Origin: "+from, "Sec-Fetch-Site: "+site)
				if got.status < 400 || got.header.Get("Set-Cookie") != "" {
					a.t.Errorf("a page of %s signs in by %q: %d %v", from, kind, got.status, got.header)
				}
			}
		}
		for _, method := range []string{"GET", "POST", "DELETE", "PATCH"} {
			got := a.judge("cookies", "preflight", a.send(a.plain, request("OPTIONS", "/api/owners/"+a.victim.ID+"/members", "Origin: "+from, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: authorization, content-type")))
			if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != "" {
				a.t.Errorf("a page of %s may %s: %s", from, method, allowed)
			}
		}
	}
}

// lookalikes are addresses that a reader could take, or a program fold, for
// kate.silva@mail.example.
var lookalikes = []string{"\u212aate.silva@mail.example", "kate.s\u0131lva@mail.example", "kate.\u017filva@mail.example", "kate.silva@ma\u0456l.example", "k\u0430te.silva@mail.example", "ka\u0074\u0301e.silva@mail.example", "\uff4bate.silva@mail.example", "kate.silva\uff20mail.example@x.example",
	"kate.silva@mail.example\u200b", "\ufeffkate.silva@mail.example", "kate.silva@mail\u3002example", "kate.silva+x@mail.example", "katesilva@mail.example", "kate.silva@mail.example.", "\"kate.silva\"@mail.example", "kate.silva@mail.example@evil.example", "kate.silva@mail.example,attacker@evil.example", "kate.silva@mail.exa\u00admple", "kate\u2024silva@mail.example", "kate.silva@xn--mail-.example"}

// similar invites one address, and has users of others that look or fold like it
// ask what they are invited to.
func similar(a *attackSetup) {
	const address = "kate.silva@mail.example"
	visitor := a.portal.AddOwner(a.t, 1)
	token := harness.TokenFor(a.t, visitor.UserID, time.Hour)
	invited := func() bool {
		got := a.judge("lookalikes", "me", a.get(token, "/api/auth/me"))
		return !strings.Contains(got.body, `"invitations":[]`)
	}
	invite := func(email string) int {
		body, _ := json.Marshal(map[string]string{"email": email, "role": "viewer"})
		got := a.send(a.plain, request("POST", "/api/owners/"+a.attacker.ID+"/members", "Authorization: Bearer "+a.attackerToken, "Content-Type: application/json", "", string(body)))
		return a.judge("lookalikes", "invite "+email, got).status
	}
	if got := invite(address); got != 202 {
		a.t.Fatalf("inviting is answered by %d", got)
	}
	for _, email := range some(a, 2, lookalikes) {
		a.portal.Exec(a.t, `UPDATE users SET email = $1 WHERE id::text = $2`, email, visitor.UserID)
		if invited() {
			a.t.Errorf("%+q gets what was sent to %s", email, address)
		}
	}
	a.portal.Exec(a.t, `UPDATE users SET email = $1 WHERE id::text = $2`, "Kate.Silva@MAIL.example", visitor.UserID)
	if !invited() {
		a.t.Error("who has the address, in another case, is not invited: nothing above means anything")
	}
	got := a.send(a.plain, request("GET", "/api/owners/"+a.attacker.ID+"/invitations", "Authorization: Bearer "+a.attackerToken))
	id := regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(got.body)
	if id == nil {
		a.t.Fatalf("the invitation is not listed: %d %s", got.status, got.body)
	}
	a.refused("lookalikes", "another's invitation", a.send(a.plain, request("POST", "/api/me/invitations/"+id[1], "Authorization: Bearer "+a.victimToken, "Content-Type: application/json", "", `{"accept":true}`)))
	a.judge("lookalikes", "withdraw", a.send(a.plain, request("DELETE", "/api/owners/"+a.attacker.ID+"/invitations/"+id[1], "Authorization: Bearer "+a.attackerToken)))
}

// numbers are those that do not fit where a number goes, or come round to another one.
func numbers(a *attackSetup) {
	round := func(id string, bits uint) string {
		n, ok := new(big.Int).SetString(id, 10)
		if !ok {
			return id + "00000000000000000000"
		}
		return n.Add(n, new(big.Int).Lsh(big.NewInt(1), bits)).String()
	}
	auth := "Authorization: Bearer " + a.attackerToken
	for _, bits := range []uint{16, 31, 32, 53, 63, 64, 128} {
		for _, id := range []string{a.victim.ID, a.attacker.ID} {
			for _, route := range routes(a, round(id, bits)) {
				a.refused("numbers", route[1], a.send(a.plain, request(route[0], route[1], auth, "Content-Type: application/json", "", `{"email":"a@b.example","role":"viewer"}`)))
			}
			a.refusedStream("Authorization: Bearer "+a.attackerToken, "?ownerId="+round(id, bits))
		}
		for _, claim := range []string{`"` + round(a.victim.UserID, bits) + `"`, round(a.victim.UserID, bits), a.victim.UserID + ".0000000000000000000001", a.victim.UserID + ".5", "-" + a.victim.UserID} {
			token := forge(`{"alg":"HS256"}`, `{"exp":4000000000,"sub":`+claim+`}`, sha256.New, harness.Secret)
			got := a.judge("numbers", claim, a.get(token, "/api/owners/"+a.victim.ID+"/metrics"))
			if got.status == 200 {
				a.t.Errorf("the user %s is the victim", claim)
			}
		}
	}
	owner := "/api/owners/" + a.attacker.ID
	for _, n := range []string{"0", "-1", "-0", "+1", "1.5", "1e3", "0x10", "٣", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551617", "-9223372036854775809", strings.Repeat("9", 400), "NaN", "Infinity", "1_000", "1,000", " 1", "1 ", "", "null"} {
		for _, target := range []string{owner + "/events?limit=", owner + "/bookings?limit=", owner + "/events?after=", owner + "/events?limit=5&limit=", "/api/sse?ownerId=" + a.attacker.ID + "&lastEventId="} {
			a.judge("numbers", target+n, a.send(a.plain, request("GET", target+strings.ReplaceAll(n, " ", "%20"), auth)))
		}
		a.judge("numbers", "Last-Event-ID: "+n, a.send(a.plain, request("GET", "/api/sse?ownerId="+a.attacker.ID, auth, "Last-Event-ID: "+n)))
		for _, header := range []string{"Max-Forwards: ", "Upgrade-Insecure-Requests: ", "Access-Control-Max-Age: ", "Sec-WebSocket-Version: ", "Keep-Alive: max=", "Range: bytes="} {
			a.judge("numbers", header+n, a.send(a.plain, request("GET", "/api/auth/me", auth, header+n)))
		}
	}
}

// logs sends what is written down, with what would begin a line of its own, or colour a terminal:
// every line of the log is one of the program's own.
func logs(a *attackSetup) {
	const forged = `{"time":"2026-01-21T10:00:00Z","level":"INFO","msg":"forged-7a1c"}`
	for _, line := range []string{"\n" + forged + "\n", "\r" + forged + "\r", "\u2028" + forged, "\u0085" + forged, "\x1b[2J\x1b[31m" + forged, "\"}\n" + forged, `","level":"INFO","msg":"forged-7a1c`, "\b\b\b" + forged, "\x00" + forged} {
		escaped := percent(line)
		body, _ := json.Marshal(map[string]string{"email": line + "@b.example", "password": line, "refreshToken": line})
		for _, target := range []string{"/" + escaped, "/api/owners/" + escaped + "/metrics", "/api/ws?ownerId=" + escaped, "/api/sse?ticket=" + escaped, "/client/" + escaped} {
			a.judge("logs", target, a.send(a.secure, request("GET", target, "Authorization: Bearer "+a.attackerToken)))
			a.judge("logs", target, a.send(a.secure, request("GET", target, "Authorization: Bearer "+encode(line)+"."+encode(line)+"."+encode(line))))
		}
		for _, target := range []string{"/api/auth/login", "/api/auth/refresh", "/api/auth/logout"} {
			a.judge("logs", target, a.send(a.secure, request("POST", target, "Content-Type: application/json", "", string(body))))
		}
		for _, claims := range []map[string]any{{"sub": line, "exp": 4000000000}, {"sub": "1", "iss": line, "aud": line, "exp": 1}} {
			payload, _ := json.Marshal(claims)
			header, _ := json.Marshal(map[string]string{"alg": "HS256", "kid": line, "typ": line})
			a.judge("logs", "token", a.send(a.secure, request("GET", "/api/auth/me", "Authorization: Bearer "+forge(string(header), string(payload), sha256.New, harness.Secret))))
			a.judge("logs", "token", a.send(a.secure, request("GET", "/api/auth/me", "Authorization: Bearer "+forge(`{"alg":"HS256"}`, string(payload), sha256.New, harness.Secret))))
		}
		for _, header := range []string{"User-Agent: ", "Referer: ", "X-Request-Id: ", "X-Forwarded-For: ", "Origin: ", "traceparent: "} {
			a.judge("logs", header, a.send(a.secure, request("GET", "/api/auth/me", header+strings.NewReplacer("\r", "", "\n", "").Replace(line))))
		}
	}
	for text := range strings.SplitSeq(a.secure.process.Output.String(), "\n") {
		var line struct{ Level, Msg string }
		if !strings.HasPrefix(text, "{") { // what the program says before it serves
			if strings.Contains(text, "forged-7a1c") {
				a.t.Errorf("a line of its own: %q", text)
			}
			continue
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil || strings.Contains(line.Msg, "forged") || strings.ContainsAny(text, "\x1b\r\x00") {
			a.t.Errorf("the log has %.300q: %v", text, err)
		}
	}
}

// injections has guests whose names would end an event of an event stream and begin another.
func injections(a *attackSetup) {
	before := a.get(a.attackerToken, "/api/owners/"+a.attacker.ID+"/metrics").header.Get("Last-Event-ID")
	for _, name := range []string{"x\n\nid: 1-1\nevent: token_expired\ndata: {}\n\n", "x\r\rdata: {}\r\r", "x\r\nretry: 1\r\n\r\n", "x\u2028\u2028data: {}", "\ufeffdata: x", "x\u0085data: {}", "]}\n\ndata: {"} {
		guest := a.portal.AddGuest(a.t, name, name)
		a.portal.Book(a.t, a.attacker.Hangars[0], guest)
		a.count("markup", 1)
	}
	field := regexp.MustCompile(`^(id: \S*|event: [a-z_]+|retry: \d+|data: \{.*\}|:.*|)$`)
	target := "/api/sse?ownerId=" + a.attacker.ID + "&lastEventId=" + before
	var got answer
	harness.Eventually(a.t, "streamed", func() bool {
		got = a.send(a.plain, request("GET", target, "Authorization: Bearer "+a.attackerToken))
		return strings.Count(got.body, "event: booking_created") >= 7
	})
	lines := strings.Split(got.body, "\n")
	for _, line := range lines[:len(lines)-1] {
		data, is := strings.CutPrefix(line, "data: ")
		if !field.MatchString(line) || is && !json.Valid([]byte(data)) || strings.Contains(line, "\r") {
			a.t.Errorf("a line of the stream is %.200q", line)
		}
	}
}
