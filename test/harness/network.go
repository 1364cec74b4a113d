package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// ApplicationName is the name by which PostgreSQL knows the connections of the server that is
// tested, where a test asks for it in the server's database URL.
const ApplicationName = "under test"

// FreeAddress returns an address of this machine that nobody listens on, neither by TCP nor by UDP.
// Its port is none that the system gives to outgoing connections or to those who ask for any, so it
// stays free until the test uses it, and between two uses.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20000+rand.IntN(10000)))
		if err != nil {
			continue
		}
		address := l.Addr().String()
		packets, err := net.ListenPacket("udp", address)
		l.Close()
		if err == nil {
			packets.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}
