//go:build !linux

package stream

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing here: the kernel's own time-out ends a dead connection.
func setUserTimeout(syscall.RawConn, time.Duration) {}

// lastAcknowledged is not known here.
func lastAcknowledged(syscall.RawConn) time.Time { return time.Time{} }
