package harness

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Output is what a program wrote, line by line, for those who wait for a line.
type Output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

// NewOutput returns an output that holds nothing yet.
func NewOutput() *Output { return &Output{grown: make(chan struct{})} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grown)
	o.grown = make(chan struct{})
	return o.text.Write(p)
}

// String returns all that was written up to now.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Await waits for a line with a prefix and returns the rest of it.
func (o *Output) Await(t testing.TB, prefix string) string {
	t.Helper()
	late := time.After(Timeout)
	for {
		o.mu.Lock()
		text, grown := o.text.String(), o.grown
		o.mu.Unlock()
		if _, rest, found := strings.Cut(text, prefix); found {
			if line, _, whole := strings.Cut(rest, "\n"); whole {
				return line
			}
		}
		select {
		case <-grown:
		case <-late:
			t.Fatalf("no line %q… in:\n%s", prefix, text)
		}
	}
}
