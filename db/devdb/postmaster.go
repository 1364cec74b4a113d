package devdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postmasterFile is what PostgreSQL writes about itself into its data directory.
type postmasterFile struct {
	pid   int
	ready bool
}

// postmasterStatusLine is the line of postmaster.pid that says how far the start has come.
const postmasterStatusLine = 8

func postmasterPath(data string) string { return filepath.Join(data, "postmaster.pid") }

func readPostmasterFile(data string) (postmasterFile, error) {
	content, err := os.ReadFile(postmasterPath(data))
	if err != nil {
		return postmasterFile{}, err
	}
	lines := strings.Split(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return postmasterFile{}, fmt.Errorf("read %s: %w", postmasterPath(data), err)
	}
	ready := len(lines) >= postmasterStatusLine && strings.TrimSpace(lines[postmasterStatusLine-1]) == "ready"
	return postmasterFile{pid: pid, ready: ready}, nil
}

// stopLeftover ends a PostgreSQL that an earlier process left on our data, and clears what a dead
// one left. We hold the directory's lock: whatever still runs there is nobody's.
func (s *Server) stopLeftover(ctx context.Context) error {
	record, err := readPostmasterFile(s.data())
	if errors.Is(err, fs.ErrNotExist) {
		return s.clearSockets()
	}
	if err == nil && s.serves(ctx, record.pid) {
		if err := s.stopForeign(ctx, record.pid); err != nil {
			return err
		}
	}
	return errors.Join(s.disownPostmasterFile(), s.clearSockets())
}

// stopForeign ends a PostgreSQL that is not our child.
func (s *Server) stopForeign(ctx context.Context, pid int) error {
	s.log.Warn("ending a PostgreSQL that an earlier server left behind", "pid", pid)
	for _, mode := range []Mode{Fast, Immediate} {
		signal, limit := mode.signal()
		leftover, err := os.FindProcess(pid)
		if err == nil {
			err = leftover.Signal(signal)
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end the PostgreSQL left behind as process %d: %w", pid, err)
		}
		for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
			if !s.serves(ctx, pid) {
				return nil
			}
			if err := pause(ctx, pollInterval); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("a PostgreSQL left behind as process %d does not end: end it by hand (kill -QUIT %d)", pid, pid)
}

// serves says whether the process is a PostgreSQL on our data, and not one that got
// a dead one's number.
func (s *Server) serves(ctx context.Context, pid int) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		if _, err := os.Stat("/proc/self/cmdline"); err == nil {
			return false
		}
		cmd := exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid))
		cmd.Env = environment()
		if line, err = cmd.Output(); err != nil {
			return false
		}
	}
	return bytes.Contains(line, []byte(s.data()))
}

// disownPostmasterFile writes our own number into a dead PostgreSQL's file. The next one takes its
// parent's number for stale, whichever process has the dead one's number by now, and still finds in
// the file the memory that a last session of the dead one may be using.
func (s *Server) disownPostmasterFile() error {
	path := postmasterPath(s.data())
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	_, rest, found := bytes.Cut(content, []byte("\n"))
	if !found {
		return os.Remove(path) // torn: it names neither a process nor a memory
	}
	content = append([]byte(strconv.Itoa(os.Getpid())+"\n"), rest...)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("clear %s: %w", path, err)
	}
	return nil
}

// clearSockets removes the socket of a dead PostgreSQL, and its lock.
func (s *Server) clearSockets() error {
	for _, name := range []string{".s.PGSQL." + socketPort, ".s.PGSQL." + socketPort + ".lock"} {
		if err := os.Remove(filepath.Join(s.sockets, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear an old socket: %w", err)
		}
	}
	return nil
}
