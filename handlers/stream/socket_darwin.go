package stream

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

const (
	// writesNow says that writeNow works.
	writesNow = true
	// maxVectors is how many buffers one system call takes (IOV_MAX).
	maxVectors = 1024
)

// writeNow writes what the kernel takes at once to a descriptor that does not block, and
// returns how much that was.
func writeNow(fd int, frames net.Buffers) (int, error) {
	for {
		n, err := unix.Writev(fd, frames[:min(len(frames), maxVectors)])
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EAGAIN):
			return 0, nil
		case !errors.Is(err, unix.EINTR):
			return 0, err
		}
	}
}
