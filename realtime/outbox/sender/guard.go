package sender

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	// httpTimeout bounds one request to a push service or a webhook. It ends before the lease of a
	// delivery does.
	httpTimeout = 10 * time.Second
	// pushAtOnce is how many messages are under way to one push service, half of what a server
	// sends at a time, and webhookAtOnce how many to the webhook.
	pushAtOnce    = 8
	webhookAtOnce = 4
	// maxEndpoint is the most bytes of an endpoint.
	maxEndpoint = 2048
	// maxIdle is how many connections to one host are kept open.
	maxIdle = 4
)

// PushHosts are the push services of the browsers that there are: Chromium's, twice, since those
// that distributions build and early versions have another one, Firefox's, Safari's and that of
// Windows. A name that begins with a dot is all below it.
var PushHosts = []string{"fcm.googleapis.com", "jmt17.google.com", ".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com"}

// Errors of an endpoint that a user gave.
var (
	// ErrEndpoint says that a text is no endpoint of a push service.
	ErrEndpoint = errors.New("the endpoint must be an https address of a push service")
	// ErrPrivate says that a name leads to an address that is not of the public network.
	ErrPrivate = errors.New("the address is not of the public network")
)

// Hosts says where push may go.
type Hosts struct {
	names []string
	// own are hosts of the operator's choice, with their ports. They may be anywhere.
	own map[string]bool
}

// NewHosts returns PushHosts and the operator's own push services, each a host or host:port.
func NewHosts(own []string) (*Hosts, error) {
	h := &Hosts{names: PushHosts, own: make(map[string]bool, len(own))}
	for _, text := range own {
		u, err := url.Parse("https://" + text)
		if err != nil || u.Hostname() == "" || u.Host != text || strings.ContainsAny(text, "*@") {
			return nil, fmt.Errorf("%q is no host: write it like push.example or push.example:8443", text)
		}
		h.own[withPort(u)] = true
	}
	return h, nil
}

// withPort returns a URL's host and port in lower case.
func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// Check returns the endpoint's host, or why it is no endpoint of a push service that is allowed.
func (h *Hosts) Check(endpoint string) (host string, err error) {
	if len(endpoint) > maxEndpoint {
		return "", fmt.Errorf("%w: it has %d bytes, of at most %d", ErrEndpoint, len(endpoint), maxEndpoint)
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return "", ErrEndpoint
	}
	if h.own[withPort(u)] {
		return withPort(u), nil
	}
	name := strings.ToLower(u.Hostname())
	if port := u.Port(); port != "" && port != "443" {
		return "", ErrEndpoint
	}
	for _, allowed := range h.names {
		if below := allowed[0] == '.'; !below && name == allowed || below && strings.HasSuffix(name, allowed) && len(name) > len(allowed) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: %.100q is none that is known here", ErrEndpoint, name)
}

// unreachable are the networks that nothing is sent to, beside those that net/netip knows as
// private, loopback, link-local and multicast (RFC 6890 and its registries).
var unreachable = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	// translation, tunnels and relays: an IPv4 address may be inside
	"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10")

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// public reports whether an address is of the public network.
func public(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if !address.IsGlobalUnicast() || address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() {
		return false
	}
	if address.Is6() && !netip.MustParsePrefix("2000::/3").Contains(address) {
		return false
	}
	for _, network := range unreachable {
		if network.Contains(address) {
			return false
		}
	}
	return true
}

// refusePrivate is a net.Dialer's Control: it looks at the very address that is about to be
// connected to, so that a name cannot have led to another one when it was checked.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr()) || at.Port() != 443 {
		return ErrPrivate
	}
	return nil
}

// Client returns what speaks to push services: it follows no redirect, asks no proxy, and connects
// to public addresses at port 443 alone, but for the operator's own hosts. resolver is nil for the
// machine's.
func (h *Hosts) Client(resolver *net.Resolver) *http.Client {
	guarded := net.Dialer{Timeout: httpTimeout, Resolver: resolver, Control: refusePrivate}
	plain := net.Dialer{Timeout: httpTimeout, Resolver: resolver}
	return newClient(func(ctx context.Context, network, address string) (net.Conn, error) {
		if h.own[strings.ToLower(address)] {
			return plain.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	})
}

// newClient returns a client that follows no redirect and asks no proxy.
func newClient(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Client {
	return &http.Client{
		Timeout: httpTimeout,
		Transport: &http.Transport{
			DialContext: dial, Proxy: nil, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: httpTimeout, ResponseHeaderTimeout: httpTimeout, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
