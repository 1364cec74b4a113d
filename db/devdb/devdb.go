// Package devdb is the private PostgreSQL that the server starts when nobody gave it a database,
// and that the tests run on. It is a real one, of the newest version found on the machine or
// downloaded, with its data in one directory.
//
// It promises that one server at a time uses a directory, and that the data survive any end of the
// process. No PostgreSQL outlives the process that started it. Nobody but this process's user and
// root can connect. It knows nothing of tables.
package devdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/lib/pq"
)

// MinimumVersion is the oldest PostgreSQL major version that is used: the first
// with xid8 and pg_snapshot.
const MinimumVersion = 13

const (
	// databaseName names the application's database and the role that owns it.
	databaseName = "hangarshare"
	// socketPort only names the socket file: nothing listens on TCP.
	socketPort       = "5432"
	socketPortNumber = 5432
)

// Options say where the private PostgreSQL lives and how it runs. Dir and Log are required.
type Options struct {
	// Dir holds everything that belongs to this PostgreSQL. It is made when it is missing.
	Dir string
	// Log receives one line per start, stop and fault; PostgreSQL's own lines go to
	// the file postgres.log in Dir.
	Log *slog.Logger
	// Settings are extra settings in the words of postgresql.conf.
	Settings map[string]string
	// Temporary removes Dir when the server stops, and also when this process is killed.
	Temporary bool
	// Programs is the directory of the PostgreSQL to run; empty means the newest on this machine.
	Programs string
	// Repository is the address of the Maven repository that a missing PostgreSQL is downloaded
	// from; empty means the public one.
	Repository string

	// search lists the directories to look for programs in; nil means the machine's usual ones.
	search func(context.Context) []string
}

// Server is one running PostgreSQL. Its methods may be called from several goroutines.
type Server struct {
	options  Options
	log      *slog.Logger
	cluster  string // the directory that belongs to the account PostgreSQL runs under
	account  account
	programs programs
	sockets  string
	lock     *directoryLock
	output   *logFile
	watchdog *watchdog

	slot     chan struct{} // holds one token, for which PostgreSQL may be started and stopped
	postgres *process      // nil while halted; belongs to the holder of slot
	stopped  bool          // belongs to the holder of slot
	watchers sync.WaitGroup

	endMu sync.Mutex
	err   error
	done  chan struct{}
}

// Start starts the PostgreSQL in options.Dir, after making it when it is missing, and returns when
// its application database takes connections. A second server on the same directory is refused.
func Start(ctx context.Context, options Options) (*Server, error) {
	if !supported {
		return nil, errUnsupported
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the database's directory %q: %w", options.Dir, err)
	}
	options.Dir = dir
	switch {
	case options.Programs != "":
		options.search = func(context.Context) []string { return []string{options.Programs} }
	case options.search == nil:
		options.search = usualDirectories
	}
	s := &Server{options: options, log: options.Log, slot: make(chan struct{}, 1), done: make(chan struct{})}
	if err := s.start(ctx); err != nil {
		s.watchers.Wait()
		return nil, errors.Join(err, s.release())
	}
	s.slot <- struct{}{}
	s.log.Info("private PostgreSQL started", "version", s.programs.version, "directory", s.cluster)
	return s, nil
}

// start takes the directory and brings PostgreSQL up in it; what it took is given back by release.
func (s *Server) start(ctx context.Context) (err error) {
	if err = os.MkdirAll(s.options.Dir, 0o711); err != nil {
		return fmt.Errorf("make the database's directory: %w", err)
	}
	if s.lock, err = lockDirectory(s.options.Dir); err != nil {
		return err
	}
	if s.output, err = openLog(filepath.Join(s.options.Dir, "postgres.log")); err != nil {
		return err
	}
	if s.account, err = chooseAccount(s.options.Dir); err != nil {
		return err
	}
	if s.cluster, err = clusterDirectory(ctx, s.options.Dir, s.account, s.log); err != nil {
		return err
	}
	if s.sockets, err = socketDirectory(s.cluster, s.account); err != nil {
		return err
	}
	if s.watchdog, err = startWatchdog(s.rubbish()); err != nil {
		return err
	}
	if s.programs, err = s.obtainPrograms(ctx); err != nil {
		return err
	}
	if err = s.initialize(ctx); err != nil {
		return err
	}
	if err = s.stopLeftover(ctx); err != nil {
		return err
	}
	if err = s.launch(ctx); err != nil {
		return err
	}
	if err = s.createDatabase(ctx); err != nil {
		return errors.Join(err, s.halt(context.WithoutCancel(ctx), Fast))
	}
	return nil
}

