//go:build linux || darwin || netbsd || openbsd

package api

import (
	"math"

	"golang.org/x/sys/unix"
)

// raiseOpenFiles raises the soft limit of file descriptors to what is wanted, 0 for as many as may
// be, and returns what it is then (getrlimit(2), RLIMIT_NOFILE).
func raiseOpenFiles(wanted int) (files int, ok bool) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	if wanted <= 0 || uint64(wanted) > uint64(limit.Max) {
		wanted = int(min(uint64(limit.Max), math.MaxInt32))
	}
	if raised := limit; uint64(limit.Cur) < uint64(wanted) {
		raised.Cur = uint64(wanted)
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)), true
}
