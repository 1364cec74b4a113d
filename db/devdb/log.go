package devdb

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

const (
	// logLimit bounds PostgreSQL's log file; one older file of the same size is kept.
	logLimit = 1 << 20
	// tailLimit bounds the last words that are kept in memory to explain a failure.
	tailLimit = 4 << 10
)

// logFile is a bounded file for what PostgreSQL's programs say.
type logFile struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
	tail []byte
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	if err := l.open(os.O_APPEND); err != nil {
		return nil, fmt.Errorf("open PostgreSQL's log: %w", err)
	}
	return l, nil
}

func (l *logFile) open(flag int) error {
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|flag, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close() //nolint:errcheck // the first error says it
		return err
	}
	l.file, l.size = file, info.Size()
	return nil
}

// Write appends p. It always takes all of it: a full disk must not stop PostgreSQL,
// whose pipe we are.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	if excess := len(l.tail) - tailLimit; excess > 0 {
		l.tail = append(l.tail[:0], l.tail[excess:]...)
	}
	if l.file != nil && l.size+int64(len(p)) > logLimit {
		l.rotate()
	}
	if l.file != nil {
		n, _ := l.file.Write(p) //nolint:errcheck // see above
		l.size += int64(n)
	}
	return len(p), nil
}

// rotate begins a new file. When that fails, the rest of this run goes unrecorded.
func (l *logFile) rotate() {
	l.file.Close() //nolint:errcheck // it is set aside
	l.file = nil
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		return
	}
	_ = l.open(os.O_TRUNC)
}

// forget begins a new explanation.
func (l *logFile) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = l.tail[:0]
}

// reason returns the line that says best why a program failed.
func (l *logFile) reason() string {
	l.mu.Lock()
	lines := strings.Split(strings.TrimSpace(string(l.tail)), "\n")
	l.mu.Unlock()
	for _, line := range lines {
		for _, mark := range []string{"FATAL:", "PANIC:", "error:"} {
			if _, words, found := strings.Cut(line, mark); found {
				return strings.TrimSpace(words)
			}
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// Close closes the file.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}