// URL returns the lib/pq address of the application's database. It stays the same
// as long as the server lives.
func (s *Server) URL() string { return s.databaseURL(databaseName) }

func (s *Server) databaseURL(name string) string {
	parameters := url.Values{"host": {s.sockets}, "port": {socketPort}, "sslmode": {"disable"}}
	return "postgres://" + databaseName + "@/" + name + "?" + parameters.Encode()
}

// Program returns the path of a program that belongs to this PostgreSQL, such as pg_dump.
func (s *Server) Program(name string) string { return s.programs.path(name) }

// LogFile returns the path of the file that PostgreSQL's own lines go to. Where there were many,
// older ones are beside it, in a file whose name ends with .1.
func (s *Server) LogFile() string { return s.output.path }

// Done is closed when PostgreSQL has ended for good: stopped, or ended by itself.
// Halt and Restart leave it open.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why PostgreSQL ended by itself; it is nil before, and after an orderly Stop.
func (s *Server) Err() error {
	s.endMu.Lock()
	defer s.endMu.Unlock()
	return s.err
}

// end closes Done once; the first reason stays.
func (s *Server) end(err error) {
	s.endMu.Lock()
	defer s.endMu.Unlock()
	select {
	case <-s.done:
	default:
		s.err = err
		close(s.done)
	}
}

// createDatabase makes the application's database unless an earlier start made it.
func (s *Server) createDatabase(ctx context.Context) error {
	// Not by an address, which the driver would complete from this process's
	// PGHOST, PGSSLMODE and their like.
	connector, err := pq.NewConnectorConfig(pq.Config{Host: s.sockets, Port: socketPortNumber, User: databaseName, Database: "postgres",
		SSLMode: pq.SSLModeDisable, MinProtocolVersion: pq.ProtocolVersion30, MaxProtocolVersion: pq.ProtocolVersion30,
		ClientEncoding: "UTF8", Datestyle: "ISO, MDY"})
	if err != nil {
		return fmt.Errorf("read the private PostgreSQL's address: %w", err)
	}
	pool := sql.OpenDB(connector)
	defer pool.Close() //nolint:errcheck // nothing is left to lose on this connection
	var exists bool
	const query = `select exists (select from pg_catalog.pg_database where datname = $1)`
	if err := pool.QueryRowContext(ctx, query, databaseName).Scan(&exists); err != nil {
		return fmt.Errorf("ask the private PostgreSQL for database %s: %w", databaseName, err)
	}
	if exists {
		return nil
	}
	if _, err := pool.ExecContext(ctx, "create database "+pq.QuoteIdentifier(databaseName)); err != nil {
		return fmt.Errorf("create database %s: %w", databaseName, err)
	}
	return nil
}

// rubbish lists the directories that have no use once PostgreSQL has ended.
func (s *Server) rubbish() []string {
	var paths []string
	if s.sockets != "" && filepath.Dir(s.sockets) != s.cluster {
		paths = append(paths, s.sockets)
	}
	if s.options.Temporary && s.lock != nil {
		if s.cluster != "" && filepath.Dir(s.cluster) != s.options.Dir {
			paths = append(paths, s.cluster)
		}
		paths = append(paths, s.options.Dir)
	}
	return paths
}

// release gives back what start took, in the reverse order. PostgreSQL is down already.
func (s *Server) release() error {
	var errs []error
	if s.watchdog != nil {
		errs = append(errs, s.watchdog.dismiss())
	}
	if s.output != nil {
		errs = append(errs, s.output.Close())
	}
	for _, path := range s.rubbish() {
		errs = append(errs, os.RemoveAll(path))
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
	}
	return errors.Join(errs...)
}
