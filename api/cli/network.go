package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/api"
)

// network is what stands between strangers and the server: limits, trusted proxies, its names and
// TLS.
type network struct {
	limiter      *api.Limiter
	policy       api.Policy
	hosts        api.Hosts
	checkHost    bool
	publicURL    string
	secure       *tls.Config // nil: plain HTTP
	certificates api.Service // keeps those of secure fresh: CertificateFiles, or ACME
}

// network reads the settings of all that. Nothing is begun yet.
func (c *serveCommand) network(s *Settings, log *slog.Logger) (*network, error) {
	limits, err := c.limits()
	if err != nil {
		return nil, err
	}
	policy, err := c.policy()
	if err != nil {
		return nil, err
	}
	hosts, err := c.hosts()
	if err != nil {
		return nil, err
	}
	secure, certificates, err := c.certificates(s.DataDir, log)
	if err != nil {
		return nil, err
	}
	return &network{
		limiter: api.NewLimiter(limits.Fit(log)), policy: policy, hosts: hosts, checkHost: len(c.AllowedHosts) > 0,
		publicURL: strings.TrimSuffix(c.PublicURL, "/"), secure: secure, certificates: certificates,
	}, nil
}

// policy reads who is let in and believed.
func (c *serveCommand) policy() (p api.Policy, err error) {
	p.AllowedOrigins = c.AllowedOrigins
	if p.TrustedProxies, err = api.ParseNetworks(c.TrustedProxies); err != nil {
		return p, fmt.Errorf("TRUSTED_PROXIES: %w", err)
	}
	if p.LimitExempt, err = api.ParseNetworks(c.LimitExempt); err != nil {
		return p, fmt.Errorf("LIMIT_EXEMPT: %w", err)
	}
	return p, nil
}

// hosts returns the names that the server answers for.
func (c *serveCommand) hosts() (api.Hosts, error) {
	hosts, err := api.ParseHosts(c.AllowedHosts)
	if err != nil {
		return nil, fmt.Errorf("ALLOWED_HOSTS: %w", err)
	}
	u, err := url.Parse(c.PublicURL)
	if c.PublicURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "") {
		return nil, errors.New("PUBLIC_URL must be this server's address without a path, like https://live.portal.example")
	}
	addresses := []string{c.PublicURL}
	for _, host := range c.ACMEHosts {
		addresses = append(addresses, "https://"+host)
	}
	for _, address := range addresses {
		if err := hosts.Add(address); err != nil {
			return nil, fmt.Errorf("%s has no host: %w", address, err)
		}
	}
	return hosts, nil
}

// protect gives all that to a server that listens at an address. Where a visitor signs in without a
// password, a page of another site must not become one by giving its own name to this address. On a
// loopback address only this machine's programs, or those who come through one of them, visit a
// demo.
//
// It returns what may be replaced while the server serves.
func (n *network) protect(server *api.Server, address net.Addr, demo bool) *live {
	tcp, ok := address.(*net.TCPAddr)
	atHome := ok && demo && tcp.IP.IsLoopback()
	exempt := func(set api.Networks) api.Networks {
		if atHome && len(set) == 0 {
			return api.Loopback
		}
		return set
	}
	server.Limiter, server.Stream.Limiter = n.limiter, n.limiter
	server.AllowedOrigins, server.TrustedProxies, server.LimitExempt = n.policy.AllowedOrigins, n.policy.TrustedProxies, exempt(n.policy.LimitExempt)
	server.AllowedHosts, server.CheckHost, server.PublicURL = n.hosts, n.checkHost || demo, n.publicURL
	files, _ := n.certificates.(*api.CertificateFiles)
	if n.secure != nil {
		server.TLS, server.Services = n.secure, append(server.Services, n.certificates)
	}
	return &live{server, n.limiter, files, exempt}
}

// certificates returns the configuration of TLS, nil for none, and what keeps its
// certificates fresh.
func (s *serverSettings) certificates(dataDir string, log *slog.Logger) (*tls.Config, api.Service, error) {
	switch {
	case s.TLSCertFile != "":
		files, err := api.NewCertificateFiles(s.TLSCertFile, s.TLSKeyFile, log)
		if err != nil {
			return nil, nil, err
		}
		return files.Config(), files, nil
	case len(s.ACMEHosts) > 0:
		authority, err := api.NewACME(api.ACMEOptions{
			Hosts: s.ACMEHosts, Email: s.ACMEEmail, Directory: s.ACMEDirectoryURL, Dir: filepath.Join(dataDir, "acme"), Log: log,
		})
		if err != nil {
			return nil, nil, err
		}
		return authority.Config(), authority, nil
	}
	return nil, nil, nil
}
