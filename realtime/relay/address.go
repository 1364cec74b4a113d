package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
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
var parameters = []string{"addr", "master_set", "sentinel_username", "sentinel_password", "skip_verify", "protocol", "db"}

// Address says how Redis is reached.
type Address struct {
	// DialTimeout is how long an attempt to connect may take. 0: 1.5 seconds.
	DialTimeout time.Duration

	hosts   []string // host:port, or a path of a unix socket
	network string
	tls     *tls.Config // nil without TLS
	base    rueidis.ClientOption
}

// ParseAddress reads REDIS_URL and REDIS_CA_FILE; the latter may be empty. The URL is redis://,
// rediss://, valkey://, valkeys:// or unix://, with ?addr=HOST:PORT for further nodes, and
// ?master_set=NAME where the hosts are sentinels. Errors say what to do and never show a password.
func ParseAddress(text, caFile string) (*Address, error) {
	u, err := url.Parse(text)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err // without the text, which may hold a password
		}
		return nil, fmt.Errorf("REDIS_URL is no URL (%w): write it like redis://user:password@host:6379", err)
	}
	for name := range maps.Keys(u.Query()) {
		if !slices.Contains(parameters, name) {
			return nil, fmt.Errorf("REDIS_URL: the parameter %q does not exist; there are %s", name, strings.Join(parameters, ", "))
		}
	}
	if u.Scheme == "unix" && u.Path == "" || u.Scheme != "unix" && u.Hostname() == "" {
		return nil, errors.New("REDIS_URL names no host: write it like redis://user:password@host:6379, rediss:// for TLS, or unix:///path/to/socket")
	}
	base, err := rueidis.ParseURL(text)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %s: write it like redis://user:password@host:6379, or with rediss, valkey, valkeys or unix",
			strings.TrimPrefix(err.Error(), "redis: "))
	}
	a := &Address{hosts: base.InitAddress, network: "tcp", tls: base.TLSConfig, base: base}
	if u.Scheme == "unix" {
		a.network = "unix"
	}
	if a.tls != nil {
		a.tls.ServerName = "" // each host is asked for its own certificate
	}
	a.base.Sentinel.Username, a.base.Sentinel.Password = u.Query().Get("sentinel_username"), u.Query().Get("sentinel_password")
	if caFile == "" {
		return a, nil
	}
	return a, a.trust(caFile)
}

// trust has only certificates count that were signed by one of a file.
func (a *Address) trust(caFile string) error {
	if a.tls == nil {
		return errors.New("REDIS_CA_FILE is for TLS: write REDIS_URL with rediss:// or valkeys://")
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("REDIS_CA_FILE: %w", err)
	}
	a.tls.RootCAs = x509.NewCertPool()
	if !a.tls.RootCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("REDIS_CA_FILE: %s holds no certificate in PEM", caFile)
	}
	return nil
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
	if a.tls == nil || a.network == "unix" {
		conn, err = dialer.DialContext(dialing, a.network, host)
	} else {
		secure := tls.Dialer{NetDialer: dialer, Config: a.tls}
		conn, err = secure.DialContext(dialing, a.network, host)
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
func (a *Address) explain(err error, channel string) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var network net.Error
	var refused *rueidis.RedisError
	text := ""
	if errors.As(err, &refused) {
		text = refused.Error()
	}
	switch {
	case strings.HasPrefix(text, "NOPERM"):
		return misconfigured{fmt.Errorf("the user in REDIS_URL may not do what is needed (%s): ACL SETUSER … resetchannels &%s %s", text, channel, commands)}
	case strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "ERR invalid password"),
		strings.Contains(text, "AUTH"): // with a password where none is set
		return misconfigured{fmt.Errorf("%w (%s): check REDIS_URL", ErrRefused, text)}
	case refused != nil && refused.IsNil(), strings.Contains(text, "No such master"):
		return misconfigured{fmt.Errorf("the sentinels do not know the master %q: correct master_set in REDIS_URL", a.base.Sentinel.MasterSet)}
	case errors.As(err, &authority), errors.As(err, &name), errors.As(err, &invalid):
		return misconfigured{fmt.Errorf("the certificate of Redis cannot be verified (%w): give the certificates of who signed it in REDIS_CA_FILE", err)}
	case errors.As(err, &network), errors.Is(err, rueidis.ErrNoAddr), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("Redis cannot be reached (%w): check that it runs at %v and REDIS_URL is right", err, a)
	}
	return err
}

// commands are what a user of Redis must be allowed, as ACL SETUSER has it.
const commands = "-@all +publish +subscribe +unsubscribe +ping +hello +auth +client|setname"
