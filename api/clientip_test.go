package api

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestClientAddress asks from many places, with headers that are honest, forged,
// malformed and contradictory.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies, err := ParseNetworks([]string{"10.0.0.0/8", "127.0.0.1", " 2001:db8:f::/48"})
	if err != nil {
		t.Fatal(err)
	}
	exempt, err := ParseNetworks([]string{"192.0.2.0/24", "127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, test := range map[string]struct {
		peer   string
		header http.Header
		want   client
		host   string
	}{
		"nobody between":                 {"203.0.113.9:1", header(), client{key: "203.0.113.9"}, "own"},
		"a stranger who forges":          {"203.0.113.9:1", header("X-Forwarded-For", "198.51.100.1", "X-Real-IP", "198.51.100.1", "Forwarded", "for=198.51.100.1;proto=https;host=evil", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil"), client{key: "203.0.113.9"}, "own"},
		"IPv6 counts by /64":             {"[2001:db8:1:2:3:4:5:6]:1", header(), client{key: "2001:db8:1:2::/64"}, "own"},
		"IPv4 as IPv6":                   {"[::ffff:203.0.113.9]:1", header(), client{key: "203.0.113.9"}, "own"},
		"a program of this machine":      {"[::1]:1", header(), client{key: "::/64"}, "own"},
		"an exempt address":              {"192.0.2.7:1", header(), client{key: "192.0.2.7", exempt: true}, "own"},
		"one that speaks for another":    {"192.0.2.7:1", header("X-Forwarded-For", "203.0.113.9"), client{key: "192.0.2.7"}, "own"},
		"an exempt one behind a proxy":   {"10.1.1.1:1", header("X-Forwarded-For", "192.0.2.7"), client{key: "192.0.2.7", exempt: true}, "own"},
		"a proxy that is exempt itself":  {"127.0.0.1:1", header(), client{key: "127.0.0.1"}, "own"},
		"an undeclared proxy here":       {"[::1]:1", header("X-Forwarded-For", "203.0.113.9"), client{key: "::/64"}, "own"},
		"a declared proxy here":          {"127.0.0.1:1", header("X-Forwarded-For", "203.0.113.9"), client{key: "203.0.113.9"}, "own"},
		"for a program here":             {"127.0.0.1:1", header("X-Forwarded-For", "127.0.0.1"), client{key: "127.0.0.1"}, "own"},
		"for one that says it is here":   {"10.1.1.1:1", header("X-Forwarded-For", "::1"), client{key: "::/64"}, "own"},
		"rightmost untrusted":            {"10.1.1.1:1", header("X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.2.2.2"), client{key: "203.0.113.9"}, "own"},
		"over several lines":             {"10.1.1.1:1", header("X-Forwarded-For", "198.51.100.1", "X-Forwarded-For", "203.0.113.9,, 2001:db8:f::1"), client{key: "203.0.113.9"}, "own"},
		"with ports":                     {"10.1.1.1:1", header("X-Forwarded-For", "203.0.113.9:4711, [2001:db8:f::1]:80"), client{key: "203.0.113.9"}, "own"},
		"a proxy as IPv4 in IPv6":        {"10.1.1.1:1", header("X-Forwarded-For", "203.0.113.9, ::ffff:10.2.2.2"), client{key: "203.0.113.9"}, "own"},
		"a zone does not make another":   {"10.1.1.1:1", header("X-Forwarded-For", "2001:db8:1:2::1%a"), client{key: "2001:db8:1:2::/64"}, "own"},
		"only proxies":                   {"10.1.1.1:1", header("X-Forwarded-For", "10.2.2.2, 10.3.3.3"), client{key: "10.1.1.1"}, "own"},
		"no header":                      {"10.1.1.1:1", header(), client{key: "10.1.1.1"}, "own"},
		"garbage before what counts":     {"10.1.1.1:1", header("X-Forwarded-For", "<script>, 203.0.113.9"), client{key: "203.0.113.9"}, "own"},
		"garbage where it counts":        {"10.1.1.1:1", header("X-Forwarded-For", "203.0.113.9, unknown"), client{key: "unknown by 10.1.1.1"}, "own"},
		"real IP":                        {"10.1.1.1:1", header("X-Real-IP", "203.0.113.9"), client{key: "203.0.113.9"}, "own"},
		"real IP of the next proxy":      {"10.1.1.1:1", header("X-Real-IP", "10.2.2.2", "X-Forwarded-For", "203.0.113.9, 10.2.2.2"), client{key: "203.0.113.9"}, "own"},
		"a header that passed through":   {"10.1.1.1:1", header("X-Real-IP", "203.0.113.9", "X-Forwarded-For", "198.51.100.1"), client{key: "unknown by 10.1.1.1"}, "own"},
		"Forwarded":                      {"10.1.1.1:1", header("Forwarded", `for=198.51.100.1, For="[2001:db8:1:2::7]:4711";proto=https;host=portal.example, for=10.2.2.2;proto=https;host=portal.example`), client{key: "2001:db8:1:2::/64", secure: true}, "portal.example"},
		"Forwarded that hides":           {"10.1.1.1:1", header("Forwarded", "for=_hidden"), client{key: "unknown by 10.1.1.1"}, "own"},
		"Forwarded that is broken":       {"10.1.1.1:1", header("Forwarded", `for="203.0.113.9`), client{key: "unknown by 10.1.1.1"}, "own"},
		"Forwarded without a client":     {"10.1.1.1:1", header("Forwarded", "proto=https"), client{key: "unknown by 10.1.1.1", secure: true}, "own"},
		"HTTPS before the proxy":         {"10.1.1.1:1", header("X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "HTTPS", "X-Forwarded-Host", "portal.example:8443"), client{key: "203.0.113.9", secure: true}, "portal.example:8443"},
		"HTTPS by the client's own word": {"10.1.1.1:1", header("X-Forwarded-Proto", "https, http", "X-Forwarded-Host", "evil, portal.example"), client{key: "10.1.1.1"}, "portal.example"},
		"no address at all":              {"@", header("X-Forwarded-For", "203.0.113.9"), client{key: "invalid IP"}, "own"},
	} {
		var got client
		var host string
		s := &Server{TrustedProxies: proxies, LimitExempt: exempt, Log: slog.New(slog.DiscardHandler)}
		handler := s.identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, host = clientOf(r.Context()), r.Host
			if s.secure(r) != got.secure || clientOf(r.Context()).key != got.key {
				t.Errorf("%s: secure %t, address %s", name, s.secure(r), clientOf(r.Context()).key)
			}
		}))
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.RemoteAddr, request.Header, request.Host = test.peer, test.header, "own"
		handler.ServeHTTP(httptest.NewRecorder(), request)
		if ip, err := netip.ParseAddr(test.want.key); err == nil && got.address != "" && got.address != ip.String() {
			t.Errorf("%s: the client's address is %q, want %s", name, got.address, ip)
		}
		got.address, got.port = "", 0
		if got != test.want || host != test.host {
			t.Errorf("%s: %+v for host %s, want %+v for %s", name, got, host, test.want, test.host)
		}
	}
}

func TestOwnTLSIsSecure(t *testing.T) {
	t.Parallel()
	s := &Server{Log: slog.New(slog.DiscardHandler)}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.TLS = &tls.ConnectionState{}
	s.identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if !s.secure(r) {
			t.Error("a request by TLS is not secure")
		}
	})).ServeHTTP(httptest.NewRecorder(), request)
}

func TestBadlySetUpProxiesAreToldOnce(t *testing.T) {
	t.Parallel()
	proxies, err := ParseNetworks([]string{"10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := &Server{TrustedProxies: proxies, Log: slog.New(slog.NewTextHandler(&log, nil))}
	handler := s.identify(http.NotFoundHandler())
	for range 3 {
		for peer, forwarded := range map[string]string{"127.0.0.1:1": "203.0.113.9", "10.0.0.1:1": "garbage"} {
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.RemoteAddr = peer
			request.Header.Set("X-Forwarded-For", forwarded)
			handler.ServeHTTP(httptest.NewRecorder(), request)
		}
	}
	for _, words := range []string{"not in TRUSTED_PROXIES", "does not say clearly"} {
		if n := strings.Count(log.String(), words); n != 1 {
			t.Errorf("%q is logged %d times, want once: %s", words, n, log.String())
		}
	}
}

func TestTrustedProxiesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0.1:80"} {
		if _, err := ParseNetworks([]string{text}); err == nil {
			t.Errorf("%q is taken for a proxy", text)
		}
	}
}
