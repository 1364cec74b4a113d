package api

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Networks are addresses that a setting names: TRUSTED_PROXIES, LIMIT_EXEMPT.
type Networks []netip.Prefix

// Loopback is this machine itself (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3).
var Loopback = Networks{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// ParseNetworks reads addresses and CIDR prefixes (RFC 4632, RFC 4291 section 2.3). An error names
// the one that is neither.
func ParseNetworks(list []string) (Networks, error) {
	networks := make(Networks, 0, len(list))
	for _, text := range list {
		text = strings.TrimSpace(text)
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, addressErr := netip.ParseAddr(text)
			if addressErr != nil || address.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a prefix: write 10.0.0.7 or 10.0.0.0/8", text)
			}
			address = address.Unmap()
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is IPv4 written as IPv6: write it as IPv4", text)
		}
		if prefix != prefix.Masked() {
			return nil, fmt.Errorf("%q has bits beyond its prefix: write %s", text, prefix.Masked())
		}
		networks = append(networks, prefix)
	}
	return networks, nil
}

func (p Networks) contain(address netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}

// client is where a request comes from.
type client struct {
	// key names the address in limits: an IPv4 address, an IPv6 /64, or a proxy that
	// speaks for an unknown client.
	key string
	// exempt says that the address is one of LIMIT_EXEMPT, and speaks for itself.
	exempt bool
	// secure says that the client's connection, to us or to a trusted proxy, is encrypted.
	secure bool
	// address is the client's, "" where a proxy does not say whose; port is its own, 0 behind a
	// proxy.
	address string
	port    int
}

type clientKey struct{}

// clientOf returns where a request comes from, as identify found out.
func clientOf(ctx context.Context) client {
	c, _ := ctx.Value(clientKey{}).(client)
	return c
}

// secure reports whether the client reached us, or a trusted proxy before us, by HTTPS.
func (s *Server) secure(r *http.Request) bool { return clientOf(r.Context()).secure }

// forwardingHeaders are what proxies tell about their clients in, in the order in which
// they are asked.
var forwardingHeaders = []string{"X-Forwarded-For", "Forwarded", "X-Real-IP"}

// identify finds out where a request comes from, and sees to it that Host is the one that
// the client asked for. Headers count only when the peer is one of TRUSTED_PROXIES. A
// peer that is none and sends them speaks for others, and so does a proxy that sends
// none: LIMIT_EXEMPT does not count for them.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, policy := peerOf(r.RemoteAddr), s.policy()
		c := client{key: limitKey(peer), secure: r.TLS != nil, address: peer.String(), port: portOf(r.RemoteAddr)}
		forwarded := slices.ContainsFunc(forwardingHeaders, func(name string) bool { return r.Header.Get(name) != "" })
		host := r.Host
		switch {
		case policy.TrustedProxies.contain(peer):
			c.address, c.port = "", 0
			spoken, err := policy.TrustedProxies.spokenFor(r.Header)
			switch {
			case err != nil:
				c.key = "unknown by " + peer.String()
				s.untrusted.Do(func() {
					s.Log.Warn("a trusted proxy does not say clearly for whom it speaks", "proxy", peer.String(), "error", err)
				})
			case spoken.IsValid():
				c.key, c.exempt = limitKey(spoken), policy.LimitExempt.contain(spoken)
				c.address = spoken.String()
			}
			proto, named := outside(r.Header)
			c.secure = c.secure || strings.EqualFold(proto, "https")
			if named != "" {
				host = named
			}
		case forwarded:
			if peer.IsLoopback() {
				s.undeclared.Do(func() {
					s.Log.Warn("requests come through a proxy on this machine that is not in TRUSTED_PROXIES: "+
						"all its clients share the limits of one address", "proxy", peer.String())
				})
			}
		default:
			c.exempt = policy.LimitExempt.contain(peer)
		}
		r = r.WithContext(context.WithValue(r.Context(), clientKey{}, c))
		r.Host = host
		next.ServeHTTP(w, r)
	})
}

