package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/api/report"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/crash"
)

// liveSettings count at once when ENV_FILE is read again; all others from the next start. Those of
// limitSettings are added.
var liveSettings = []string{"LOG_LEVEL", "ALLOWED_ORIGINS", "TRUSTED_PROXIES", "LIMIT_EXEMPT", "TLS_CERT_FILE", "TLS_KEY_FILE"}

// live is what may be replaced in a server that runs.
type live struct {
	server  *api.Server
	limiter *api.Limiter
	files   *api.CertificateFiles // nil where certificates come from no files
	// exempt completes LIMIT_EXEMPT where it is empty.
	exempt func(api.Networks) api.Networks
}

// hangups waits for SIGHUP until ctx ends. Each has ENV_FILE read again, and certificates. A file
// that cannot be read or understood, or that names a bad value, changes nothing. Where the terminal
// that the server was started from is gone, stop is called: a terminal that is closed must not
// leave a server behind, unless it was started to outlive it (nohup).
// Before the server is there, what SIGHUP asks for waits until running tells of it.
func (c *serveCommand) hangups(ctx context.Context, s *Settings, running <-chan *live, stop func(), log *slog.Logger) (ended <-chan struct{}) {
	told, done := make(chan os.Signal, 1), make(chan struct{})
	outlives := signal.Ignored(syscall.SIGHUP) || !hasTerminal()
	signal.Notify(told, syscall.SIGHUP)
	go func() {
		defer crash.Report("settings that are read again")
		defer close(done)
		defer signal.Stop(told)
		before, mayTake := s.fromFile.values, (*live)(nil)
		for {
			select {
			case <-ctx.Done():
				return
			case <-told:
			}
			if !outlives && !hasTerminal() {
				log.Info("the terminal is gone")
				stop()
				return
			}
			if mayTake == nil {
				select {
				case <-ctx.Done():
					return
				case mayTake = <-running:
				}
			}
			before = c.reload(s, before, mayTake, log)
		}
	}()
	return done
}

// hasTerminal reports whether this process has a terminal that can be opened.
func hasTerminal() bool {
	terminal, err := os.Open("/dev/tty")
	if err == nil {
		terminal.Close()
	}
	return err == nil
}

// reload reads ENV_FILE again and returns what it says now. before is what it said.
func (c *serveCommand) reload(s *Settings, before map[string]string, running *live, log *slog.Logger) (now map[string]string) {
	if s.EnvFile == "" {
		if apply, err := running.certificates(c.TLSCertFile, c.TLSKeyFile); err != nil {
			log.Error("the certificate was not taken over: the old one stays in use", "error", err)
		} else {
			apply()
		}
		log.Info("SIGHUP: ENV_FILE is not set, so there are no settings to read again; certificates in files were")
		return before
	}
	again, err := s.parseAgain()
	if err == nil {
		err = again.Serve.refuse(&again.Settings)
	}
	var apply func()
	if err == nil {
		apply, err = running.prepare(&again.Serve, log)
	}
	if err != nil {
		log.Error("ENV_FILE was not taken over: what it said before stays", "error", err)
		return before
	}
	s.level.Set(again.LogLevel)
	apply()
	now = again.fromFile.values
	var counts, later []string
	for _, name := range changed(before, now) {
		if running.counts(name, &again.Serve) {
			counts = append(counts, name)
		} else {
			later = append(later, name)
		}
	}
	log.Info("ENV_FILE was read again", "level", again.LogLevel, "changed", counts)
	if len(later) > 0 {
		log.Warn("some settings count from the next start: restart the server", "settings", later)
	}
	return now
}

// prepare reads what a server may take over, and returns what takes it over. Nothing is changed
// until that is called.
func (l *live) prepare(c *serveCommand, log *slog.Logger) (apply func(), err error) {
	limits, err := c.limits()
	if err != nil {
		return nil, err
	}
	policy, err := c.policy()
	if err != nil {
		return nil, err
	}
	present, err := l.certificates(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, err
	}
	return func() {
		policy.LimitExempt = l.exempt(policy.LimitExempt)
		l.server.Replace(policy)
		l.limiter.Set(limits.Fit(log))
		present()
	}, nil
}

// certificates reads the pair in files, and returns what puts it in use.
func (l *live) certificates(certFile, keyFile string) (present func(), err error) {
	if l.files == nil || certFile == "" {
		return func() {}, nil
	}
	return l.files.Open(certFile, keyFile)
}

// counts reports whether a setting's new value counts at once. Whether certificates come from files
// is settled at the start.
func (l *live) counts(name string, c *serveCommand) bool {
	if strings.HasPrefix(name, "TLS_") && (l.files == nil || c.TLSCertFile == "") {
		return false
	}
	return slices.Contains(liveSettings, name) || slices.Contains(limitNames(), name)
}

// refuse says what in the settings cannot work, as a start would.
func (c *serveCommand) refuse(s *Settings) error {
	_, zone := s.location()
	_, redis := c.address()
	_, push := c.push(s, s.passingVAPID)
	_, mail := c.mail(c.PublicURL)
	var secret error
	if s.JWTSecret != "" || s.DatabaseURL != "" { // else one is made
		_, secret = s.secret()
	}
	return cmp.Or(append(c.refused(), s.check(), zone, secret, redis, push, mail)...)
}

// refused returns what cannot work of the settings that only a server has; some of it is nil.
func (c *serveCommand) refused() []error {
	_, limits := c.limits()
	_, policy := c.policy()
	_, hosts := c.hosts()
	_, links := c.links()
	return []error{c.serverSettings.check(), c.checkDrain(), c.checkAdmin(c.AdminAddr), c.checkConnections(), c.checkReports(), limits, policy, hosts, links}
}

// checkConnections refuses fewer connections to the database than a server needs.
func (c *serveCommand) checkConnections() error {
	if c.MaxDatabaseConnections < db.LeastConnections {
		return fmt.Errorf("MAX_DATABASE_CONNECTIONS is %d: a server needs at least %d", c.MaxDatabaseConnections, db.LeastConnections)
	}
	return nil
}

// checkReports refuses an address of reports that is none.
func (c *serveCommand) checkReports() error {
	if c.SentryDSN == "" {
		return nil
	}
	return report.CheckDSN(c.SentryDSN)
}

// changed returns the names whose values differ, sorted.
func changed(before, after map[string]string) (names []string) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	for name := range all {
		old, was := before[name]
		if now, is := after[name]; was != is || old != now {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
