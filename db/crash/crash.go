// Package crash has what ends this process told: a panic of a goroutine at once, and whatever else
// the Go runtime dies of (a panic of a library's goroutine, a map that two write, no memory) when a
// process starts again in the same folder. It promises that a panic still ends the process, since
// nobody knows what it left behind. It does not know who is told.
package crash

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
)

// maxKept is how much is read of what earlier processes died of.
const maxKept = 1 << 20

// Teller is told of a panic: which part of the program, what it panicked with, and the stack of the
// goroutine. It is called on that goroutine and must return.
type Teller func(part string, cause any, stack []byte)

// teller is told. There is one, as a process ends once.
var teller atomic.Pointer[Teller]

// Tell sets who is told of panics from now on.
func Tell(t Teller) { teller.Store(&t) }

// Report is deferred by a goroutine: it has a panic told before the process ends by it.
func Report(part string) {
	cause := recover()
	if cause == nil {
		return
	}
	if told := teller.Load(); told != nil {
		(*told)(part, cause, debug.Stack())
		debug.SetCrashOutput(nil, debug.CrashOptions{}) // told once is enough
	}
	panic(cause)
}

// Keep has the runtime write what this process dies of into a file, beside stderr, and returns what
// processes before it wrote there, which is removed from it. Several processes may share the file.
func Keep(file string) (earlier string, err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("make the folder of %s: %w", file, err)
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close() // the runtime has a descriptor of its own
	text, err := io.ReadAll(io.LimitReader(f, maxKept))
	if err == nil && len(text) > 0 {
		err = f.Truncate(0)
	}
	if err == nil {
		err = debug.SetCrashOutput(f, debug.CrashOptions{})
	}
	if err != nil {
		return "", fmt.Errorf("keep what the process may die of in %s: %w", file, err)
	}
	return string(text), nil
}

// unnamed is the cause where the runtime wrote none: those of its own faults are on stderr alone.
const unnamed = "a fault that the Go runtime named on stderr"

// Summary returns of what the runtime wrote the first line and, innermost first, the functions of
// the goroutine that it ended in: no arguments, addresses or files.
func Summary(text string) (cause string, functions []string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if cause = lines[0]; strings.HasPrefix(cause, "goroutine ") {
		cause = unnamed
	}
	inside := false
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "goroutine "):
			if inside {
				return cause, functions
			}
			inside = true
		case inside && line == "" && len(functions) > 0:
			return cause, functions
		case inside && line != "" && line[0] != '\t':
			name := strings.TrimPrefix(line, "created by ")
			if at := strings.LastIndex(name, "("); at > 0 && strings.HasSuffix(name, ")") {
				name = name[:at]
			}
			name, _, _ = strings.Cut(name, " in goroutine ")
			functions = append(functions, name)
		}
	}
	return cause, functions
}
