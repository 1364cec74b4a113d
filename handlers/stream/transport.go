package stream

import (
	"net"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// transport is all that differs between WebSocket and Server-Sent Events.
type transport interface {
	writer
	peer
	closer
}

// writer writes to a connection.
type writer interface {
	// frame returns an event as this transport's bytes, shared between all its connections.
	frame(e *realtime.Event) []byte
	// tryWrite writes frames without waiting and reports whether all of them went. It may change
	// frames, but keeps only the bytes in them.
	tryWrite(frames net.Buffers) (done bool, err error)
	// flush waits for what tryWrite left, for the transport's write timeout.
	flush() error
}

// peer tells whether the other end of a connection is alive.
type peer interface {
	// ping asks for a sign of life, where the heartbeat's own message does not.
	ping()
	// lastRead is when the peer last gave one; the zero time where that cannot be known.
	lastRead() time.Time
	// lastAck is when the peer's kernel last acknowledged anything; the zero time as above.
	lastAck() time.Time
}

// closer ends a connection.
type closer interface {
	// close ends the connection with a code, as far as the transport can say it. It may
	// wait for the peer.
	close(d Disconnect)
	// abort ends it at once, from any goroutine, and every wait for its peer.
	abort()
}
