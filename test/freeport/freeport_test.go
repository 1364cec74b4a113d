package freeport

import (
	"net"
	"runtime"
	"strconv"
	"testing"
)

// TestAnAddressIsOneTests: what a test was given nobody else gets, though nobody listens there,
// until that test has ended.
func TestAnAddressIsOneTests(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has names for that")
	}
	var port int
	t.Run("has it", func(t *testing.T) {
		_, text, err := net.SplitHostPort(Address(t))
		if err != nil {
			t.Fatal(err)
		}
		if port, err = strconv.Atoi(text); err != nil || port < first || port >= first+count {
			t.Fatalf("port %s, %v", text, err)
		}
		if _, ok := reserve(port); ok {
			t.Error("another test gets the same address")
		}
	})
	release, ok := reserve(port)
	if !ok {
		t.Fatal("the address is taken after the test")
	}
	release()
}
