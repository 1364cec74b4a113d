package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// keyFilePoll is how often a file with keys is read. It is short, and reading it finds
// every way of changing it.
const keyFilePoll = 2 * time.Second

// NewKeyFile returns the Issuer whose keys are in a file: a JWK Set, or public keys or
// certificates in PEM. A changed file counts from its first token on. The error says what
// is wrong with the file.
func NewKeyFile(path string, log *slog.Logger) (*Issuer, error) {
	file := &keyFile{path: path}
	i := newIssuer(file, log)
	set, err := file.fetch(context.Background())
	if err == nil && len(set.keys) == 0 {
		err = errors.New("it has no key for " + publicKeyNames)
	}
	if err != nil {
		return nil, fmt.Errorf("JWKS_FILE: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.apply(set, nil)
	return i, nil
}

// keyFile is a file with keys: JWKS_FILE.
type keyFile struct {
	path string

	mu   sync.Mutex // guards what follows
	sum  [sha256.Size]byte
	last keySet // what the text of that sum holds
}

func (*keyFile) setting() string            { return "JWKS_FILE" }
func (f *keyFile) location() string         { return f.path }
func (*keyFile) interval() time.Duration    { return keyFilePoll }
func (*keyFile) minInterval() time.Duration { return 0 }
func (*keyFile) close()                     {}

func (f *keyFile) fetch(context.Context) (keySet, error) {
	text, err := f.read()
	if err != nil {
		return keySet{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := sha256.Sum256(text)
	if sum == f.sum {
		return f.last, nil
	}
	set, err := parseKeys(text)
	if err != nil {
		return keySet{}, err
	}
	f.sum, f.last = sum, set
	return set, nil
}

func (f *keyFile) read() ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		var outer *fs.PathError
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return nil, fmt.Errorf("the file cannot be read: %w", err)
	}
	defer file.Close()
	var text bytes.Buffer
	if n, err := text.ReadFrom(io.LimitReader(file, maxKeySet+1)); err != nil || n > maxKeySet {
		return nil, errors.Join(err, fmt.Errorf("the file cannot be read: it may have %d bytes", maxKeySet))
	}
	return text.Bytes(), nil
}
