package attack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/handlers/frametest"
)

// scripts are names of guests and companies that a page could take for its own markup.
var scripts = []string{"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "'-alert(1)-'", "</script><script>alert(1)</script>", "<!--", "]]>", "{{constructor.constructor('alert(1)')()}}",
	"javascript:alert(1)", "<a href=javascript:alert(1)>x</a>", "<math><mi//xlink:href=\"data:x,<script>\">", "<style>*{display:none}</style>", "<iframe srcdoc='<script>alert(1)</script>'>", "\u2028alert(1)\u2029", "\u202e20 diárias\u202c", "<bdo dir=rtl>", "&lt;script&gt;", "%3Cscript%3E", "\x0b<script>", "<ScRiPt>", "<base href=//evil.example>", "<meta http-equiv=refresh content=0;url=//evil.example>"}

// markup has guests and companies with such names, and asks for addresses that hold them: what
// comes back is data that no browser takes for a page.
func markup(a *attackSetup) {
	for i, script := range some(a, 2, scripts) {
		guest := a.portal.AddGuest(a.t, script, fmt.Sprint("n", i))
		a.portal.Book(a.t, a.attacker.Hangars[0], guest)
		a.portal.Exec(a.t, `UPDATE hangar_owners SET company_name = $1 WHERE id::text = $2`, script, a.attacker.ID)
		a.portal.Exec(a.t, `UPDATE hangar_listings SET aerodrome_name = $1 WHERE owner_id::text = $2`, script, a.attacker.ID)
		for _, target := range []string{"/bookings", "/listings", "/events", "/members"} {
			a.data("markup", a.get(a.attackerToken, "/api/owners/"+a.attacker.ID+target))
		}
		a.data("markup", a.get(a.attackerToken, "/api/auth/me"))
		escaped := strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20", "\"", "%22", "{", "%7B", "}", "%7D", "\u2028", "%E2%80%A8", "\u2029", "%E2%80%A9", "\u202e", "%E2%80%AE", "\u202c", "%E2%80%AC", "á", "%C3%A1", "\x0b", "%0B").Replace(script)
		for _, target := range []string{"/" + escaped, "/api/" + escaped, "/client/" + escaped, "/api/owners/" + escaped + "/metrics", "/docs?" + escaped, "/healthz?a=" + escaped, "/api/owners/1/metrics?after=" + escaped} {
			got := a.judge("markup", target, a.send(a.plain, request("GET", target)))
			if got.status >= 400 {
				a.data("markup", got)
			}
		}
	}
	injections(a)
	for _, target := range []string{"/", "/docs", "/docs/client", "/client/page.js"} {
		got := a.judge("markup", target, a.send(a.plain, request("GET", target)))
		policy := got.header.Get("Content-Security-Policy")
		if got.status != 200 || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || got.header.Get("X-Frame-Options") != "DENY" {
			a.t.Errorf("%s: %d, policy %q", target, got.status, policy)
		}
	}
}

// data holds an answer to what a browser cannot take for a page.
func (a *attackSetup) data(area string, got answer) {
	a.t.Helper()
	a.count(area, 1)
	kind := got.header.Get("Content-Type")
	if kind != "application/json" && kind != "application/problem+json" || got.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
		a.t.Errorf("%d: %v", got.status, got.header)
	}
	if !json.Valid([]byte(got.body)) || strings.ContainsAny(got.body, "<>\u2028\u2029") {
		a.t.Errorf("a browser may take this for markup: %.300s", got.body)
	}
}

