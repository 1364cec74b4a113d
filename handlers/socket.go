package handlers

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sendBuffer is what the kernel may hold of a connection's outgoing bytes. With the backlog of one turn of a session it
// bounds what a slow client costs.
const sendBuffer = 128 << 10

// closeTimeout is how long the last frame may wait for the peer.
const closeTimeout = 5 * time.Second

// socket is a hijacked connection that can be written without waiting. Whole frames go in; what the kernel does not take
// at once stays in the backlog, and everything that comes later queues behind it, so that frames never interleave, not
// even the WebSocket library's own control frames with ours.
type socket struct {
	// What a turn needs comes first and lies together: with thousands of connections nothing of them is in a cache.
	fd       int        // the descriptor where frames can be written to it directly, else -1: not with TLS
	mu       sync.Mutex // guards what follows, up to closed
	backlog  net.Buffers
	flushing bool
	closed   bool // the descriptor may be another connection's by now

	net.Conn
	tcp      syscall.RawConn         // the connection below, also below TLS; nil where there is none
	lastRead atomic.Int64            // when the peer last sent anything, as Unix nanoseconds
	session  atomic.Pointer[session] // woken when a write that is not its own leaves a backlog behind
	last     atomic.Bool             // the session has had its last turn: such a write waits itself
}

// open takes a connection over. silence is how long unacknowledged data may stay so before the kernel gives the
// connection up, where the system can say so.
func (s *socket) open(conn net.Conn, silence time.Duration) {
	s.Conn, s.fd = conn, -1
	s.lastRead.Store(time.Now().UnixNano())
	below := conn
	if secure, ok := conn.(*tls.Conn); ok {
		below = secure.NetConn()
	}
	tcp, ok := below.(*net.TCPConn)
	if !ok {
		return
	}
	tcp.SetWriteBuffer(sendBuffer)
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	s.tcp = raw
	setUserTimeout(raw, silence)
	if below == conn && writesNow {
		raw.Control(func(fd uintptr) { s.fd = int(fd) })
	}
}

// Close implements net.Conn.
func (s *socket) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.Conn.Close()
}

// acknowledged returns when the peer's kernel last acknowledged anything; the zero time where this one does not say.
func (s *socket) acknowledged() time.Time {
	if s.tcp == nil {
		return time.Time{}
	}
	return lastAcknowledged(s.tcp)
}

// Read implements net.Conn and notes that the peer lives.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.lastRead.Store(time.Now().UnixNano())
	}
	return n, err
}

// Write implements net.Conn for the WebSocket library's control frames, each of which is one call.
func (s *socket) Write(p []byte) (int, error) {
	if err := s.interject(bytes.Clone(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// interject writes a frame from outside the session's turn.
func (s *socket) interject(frame []byte) error {
	done, err := s.tryWrite(net.Buffers{frame})
	if err != nil || done {
		return err
	}
	if s.last.Load() {
		if err := s.flush(time.Now().Add(closeTimeout)); !errors.Is(err, errFlushing) {
			return err
		}
		return nil // whoever flushes takes it along
	}
	if session := s.session.Load(); session != nil {
		session.wake()
	}
	return nil
}

// tryWrite writes frames without waiting, in one system call. It reports whether all of it went; what did not is in the
// backlog. It may change frames, but not the bytes in them, which it may keep.
func (s *socket) tryWrite(frames net.Buffers) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, net.ErrClosed
	}
	if s.flushing || len(s.backlog) > 0 || s.fd < 0 {
		s.backlog = append(s.backlog, frames...)
		return false, nil
	}
	n, err := writeNow(s.fd, frames)
	if err != nil {
		return false, err
	}
	s.backlog = append(s.backlog, consume(frames, n)...)
	return len(s.backlog) == 0, nil
}

var errFlushing = errors.New("flush a socket that is being flushed")

// flush writes the backlog and waits for it, until a deadline.
func (s *socket) flush(deadline time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flushing {
		return errFlushing
	}
	s.flushing = true
	defer func() { s.flushing = false }()
	for len(s.backlog) > 0 {
		frames := s.backlog
		s.backlog = nil
		s.mu.Unlock()
		err := s.Conn.SetWriteDeadline(deadline)
		if err == nil {
			_, err = frames.WriteTo(s.Conn)
		}
		s.mu.Lock()
		if err != nil {
			s.backlog = append(frames, s.backlog...)
			return err
		}
	}
	return s.Conn.SetWriteDeadline(time.Time{})
}

// consume removes the first n bytes.
func consume(frames net.Buffers, n int) net.Buffers {
	for len(frames) > 0 && n >= len(frames[0]) {
		n -= len(frames[0])
		frames = frames[1:]
	}
	if len(frames) > 0 {
		frames[0] = frames[0][n:]
	}
	return frames
}

// awaitEnd reads from a client that has nothing more to say, until the connection ends.
func (s *socket) awaitEnd() ending {
	var nothing [64]byte
	for {
		if _, err := s.Read(nothing[:]); errors.Is(err, io.EOF) {
			return ending{reason: "closed by the client"}
		} else if err != nil {
			return lost
		}
	}
}
