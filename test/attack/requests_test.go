package attack

import (
	"compress/gzip"
	"fmt"
	"strings"
)

// paths asks for files and routes by addresses that mean to get around what stands before them.
func paths(a *attackSetup) {
	steps := []string{"../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "%252e%252e%252f", "..%c0%af", "..%ef%bc%8f", "....//", "..;/", ".%00./", "%2e%2e%00/"}
	files := []string{"etc/passwd", "go.mod", "main.go", ".data/jwt_secret", "proc/self/environ", "windows/win.ini", "etc/passwd%00.js"}
	var list []string
	for _, base := range []string{"/", "/client/", "/docs/", "/api/", "/client/0123456789abcdef/", "//"} {
		for _, step := range steps {
			for depth := 1; depth <= 8; depth++ {
				for _, file := range files {
					list = append(list, base+strings.Repeat(step, depth)+file)
				}
			}
		}
	}
	for _, target := range some(a, 40, list) {
		if got := a.judge("paths", target, a.send(a.plain, request("GET", target))); got.status == 200 {
			a.t.Errorf("%s is served: %.100s", target, got.body)
		}
	}
	victim := "api/owners/" + a.victim.ID + "/metrics"
	for _, target := range []string{"//" + victim, "/./" + victim, "/api/./owners/" + a.victim.ID + "/metrics", "/api//owners/" + a.victim.ID + "/metrics", "/API/owners/" + a.victim.ID + "/metrics",
		"/" + victim + "/", "/" + victim + "//", "/" + victim + ".json", "/" + victim + "%20", "/" + victim + ";x", "/client/../" + victim, "/healthz/../" + victim, "/healthz%2f..%2f" + victim,
		"/api%2fowners%2f" + a.victim.ID + "%2fmetrics", "/%61pi/owners/" + a.victim.ID + "/metrics", "/docs/..;/" + victim, "/api/auth/me/../../owners/" + a.victim.ID + "/metrics", "http://localhost/" + victim,
		"http://evil.example/" + victim, "///" + victim, "/\\" + victim, "/api\\owners\\" + a.victim.ID + "\\metrics", "*", "?", "/?", "/%", "/%zz", "/" + strings.Repeat("a/", 2000), "/?" + strings.Repeat("a", 9000), "localhost:80"} {
		for _, header := range []string{"X-None: 1", "Authorization: Bearer " + a.attackerToken, "X-Original-URL: /" + victim} {
			a.judge("paths", target+" "+header, a.send(a.plain, request("GET", target, header)))
		}
	}
	for _, target := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/vars", "/metrics", "/.env", "/.git/config", "/server-status", "/actuator/env", "/admin", "/api", "/api/", "/api/owners", "/api/users",
		"/web.go", "/client/", "/client/index.html", "/static/", "/swagger.json", "/.well-known/security.txt", "/robots.txt", "/wp-login.php", "/graphql", "/api/v1/owners"} {
		a.refused("paths", target, a.send(a.plain, request("GET", target)))
	}
}