// methods asks for every route by methods that it does not have, and by what overrides a method.
func methods(a *attackSetup) {
	all := append(routes(a, a.attacker.ID), [][2]string{{"GET", "/"}, {"GET", "/docs"}, {"GET", "/client/page.js"}, {"GET", "/openapi.yaml"}, {"GET", "/openapi.json"}, {"GET", "/healthz"}, {"GET", "/readyz"}, {"GET", "/api/ws"}, {"GET", "/api/sse"}, {"POST", "/api/auth/login"}, {"POST", "/api/auth/logout"}, {"GET", "/api/auth/me"}, {"POST", "/api/auth/ticket"}}...)
	auth := "Authorization: Bearer " + a.attackerToken
	for _, method := range some(a, 4, []string{"PUT", "TRACE", "CONNECT", "OPTIONS", "HEAD", "PROPFIND", "PURGE", "PATCH", "DELETE", "GET", "get", "FOO", "POST", "LINK", "SEARCH", "M-POST"}) {
		for _, route := range all {
			got := a.judge("methods", method+" "+route[1], a.sendHead(request(method, route[1], auth, "Content-Type: application/json", "", "{}")))
			if got.status == 405 && got.header.Get("Allow") == "" {
				a.t.Errorf("%s %s: 405 without Allow", method, route[1])
			}
			if method == "TRACE" && got.status < 400 && got.status != 0 {
				a.t.Errorf("TRACE %s: %d", route[1], got.status)
			}
		}
	}
	member := "/api/owners/" + a.attacker.ID + "/members/" + a.attacker.UserID
	for _, header := range []string{"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE", "_method: DELETE"} {
		a.refused("methods", header, a.send(a.plain, request("GET", member, auth, header)))
		a.refused("methods", header, a.send(a.plain, request("POST", member+"?_method=DELETE", auth, header, "Content-Type: application/json", "", `{"_method":"DELETE"}`)))
	}
}

// sendHead sends a request whose answer may be a head alone.
func (a *attackSetup) sendHead(text string) answer {
	if !strings.HasPrefix(text, "HEAD ") {
		return a.send(a.plain, text)
	}
	conn, err := a.plain.dial("")
	if err != nil {
		return answer{err: err}
	}
	defer conn.Close()
	fmt.Fprint(conn, text)
	var whole bytes.Buffer
	if _, err := whole.ReadFrom(conn); err != nil {
		return answer{err: err}
	}
	head, body, _ := strings.Cut(whole.String(), "\r\n\r\n")
	if body != "" {
		a.t.Errorf("%.80q is answered with a body: %.200q", text, body)
	}
	var status int
	fmt.Sscanf(head, "HTTP/1.1 %d", &status)
	return answer{status: status, header: http.Header{"Allow": {"in the head"}}}
}

// hosts calls the server by names that are not its own, and the admin port from pages and by names.
func hosts(a *attackSetup) {
	bad := []string{"evil.example", "evil.example:80", "live.example.evil.example", "evil-live.example", "sub.live.example", "live.example@evil.example", "evil.example@live.example", "localhost.evil.example", "127.0.0.1.nip.io", "127.1", "0x7f000001", "2130706433", "0177.0.0.1",
		"evil.example.", "[::1", "::1", "live.example:evil", "live.example/evil", "live.example?x", "live.example#x", "live.example,evil.example", "%6cocalhost", "localhost..", "xn--lve-3la.example", "a\xff.example", "*", "null", "",
		"live.example\tevil", "metadata.google.internal", "[fe80::1%25lo]", "live．example"}
	for _, host := range bad {
		for _, target := range []string{"/", "/api/auth/me", "/api/owners/" + a.victim.ID + "/metrics", "/nothing", "/docs"} {
			a.refused("hosts", host+" "+target, a.send(a.plain, request("GET", target, "Host: "+host, "Authorization: Bearer "+a.victimToken)))
		}
		if got := a.send(a.plain, "GET http://"+host+"/api/auth/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "+a.victimToken+"\r\n\r\n"); host != "" && !strings.Contains(host, "@") && got.status == 200 {
			a.t.Errorf("by an absolute address of %q: %d", host, got.status)
		}
		a.count("hosts", 1)
		a.refused("hosts", "admin as "+host, a.sendAdmin(request("GET", "/metrics", "Host: "+host)))
	}
	for _, header := range []string{"X-Forwarded-Host: live.example", "Forwarded: host=live.example", "X-Host: live.example", "X-Original-Host: live.example"} {
		a.refused("hosts", header, a.send(a.plain, request("GET", "/", "Host: evil.example", header)))
	}
	for _, host := range []string{"live.example", "LIVE.example:1", "localhost", "127.0.0.1:80", "[::1]", "live.example."} {
		if got := a.judge("hosts", host, a.send(a.plain, request("GET", "/", "Host: "+host))); got.status != 200 {
			a.t.Errorf("as %s it answers %d", host, got.status)
		}
	}
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: nonsense"} {
		for _, target := range []string{"/metrics", "/debug/pprof/goroutine?debug=2", "/debug/pprof/trace?seconds=1", "/debug/pprof/heap"} {
			a.refused("hosts", header+target, a.sendAdmin(request("GET", target, header)))
		}
	}
	for _, target := range []string{"/debug/pprof/cmdline", "/debug/pprof/profile?seconds=3600", "/debug/pprof/trace?seconds=1e9", "/debug/pprof/heap?seconds=NaN", "/debug/vars", "/"} {
		a.refused("hosts", target, a.sendAdmin(request("GET", target)))
	}
}

