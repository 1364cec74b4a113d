package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

const (
	// dialTimeout bounds one attempt to connect, and again what is said before the first command,
	// unless the address says otherwise.
	dialTimeout = 1500 * time.Millisecond
	// answerTimeout is after what time a connection counts as dead that does not answer or take
	// what is written.
	answerTimeout = 2 * time.Second
	// keepAlive is the interval of TCP's own probes.
	keepAlive = time.Second
	// bufferSize is how much each connection buffers in each direction.
	bufferSize = 64 << 10
	// masterRefresh is how often the sentinels are asked for the master: an announcement that was
	// missed would bind a server to a demoted one for ever.
	masterRefresh = 2 * time.Second
)

// parameters are the query parameters of a REDIS_URL.
var parameters = []string{"addr", "master_set", "sentinel_username", "sentinel_password", "protocol", "db"}

// Address says how Redis is reached.
type Address struct {
	// DialTimeout is how long an attempt to connect may take. 0: 1.5 seconds.
	DialTimeout time.Duration

	hosts   []string // host:port, or a path of a unix socket
	network string
	tls     bool
	files   Files
	base    rueidis.ClientOption
}

// ParseAddress reads REDIS_URL, and the files that belong to it. The URL is redis://, rediss://,
// valkey://, valkeys:// or unix://, with ?addr=HOST:PORT for further nodes, and
// ?master_set=NAME where the hosts are sentinels. Errors say what to do and repeat nothing of the
// URL but names of parameters: what stands at the wrong place may be a part of a password.
func ParseAddress(text string, files Files) (*Address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("REDIS_URL is no URL: write it like redis://user:password@host:6379, and what is special in a password as %40 for @")
	}
	query, err := parseQuery(u)
	if err != nil {
		return nil, err
	}
	a := &Address{network: "tcp", files: files}
	switch u.Scheme {
	case "redis", "valkey":
	case "rediss", "valkeys":
		a.tls = true
	case "unix":
		a.network = "unix"
	default:
		err = errors.New("REDIS_URL begins with no scheme that is known: write it like redis://user:password@host:6379, or with rediss, valkey, valkeys or unix")
	}
	if err == nil {
		a.hosts, err = hostsOf(u, query["addr"])
	}
	if err != nil {
		return nil, err
	}
	a.base.InitAddress = a.hosts
	a.base.Username = u.User.Username()
	a.base.Password, _ = u.User.Password()
	a.base.AlwaysRESP2 = query.Get("protocol") == "2"
	a.base.Sentinel.MasterSet = query.Get("master_set")
	a.base.Sentinel.Username, a.base.Sentinel.Password = query.Get("sentinel_username"), query.Get("sentinel_password")
	return a, files.check(a.tls)
}

// parseQuery returns the parameters of a REDIS_URL. A number of a database is read and not used:
// channels belong to none.
func parseQuery(u *url.URL) (url.Values, error) {
	if u.Fragment != "" {
		return nil, errors.New("REDIS_URL has a #, and what follows would not be read: in a password write %23")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("REDIS_URL: what follows the ? is no list of parameters: in a password write %3F for it")
	}
	if query.Has("skip_verify") {
		return nil, errors.New("REDIS_URL: skip_verify would take any certificate and tell the password to anybody on the way; name who signed it in REDIS_CA_FILE")
	}
	for name := range query {
		if !slices.Contains(parameters, name) {
			return nil, fmt.Errorf("REDIS_URL has a parameter that does not exist; there are %s, and a ? in a password is %%3F",
				strings.Join(parameters, ", "))
		}
	}
	if protocol := query.Get("protocol"); protocol != "" && protocol != "2" && protocol != "3" {
		return nil, errors.New("REDIS_URL: protocol is 2 or 3")
	}
	number := query.Get("db")
	if u.Scheme != "unix" {
		number = cmp.Or(strings.Trim(u.Path, "/"), number)
	}
	if _, err := strconv.ParseUint(cmp.Or(number, "0"), 10, 31); err != nil {
		return nil, errors.New("REDIS_URL: what follows the host is no number of a database: in a password write %2F for /")
	}
	return query, nil
}

