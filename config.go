package main

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
)

// minSecret is the fewest bytes of a secret: those of an HMAC SHA-256 key (RFC 7518, section 3.2).
const minSecret = 32

// commandLine is every command, flag and environment variable, declared once: help, flags and environment come from it.
type commandLine struct {
	Settings

	Serve    serveCommand    `cmd:"" help:"Run the server. Without DATABASE_URL it starts a private PostgreSQL with demo data."`
	Migrate  migrateCommand  `cmd:"" help:"Install what is ours into the database at DATABASE_URL, or remove it with --down."`
	Token    tokenCommand    `cmd:"" help:"Print an access token for a user, signed with the server's key. For development."`
	Loadtest loadtestCommand `cmd:"" help:"Open many connections to a running server and measure what arrives."`
	Version  versionCommand  `cmd:"" help:"Print version, commit and Go version."`
}

// Settings are what every command may need; each is a flag and an environment variable.
type Settings struct {
	Addr              string        `env:"ADDR" default:"127.0.0.1:8080" help:"Where the server listens." group:"Settings"`
	AdminAddr         string        `env:"ADMIN_ADDR" default:"127.0.0.1:9090" help:"Where Prometheus /metrics, pprof and health are; empty for nowhere." group:"Settings"`
	DatabaseURL       string        `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"The portal's PostgreSQL. Without it a private one is started in DATA_DIR." group:"Settings"`
	ListenDatabaseURL string        `name:"listen-database-url" env:"LISTEN_DATABASE_URL" placeholder:"URL" help:"A direct connection for LISTEN, numbering and migrations, when DATABASE_URL goes through a transaction pooler." group:"Settings"`
	DatabaseWait      time.Duration `env:"DATABASE_WAIT" default:"15s" help:"How long a start waits for a database that is away; 0s fails at once." group:"Settings"`
	DataDir           string        `env:"DATA_DIR" default:".data" help:"Where the private PostgreSQL and the development secret are kept." group:"Settings"`
	JWTSecret         string        `name:"jwt-secret" env:"JWT_SECRET" placeholder:"TEXT" help:"Key of HS256 tokens, 32 bytes or more. Required with DATABASE_URL, unless JWKS_URL is set." group:"Settings"`
	JWKSURL           string        `name:"jwks-url" env:"JWKS_URL" placeholder:"URL" help:"JWK Set of a foreign issuer, whose RS256, ES256 and EdDSA tokens count too." group:"Settings"`
	RedisURL          string        `name:"redis-url" env:"REDIS_URL" placeholder:"URL" help:"Redis between several servers." group:"Settings"`
	AllowedOrigins    []string      `env:"ALLOWED_ORIGINS" placeholder:"ORIGIN,…" help:"Pages besides our own that may connect, like https://portal.example." group:"Settings"`
	Timezone          string        `env:"TIMEZONE" default:"America/Sao_Paulo" help:"Where days begin and end." group:"Settings"`
	HeartbeatInterval time.Duration `env:"HEARTBEAT_INTERVAL" default:"20s" help:"How often a connection hears that all is well." group:"Settings"`
	EventRetention    time.Duration `env:"EVENT_RETENTION" default:"24h" help:"How long events are kept for those who return." group:"Settings"`
	TLSCertFile       string        `name:"tls-cert-file" env:"TLS_CERT_FILE" placeholder:"FILE" help:"Certificate chain for HTTPS." group:"Settings"`
	TLSKeyFile        string        `name:"tls-key-file" env:"TLS_KEY_FILE" placeholder:"FILE" help:"Private key for HTTPS." group:"Settings"`
	ACMEHosts         []string      `name:"acme-hosts" env:"ACME_HOSTS" placeholder:"HOST,…" help:"Hosts to get certificates for by ACME, kept in DATA_DIR/acme. They must lead to ADDR at port 443." group:"Settings"`
	ACMEEmail         string        `name:"acme-email" env:"ACME_EMAIL" placeholder:"ADDRESS" help:"Where the ACME authority may write to." group:"Settings"`
	ACMEDirectoryURL  string        `name:"acme-directory-url" env:"ACME_DIRECTORY_URL" placeholder:"URL" help:"Another ACME authority than Let's Encrypt." group:"Settings"`
	TrustedProxies    []string      `env:"TRUSTED_PROXIES" placeholder:"ADDRESS,…" help:"Addresses and CIDR prefixes of proxies before us, whose X-Forwarded-For, Forwarded or X-Real-IP is believed." group:"Settings"`
	SentryDSN         string        `name:"sentry-dsn" env:"SENTRY_DSN" placeholder:"URL" help:"Where errors are reported." group:"Settings"`
	LogLevel          slog.Level    `env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error." group:"Settings"`
	LogFormat         string        `env:"LOG_FORMAT" default:"text" enum:"text,json" help:"text or json." group:"Settings"`
}

