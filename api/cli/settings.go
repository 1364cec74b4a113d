package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
)

// commandLine is every command, flag and environment variable, declared once: help, flags and
// environment come from it.
type commandLine struct {
	Settings

	Serve    serveCommand    `cmd:"" help:"Run the server. Without DATABASE_URL it starts a private PostgreSQL with demo data."`
	Migrate  migrateCommand  `cmd:"" help:"Install what is ours into the database at DATABASE_URL, or remove it with --down."`
	Token    tokenCommand    `cmd:"" help:"Print an access token for a user, signed with the server's key. For development."`
	Check    checkCommand    `cmd:"" help:"Say what stands between the settings and a working server, as a list to act on. Changes nothing."`
	Loadtest loadtestCommand `cmd:"" help:"Open many connections to a running server and measure what arrives."`
	Tail     tailCommand     `cmd:"" help:"Show the live stream of an owner account, for people or as JSON lines. It comes back by itself."`
	Privacy  privacyCommand  `cmd:"" help:"What our tables hold of a person: export or erase it."`
	Epoch    epochCommand    `cmd:"" help:"Begin a new history after a restore: with --renew every browser loads its numbers again."`
	VAPID    vapidCommand    `cmd:"" name:"vapid" help:"Print a new key pair for web push."`
	Version  versionCommand  `cmd:"" help:"Print version, commit and Go version."`
}

// Settings are what several commands need: the database, whose tokens count, where files are, the
// log. What one command alone needs is a flag of that command.
type Settings struct {
	tokenSettings

	DatabaseURL       string     `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"The portal's PostgreSQL. Without it a private one is started in DATA_DIR." group:"Settings"`
	ListenDatabaseURL string     `name:"listen-database-url" env:"LISTEN_DATABASE_URL" placeholder:"URL" help:"A direct connection for LISTEN, numbering and migrations, when DATABASE_URL goes through a transaction pooler." group:"Settings"`
	Schema            string     `env:"SCHEMA" default:"realtime" help:"Where everything of ours is in the database; also the name of our notification channels and the beginning of our triggers' names. Installations with different ones share a database." group:"Settings"`
	DataDir           string     `env:"DATA_DIR" default:".data" help:"Where the private PostgreSQL and the development secret are kept." group:"Settings"`
	Timezone          string     `env:"TIMEZONE" default:"America/Sao_Paulo" help:"Where days begin and end." group:"Settings"`
	LogLevel          slog.Level `env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error." group:"Settings"`
	LogFormat         string     `env:"LOG_FORMAT" default:"text" enum:"text,json" help:"text or json." group:"Settings"`

	EnvFile string `env:"ENV_FILE" type:"path" placeholder:"FILE" help:"Lines NAME=value with settings that neither flags nor the environment have." group:"Settings"`

	told       []string // settings that differ from their defaults, as far as they may be told
	fromFile   *environment
	parseAgain func() (*commandLine, error) // the same command line, with ENV_FILE as it is now
	level      slog.LevelVar
	variables  []string // libpq's, as the program found them
	openAPI    []byte   // the description of the interface
}

// tokenSettings say whose tokens count, and what is asked of them.
type tokenSettings struct {
	JWTSecret         string   `name:"jwt-secret" env:"JWT_SECRET" placeholder:"TEXT" help:"Key of HS256 tokens, 32 bytes or more. Required with DATABASE_URL, unless JWKS_URL, JWKS_FILE or AUTH_HOOK_URL is set." group:"Tokens"`
	JWTSecretIsBase64 bool     `name:"jwt-secret-is-base64" env:"JWT_SECRET_IS_BASE64" help:"JWT_SECRET is the key in base64." group:"Tokens"`
	JWKSURL           string   `name:"jwks-url" env:"JWKS_URL" placeholder:"URL" help:"JWK Set of a foreign issuer, whose tokens count too: RS256, RS384, RS512, PS256, ES256, ES384, ES512, EdDSA or Ed25519." group:"Tokens"`
	JWKSFile          string   `name:"jwks-file" env:"JWKS_FILE" placeholder:"FILE" help:"The same from a file: a JWK Set, or public keys in PEM. It is read again when it changes." group:"Tokens"`
	JWTIssuer         []string `name:"jwt-issuer" env:"JWT_ISSUER" placeholder:"ISS,…" help:"What iss of tokens by JWKS_URL or JWKS_FILE must be: one of these." group:"Tokens"`
	JWTAudience       []string `name:"jwt-audience" env:"JWT_AUDIENCE" placeholder:"AUD,…" help:"What aud of tokens by JWKS_URL or JWKS_FILE must be or hold: one of these." group:"Tokens"`
	JWTUserClaim      []string `name:"jwt-user-claim" env:"JWT_USER_CLAIM" default:"sub,userId,id" help:"Claims of which the first that is present names the user: exact names, or JSON Pointers, which begin with a slash." group:"Tokens"`
	JWTUserColumn     string   `name:"jwt-user-column" env:"JWT_USER_COLUMN" default:"id" help:"Column of users that holds the value of that claim. With JWT_SECRET and JWKS_URL both set it counts for tokens of the latter." group:"Tokens"`
	JWTRequiredClaims []string `name:"jwt-required-claims" env:"JWT_REQUIRED_CLAIMS" placeholder:"NAME=VALUE,…" help:"Claims that every token must have; a list must contain the value." group:"Tokens"`
	JWTCookie         []string `name:"jwt-cookie" env:"JWT_COOKIE" default:"jwt" help:"Names of cookies that may carry a token, in the order in which they count." group:"Tokens"`
	AuthHookURL       string   `name:"auth-hook-url" env:"AUTH_HOOK_URL" placeholder:"URL" help:"Where the portal says who is asking, for sessions that are no JWT: given a request's Cookie and Authorization, it answers {userId, expiresAt}." group:"Tokens"`
}

