package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/hangarshare/hangarshare-realtime/api"
)

// entrance is what stands between strangers and the server: limits, trusted proxies and TLS.
type entrance struct {
	gate         *api.Gate
	proxies      api.Proxies
	secure       *tls.Config // nil: plain HTTP
	certificates api.Part    // keeps those of secure fresh
}

// entrance reads the settings of the entrance. Nothing is begun yet.
func (c *serveCommand) entrance(s *Settings, log *slog.Logger) (*entrance, error) {
	limits, err := c.limits()
	if err != nil {
		return nil, err
	}
	proxies, err := api.ParseProxies(s.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("TRUSTED_PROXIES: %w", err)
	}
	secure, certificates, err := s.certificates(log)
	if err != nil {
		return nil, err
	}
	return &entrance{api.NewGate(limits), proxies, secure, certificates}, nil
}

// guard puts the entrance before a server.
func (e *entrance) guard(server *api.Server) {
	server.TrustedProxies, server.Gate, server.Stream.Admission = e.proxies, e.gate, e.gate
	if e.secure != nil {
		server.TLS, server.Running = e.secure, append(server.Running, e.certificates)
	}
}

// certificates returns the configuration of TLS, nil for none, and what keeps its certificates fresh.
func (s *Settings) certificates(log *slog.Logger) (*tls.Config, api.Part, error) {
	switch {
	case s.TLSCertFile != "":
		files, err := api.NewCertificateFiles(s.TLSCertFile, s.TLSKeyFile, log)
		if err != nil {
			return nil, nil, err
		}
		return files.Config(), files, nil
	case len(s.ACMEHosts) > 0:
		authority, err := api.NewACME(api.ACMEOptions{
			Hosts: s.ACMEHosts, Email: s.ACMEEmail, Directory: s.ACMEDirectoryURL, Dir: filepath.Join(s.DataDir, "acme"), Log: log,
		})
		if err != nil {
			return nil, nil, err
		}
		return authority.Config(), authority, nil
	}
	return nil, nil, nil
}
