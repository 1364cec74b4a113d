//go:build !unix

package devdb

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const supported = false

var errUnsupported = errors.New("starting a private PostgreSQL is not supported on this system: " +
	"install PostgreSQL and set DATABASE_URL")

func tryLock(*os.File) error { return errUnsupported }

func unlock(*os.File) error { return nil }

func detached(account) *syscall.SysProcAttr { return nil }

func ownerOf(fs.FileInfo) uint32 { return 0 }