// limitSettings bound what clients may ask for, field by field as api.Limits. 0 is no limit.
type limitSettings struct {
	MaxConnections               int `env:"MAX_CONNECTIONS" default:"20000" help:"Streams open at once. 0: no limit, here and below." group:"Limits"`
	MaxConnectionsPerUser        int `env:"MAX_CONNECTIONS_PER_USER" default:"100" help:"Streams that a user may have open." group:"Limits"`
	MaxConnectionsPerAddress     int `env:"MAX_CONNECTIONS_PER_ADDRESS" default:"1000" help:"Streams that an address (IPv6: a /64) may have open." group:"Limits"`
	MaxUnauthenticatedPerAddress int `env:"MAX_UNAUTHENTICATED_PER_ADDRESS" default:"32" help:"WebSockets of an address that have not sent a token yet." group:"Limits"`
	RequestsPerMinutePerUser     int `env:"REQUESTS_PER_MINUTE_PER_USER" default:"600" help:"Requests of a user, at once or spread over a minute." group:"Limits"`
	RequestsPerMinutePerAddress  int `env:"REQUESTS_PER_MINUTE_PER_ADDRESS" default:"3000" help:"Requests of an address, at once or spread over a minute." group:"Limits"`
	MaxConnectionsWithoutStream  int `env:"MAX_CONNECTIONS_WITHOUT_STREAM" default:"2000" help:"Connections that carry no stream; the longest silent ones give way to new ones." group:"Limits"`
}

// limits returns the settings as the server reads them.
func (l limitSettings) limits() (api.Limits, error) {
	fields := reflect.ValueOf(l)
	for i := range fields.NumField() {
		if fields.Field(i).Int() < 0 {
			return api.Limits{}, fmt.Errorf("%s must be at least 1, or 0 for no limit", fields.Type().Field(i).Tag.Get("env"))
		}
	}
	return api.Limits(l), nil
}

// limitNames are the names of limitSettings.
func limitNames() (names []string) {
	fields := reflect.TypeFor[limitSettings]()
	for i := range fields.NumField() {
		names = append(names, fields.Field(i).Tag.Get("env"))
	}
	return names
}

