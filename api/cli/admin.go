package cli

import (
	"errors"
	"net"
	"net/netip"
	"strings"
)

// minAdminToken is the fewest bytes of ADMIN_TOKEN.
const minAdminToken = 16

// checkAdmin refuses an address for operators that others reach without a token.
func (c *serveCommand) checkAdmin(address string) error {
	switch {
	case c.AdminToken != "" && len(c.AdminToken) < minAdminToken:
		return errors.New("ADMIN_TOKEN must have 16 bytes or more, like those of: openssl rand -hex 16")
	case c.AdminToken == "" && address != "" && !isLoopback(address):
		return errors.New("ADMIN_ADDR is no loopback address: set ADMIN_TOKEN, which /admin and pprof then ask for " +
			"(/metrics and health do not), or give ADMIN_ADDR a loopback address")
	}
	return nil
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
