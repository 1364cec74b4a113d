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

// lastAcknowledged returns when the kernel last received an acknowledgement (TCP_INFO, tcp(7)).
func lastAcknowledged(raw syscall.RawConn) (at time.Time) {
	raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			at = time.Now().Add(-time.Duration(info.Last_ack_recv) * time.Millisecond)
		}
	})
	return at
}
