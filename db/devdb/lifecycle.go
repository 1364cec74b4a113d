package devdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Mode is a way to end PostgreSQL.
type Mode int

const (
	// Fast ends every session, writes everything down and exits.
	Fast Mode = iota
	// Immediate exits at once; the next start recovers from the write-ahead log.
	Immediate
	// Kill is the end that nothing can prepare for: signal 9.
	Kill
)

const (
	// startLimit bounds one start, recovery after a crash included.
	startLimit = 2 * time.Minute
	// memoryLimit bounds the wait for the last sessions of a killed PostgreSQL,
	// which keep its memory in use.
	memoryLimit = 15 * time.Second
	// fastLimit and immediateLimit bound an orderly end before the next harder signal.
	fastLimit      = 15 * time.Second
	immediateLimit = 5 * time.Second
	// pollInterval is how often files are looked at that announce no change.
	pollInterval = 10 * time.Millisecond
)

var (
	errStopped     = errors.New("this private PostgreSQL was stopped for good")
	errMemoryInUse = errors.New("sessions of an earlier PostgreSQL still run")
)

// process is one run of the postgres program.
type process struct {
	cmd      *exec.Cmd
	expected atomic.Bool   // we asked it to end
	exited   chan struct{} // closed after err is set
	err      error
}

// Halt ends PostgreSQL in the given mode and keeps its directory and address for Resume.
func (s *Server) Halt(ctx context.Context, mode Mode) error {
	return s.inTurn(ctx, func() error { return s.halt(ctx, mode) })
}

// Resume starts PostgreSQL again after Halt, at the same address.
func (s *Server) Resume(ctx context.Context) error {
	return s.inTurn(ctx, func() error { return s.resume(ctx) })
}

// Restart ends PostgreSQL in the given mode and starts it again at the same address.
func (s *Server) Restart(ctx context.Context, mode Mode) error {
	return s.inTurn(ctx, func() error {
		if err := s.halt(ctx, mode); err != nil {
			return err
		}
		return s.resume(ctx)
	})
}

// Stop ends PostgreSQL in order and gives its directory back. When ctx ends, it no longer waits for
// an orderly end but still for the end. A second Stop does nothing.
func (s *Server) Stop(ctx context.Context) error {
	<-s.slot
	defer func() { s.slot <- struct{}{} }()
	if s.stopped {
		return nil
	}
	s.stopped = true
	err := s.halt(ctx, Fast)
	s.watchers.Wait()
	s.end(nil)
	if err = errors.Join(err, s.release()); err == nil {
		s.log.Info("private PostgreSQL stopped", "directory", s.cluster)
	}
	return err
}

// inTurn runs one life-cycle step at a time.
func (s *Server) inTurn(ctx context.Context, step func() error) error {
	select {
	case <-s.slot:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.slot <- struct{}{} }()
	if s.stopped {
		return errStopped
	}
	return step()
}

func (s *Server) resume(ctx context.Context) error {
	select {
	case <-s.done:
		return errors.Join(errStopped, s.Err())
	default:
	}
	if s.postgres != nil {
		return nil
	}
	return s.launch(ctx)
}

// halt ends PostgreSQL, harder the longer it takes.
func (s *Server) halt(ctx context.Context, mode Mode) error {
	p := s.postgres
	if p == nil {
		return nil
	}
	p.expected.Store(true)
	for ; mode <= Kill; mode++ {
		signal, limit := mode.signal()
		if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("signal PostgreSQL: %w", err)
		}
		patience := time.NewTimer(limit)
		hurry := ctx.Done()
		if mode != Fast {
			hurry = nil // even in a hurry it gets the moment to end its sessions
		}
		select {
		case <-p.exited:
			patience.Stop()
			s.postgres = nil
			return s.watchdog.guard(0)
		case <-hurry:
		case <-patience.C:
		}
		patience.Stop()
	}
	return errors.New("end PostgreSQL: it survived signal 9")
}

func (m Mode) signal() (syscall.Signal, time.Duration) {
	switch m {
	case Fast:
		return syscall.SIGINT, fastLimit
	case Immediate:
		return syscall.SIGQUIT, immediateLimit
	default:
		return syscall.SIGKILL, 2 * drainLimit
	}
}

