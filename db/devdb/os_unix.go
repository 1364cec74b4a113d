//go:build unix

package devdb

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const supported = true

var errUnsupported error

// tryLock locks the file for as long as this process has it open.
func tryLock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// unlock ends the lock of every copy of the file.
func unlock(file *os.File) error { return syscall.Flock(int(file.Fd()), syscall.LOCK_UN) }

// detached describes a process in a session of its own, so that an interrupt from the terminal
// reaches us and not it, under the account.
func detached(a account) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if a.other {
		attributes.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attributes
}

func ownerOf(info fs.FileInfo) uint32 {
	if status, ok := info.Sys().(*syscall.Stat_t); ok {
		return status.Uid
	}
	return 0
}