// serverSettings are what only a running server needs.
type serverSettings struct {
	Addr              string        `env:"ADDR" default:"127.0.0.1:8080" help:"Where the server listens." group:"Settings"`
	AdminAddr         string        `env:"ADMIN_ADDR" default:"127.0.0.1:9090" help:"Where Prometheus /metrics, pprof and health are; empty for nowhere." group:"Settings"`
	DatabaseWait      time.Duration `env:"DATABASE_WAIT" default:"15s" help:"How long a start waits for a database that is away; 0s fails at once." group:"Settings"`
	AllowedOrigins    []string      `env:"ALLOWED_ORIGINS" placeholder:"ORIGIN,…" help:"Pages besides our own that may connect, like https://portal.example." group:"Settings"`
	HeartbeatInterval time.Duration `env:"HEARTBEAT_INTERVAL" default:"20s" help:"How often a connection hears that all is well." group:"Settings"`
	EventRetention    time.Duration `env:"EVENT_RETENTION" default:"24h" help:"How long events are kept for those who return." group:"Settings"`
	TLSCertFile       string        `name:"tls-cert-file" env:"TLS_CERT_FILE" placeholder:"FILE" help:"Certificate chain for HTTPS." group:"Settings"`
	TLSKeyFile        string        `name:"tls-key-file" env:"TLS_KEY_FILE" placeholder:"FILE" help:"Private key for HTTPS." group:"Settings"`
	ACMEHosts         []string      `name:"acme-hosts" env:"ACME_HOSTS" placeholder:"HOST,…" help:"Hosts to get certificates for by ACME, kept in DATA_DIR/acme. They must lead to ADDR at port 443." group:"Settings"`
	ACMEEmail         string        `name:"acme-email" env:"ACME_EMAIL" placeholder:"ADDRESS" help:"Where the ACME authority may write to." group:"Settings"`
	ACMEDirectoryURL  string        `name:"acme-directory-url" env:"ACME_DIRECTORY_URL" placeholder:"URL" help:"Another ACME authority than Let's Encrypt." group:"Settings"`
	TrustedProxies    []string      `env:"TRUSTED_PROXIES" placeholder:"ADDRESS,…" help:"Addresses and CIDR prefixes of proxies before us, whose X-Forwarded-For, Forwarded or X-Real-IP is believed." group:"Settings"`
}

// redisSettings say how the servers of an installation reach each other beside PostgreSQL.
type redisSettings struct {
	RedisURL      string `name:"redis-url" env:"REDIS_URL" placeholder:"URL" help:"Redis or Valkey between several servers: redis://, rediss://, valkey(s):// or unix://, for sentinels with ?master_set=NAME&addr=HOST:PORT. Nothing is stored there." group:"Settings"`
	RedisCAFile   string `name:"redis-ca-file" env:"REDIS_CA_FILE" placeholder:"FILE" help:"Certificates in PEM of who signed that of Redis; without it those of this machine count." group:"Settings"`
	RedisCertFile string `name:"redis-cert-file" env:"REDIS_CERT_FILE" placeholder:"FILE" help:"This server's certificate in PEM, for a Redis that asks its clients for one." group:"Settings"`
	RedisKeyFile  string `name:"redis-key-file" env:"REDIS_KEY_FILE" placeholder:"FILE" help:"The private key of REDIS_CERT_FILE." group:"Settings"`
}

type serveCommand struct {
	serverSettings
	limitSettings
	redisSettings
	notifySettings
	LimitExempt []string `env:"LIMIT_EXEMPT" placeholder:"NETWORK,…" help:"Addresses and CIDR prefixes that no limit per user or address counts. By default none; with a demo on a loopback address, loopback." group:"Limits"`

	AllowedHosts           []string      `env:"ALLOWED_HOSTS" placeholder:"HOST,…" help:"Names by which this server may be called, beside addresses, localhost and the hosts of PUBLIC_URL and ACME_HOSTS. Set, any other is refused; a demo always does so." group:"Settings"`
	PublicURL              string        `name:"public-url" env:"PUBLIC_URL" placeholder:"URL" help:"This server as its users reach it, like https://live.portal.example." group:"Settings"`
	BookingURL             string        `name:"booking-url" env:"BOOKING_URL" placeholder:"URL" help:"The portal's page of a booking, with {id}, like https://portal.example/bookings/{id}."`
	ListingURL             string        `name:"listing-url" env:"LISTING_URL" placeholder:"URL" help:"The portal's page of a listing, with {id}."`
	PasswordURL            string        `name:"password-url" env:"PASSWORD_URL" placeholder:"URL" help:"The portal's page for a forgotten password."`
	SentryDSN              string        `name:"sentry-dsn" env:"SENTRY_DSN" placeholder:"URL" help:"Where errors are reported: a DSN of Sentry, or of what understands its protocol. Without it nothing leaves." group:"Settings"`
	AdminToken             string        `env:"ADMIN_TOKEN" placeholder:"TEXT" help:"What operators send for /admin and pprof on ADMIN_ADDR, 16 bytes or more; required where that is no loopback address." group:"Settings"`
	SentryEnvironment      string        `env:"SENTRY_ENVIRONMENT" default:"production" help:"The environment that reports name." group:"Settings"`
	DrainDelay             time.Duration `env:"DRAIN_DELAY" default:"0s" help:"For how long a stop only makes /readyz say so, so that balancers send nobody new. Behind one that asks each second: 5s." group:"Settings"`
	DrainTime              time.Duration `env:"DRAIN_TIME" default:"3s" help:"Over how long a stop spreads its goodbyes. 0s: 3 seconds, or more at 2000 connections a second. A stop takes at most both and 12 seconds." group:"Settings"`
	MaxDatabaseConnections int           `env:"MAX_DATABASE_CONNECTIONS" default:"14" help:"Connections to the database at once, all counted: one listens, one proves it, the others number the log and answer questions. At least 6."`

	Demo         *bool         `env:"DEMO" negatable:"" help:"Add demo data and a simulator that books and pays. The default with a private PostgreSQL."`
	DemoInterval time.Duration `env:"DEMO_INTERVAL" default:"2s" help:"Mean pause between two actions of the simulator."`
	flush        func()        // sends reports before a crash

	Dev string `env:"DEV" placeholder:"DIR" help:"Serve the page's files from this folder (web/static) and reload the page when they change."`
}

