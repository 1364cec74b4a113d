//go:build !linux && !darwin

package stream

import "net"

// writesNow says that every write goes through flush.
const writesNow = false

func writeNow(int, net.Buffers) (int, error) { return 0, nil }