// heads sends heads and framings of requests that are wrong, or that two readers
// could take differently.
func heads(a *attackSetup) {
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
	post := "POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
	var list []string
	for _, coding := range []string{"chunked", "Chunked", " chunked", "chunked ", "xchunked", "chunked, identity", "identity, chunked", "identity", "gzip, chunked", "chunked;x=1", "\x0bchunked", "\tchunked", `"chunked"`, "chunked\r\nTransfer-Encoding: x", "chunked\r\nTransfer-Encoding: chunked"} {
		for _, name := range []string{"Transfer-Encoding: ", "Transfer-Encoding:", "Transfer-Encoding : ", "transfer-encoding: ", "Transfer_Encoding: ", " Transfer-Encoding: ", "X: y\r\n Transfer-Encoding: "} {
			list = append(list, post+"Content-Length: 5\r\n"+name+coding+"\r\n\r\n0\r\n\r\n"+smuggled, post+name+coding+"\r\nContent-Length: "+fmt.Sprint(len(smuggled)+5)+"\r\n\r\n0\r\n\r\n"+smuggled)
		}
	}
	for _, length := range []string{"-1", "+5", "0x5", "5,5", "5, 6", "5 5", "5;", "", " ", "1e1", "99999999999999999999", "05", "5\r\nContent-Length: 5", "5\r\nContent-Length: 6", "\"5\"", "5\x00"} {
		list = append(list, post+"Content-Length: "+length+"\r\n\r\n12345"+smuggled)
	}
	for _, chunk := range []string{"zz\r\n", "-1\r\n", "0x5\r\nhello\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5;" + strings.Repeat("a", 5000) + "\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "fffffffffffffffff\r\n", "5\nhello\n0\n\n", "5\r\nhelloX0\r\n\r\n",
		"\r\n", "5\r\nhello\r\n0\r\nAuthorization: Bearer " + a.victimToken + "\r\n\r\n", "5\r\nhello\r\n0\r\n" + strings.Repeat("X: y\r\n", 3000) + "\r\n", "5\r\nhel"} {
		list = append(list, post+"Transfer-Encoding: chunked\r\n\r\n"+chunk+smuggled)
	}
	for _, line := range []string{"GET / HTTP/0.9", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/3", "GET / HTTP/1.1 x", "GET  / HTTP/1.1", "GET / http/1.1", "GET /", "/", "", " GET / HTTP/1.1", "G\x00T / HTTP/1.1", "GET /\x00 HTTP/1.1", "GET /a b HTTP/1.1", "GET /\xff HTTP/1.1",
		"GET /#fragment HTTP/1.1", "GET http://[::1 HTTP/1.1", "GET http://user:pass@localhost/ HTTP/1.1", "GET //localhost/ HTTP/1.1", "GET ftp://localhost/ HTTP/1.1", "CONNECT localhost:80 HTTP/1.1", "CONNECT 169.254.169.254:80 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET * HTTP/1.1",
		strings.Repeat("A", 5000) + " / HTTP/1.1", "GET /" + strings.Repeat("a", 100000) + " HTTP/1.1", "PRI * HTTP/2.0\r\n\r\nSM", "GET / HTTP/1.1\nHost: localhost\n\n"} {
		list = append(list, line+"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	}
	for _, line := range []string{"X\x00Y: z", "X Y: z", "X: y\x00z", "X: y\rz", ": empty", "NoColon", "X: \xff\xfe", "X-\xe9: y", " leading: fold", "X: a\r\n folded", "Host: two", "Host: evil.example", "Content-Length: 5", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
		"Upgrade: websocket", "Upgrade: foo, websocket\r\nConnection: Upgrade", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x", "Expect: 100-continue", "Expect: 200-ok",
		"Range: bytes=0-", "Range: bytes=" + strings.Repeat("0-1,", 3000), "Range: bytes=-1", "Range: bytes=9999999999999-", "If-Range: x\r\nRange: bytes=0-1", "If-None-Match: " + strings.Repeat(`"a",`, 3000), "If-Modified-Since: yesterday", "If-Match: *",
		"Accept-Encoding: " + strings.Repeat("gzip;q=0.1,", 2000), "Accept-Encoding: gzip;q=NaN", "Accept-Encoding: *;q=0", "TE: trailers", "Connection: X-Forwarded-For, Host, Authorization", "Keep-Alive: timeout=99999", "Max-Forwards: 0", "Via: " + strings.Repeat("1.1 x,", 3000),
		"Cookie: " + strings.Repeat("a=b; ", 5000), "Cookie: jwt=\x00", "Cookie: =; ;;=,", "X-Many: y" + strings.Repeat("\r\nX-Many: y", 3000), "X-Long: " + strings.Repeat("a", 60000), "Accept: " + strings.Repeat("text/html,", 3000), "Forwarded: for=\"", "X-Forwarded-For: " + strings.Repeat("1,", 8000)} {
		for _, target := range []string{"/", "/api/auth/me", "/api/ws"} {
			list = append(list, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+line+"\r\n\r\n")
		}
	}
	atOnce(some(a, 4, list), func(text string) {
		for _, server := range []*server{a.plain, a.secure} {
			got := a.judge("heads", text, a.send(server, text))
			if got.status >= 200 && got.status < 300 && strings.Contains(text, "/smuggled") {
				a.t.Errorf("%.200q is answered by %d", text, got.status)
			}
		}
	})
}

// bomb is 10 MiB of nothing in a few kilobytes.
var bomb = func() string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(`{"email":"` + strings.Repeat("a", 10<<20)))
	_ = w.Close()
	return b.String()
}()

