//go:build linux || darwin

package handlers

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxVectors is how many buffers one system call takes (IOV_MAX on Linux and macOS).
const maxVectors = 1024

// writeNow writes what the kernel takes at once, and returns how much that was.
func writeNow(raw syscall.RawConn, frames net.Buffers) (n int, err error) {
	vectors := frames[:min(len(frames), maxVectors)]
	controlErr := raw.Write(func(fd uintptr) bool {
		for {
			n, err = unix.Writev(int(fd), vectors)
			if !errors.Is(err, unix.EINTR) {
				return true // also when it would have to wait: that is for flush
			}
		}
	})
	if controlErr != nil {
		return 0, controlErr
	}
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}
