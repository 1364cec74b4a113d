package db

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

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
