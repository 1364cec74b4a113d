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

// lockDirectory takes the directory for this process; the lock ends with the process, however it ends.
func lockDirectory(dir string) (*os.File, error) {
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
	return file, nil
}
