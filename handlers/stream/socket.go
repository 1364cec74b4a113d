package stream

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

	"github.com/hangarshare/hangarshare-realtime/db/crash"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// sendBuffer is what the kernel may hold of a connection's outgoing bytes. With the backlog of
	// one run of a session it bounds what a slow client costs.
	sendBuffer = 128 << 10
	// closeTimeout is how long the last bytes may wait for the peer, and then the peer's
	// own last ones.
	closeTimeout = 5 * time.Second
	// lingerTime and lingerBytes bound how long, and for how much, a connection is still read from
	// that has nothing more to send, and lingerQuiet how long its peer may say nothing meanwhile:
	// see lingeringClose. The bytes are more than the kernels of both sides hold by default.
	lingerTime  = 20 * time.Second
	lingerQuiet = 5 * time.Second
	lingerBytes = 16 << 20
	// maxLingering is how many connections have these times at once. All others have lingerShort.
	maxLingering = 256
	lingerShort  = time.Second
	// maxControls is how many control frames may wait: some 4 KiB of pongs.
	maxControls = 32
)

// socket is a hijacked connection that can be written without waiting. Whole frames go
// in. What the kernel does not take at once stays in the backlog, and everything that
// comes later queues behind it, so that frames never interleave, not even the WebSocket
// library's own control frames with ours.
//
// A backlog is never left alone: a run of a session that leaves one waits for it in flush. What
// comes from elsewhere (writeControl, writeLast) has it written by a goroutine of its own, also
// before a session exists and after it has ended.
type socket struct {
	// What a run needs comes first and lies together: with thousands of connections
	// nothing of them is in a cache.
	fd       int        // where frames can be written to it directly; else -1, as with TLS
	mu       sync.Mutex // guards what follows, up to waiting
	backlog  net.Buffers
	controls net.Buffers // frames that wait behind the backlog, at most maxInterjected
	// a goroutine is writing the backlog, and will write what is added to it meanwhile
	flushing bool
	finished bool  // the last bytes were given: nothing that comes later leaves
	closed   bool  // the descriptor may be another connection's by now
	failed   error // of a write: nothing that comes later can arrive
	by       time.Time
	flushed  chan struct{} // closed when flushing ends; made by who waits for that

	net.Conn
	below        net.Conn        // the connection below TLS; the same as Conn without it
	tcp          syscall.RawConn // of below; nil where there is none
	writeTimeout time.Duration   // how long a write may wait for the peer
	readAt       atomic.Int64    // when the peer last sent anything, as Unix nanoseconds
}

// open takes a connection over. silence is how long unacknowledged data may stay so
// before the kernel gives the connection up, where the system can say so. writeTimeout is
// how long a write may wait.
func (s *socket) open(conn net.Conn, silence, patience time.Duration) {
	s.Conn, s.below, s.fd, s.writeTimeout = conn, conn, -1, patience
	s.readAt.Store(time.Now().UnixNano())
	if secure, ok := conn.(*tls.Conn); ok {
		s.below = secure.NetConn()
	}
	tcp, ok := s.below.(*net.TCPConn)
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
	if s.below == conn && writesNow {
		raw.Control(func(fd uintptr) { s.fd = int(fd) })
	}
}

// abort ends the connection at once, and every wait for its peer.
func (s *socket) abort() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.below.Close() // that of TLS would first write, and wait
}

// acknowledged returns when the peer's kernel last acknowledged anything; the zero time
// where this one does not say.
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
		s.readAt.Store(time.Now().UnixNano())
	}
	return n, err
}

// tryWrite writes frames without waiting, in one system call. It reports whether all of it went;
// what did not is in the backlog, and flush must follow. It may change frames, but not the bytes in
// them, which it may keep. After writeLast nothing happens.
func (s *socket) tryWrite(frames net.Buffers) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return false, s.failed
	case s.closed:
		return false, net.ErrClosed
	case s.finished:
		return true, nil
	}
	return s.put(frames)
}

// put writes frames or adds them to the backlog. The caller holds the lock.
func (s *socket) put(frames net.Buffers) (done bool, err error) {
	if s.flushing || s.behind() || s.fd < 0 {
		s.backlog = append(s.backlog, frames...)
		return false, nil
	}
	n, err := writeNow(s.fd, frames)
	if err != nil {
		s.failed = err
		return false, err
	}
	s.backlog = append(s.backlog, consume(frames, n)...)
	return !s.behind(), nil
}

// behind reports whether something waits to be written. The caller holds the lock.
func (s *socket) behind() bool { return len(s.backlog)+len(s.controls) > 0 }

