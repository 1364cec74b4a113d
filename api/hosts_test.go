package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	hosts, err := ParseHosts([]string{" Live.Portal.example", "hangár.example."})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"", "https://public.example:8443/", "https://[2001:db8::1]/"} {
		if err := hosts.Add(address); err != nil {
			t.Fatal(err)
		}
	}
	for host, want := range map[string]bool{
		"live.portal.example": true, "LIVE.portal.EXAMPLE:8080": true, "live.portal.example.": true, "live.portal.example.:80": true,
		"xn--hangr-0qa.example": true, "public.example": true, "public.example:1": true,
		"localhost": true, "localhost:8080": true, "localhost.": true, "LOCALHOST": true,
		"127.0.0.1": true, "127.0.0.1:8080": true, "10.1.2.3": true, "[::1]": true, "[::1]:8080": true, "203.0.113.9": true,
		"": false, ".": false, "evil.example": false, "evil.example:8080": false, "evil.example.": false,
		"localhost.evil.example": false, "live.portal.example.evil.example": false, "evil-live.portal.example": false, "sub.live.portal.example": false,
		"evil.example@localhost": false, "localhost@evil.example": false, "localhost:80@evil.example": false, "localhost:evil": false,
		"localhost/evil.example": false, "localhost?evil": false, "localhost#": false, "localhost..": false, "[::1": false, "::1": false, "[fe80::1%25eth0]": false,
		"127.1": false, "0x7f000001": false, "2130706433": false, "127.0.0.1.evil.example": false, "127.0.0.1.nip.io": false,
		"localhost,evil.example": false, "localhost evil.example": false, "%6cocalhost": false, "localhost%00": false, "null": false, "*": false,
	} {
		if got := hosts.pass(host); got != want {
			t.Errorf("%q passes: %t, want %t", host, got, want)
		}
	}
	for _, text := range []string{"", "*", "*.example", "https://a.example", "a.example:80", "a@b.example", "[::1]", "a b", "a/b"} {
		if _, err := ParseHosts([]string{text}); err == nil {
			t.Errorf("%q is taken for a host", text)
		}
	}
}

// surface is a server that needs no database, and what it answers to requests.
func surface(t *testing.T, change func(*Server)) (public, admin http.Handler) {
	t.Helper()
	hosts, err := ParseHosts([]string{"live.example"})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Site: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler), Tokens: NewTokens(hmacKey), AllowedHosts: hosts, CheckHost: true,
		Demo: func(context.Context) ([]handlers.DemoOwner, error) {
			return []handlers.DemoOwner{{OwnerID: "1", UserID: "1"}}, nil
		},
	}
	if change != nil {
		change(s)
	}
	return s.Router(), s.AdminRouter()
}

