package handlers

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout lets the kernel end a connection whose data stays unacknowledged (TCP_USER_TIMEOUT, RFC 5482).
func setUserTimeout(raw syscall.RawConn, silence time.Duration) {
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
}
