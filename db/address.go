package db

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
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

// configs returns the driver's description of each host. Nothing in it comes from this
// process's environment.
func (a *address) configs() []pq.Config {
	seconds, _ := strconv.Atoi(a.words["connect_timeout"]) //nolint:errcheck // checked before
	configs := make([]pq.Config, 0, len(a.hosts))
	for _, p := range a.hosts {
		c := pq.Config{
			Host: p.host, Hostaddr: p.addr, Port: p.port,
			Database: a.words["dbname"], User: a.words["user"], Password: a.words["password"], Passfile: a.words["passfile"],
			Options: a.words["options"], ApplicationName: a.words["application_name"],
			SSLMode: pq.SSLMode(a.words["sslmode"]), SSLNegotiation: pq.SSLNegotiation(a.words["sslnegotiation"]),
			SSLCert: a.words["sslcert"], SSLKey: a.words["sslkey"], SSLRootCert: a.words["sslrootcert"],
			SSLSNI: a.words["sslsni"] != "0", SSLInline: a.words["sslinline"] != "",
			SSLMinProtocolVersion: pq.SSLProtocolVersion(a.words["ssl_min_protocol_version"]),
			SSLMaxProtocolVersion: pq.SSLProtocolVersion(a.words["ssl_max_protocol_version"]),
			KrbSrvname:            a.words["krbsrvname"],
			ConnectTimeout:        time.Duration(seconds) * time.Second,
			BinaryParameters:      a.pooled(),
			ClientEncoding:        "UTF8", Datestyle: "ISO, MDY",
			TargetSessionAttrs: pq.TargetSessionAttrs(a.words["target_session_attrs"]),
			MinProtocolVersion: pq.ProtocolVersion(cmp.Or(a.words["min_protocol_version"], "3.0")),
			MaxProtocolVersion: pq.ProtocolVersion(cmp.Or(a.words["max_protocol_version"], "3.0")),
			Runtime:            map[string]string{"timezone": "UTC"},
		}
		if p.unix() {
			c.SSLMode = pq.SSLModeDisable
		}
		configs = append(configs, c)
	}
	return configs
}

// String returns the address in keywords and values, as psql and the driver read it.
// Nothing is left open in it.
func (a *address) String() string {
	words := maps.Clone(a.words)
	var hosts, addrs, ports []string
	for _, p := range a.hosts {
		hosts, ports = append(hosts, p.host), append(ports, strconv.Itoa(int(p.port)))
		if p.addr.IsValid() {
			addrs = append(addrs, p.addr.String())
		}
	}
	words["host"], words["port"] = strings.Join(hosts, ","), strings.Join(ports, ",")
	if len(addrs) == len(hosts) {
		words["hostaddr"] = strings.Join(addrs, ",")
	}
	maps.Copy(words, a.session)
	return keywords(words)
}

// dsn is String for those parts of the driver that take nothing else. extra is sent at
// the start of a session.
func (a *address) dsn(extra map[string]string) string {
	plain := *a
	plain.session = map[string]string{"timezone": "UTC"}
	maps.Copy(plain.session, extra)
	plain.words = maps.Clone(a.words)
	delete(plain.words, schemaWord)
	for _, open := range []string{"options", "service"} { // or the driver asks the environment
		if plain.words[open] == "" {
			plain.words[open] = ""
		}
	}
	return plain.String()
}

// keywords writes words as `name='value' …`, in order.
func keywords(words map[string]string) string {
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(words)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name + "='" + escape.Replace(words[name]) + "'")
	}
	return b.String()
}

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

// redact returns where a connection string leads, without any secret, for messages and logs.
func redact(databaseURL string) string {
	a, err := parseAddress(databaseURL, nil)
	if err != nil {
		return "(unreadable)"
	}
	var hosts []string
	for _, p := range a.hosts {
		hosts = append(hosts, net.JoinHostPort(p.host, strconv.Itoa(int(p.port))))
	}
	return fmt.Sprintf("postgres://%s@%s/%s", a.words["user"], strings.Join(hosts, ","), a.words["dbname"])
}

// Local reports whether every host of a connection string is this machine.
func Local(databaseURL string) bool {
	a, err := parseAddress(databaseURL, nil)
	return err == nil && !slices.ContainsFunc(a.hosts, func(p endpoint) bool { return !p.local() })
}

// readService returns what a connection service file says of a service (PostgreSQL manual, "The
// Connection Service File"): the user's own, or the system's.
func readService(name, file string, environ []string) (map[string]string, error) {
	if name == "" {
		return nil, nil
	}
	lookup := lookupIn(environ)
	files := []string{cmp.Or(file, lookup("PGSERVICEFILE"))}
	if files[0] == "" {
		if home, err := os.UserHomeDir(); err == nil {
			files[0] = filepath.Join(home, ".pg_service.conf")
		}
		if dir := lookup("PGSYSCONFDIR"); dir != "" {
			files = append(files, filepath.Join(dir, "pg_service.conf"))
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file) // #nosec G304 -- the operator names it
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the service file: %w", err)
		}
		if words, found := serviceIn(string(text), name); found {
			return words, nil
		}
	}
	return nil, fmt.Errorf("service %q is in none of the files %s: add it, or say host, database and user", name, strings.Join(files, ", "))
}

func serviceIn(text, name string) (words map[string]string, found bool) {
	words = map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			if found {
				break
			}
			found = line == "["+name+"]"
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && found && !strings.HasPrefix(line, "#") {
			words[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return words, found
}