// limitSettings bound what clients may ask for. 0 is no limit.
type limitSettings struct {
	MaxConnections               int `env:"MAX_CONNECTIONS" default:"20000" help:"Streams open at once. 0: no limit, here and below." group:"Limits"`
	MaxConnectionsPerUser        int `env:"MAX_CONNECTIONS_PER_USER" default:"100" help:"Streams that a user may have open." group:"Limits"`
	MaxConnectionsPerAddress     int `env:"MAX_CONNECTIONS_PER_ADDRESS" default:"1000" help:"Streams that an address (IPv6: a /64) may have open." group:"Limits"`
	MaxUnauthenticatedPerAddress int `env:"MAX_UNAUTHENTICATED_PER_ADDRESS" default:"32" help:"WebSockets of an address that have not sent a token yet." group:"Limits"`
	RequestsPerMinutePerUser     int `env:"REQUESTS_PER_MINUTE_PER_USER" default:"600" help:"Requests of a user, at once or spread over a minute." group:"Limits"`
	RequestsPerMinutePerAddress  int `env:"REQUESTS_PER_MINUTE_PER_ADDRESS" default:"3000" help:"Requests of an address, at once or spread over a minute." group:"Limits"`
}

// limits returns the settings as the server takes them.
func (l *limitSettings) limits() (api.Limits, error) {
	for name, value := range map[string]int{
		"MAX_CONNECTIONS": l.MaxConnections, "MAX_CONNECTIONS_PER_USER": l.MaxConnectionsPerUser,
		"MAX_CONNECTIONS_PER_ADDRESS": l.MaxConnectionsPerAddress, "MAX_UNAUTHENTICATED_PER_ADDRESS": l.MaxUnauthenticatedPerAddress,
		"REQUESTS_PER_MINUTE_PER_USER": l.RequestsPerMinutePerUser, "REQUESTS_PER_MINUTE_PER_ADDRESS": l.RequestsPerMinutePerAddress,
	} {
		if value < 0 {
			return api.Limits{}, fmt.Errorf("%s must be at least 1, or 0 for no limit", name)
		}
	}
	return api.Limits{
		Connections: l.MaxConnections, ConnectionsPerUser: l.MaxConnectionsPerUser, ConnectionsPerAddress: l.MaxConnectionsPerAddress,
		UnauthenticatedPerAddress: l.MaxUnauthenticatedPerAddress,
		RequestsPerMinutePerUser:  l.RequestsPerMinutePerUser, RequestsPerMinutePerAddress: l.RequestsPerMinutePerAddress,
	}, nil
}

type serveCommand struct {
	limitSettings

	Demo         *bool         `env:"DEMO" negatable:"" help:"Add demo data and a simulator that books and pays. The default with a private PostgreSQL."`
	DemoInterval time.Duration `env:"DEMO_INTERVAL" default:"2s" help:"Mean pause between two actions of the simulator."`
	Dev          string        `env:"DEV" placeholder:"DIR" help:"Serve the page's files from this folder (web/static) and reload the page when they change."`
}

type migrateCommand struct {
	Down bool `help:"Remove everything of ours, and nothing else."`
}

type tokenCommand struct {
	User     string        `required:"" placeholder:"ID" help:"The user's id."`
	Lifetime time.Duration `default:"24h" help:"How long the token lasts."`
}