// launch starts postgres and waits until it takes connections. After a kill the last sessions of
// the earlier run may take a moment to notice, during which PostgreSQL rightly refuses to start.
func (s *Server) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	deadline := time.Now().Add(memoryLimit)
	for {
		err := s.launchOnce(ctx)
		if !errors.Is(err, errMemoryInUse) || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx, 10*pollInterval); err != nil {
			return err
		}
	}
}

func (s *Server) launchOnce(ctx context.Context) error {
	s.output.forget()
	cmd, err := s.watchdog.start(context.WithoutCancel(ctx), s.command(s.programs.path("postgres"), s.arguments()...))
	if err != nil {
		return fmt.Errorf("start PostgreSQL %s: %w", s.programs.version, err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	s.postgres = p
	if err := s.awaitReady(ctx, p); err != nil {
		return errors.Join(err, s.halt(ctx, Immediate))
	}
	s.watchers.Go(func() {
		<-p.exited
		if p.expected.Load() {
			return
		}
		err := fmt.Errorf("the private PostgreSQL ended by itself: %w: %s", p.err, s.output.reason())
		err = errors.Join(err, s.watchdog.guard(0))
		s.log.Error("private PostgreSQL ended by itself", "error", p.err, "log", s.output.path)
		s.end(err)
	})
	return nil
}

// awaitReady watches the file in which postgres writes down how far it has come.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	for {
		record, err := readPostmasterFile(s.data())
		if err == nil && record.pid == p.cmd.Process.Pid && record.ready {
			return nil
		}
		select {
		case <-p.exited:
			reason := s.output.reason()
			if strings.Contains(reason, "shared memory block") {
				return errMemoryInUse
			}
			return fmt.Errorf("start PostgreSQL %s: %w: %s (all of it in %s)", s.programs.version, p.err, reason, s.output.path)
		default:
		}
		if err := pause(ctx, pollInterval); err != nil {
			return fmt.Errorf("wait for PostgreSQL %s to start: %w (its words are in %s)", s.programs.version, err, s.output.path)
		}
	}
}

func (s *Server) data() string { return filepath.Join(s.cluster, "data") }

// arguments are settings on the command line, so that an older directory gets newer settings.
func (s *Server) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": s.sockets,
		"unix_socket_permissions": "0700",
		"port":                    socketPort,
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"lc_messages":             "C",
		"logging_collector":       "off",
		"log_destination":         "stderr",
	}
	for name, value := range s.options.Settings {
		settings[name] = value
	}
	arguments := []string{"-D", s.data()}
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		arguments = append(arguments, "-c", name+"="+settings[name])
	}
	return arguments
}

// command describes a PostgreSQL program under the account that owns the data.
func (s *Server) command(program string, arguments ...string) command {
	return command{program: program, arguments: arguments, dir: s.cluster, account: s.account, output: s.output}
}

// initialize makes the database cluster. It is made beside its place and moved there, so that a
// start that was interrupted leaves nothing half done.
func (s *Server) initialize(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.data(), "PG_VERSION")); err == nil {
		return nil
	}
	draft := filepath.Join(s.cluster, "data.new")
	var failure error
	for _, locale := range []string{"C.UTF-8", "C"} { // some systems do not have the first
		if err := os.RemoveAll(draft); err != nil {
			return fmt.Errorf("clear %s: %w", draft, err)
		}
		s.output.forget()
		cmd, err := s.watchdog.start(ctx, s.command(s.programs.path("initdb"), "-D", draft, "-U", databaseName,
			"--encoding=UTF8", "--locale="+locale, "--auth-local=trust", "--auth-host=reject", "--no-sync"))
		if err != nil {
			return fmt.Errorf("run initdb: %w", err)
		}
		err = cmd.Wait()
		if failure = errors.Join(err, s.watchdog.guard(0)); failure == nil {
			if err := os.Rename(draft, s.data()); err != nil {
				return fmt.Errorf("put the new database into place: %w", err)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("make a database with %s: %w: %s (all of it in %s)", s.programs.path("initdb"), failure,
		s.output.reason(), s.output.path)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
