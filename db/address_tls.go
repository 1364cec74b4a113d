package db

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// chooseTLS settles sslmode. A wish that was said is never weakened; where nothing was said at all,
// TLS goes to every machine but this one.
func (a *address) chooseTLS() error {
	unix := slices.ContainsFunc(a.hosts, endpoint.unix)
	if unix && !slices.ContainsFunc(a.hosts, func(p endpoint) bool { return !p.unix() }) {
		// there is no TLS on a socket of this machine, and nobody between
		a.words["sslmode"] = "disable"
		delete(a.words, "sslnegotiation")
		delete(a.words, "sslrootcert")
		return nil
	}
	mode, said := a.words["sslmode"]
	if unix && mode != "disable" {
		return errors.New("it names a socket of this machine beside other hosts: name one kind only, or say sslmode=disable")
	}
	bound := a.words["channel_binding"] == "require"
	wished := bound || slices.ContainsFunc([]string{"sslrootcert", "sslcert", "sslkey", "sslnegotiation"},
		func(name string) bool { return a.words[name] != "" })
	switch {
	case said:
	case a.words["sslrootcert"] == "system":
		mode = "verify-full"
	case wished || slices.ContainsFunc(a.hosts, func(p endpoint) bool { return !p.local() }):
		mode = "require"
	default:
		mode = "disable"
	}
	if bound {
		var err error
		if mode, err = a.proveServer(mode); err != nil {
			return err
		}
	}
	delete(a.words, "channel_binding")
	weak := mode == "disable" || mode == "allow" || mode == "prefer"
	if weak && a.words["sslnegotiation"] == "direct" {
		return fmt.Errorf("sslnegotiation=direct does not go with sslmode=%s: say sslmode=require", mode)
	}
	if root := a.words["sslrootcert"]; root == "system" && mode != "verify-full" {
		return fmt.Errorf("sslrootcert=system does not go with sslmode=%s, since anybody can get a certificate: say sslmode=verify-full", mode)
	} else if root != "" && root != "system" && a.words["sslinline"] == "" {
		if _, err := os.Stat(root); err != nil { // the driver would go on without
			return fmt.Errorf("the certificates of sslrootcert cannot be read: %w", err)
		}
	}
	a.words["sslmode"] = mode
	return nil
}

// proveServer stands in for channel binding, which the driver does not have: its purpose is that
// nobody between can pass for the server, and a verified certificate does the same.
func (a *address) proveServer(mode string) (string, error) {
	switch mode {
	case "verify-ca", "verify-full":
		return mode, nil
	case "require", "prefer", "allow":
		if a.words["sslrootcert"] == "" {
			a.words["sslrootcert"] = "system"
		}
		return "verify-full", nil
	}
	return "", errors.New("channel_binding=require needs TLS, and sslmode=disable forbids it: say sslmode=verify-full, or leave out channel_binding")
}
