package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/idna"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// Hosts are names that this server answers for, as they stand in a request: in lower case, in ASCII
// (RFC 5891), without a final dot.
type Hosts map[string]bool

// ParseHosts reads names of hosts. An error says which of them is none.
func ParseHosts(list []string) (Hosts, error) {
	hosts := make(Hosts, len(list))
	for _, text := range list {
		name, err := idna.Lookup.ToASCII(strings.TrimSuffix(strings.TrimSpace(text), "."))
		if err != nil || name == "" || strings.ContainsAny(name, "*:/@[]") {
			return nil, fmt.Errorf("%q is no host: write a name without scheme and port, like live.portal.example", text)
		}
		hosts[strings.ToLower(name)] = true
	}
	return hosts, nil
}

// Add adds the host of an address; an address of none adds nothing.
func (h Hosts) Add(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return err
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil // addresses pass anyway
	}
	names, err := ParseHosts([]string{u.Hostname()})
	for name := range names {
		h[name] = true
	}
	return err
}

// pass reports whether the server answers for what a request calls it. A page may have given its
// own name to this server's address, in order to be of one origin with it (DNS rebinding). It can
// choose neither an address, nor localhost (RFC 6761, section 6.3), nor a name of another's.
func (h Hosts) pass(host string) bool {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host != host || u.User != nil {
		return false
	}
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || h[name]
}

// checkHost refuses requests that call the server by a name that is not its own (RFC 9110, section
// 15.5.20). Health is told to everybody: balancers call a server what they like.
func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isHealth(r) && !s.AllowedHosts.pass(r.Host) {
			handlers.RespondProblem(w, http.StatusMisdirectedRequest,
				"this server does not answer for this host: the operator can add it to ALLOWED_HOSTS", "Host")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isHealth reports whether a request asks for nothing but the server's health.
func isHealth(r *http.Request) bool {
	return r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
}