type migrateCommand struct {
	Down bool `help:"Remove everything of ours, and nothing else."`
}

type epochCommand struct {
	Renew bool `required:"" help:"Begin a new history: event ids of before count for nothing."`
}

type tokenCommand struct {
	User     string        `required:"" placeholder:"ID" help:"The user's id."`
	Lifetime time.Duration `default:"24h" help:"How long the token lasts."`
}

type versionCommand struct{}

// extractVariables returns libpq's environment variables (PGHOST, PGSSLMODE …), as
// NAME=value, and removes them from this process: they complete DATABASE_URL and
// LISTEN_DATABASE_URL, and must not reach the private PostgreSQL, nor the driver, which
// would ask them once more for every connection.
func extractVariables() (taken []string) {
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); db.IsVariable(name) {
			taken = append(taken, line)
			os.Unsetenv(name)
		}
	}
	return taken
}

// completeURLs adds to the databases' URLs what libpq's variables and a service file say, and which
// schema is ours, and refuses what is no URL.
func (s *Settings) completeURLs() error {
	for name, url := range map[string]*string{"DATABASE_URL": &s.DatabaseURL, "LISTEN_DATABASE_URL": &s.ListenDatabaseURL} {
		if *url == "" {
			continue
		}
		full, err := db.Complete(*url, s.variables)
		if err != nil {
			return errors.New(strings.ReplaceAll(err.Error(), "DATABASE_URL", name))
		}
		if *url, err = db.InSchema(full, s.Schema); err != nil {
			return err
		}
	}
	return nil
}

// direct returns the URL of a connection that is one session from beginning to end.
func (s *Settings) direct() string { return cmp.Or(s.ListenDatabaseURL, s.DatabaseURL) }

// logger returns the program's log.
func (s *Settings) logger(w io.Writer) *slog.Logger {
	s.level.Set(s.LogLevel)
	options := &slog.HandlerOptions{Level: &s.level}
	if s.LogFormat == "json" {
		return slog.New(api.WithRequestIDs(slog.NewJSONHandler(w, options)))
	}
	return slog.New(api.WithRequestIDs(slog.NewTextHandler(w, options)))
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
func (c *serverSettings) check() error {
	switch {
	case (c.TLSCertFile == "") != (c.TLSKeyFile == ""):
		return errors.New("TLS_CERT_FILE and TLS_KEY_FILE go together: set both or none")
	case len(c.ACMEHosts) > 0 && c.TLSCertFile != "":
		return errors.New("ACME_HOSTS and TLS_CERT_FILE exclude each other: certificates come from one of them")
	case len(c.ACMEHosts) == 0 && (c.ACMEEmail != "" || c.ACMEDirectoryURL != ""):
		return errors.New("ACME_EMAIL and ACME_DIRECTORY_URL need ACME_HOSTS: the hosts to get certificates for")
	case c.HeartbeatInterval < 100*time.Millisecond:
		return errors.New("HEARTBEAT_INTERVAL must be at least 100ms")
	case c.EventRetention < time.Second:
		return errors.New("EVENT_RETENTION must be at least 1s")
	}
	for _, origin := range c.AllowedOrigins {
		if !strings.HasPrefix(origin, "https://") && !strings.HasPrefix(origin, "http://") || strings.Count(origin, "/") != 2 || strings.Contains(origin, "*") {
			return fmt.Errorf("ALLOWED_ORIGINS: %q is no origin; write scheme and host, like https://portal.example", origin)
		}
	}
	return nil
}

// checkDrain refuses times of a stop that cannot be.
func (c *serveCommand) checkDrain() error {
	if c.DrainDelay < 0 || c.DrainTime < 0 {
		return errors.New("DRAIN_DELAY and DRAIN_TIME must be 0s or more")
	}
	return nil
}

// check refuses settings that cannot work.
func (s *Settings) check() error {
	if err := db.CheckSchema(s.Schema); err != nil {
		return err
	}
	return s.tokenSettings.check()
}
