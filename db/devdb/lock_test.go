//go:build unix

package devdb

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestReleaseDespiteCopy has a copy of the lock's file open, as a program that is
// just being started has.
func TestReleaseDespiteCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := lockDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDirectory(dir); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second lock: %v", err)
	}
	fork, err := syscall.Dup(int(lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fork)
	if err := lock.release(); err != nil {
		t.Fatal(err)
	}
	again, err := lockDirectory(dir)
	if err != nil {
		t.Fatalf("lock %s after its release: %v", filepath.Base(dir), err)
	}
	if err := again.release(); err != nil {
		t.Fatal(err)
	}
}
