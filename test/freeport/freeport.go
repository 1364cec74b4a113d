// Package freeport gives tests addresses at which programs can listen that must be told where.
//
// It promises that no two tests have the same one at a time, whatever process they run in: packages
// are tested side by side.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
)

// Ports are none that the system gives to outgoing connections or to those who ask for any.
const (
	first = 20000
	count = 10000
)

// Address returns an address of this machine that nobody listens on, neither by TCP nor by UDP. It
// is the test's until it ends, also while nobody listens there.
func Address(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := first + rand.IntN(count)
		release, ok := reserve(port)
		if !ok {
			continue
		}
		if address := fmt.Sprint("127.0.0.1:", port); unused(address) {
			t.Cleanup(release)
			return address
		}
		release()
	}
	t.Fatal("no free port")
	return ""
}

// reserve takes a port among tests, and reports whether it could. Linux has names for sockets that
// are no files: one that is bound stands for a port, and goes with its process.
func reserve(port int) (release func(), ok bool) {
	if runtime.GOOS != "linux" {
		return func() {}, true
	}
	taken, err := net.Listen("unix", fmt.Sprint("@hangarshare-test-port-", port))
	if err != nil {
		return nil, false
	}
	return func() { taken.Close() }, true
}

// unused reports whether nobody listens on an address.
func unused(address string) bool {
	stream, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	stream.Close()
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	packets.Close()
	return true
}