// portOf returns the port of a connection's other end, 0 where there is none.
func portOf(remote string) int {
	end, err := netip.ParseAddrPort(remote)
	if err != nil {
		return 0
	}
	return int(end.Port())
}

// peerOf returns the address of a connection's other end, without zone; the zero address
// if it has none.
func peerOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// limitKey names an address in limits: of IPv6 the /64, since a host that has one address
// there has all of them (RFC 6177).
func limitKey(address netip.Addr) string {
	if !address.Is6() {
		return address.String()
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return address.String()
	}
	return prefix.String()
}

var errProxiesDisagree = errors.New("its headers name several clients: let the proxy overwrite or remove X-Forwarded-For, Forwarded and X-Real-IP")

// spokenFor returns the client that a trusted proxy speaks for: in each header the rightmost
// address that is no trusted proxy, since what is left of it anybody may have written. It is the
// zero address when only trusted ones are named, and an error when a header is malformed or two of
// them differ: one of them the client may have sent itself.
func (p Networks) spokenFor(h http.Header) (netip.Addr, error) {
	var found netip.Addr
	for _, name := range forwardingHeaders {
		nodes, err := forwardedNodes(name, h.Values(name))
		if err != nil {
			return netip.Addr{}, err
		}
		for _, node := range slices.Backward(nodes) {
			address, err := parseNode(node)
			if err != nil {
				return netip.Addr{}, fmt.Errorf("%s: %w", name, err)
			}
			if p.contain(address) {
				continue
			}
			if found.IsValid() && found != address {
				return netip.Addr{}, errProxiesDisagree
			}
			found = address
			break
		}
	}
	return found, nil
}

// forwardedNodes returns the nodes of a header's values from left to right.
func forwardedNodes(name string, values []string) ([]string, error) {
	if name != "Forwarded" {
		return listed(values), nil
	}
	elements, err := forwardedElements(values)
	if err != nil {
		return nil, err
	}
	var nodes []string
	for _, element := range elements {
		nodes = append(nodes, element["for"])
	}
	return nodes, nil
}

// listed returns the members of a comma-separated header (RFC 9110, section 5.6.1).
func listed(values []string) []string {
	var members []string
	for member := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if member = strings.TrimSpace(member); member != "" {
			members = append(members, member)
		}
	}
	return members
}

// forwardedElements reads the header Forwarded (RFC 7239, section 4). Its parameters are written
// like those of a media type.
func forwardedElements(values []string) ([]map[string]string, error) {
	var elements []map[string]string
	for _, text := range listed(values) {
		_, parameters, err := mime.ParseMediaType("forwarded; " + text)
		if err != nil {
			return nil, fmt.Errorf("read Forwarded: %w", err)
		}
		elements = append(elements, parameters)
	}
	return elements, nil
}

// parseNode reads an address, with or without a port, in brackets or not (RFC 7239, section 6).
func parseNode(node string) (netip.Addr, error) {
	host := node
	if h, _, err := net.SplitHostPort(node); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, errors.New("not an address")
	}
	return address.Unmap().WithZone(""), nil
}

// outside returns scheme and host that the nearest proxy says it was asked by; empty
// where it does not say.
func outside(h http.Header) (proto, host string) {
	last := func(values []string) string {
		if members := listed(values); len(members) > 0 {
			return members[len(members)-1]
		}
		return ""
	}
	proto, host = last(h.Values("X-Forwarded-Proto")), last(h.Values("X-Forwarded-Host"))
	if elements, err := forwardedElements(h.Values("Forwarded")); err == nil && len(elements) > 0 {
		nearest := elements[len(elements)-1]
		if proto == "" {
			proto = nearest["proto"]
		}
		if host == "" {
			host = nearest["host"]
		}
	}
	return proto, host
}
