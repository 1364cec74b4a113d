package stream

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// writesNow says that writeNow works.
	writesNow = true
	// maxVectors is how many frames one system call takes: a turn's, and some more.
	maxVectors = 128
	// sendFlags keep a send from waiting, and from a signal where the peer is gone (send(2)).
	sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
)

// writeNow writes what the kernel takes at once, and returns how much that was.
//
// It does not tell the Go scheduler of the system call. That would give the processor to another
// thread whenever one lasts for 20 µs, and have the runtime look out for it all the time. Together
// they cost as much as a fifth of the writing itself. It never waits, and never lasts longer than
// the copying of sendBuffer.
func writeNow(fd int, frames net.Buffers) (int, error) {
	for {
		n, err := 0, syscall.Errno(0)
		if len(frames) == 1 {
			n, err = send(fd, frames[0])
		} else {
			n, err = sendAll(fd, frames)
		}
		switch err {
		case 0:
			return n, nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

func send(fd int, frame []byte) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(frame))),
		uintptr(len(frame)), sendFlags, 0, 0)
	return int(n), err
}

func sendAll(fd int, frames net.Buffers) (int, syscall.Errno) {
	var vectors [maxVectors]unix.Iovec
	count := min(len(frames), maxVectors)
	for i, frame := range frames[:count] {
		vectors[i].Base = unsafe.SliceData(frame)
		vectors[i].SetLen(len(frame))
	}
	message := unix.Msghdr{Iov: &vectors[0]}
	message.SetIovlen(count)
	n, _, err := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), sendFlags)
	return int(n), err
}

// setUserTimeout lets the kernel end a connection whose data stays unacknowledged
// (TCP_USER_TIMEOUT, RFC 5482).
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
