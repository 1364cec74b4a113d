package stream

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// halfOpen is a connection whose sides end apart; its peer is not told.
type halfOpen struct{ net.Conn }

func (halfOpen) CloseWrite() error { return nil }

// lingers returns how long a socket lingers for what its peer does. It stops the peer then.
func lingers(t *testing.T, talking bool, talks func(peer net.Conn)) time.Duration {
	t.Helper()
	conn, peer := net.Pipe()
	s := &socket{}
	s.open(halfOpen{conn}, time.Minute, time.Minute)
	done := make(chan struct{})
	go func() { defer close(done); talks(peer) }()
	begun := time.Now()
	s.lingeringClose(talking)
	took := time.Since(begun)
	s.abort()
	<-done
	return took
}

// trickle sends a byte, and then one after each pause, until the connection has ended.
func trickle(pause time.Duration) func(net.Conn) {
	return func(peer net.Conn) {
		for {
			if _, err := peer.Write([]byte{0}); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
}

// TestLingering holds what a peer may keep a closed connection for to its bounds: of time, of
// bytes, and of places. It fills these, so that it is not parallel to others.
func TestLingering(t *testing.T) {
	silent := func(peer net.Conn) { io.Copy(io.Discard, peer) }
	flood := func(peer net.Conn) {
		for b := make([]byte, 1<<20); ; {
			if _, err := peer.Write(b); err != nil {
				return
			}
		}
	}
	ends := func(peer net.Conn) { time.Sleep(lingerQuiet - time.Second); peer.Close() }
	expect := func(what string, talking bool, talks func(net.Conn), want time.Duration) {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if took := lingers(t, talking, talks); took != want {
					t.Errorf("it lingers for %v, want %v", took, want)
				}
			})
		})
	}
	expect("one that ends", true, ends, lingerQuiet-time.Second)
	expect("one that says nothing", true, silent, lingerQuiet)
	expect("one that goes on for ever", true, trickle(lingerQuiet-time.Millisecond), lingerTime)
	expect("a flood", true, flood, 0)
	expect("one that was silent already", false, silent, lingerShort)
	expect("and begins to talk", false, trickle(lingerShort/3), lingerShort)
	if len(lingering) != 0 {
		t.Fatalf("%d places are taken", len(lingering))
	}
	for range maxLingering {
		lingering <- struct{}{}
	}
	defer func() {
		for range maxLingering {
			<-lingering
		}
	}()
	expect("without a place", true, trickle(lingerShort/3), lingerShort)
}