func (a *attackSetup) sendAdmin(text string) answer {
	return a.send(&server{address: a.plain.admin}, text)
}

// origins sends what a page of another site can have a browser send, with the victim's cookie.
func origins(a *attackSetup) {
	own := "http://" + a.plain.address
	bad := []string{"null", "http://evil.example", "https://evil.example", "https://portal.example.evil.example", "https://evilportal.example", "http://portal.example", "https://portal.example:8443", "https://portal.example@evil.example", "https://evil.example#https://portal.example",
		"https://" + a.plain.address, "http://127.0.0.1", "http://localhost:1", own + ".evil.example", own + "/x", "file://", "data:", "chrome-extension://abc", "http://[::1]", "//" + a.plain.address, a.plain.address, "*", "http://*", "https://portal.example, http://evil.example", "https://portal.example http://evil.example", "HTTPS://evil.example", "javascript:1"}
	cookie, host := "Cookie: jwt="+a.victimToken, "Host: "+a.plain.address
	for _, origin := range bad {
		for _, target := range []string{"GET /api/auth/me", "GET /api/owners/" + a.victim.ID + "/metrics", "GET /api/sse", "POST /api/auth/ticket", "POST /api/auth/logout", "DELETE /api/owners/" + a.victim.ID + "/members/1", "GET /api/ws"} {
			method, path, _ := strings.Cut(target, " ")
			lines := []string{host, cookie, "Origin: " + origin}
			if path == "/api/ws" {
				lines = append(lines, "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
			}
			got := a.send(a.plain, request(method, path, append(lines, "Content-Type: application/json", "", "{}")...))
			if a.refused("origins", origin+" "+target, got); got.header.Get("Access-Control-Allow-Origin") != "" {
				a.t.Errorf("%s may read %s", origin, target)
			}
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""} {
		for _, target := range []string{"/api/auth/ticket", "/api/auth/logout", "/api/owners/" + a.victim.ID + "/members"} {
			a.refused("origins", "a form by "+kind, a.send(a.plain, request("POST", target, host, cookie, "Content-Type: "+kind, "", "{}")))
		}
	}
	a.refused("origins", "cross-site", a.send(a.plain, request("GET", "/api/auth/me", host, cookie, "Sec-Fetch-Site: cross-site")))
	for _, origin := range []string{own, "https://portal.example"} {
		if got := a.send(a.plain, request("GET", "/api/auth/me", host, cookie, "Origin: "+origin)); got.status != 200 {
			a.t.Errorf("%s is answered by %d %s", origin, got.status, got.body)
		}
	}
}

// framing plays the cases of RFC 6455, plain and by TLS.
func framing(a *attackSetup) {
	for _, server := range []*server{a.plain, a.secure} {
		for _, test := range some(a, 5, frametest.Cases()) {
			a.count("framing", 1)
			conn, err := server.dial("")
			if err != nil {
				a.t.Fatal(err)
			}
			c, err := frametest.Open(conn, "/api/ws?ownerId="+a.attacker.ID, "Authorization: Bearer "+a.attackerToken)
			if err == nil {
				err = c.Await("connection_established")
			}
			if err == nil {
				err = c.Await("metrics_updated")
			}
			if err == nil {
				err = c.Run(test)
			}
			if err != nil {
				a.t.Errorf("TLS %t, %s: %v", server.tls != nil, test.Name, err)
			}
			conn.Close()
		}
	}
}
