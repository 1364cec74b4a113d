package devdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrInUse says that another server runs on the same directory.
var ErrInUse = errors.New("another server is already running on it")

// directoryLock is this process's hold on a directory.
type directoryLock struct{ file *os.File }

// lockDirectory takes the directory for this process; the lock ends with the
// process, however it ends.
func lockDirectory(dir string) (*directoryLock, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the database's directory: %w", err)
	}
	if err := tryLock(file); err != nil {
		holder, _ := os.ReadFile(file.Name()) //nolint:errcheck // only makes the message better
		file.Close()                          //nolint:errcheck // nothing was written
		if errors.Is(err, ErrInUse) {
			return nil, fmt.Errorf("use the database in %s: %w (process %s)", dir, err, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", file.Name(), err), file.Close())
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", file.Name(), err), file.Close())
	}
	return &directoryLock{file}, nil
}

// release gives the directory back at once. Closing the file alone would not: a
// program that another goroutine is just starting holds a copy of every open file
// between its fork and its exec (flock(2)).
func (l *directoryLock) release() error { return errors.Join(unlock(l.file), l.file.Close()) }