// bodies posts what is no body, to all that takes one.
func bodies(a *attackSetup) {
	values := []string{`null`, `true`, `0`, `-1`, `1e999`, `[]`, `{}`, `[[]]`, `"\u0000"`, `"\ud800"`, "\"\xff\"", `"` + strings.Repeat("a", 3000) + `"`, `"a@b.example\r\nBcc: x"`, `"' OR '1'='1"`, `"%s%n"`, `"${7*7}"`, `"\u202eabc"`, `"🛩"`, `{"$ne":null}`}
	list := []string{"", " ", "{", "}", "[", "null", "true", "1", `"text"`, "[]", "{}{}", "{}x", "{\"a\"", "\x00", "\xff\xfe{\x00}\x00", "\ufeff{}", "/*x*/{}", "{'a':1}", "a=b", "<?xml version=\"1.0\"?><!DOCTYPE x SYSTEM \"file:///etc/passwd\"><x/>",
		strings.Repeat("[", 4000), strings.Repeat(`{"a":`, 800), `{"email":"a","email":"b"}`, strings.Repeat("a", 20000), `{"__proto__":{"admin":true}}`, `{"email":"` + strings.Repeat("a", 300) + `@b.example","password":"x"}`}
	for _, field := range []string{"email", "password", "cookie", "refreshToken", "all", "ownerId", "role", "accept"} {
		for _, value := range values {
			list = append(list, `{"`+field+`":`+value+`}`, `{"email":"a@b.example","password":"p","role":"viewer","`+field+`":`+value+`}`)
		}
	}
	for _, target := range []string{"POST /api/auth/login", "POST /api/auth/refresh", "POST /api/auth/logout", "POST /api/auth/ticket", "POST /api/auth/demo", "POST /api/owners/" + a.attacker.ID + "/members", "POST /api/me/invitations/1", "PATCH /api/owners/" + a.attacker.ID + "/members/1"} {
		method, path, _ := strings.Cut(target, " ")
		for _, body := range some(a, 12, list) {
			lines := []string{"Content-Type: application/json", "", body}
			if !strings.HasPrefix(path, "/api/auth/") || strings.HasSuffix(path, "ticket") {
				lines = append([]string{"Authorization: Bearer " + a.attackerToken}, lines...)
			}
			a.judge("bodies", target+" "+body, a.send(a.plain, request(method, path, lines...)))
		}
		for _, coding := range []string{"gzip", "deflate", "br", "zstd", "gzip, gzip", "identity"} {
			a.judge("bodies", target+" coded by "+coding, a.send(a.plain, request(method, path, "Authorization: Bearer "+a.attackerToken, "Content-Type: application/json", "Content-Encoding: "+coding, "", bomb)))
		}
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "application/xml", "\x00", ""} {
			a.judge("bodies", target+" as "+kind, a.send(a.plain, request(method, path, "Cookie: jwt="+a.attackerToken, "Content-Type: "+kind, "", "{}")))
		}
	}
}

// badTexts are strings that a database, a parser or a reader may stumble over.
var badTexts = []string{"\x00", "a\x00b", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\u202e", "\uffff", "\ufeff", "🛩️", "İ", "ﷺ", "a\u0300\u0301", "\u2028", "\r\n\r\nX: y", "\x1b[31m", "' OR 1=1 --", "\"; DROP TABLE bookings; --", "\\", "%", "%%", "_", "%s%s%n", "{{7*7}}", "${jndi:ldap://127.0.0.1/x}", "../../etc/passwd",
	"1; SELECT pg_sleep(10)", "NaN", "Infinity", "-0", "9223372036854775808", "1e400", "null", "undefined", "true", "[]", "{}", "<script>alert(1)</script>", strings.Repeat("9", 1500), strings.Repeat("é", 800)}

// percent writes every byte of a text as an address may hold it.
func percent(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// texts puts bad strings wherever a request may hold one.
func texts(a *attackSetup) {
	owner := "/api/owners/" + a.attacker.ID
	auth := "Authorization: Bearer " + a.attackerToken
	for _, text := range some(a, 4, badTexts) {
		escaped := percent(text)
		for _, target := range []string{"/api/owners/" + escaped + "/metrics", owner + "/bookings/" + escaped, owner + "/members/" + escaped, owner + "/events?after=" + escaped, owner + "/events?limit=" + escaped, owner + "/bookings?status=" + escaped,
			owner + "/bookings?on=" + escaped, owner + "/bookings?" + escaped + "=1", "/api/sse?ownerId=" + escaped, "/api/sse?ownerId=" + a.attacker.ID + "&lastEventId=" + escaped, "/api/sse?ticket=" + escaped, "/" + escaped, "/client/" + escaped, "/docs/" + escaped} {
			a.refusedOrText(target, a.send(a.plain, request("GET", target, auth)))
		}
		a.judge("texts", "DELETE member", a.send(a.plain, request("DELETE", owner+"/members/"+escaped, auth)))
		for _, header := range []string{"Last-Event-ID", "If-None-Match", "Origin", "Cookie", "Authorization", "Accept", "Accept-Language", "User-Agent", "Referer", "Sec-WebSocket-Protocol", "X-Forwarded-For", "X-Request-Id", "traceparent", "Host"} {
			a.judge("texts", header+": "+text, a.send(a.plain, request("GET", owner+"/metrics", auth, header+": "+text)))
			a.judge("texts", header+": Bearer "+text, a.send(a.plain, request("GET", "/api/auth/me", header+": Bearer "+text)))
		}
	}
}

// refusedOrText holds an answer to JSON or a stream that ends: what a target names is nobody's.
func (a *attackSetup) refusedOrText(target string, got answer) {
	a.t.Helper()
	a.judge("texts", target, got)
	if kind := got.header.Get("Content-Type"); got.status >= 400 && got.status != 431 && !strings.HasPrefix(kind, "application/problem+json") && !strings.HasPrefix(kind, "text/plain") {
		a.t.Errorf("%s is answered by %d as %q", target, got.status, kind)
	}
}