// hostsOf returns the addresses that a REDIS_URL names, or the path of a socket.
func hostsOf(u *url.URL, further []string) ([]string, error) {
	if u.Scheme == "unix" {
		if u.Host != "" || u.Path == "" || u.Path == "/" || len(further) > 0 {
			return nil, errors.New("REDIS_URL names no socket: write it like unix:///path/to/socket")
		}
		return []string{u.Path}, nil
	}
	if u.Hostname() == "" {
		return nil, errors.New("REDIS_URL names no host: write it like redis://user:password@host:6379, rediss:// for TLS, or unix:///path/to/socket")
	}
	var hosts []string
	for _, text := range append([]string{u.Host}, further...) {
		one := url.URL{Host: text}
		host, port := one.Hostname(), cmp.Or(one.Port(), "6379")
		_, err := strconv.ParseUint(port, 10, 16)
		bracketed := strings.HasPrefix(text, "[")
		if host == "" || err != nil || !bracketed && strings.ContainsAny(host, ":,/[]@ ") || port == "0" {
			return nil, errors.New("REDIS_URL: hosts are written like host:6379, or [::1]:6379 for IPv6, and further ones like &addr=host:6379")
		}
		hosts = append(hosts, net.JoinHostPort(host, port))
	}
	return hosts, nil
}

// security names what connections begin with. A Redis that asks for a certificate, or does not take
// the one that it gets, may end a connection without a word that arrives.
func (a *Address) security() string {
	switch {
	case !a.tls:
		return "connections without TLS"
	case a.files.Cert == "":
		return "TLS from clients without a certificate (REDIS_CERT_FILE)"
	}
	return "TLS and the certificate in REDIS_CERT_FILE"
}

// String names the hosts, without user and password.
func (a *Address) String() string { return strings.Join(a.hosts, ", ") }

// dialTimeout returns how long an attempt to connect may take.
func (a *Address) dialTimeout() time.Duration { return cmp.Or(a.DialTimeout, dialTimeout) }

// option returns how to connect for the n-th time. Connections end with ctx. A plain PUBLISH
// reaches the subscribers of all nodes of a cluster, so one node is enough, another one at each
// attempt.
func (a *Address) option(ctx context.Context, n int) rueidis.ClientOption {
	o := a.base
	o.ClientName = "hangarshare"
	// unknown before Redis 7.2, also to its access lists
	o.ClientSetInfo = rueidis.DisableClientSetInfo
	o.SelectDB = 0 // channels belong to no database
	o.DisableRetry, o.DisableCache = true, true
	o.PipelineMultiplex = -1 // one connection: what is published stays in order
	o.Dialer = net.Dialer{Timeout: a.dialTimeout(), KeepAlive: keepAlive}
	o.ConnWriteTimeout = answerTimeout
	o.ReadBufferEachConn, o.WriteBufferEachConn = bufferSize, bufferSize
	o.RingScaleEachConn = 8
	o.DialCtxFn = func(dialing context.Context, host string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
		return a.dial(ctx, dialing, host, dialer)
	}
	if o.Sentinel.MasterSet != "" {
		o.Sentinel.Dialer, o.Sentinel.ClientName = o.Dialer, o.ClientName
		o.Sentinel.TopologyRefreshInterval = masterRefresh
		o.InitAddress = slices.Concat(a.hosts[n%len(a.hosts):], a.hosts[:n%len(a.hosts)])
		return o
	}
	o.ForceSingleClient = true
	o.InitAddress = a.hosts[n%len(a.hosts):][:1]
	return o
}

// dial connects to a host; the connection ends with ctx.
func (a *Address) dial(ctx, dialing context.Context, host string, dialer *net.Dialer) (net.Conn, error) {
	dialing, cancel := context.WithTimeout(dialing, a.dialTimeout())
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	var conn net.Conn
	var err error
	if !a.tls {
		conn, err = dialer.DialContext(dialing, a.network, host)
	} else {
		conn, err = a.files.dial(dialing, a.network, host, dialer)
	}
	if err != nil {
		return nil, err
	}
	return newGuard(ctx, conn), nil
}

// ErrRefused says that Redis refused user or password: waiting does not cure it.
var ErrRefused = errors.New("Redis refused the user or password")

// misconfigured is an error that does not pass by waiting: somebody has something to change.
type misconfigured struct{ error }

// Unwrap returns the error.
func (m misconfigured) Unwrap() error { return m.error }