// ask sends a request for a host, with headers in pairs, and returns the answer.
func ask(handler http.Handler, method, host, path string, pairs ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, nil)
	request.Host = host
	for i := 0; i < len(pairs); i += 2 {
		request.Header.Add(pairs[i], pairs[i+1])
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

func TestForeignHostsAreMisdirected(t *testing.T) {
	t.Parallel()
	proxies, err := ParseNetworks([]string{"192.0.2.1"}) // httptest's peer
	if err != nil {
		t.Fatal(err)
	}
	checked, admin := surface(t, nil)
	proxied, _ := surface(t, func(s *Server) { s.TrustedProxies = proxies })
	open, alsoChecked := surface(t, func(s *Server) { s.CheckHost, s.Demo = false, nil })
	for name, test := range map[string]struct {
		handler    http.Handler
		host, path string
		headers    []string
		misdirects bool
	}{
		"its name":                   {checked, "live.example:8080", "/openapi.yaml", nil, false},
		"an address":                 {checked, "192.0.2.1:8080", "/openapi.yaml", nil, false},
		"another's name":             {checked, "evil.example:8080", "/openapi.yaml", nil, true},
		"another's name for the API": {checked, "evil.example", "/api/auth/me", nil, true},
		"where nothing is":           {checked, "evil.example", "/nothing", nil, true},
		"a WebSocket":                {checked, "evil.example", "/api/ws", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Origin", "http://evil.example"}, true},
		"health":                     {checked, "evil.example", "/healthz", nil, false},
		"readiness":                  {checked, "evil.example", "/readyz", nil, false},
		"no host":                    {checked, "", "/openapi.yaml", nil, true},
		"a stranger's forwarded":     {checked, "evil.example", "/openapi.yaml", []string{"X-Forwarded-Host", "live.example"}, true},
		"a proxy's forwarded":        {proxied, "backend", "/openapi.yaml", []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Host", "live.example"}, false},
		"a proxy's bad forwarded":    {proxied, "live.example", "/openapi.yaml", []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Host", "evil.example"}, true},
		"unchecked":                  {open, "evil.example", "/openapi.yaml", nil, false},
		"admin":                      {admin, "localhost:9090", "/debug/pprof/", nil, false},
		"admin by its name":          {admin, "live.example", "/debug/pprof/", nil, false},
		"admin by another's":         {admin, "evil.example:9090", "/debug/pprof/", nil, true},
		"admin, public unchecked":    {alsoChecked, "evil.example:9090", "/metrics", nil, true},
		"admin's health":             {admin, "evil.example", "/healthz", nil, false},
	} {
		answer := ask(test.handler, http.MethodGet, test.host, test.path, test.headers...)
		if misdirected := answer.Code == http.StatusMisdirectedRequest; misdirected != test.misdirects {
			t.Errorf("%s: %d, want 421: %t", name, answer.Code, test.misdirects)
		}
		if test.misdirects && (answer.Header().Get("Content-Type") != "application/problem+json" || strings.Contains(answer.Body.String(), "evil")) {
			t.Errorf("%s: %v %s", name, answer.Header(), answer.Body)
		}
	}
}

func TestAdminPortIsForOperators(t *testing.T) {
	t.Parallel()
	_, admin := surface(t, nil)
	for name, test := range map[string]struct {
		method, path string
		headers      []string
		want         int
	}{
		"a program":               {"GET", "/debug/pprof/goroutine?debug=1", nil, 200},
		"a browser":               {"GET", "/debug/pprof/", []string{"Sec-Fetch-Site", "none"}, 200},
		"from its own page":       {"GET", "/debug/pprof/heap", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		"from another page":       {"GET", "/debug/pprof/trace?seconds=1", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"from a neighbour's page": {"GET", "/debug/pprof/trace?seconds=1", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"by CORS":                 {"GET", "/debug/pprof/heap", []string{"Origin", "http://evil.example"}, 403},
		"health from anywhere":    {"GET", "/healthz", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		"the command line":        {"GET", "/debug/pprof/cmdline", nil, 404},
		"a profile without end":   {"GET", "/debug/pprof/profile?seconds=86400", nil, 400},
		"a trace without end":     {"GET", "/debug/pprof/trace?seconds=61", nil, 400},
		"a delta without end":     {"GET", "/debug/pprof/heap?seconds=3600", nil, 400},
		"the second value":        {"GET", "/debug/pprof/trace?seconds=1&seconds=1000", nil, 400},
		"no number":               {"GET", "/debug/pprof/trace?seconds=NaN", nil, 400},
		"before its beginning":    {"GET", "/debug/pprof/trace?seconds=-1", nil, 400},
		"a profile by post":       {"POST", "/debug/pprof/profile", nil, 405},
		"nothing":                 {"GET", "/nothing", nil, 404},
	} {
		if answer := ask(admin, test.method, "localhost:9090", test.path, test.headers...); answer.Code != test.want {
			t.Errorf("%s: %d, want %d: %s", name, answer.Code, test.want, answer.Body)
		}
	}
}

// TestOriginsHaveAScheme asks with origins that are ours but for the scheme or the port.
func TestOriginsHaveAScheme(t *testing.T) {
	t.Parallel()
	proxies, err := ParseNetworks([]string{"192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		trusted bool
		host    string
		headers []string
		want    bool
	}{
		"ours":                           {false, "live.example", []string{"Origin", "http://live.example"}, true},
		"ours in capitals":               {false, "live.example", []string{"Origin", "HTTP://LIVE.example"}, true},
		"the scheme's port in origin":    {false, "live.example", []string{"Origin", "http://live.example:80"}, true},
		"the scheme's port in host":      {false, "live.example:80", []string{"Origin", "http://live.example"}, true},
		"another port":                   {false, "live.example:8080", []string{"Origin", "http://live.example"}, false},
		"https, where we are http":       {false, "live.example", []string{"Origin", "https://live.example"}, false},
		"https, as a proxy says":         {true, "live.example", []string{"Origin", "https://live.example", "X-Forwarded-Proto", "https"}, true},
		"https with its port, likewise":  {true, "live.example:443", []string{"Origin", "https://live.example", "X-Forwarded-Proto", "https"}, true},
		"http, where a proxy has https":  {true, "live.example", []string{"Origin", "http://live.example", "X-Forwarded-Proto", "https"}, false},
		"https, an undeclared proxy":     {false, "live.example", []string{"Origin", "https://live.example", "X-Forwarded-Proto", "https"}, true},
		"https, as the browser says":     {false, "live.example", []string{"Origin", "https://live.example", "Sec-Fetch-Site", "same-origin"}, true},
		"another's, whatever is said":    {false, "live.example", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin", "X-Forwarded-Proto", "https"}, false},
		"PUBLIC_URL":                     {false, "backend:8080", []string{"Origin", "https://public.example:8443"}, true},
		"PUBLIC_URL by http":             {false, "backend:8080", []string{"Origin", "http://public.example:8443"}, false},
		"one of ALLOWED_ORIGINS":         {false, "live.example", []string{"Origin", "https://portal.example:443"}, true},
		"one of them by http":            {false, "live.example", []string{"Origin", "http://portal.example"}, false},
		"two origins":                    {false, "live.example", []string{"Origin", "http://live.example", "Origin", "http://evil.example"}, false},
		"none":                           {false, "live.example", nil, true},
		"null":                           {false, "live.example", []string{"Origin", "null"}, false},
		"no origin, from another site":   {false, "live.example", []string{"Sec-Fetch-Site", "cross-site"}, false},
		"userinfo":                       {false, "live.example", []string{"Origin", "http://evil@live.example"}, false},
		"a path":                         {false, "live.example", []string{"Origin", "http://live.example/x"}, false},
		"a file":                         {false, "live.example", []string{"Origin", "file://live.example"}, false},
		"another host with ours as part": {false, "live.example", []string{"Origin", "http://live.example.evil.example"}, false},
	} {
		s := &Server{Log: slog.New(slog.DiscardHandler), AllowedOrigins: []string{"https://portal.example"}, PublicURL: "https://public.example:8443"}
		if test.trusted {
			s.TrustedProxies = proxies
		}
		var got bool
		handler := s.identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = s.originAllowed(r) }))
		if ask(handler, http.MethodGet, test.host, "/", test.headers...); got != test.want {
			t.Errorf("%s: allowed %t, want %t", name, got, test.want)
		}
	}
}