type versionCommand struct{}

// direct returns the URL of a connection that is one session from beginning to end.
func (s *Settings) direct() string { return cmp.Or(s.ListenDatabaseURL, s.DatabaseURL) }

// logger returns the program's log.
func (s *Settings) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// location returns the zone in which days begin and end.
func (s *Settings) location() (*time.Location, error) {
	loc, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "" || s.Timezone == "Local" {
		return nil, fmt.Errorf("TIMEZONE %q is not a zone of the IANA database, like America/Sao_Paulo", s.Timezone)
	}
	return loc, nil
}

// check refuses settings that cannot work.
func (s *Settings) check() error {
	for name, set := range map[string]bool{
		"REDIS_URL": s.RedisURL != "", "SENTRY_DSN": s.SentryDSN != "",
	} {
		if set {
			return fmt.Errorf("%s is not supported by version %s: unset it", name, version)
		}
	}
	switch {
	case (s.TLSCertFile == "") != (s.TLSKeyFile == ""):
		return errors.New("TLS_CERT_FILE and TLS_KEY_FILE go together: set both or none")
	case len(s.ACMEHosts) > 0 && s.TLSCertFile != "":
		return errors.New("ACME_HOSTS and TLS_CERT_FILE exclude each other: certificates come from one of them")
	case len(s.ACMEHosts) == 0 && (s.ACMEEmail != "" || s.ACMEDirectoryURL != ""):
		return errors.New("ACME_EMAIL and ACME_DIRECTORY_URL need ACME_HOSTS: the hosts to get certificates for")
	case s.HeartbeatInterval < 100*time.Millisecond:
		return errors.New("HEARTBEAT_INTERVAL must be at least 100ms")
	case s.EventRetention < time.Second:
		return errors.New("EVENT_RETENTION must be at least 1s")
	}
	if u, err := url.Parse(s.JWKSURL); s.JWKSURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return errors.New("JWKS_URL is no address of a key set: write it like https://issuer.example/.well-known/jwks.json")
	}
	for _, origin := range s.AllowedOrigins {
		if !strings.HasPrefix(origin, "https://") && !strings.HasPrefix(origin, "http://") || strings.Count(origin, "/") != 2 || strings.Contains(origin, "*") {
			return fmt.Errorf("ALLOWED_ORIGINS: %q is no origin; write scheme and host, like https://portal.example", origin)
		}
	}
	return nil
}

// secret returns the key of HS256 tokens, nil for none, which JWKS_URL makes up for. A development server, one with a private
// PostgreSQL, makes one and keeps it in DATA_DIR.
func (s *Settings) secret() ([]byte, error) {
	switch {
	case s.JWTSecret != "" && len(s.JWTSecret) < minSecret:
		return nil, fmt.Errorf("JWT_SECRET has %d bytes: give it at least %d, for example from `openssl rand -hex 32`", len(s.JWTSecret), minSecret)
	case strings.HasPrefix(s.JWTSecret, "-----BEGIN"):
		return nil, errors.New("JWT_SECRET is a key in PEM, and no secret: give it random text, and the keys of a foreign issuer by JWKS_URL")
	case s.JWTSecret != "":
		return []byte(s.JWTSecret), nil
	case s.DatabaseURL != "" && s.JWKSURL != "":
		return nil, nil
	case s.DatabaseURL != "":
		return nil, fmt.Errorf("JWT_SECRET is missing: with DATABASE_URL set it must be given, at least %d bytes, the same that the portal signs with; or JWKS_URL", minSecret)
	}
	file := filepath.Join(s.DataDir, "jwt_secret")
	text, err := os.ReadFile(file)
	if err == nil && len(text) >= minSecret {
		return text, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the development secret: %w", err)
	}
	random := make([]byte, minSecret)
	rand.Read(random)
	text = []byte(hex.EncodeToString(random))
	if err := os.MkdirAll(s.DataDir, 0o755); err != nil {
		return nil, fmt.Errorf("make DATA_DIR: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("keep the development secret: %w", err)
	}
	return text, nil
}