// explain says what to do about an error of Redis or of the way to it.
func (a *Address) explain(err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var plain tls.RecordHeaderError
	var operation *net.OpError
	var network net.Error
	var refused *rueidis.RedisError
	text := ""
	if errors.As(err, &refused) {
		text = refused.Error()
	}
	switch {
	case strings.HasPrefix(text, "NOPERM") && strings.Contains(text, "'sentinel"):
		return misconfigured{fmt.Errorf("the sentinels' user may not do what is needed (%s): ACL SETUSER … %s", text, sentinelRights)}
	case strings.HasPrefix(text, "NOPERM"):
		return misconfigured{fmt.Errorf("the user in REDIS_URL may not do what is needed (%s): ACL SETUSER … %s", text, a.rights())}
	case strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "ERR invalid password"),
		strings.Contains(text, "AUTH"): // with a password where none is set
		return misconfigured{fmt.Errorf("%w (%s): check REDIS_URL%s", ErrRefused, text, a.alsoSentinels())}
	case refused != nil && refused.IsNil(), strings.Contains(text, "No such master"):
		return misconfigured{fmt.Errorf("the sentinels do not know the master %q: correct master_set in REDIS_URL", a.base.Sentinel.MasterSet)}
	case strings.HasPrefix(text, "unknown command 'SENTINEL'"), strings.HasPrefix(text, "unknown command `SENTINEL`"):
		return misconfigured{fmt.Errorf("REDIS_URL has master_set, and %v is no sentinel: name the sentinels, or leave it out", a)}
	case strings.Contains(text, "by Sentinel"): // which takes subscriptions, and nothing to publish
		return misconfigured{fmt.Errorf("REDIS_URL leads to a sentinel (%s): add ?master_set=NAME", text)}
	case strings.HasPrefix(text, "unknown command"), strings.HasPrefix(text, "ERR unknown command"):
		return misconfigured{fmt.Errorf("%v does not know a command that is needed (%s): name a Redis that takes PUBLISH and SUBSCRIBE, which many a proxy does not", a, text)}
	case errors.Is(err, errReplica):
		return misconfigured{fmt.Errorf("REDIS_URL leads to a replica at %v, and what is published there reaches no other server: name the master, both with &addr=, or the sentinels with ?master_set=NAME", a)}
	case errors.As(err, &plain):
		return misconfigured{fmt.Errorf("%v does not speak TLS (%w): write REDIS_URL with redis://, or name the port that does", a, err)}
	case errors.As(err, &name):
		return misconfigured{fmt.Errorf("the certificate of Redis is for other names (%w): have REDIS_URL call it as the certificate does, and sentinels tell that name, by resolve-hostnames and announce-hostnames", err)}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return misconfigured{fmt.Errorf("the certificate of Redis is not valid now (%w): renew it, or correct this machine's clock", err)}
	case strings.Contains(text, "max number of clients"):
		return misconfigured{fmt.Errorf("%v takes no more connections (%s): raise maxclients there", a, text)}
	case errors.As(err, &authority), errors.As(err, &invalid):
		return misconfigured{fmt.Errorf("the certificate of Redis cannot be verified (%w): give the certificates of who signed it in REDIS_CA_FILE", err)}
	case errors.As(err, &operation) && operation.Op == "remote error" && strings.Contains(operation.Err.Error(), "certificate"):
		// an alert of TLS
		return misconfigured{fmt.Errorf("Redis does not take this server's certificate (%w): give one that its tls-ca-cert-file vouches for in REDIS_CERT_FILE and REDIS_KEY_FILE", err)}
	case errors.As(err, &network), errors.Is(err, rueidis.ErrNoAddr), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("Redis cannot be reached (%w): check that it runs at %v, and takes %s as REDIS_URL has it", err, a, a.security())
	}
	return err
}

// rights are what a user of Redis must be allowed, as ACL SETUSER has it, and sentinelRights what
// one of the sentinels must be.
const (
	rights         = "resetchannels &hangarshare:* -@all +publish +subscribe +unsubscribe +ping +hello +auth +client|setname"
	sentinelRights = "resetchannels &* -@all +sentinel|sentinels +sentinel|get-master-addr-by-name +subscribe +unsubscribe +ping +hello +auth +client|setname"
)

// rights returns what the user of this address must be allowed: with sentinels, a master is asked
// for its role.
func (a *Address) rights() string {
	if a.base.Sentinel.MasterSet != "" {
		return rights + " +role"
	}
	return rights
}

// alsoSentinels names where else a password may be wrong.
func (a *Address) alsoSentinels() string {
	if a.base.Sentinel.MasterSet != "" {
		return ", also sentinel_username and sentinel_password, or what the sentinels ask for"
	}
	return ""
}
