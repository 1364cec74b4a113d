package cli

import (
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
)

// TestWhatTheEntranceGuards: whom limits exempt, when hosts are checked and which are ours, by
// settings and by where a demo listens.
func TestWhatTheEntranceGuards(t *testing.T) {
	t.Parallel()
	here, everywhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv6unspecified}
	for name, test := range map[string]struct {
		command           serveCommand
		acme              []string
		address           net.Addr
		demo              bool
		checked, loopback bool
		exempt            int
		hosts             string
	}{
		"a portal on loopback":           {address: here},
		"a portal everywhere":            {address: everywhere},
		"a demo on loopback":             {address: here, demo: true, checked: true, loopback: true, exempt: 2},
		"a demo everywhere":              {address: everywhere, demo: true, checked: true},
		"a portal with names":            {command: serveCommand{AllowedHosts: []string{"live.example"}}, address: everywhere, checked: true, hosts: "live.example"},
		"a portal with only an address":  {command: serveCommand{PublicURL: "https://live.example/"}, address: everywhere, hosts: "live.example"},
		"a portal with certificates":     {acme: []string{"Live.Example", "two.example"}, address: everywhere, hosts: "live.example two.example"},
		"a demo with certificates":       {acme: []string{"live.example"}, address: everywhere, demo: true, checked: true, hosts: "live.example"},
		"all names at once":              {command: serveCommand{AllowedHosts: []string{"a.example"}, PublicURL: "https://b.example"}, acme: []string{"c.example"}, address: everywhere, checked: true, hosts: "a.example b.example c.example"},
		"a demo with networks of others": {command: serveCommand{LimitExempt: []string{"192.0.2.0/24"}}, address: here, demo: true, checked: true, exempt: 1},
	} {
		test.command.ACMEHosts = test.acme
		n, err := test.command.network(&Settings{DataDir: t.TempDir()}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		server := &api.Server{Stream: &stream.Server{}}
		n.protect(server, test.address, test.demo)
		loopback := len(server.LimitExempt) == len(api.Loopback) && server.LimitExempt[0] == api.Loopback[0]
		if server.CheckHost != test.checked || len(server.LimitExempt) != test.exempt || loopback != test.loopback {
			t.Errorf("%s: hosts checked %t, exempt %v", name, server.CheckHost, server.LimitExempt)
		}
		if hosts := strings.Join(slices.Sorted(maps.Keys(server.AllowedHosts)), " "); hosts != test.hosts {
			t.Errorf("%s: it answers for %q, want %q", name, hosts, test.hosts)
		}
	}
}