// writeControl writes a frame from outside a session's run, and never waits. When many wait
// already, it replaces the newest: of several pings only the last needs an answer (RFC 6455,
// section 5.5.3), and for a peer that reads nothing nothing piles up.
func (s *socket) writeControl(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished || s.closed || s.failed != nil {
		return
	}
	switch waiting := len(s.controls); {
	case waiting == maxControls:
		s.controls[waiting-1] = bytes.Clone(frame)
	case s.behind() || s.flushing:
		s.controls = append(s.controls, bytes.Clone(frame))
	default:
		if _, err := s.put(net.Buffers{bytes.Clone(frame)}); err != nil {
			return // the reader, or the next turn, finds out
		}
	}
	s.flushInBackground()
}

// writeLast gives the connection's last bytes, which wait for the peer until closeTimeout is over.
// Whatever anybody writes after them is dropped. Only the first call counts. It never waits.
func (s *socket) writeLast(last net.Buffers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished || s.closed || s.failed != nil {
		return
	}
	s.by = time.Now().Add(closeTimeout)
	if s.flushing {
		s.Conn.SetWriteDeadline(s.by)
	}
	s.backlog, s.controls = append(s.backlog, s.controls...), nil
	if _, err := s.put(last); err != nil {
		return
	}
	s.finished = true
	s.flushInBackground()
}

// isFinished reports whether the last bytes were given.
func (s *socket) isFinished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finished
}

// flushInBackground has a goroutine write what waits, unless one does so already.
// The caller holds the lock. The goroutine ends with the connection, or when the peer has
// taken in nothing for too long.
func (s *socket) flushInBackground() {
	if s.flushing || !s.behind() {
		return
	}
	s.flushing = true
	go func() {
		defer crash.Report("stream")
		s.mu.Lock()
		err := s.writeBacklog()
		s.mu.Unlock()
		if err != nil {
			s.abort() // nobody may be there to hear of it but the reader
		}
	}()
}

// flush writes the backlog and waits for it, or for the goroutine that writes it already. After an
// error, a timeout included, the connection is of no use.
func (s *socket) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.flushing {
		if s.flushed == nil {
			s.flushed = make(chan struct{})
		}
		waiting := s.flushed
		s.mu.Unlock()
		<-waiting
		s.mu.Lock()
	}
	if s.failed != nil || !s.behind() {
		return s.failed
	}
	s.flushing = true
	return s.writeBacklog()
}

// writeBacklog writes what waits, and what is added meanwhile. The caller holds the lock
// and has set flushing.
func (s *socket) writeBacklog() error {
	for s.failed == nil && s.behind() {
		frames := append(s.backlog, s.controls...)
		s.backlog, s.controls = nil, nil
		deadline := s.by
		if deadline.IsZero() {
			deadline = time.Now().Add(s.writeTimeout)
		}
		err := s.Conn.SetWriteDeadline(deadline)
		if err == nil {
			s.mu.Unlock()
			_, err = frames.WriteTo(s.Conn)
			s.mu.Lock()
		}
		s.failed = err
	}
	s.flushing = false
	if s.flushed != nil {
		close(s.flushed)
		s.flushed = nil
	}
	if s.failed != nil {
		s.backlog, s.controls = nil, nil
		return s.failed
	}
	return s.Conn.SetWriteDeadline(time.Time{}) // TLS may have to write while it reads
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

// lingering has a place for each connection that may linger for long.
var lingering = make(chan struct{}, maxLingering)

// lingeringClose says that nothing more will come and reads on until the peer has said so, too. A
// connection that is closed while bytes of its peer lie unread, or to which more come then, is
// reset. A reset may overtake what we said last, and a client that it reaches while it writes does
// not look for that (RFC 9112, section 9.6; RFC 6455, section 7.1.1). A peer that was still talking
// has a long time to come to our last word, as long as there is a place. One that was silent has
// lingerShort.
func (s *socket) lingeringClose(talking bool) {
	half, ok := s.below.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	if secure, ok := s.Conn.(*tls.Conn); ok {
		secure.CloseWrite()
	}
	half.CloseWrite()
	quiet, late := lingerShort, time.Now().Add(lingerShort)
	if talking {
		select {
		case lingering <- struct{}{}:
			defer func() { <-lingering }()
			quiet, late = lingerQuiet, time.Now().Add(lingerTime)
		default:
		}
	}
	var nothing [4 << 10]byte
	for read := 0; read < lingerBytes; {
		until := time.Now().Add(quiet)
		if until.After(late) {
			until = late
		}
		s.below.SetReadDeadline(until)
		n, err := s.below.Read(nothing[:])
		if read += n; err != nil {
			return
		}
	}
}

// awaitClose reads from a client that has nothing more to say, until the connection ends.
func (s *socket) awaitClose(already int) Disconnect {
	var nothing [64]byte
	for read := already; read <= maxStray; {
		n, err := s.Read(nothing[:])
		if read += n; errors.Is(err, io.EOF) {
			return Disconnect{Reason: "closed by the client"}
		} else if err != nil {
			return connectionLost
		}
	}
	return Disconnect{handlers.CloseTooMany, "an event stream is only read: send nothing on it"}
}
