package db

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// address is what a connection string says, completed and checked: where a database is
// and how it is reached. Its keywords are libpq's (PostgreSQL manual, "Connection
// Strings" and "Parameter Key Words").
type address struct {
	hosts []endpoint // in the order in which they are tried
	words map[string]string
	// session holds settings that are made once a connection stands. A pooler refuses
	// many at its start.
	session map[string]string
	// left names what was left out because it is meant for another program, in order.
	left []string
}

// endpoint is one server that a connection string names.
type endpoint struct {
	host string
	addr netip.Addr // instead of looking host up
	port uint16
}

// unix reports whether the endpoint is a socket of this machine.
func (p endpoint) unix() bool { return filepath.IsAbs(p.host) || strings.HasPrefix(p.host, "@") }

// local reports whether the way to the endpoint leaves this machine.
func (p endpoint) local() bool {
	if p.addr.IsValid() {
		return p.addr.IsLoopback()
	}
	ip := net.ParseIP(p.host)
	return p.unix() || p.host == "localhost" || ip != nil && ip.IsLoopback()
}

// Complete returns a connection string in which nothing is left open that libpq's variables
// (PGHOST, PGSSLMODE …) in environ or a service file say. What the string itself says goes first,
// then the service, then the environment, as in psql. Errors say what to change.
func Complete(databaseURL string, environ []string) (string, error) {
	a, err := parseAddress(databaseURL, environ)
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

// LeftOut names the parameters of a connection string that mean nothing to this server,
// like a pool's size, in order.
func LeftOut(databaseURL string) []string {
	a, err := parseAddress(databaseURL, nil)
	if err != nil {
		return nil
	}
	return a.left
}

func parseAddress(databaseURL string, environ []string) (*address, error) {
	words, err := splitConnectionString(databaseURL)
	if err != nil {
		return nil, misconfigured{text: err.Error()}
	}
	if len(words) == 0 {
		return nil, misconfigured{text: errNoAddress.Error()}
	}
	a := &address{words: map[string]string{}, session: map[string]string{}}
	if err := a.complete(words, environ); err != nil {
		return nil, misconfigured{text: "DATABASE_URL: " + strings.TrimPrefix(err.Error(), "DATABASE_URL ")}
	}
	return a, nil
}

// complete adds to what a string says what a service and the environment say, and then what every
// connection of ours wants.
func (a *address) complete(words map[string]string, environ []string) error {
	foreign, err := a.understand(words)
	if err != nil {
		return err
	}
	variables, names := variablesOf(environ)
	service, err := readService(cmp.Or(words["service"], variables["service"]), words["servicefile"], environ)
	if err != nil {
		return err
	}
	addUnsaid(words, service)
	said := maps.Clone(words)
	addUnsaid(words, variables)
	maps.DeleteFunc(names, func(name, _ string) bool { return said[name] != "" })
	if err := refuseUnmet(words, names); err != nil {
		return err
	}
	if err := a.sort(words, foreign); err != nil {
		return err
	}
	if err := a.readHosts(); err != nil {
		return err
	}
	if err := a.chooseTLS(); err != nil {
		return err
	}
	return a.addDefaults()
}

// addUnsaid adds to words what they do not say. An address does not go with the name of
// another host.
func addUnsaid(words, more map[string]string) {
	addressed := words["host"] != ""
	for name, value := range more {
		if words[name] == "" && !(name == "hostaddr" && addressed) {
			words[name] = value
		}
	}
}

// sort tells parameters of the connection from settings of the session.
func (a *address) sort(words map[string]string, foreign []string) error {
	a.left = foreign
	for name, value := range words {
		switch {
		case ours[name]: // every connection has the same, or it says nothing to us
		case connectionWords[name]:
			a.words[name] = value
		default:
			a.session[name] = value
		}
	}
	if tsa := a.words["target_session_attrs"]; tsa == "read-only" || tsa == "standby" || tsa == "prefer-standby" {
		return fmt.Errorf("target_session_attrs=%s asks for a standby, and the log is written on the primary: say primary", tsa)
	}
	return oneOf(a.words)
}

// readHosts makes places of the lists in host, hostaddr and port.
func (a *address) readHosts() error {
	hosts, addrs, ports := list(a.words, "host"), list(a.words, "hostaddr"), list(a.words, "port")
	n := max(len(hosts), len(addrs), 1)
	if len(hosts) > 1 && len(hosts) != n || len(addrs) > 0 && len(addrs) != n {
		return fmt.Errorf("it names %d hosts and %d addresses: give each host one", len(hosts), len(addrs))
	}
	if len(ports) > 1 && len(ports) != n {
		return fmt.Errorf("it names %d hosts and %d ports: give one port for all or one for each", n, len(ports))
	}
	for i := range n {
		p := endpoint{host: "localhost", port: 5432}
		if i < len(hosts) && hosts[i] != "" {
			p.host = hosts[i]
		}
		if i < len(addrs) && addrs[i] != "" {
			addr, err := netip.ParseAddr(addrs[i])
			if err != nil {
				return fmt.Errorf("hostaddr %q is no IP address", addrs[i])
			}
			p.addr = addr
		}
		if len(ports) > 0 && ports[min(i, len(ports)-1)] != "" {
			port, err := strconv.ParseUint(ports[min(i, len(ports)-1)], 10, 16)
			if err != nil || port == 0 {
				return fmt.Errorf("%w; its port is no number from 1 to 65535: %s", errNoAddress, percentHelp)
			}
			p.port = uint16(port)
		}
		if strings.ContainsAny(p.host, " \t\"'<>@[]") && !p.unix() {
			return errors.New("the host is no name of a server (" + percentHelp + ")")
		}
		a.hosts = append(a.hosts, p)
	}
	if n > 1 && a.words["target_session_attrs"] == "" {
		a.words["target_session_attrs"] = "primary" // of several servers only one may be written to
	}
	return nil
}

func list(words map[string]string, name string) []string {
	if words[name] == "" {
		return nil
	}
	return strings.Split(words[name], ",")
}

func (a *address) addDefaults() error {
	defaults := map[string]string{
		"connect_timeout":  fmt.Sprint(int(connectTimeout.Seconds())),
		"application_name": "hangarshare-realtime",
	}
	if fallback := a.words["fallback_application_name"]; fallback != "" {
		defaults["application_name"] = fallback
	}
	delete(a.words, "fallback_application_name")
	if a.words["user"] == "" {
		u, err := user.Current()
		if err != nil {
			return errors.New("it names no user: say postgres://user:password@host/database")
		}
		defaults["user"] = u.Username
	}
	if seconds, err := strconv.Atoi(cmp.Or(a.words["connect_timeout"], "1")); err != nil {
		return fmt.Errorf("connect_timeout=%s is no number of seconds", a.words["connect_timeout"])
	} else if seconds <= 0 { // for ever, in libpq
		delete(a.words, "connect_timeout")
	}
	for name, value := range defaults {
		if a.words[name] == "" {
			a.words[name] = value
		}
	}
	return nil
}

// pooled reports whether a transaction pooler is on the way: the next message may reach
// another session.
func (a *address) pooled() bool { return a.words[oneMessage] == "yes" }

// Pooled returns a connection string for connections that go through a transaction pooler such as
// PgBouncer: each query is sent in one message, because the next may reach another session, and no
// setting of a session is made.
func Pooled(databaseURL string) (string, error) {
	a, err := parseAddress(databaseURL, nil)
	if err != nil {
		return "", err
	}
	a.words[oneMessage] = "yes"
	return a.String(), nil
}

// oneMessage is lib/pq's keyword that has a query go in one message; here it also says
// that a pooler is on the way.
const oneMessage = "binary_parameters"

// Local reports whether every host of a connection string is this machine.
func Local(databaseURL string) bool {
	a, err := parseAddress(databaseURL, nil)
	return err == nil && !slices.ContainsFunc(a.hosts, func(p endpoint) bool { return !p.local() })
}
