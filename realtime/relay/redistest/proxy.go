package redistest

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a relay and Redis, over TCP.
type Proxy struct {
	Addr   string // host:port
	target string
	listen net.Listener
	group  sync.WaitGroup

	mu    sync.Mutex
	fault Fault
	conns map[net.Conn]bool
}

// Fault is what a proxy does to the way from Redis to the relay. The zero Fault does nothing.
type Fault struct {
	Hold  chan struct{} // what comes is held in both directions until this is closed
	Drop  bool          // what comes is swallowed in both directions
	Delay time.Duration
	Slow  bool                                 // a byte a second
	Lie   func(message []byte) (told [][]byte) // what is told instead of a message's content
	Flip  float64                              // of how many bytes a bit is flipped, as a share
}

// NewProxy returns a proxy before a server, which passes everything on. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listen: l, conns: map[net.Conn]bool{}}
	p.group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.group.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		p.Set(Fault{})
		l.Close()
		p.Cut()
		p.group.Wait()
	})
	return p
}

// Set sets the fault from now on.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault.Hold != nil && p.fault.Hold != f.Hold {
		close(p.fault.Hold)
	}
	p.fault = f
}

func (p *Proxy) now() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// Cut ends every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		conn.Close()
	}
}

func (p *Proxy) keep(conn net.Conn) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = true
	return func() {
		conn.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, conn)
	}
}

func (p *Proxy) serve(conn net.Conn) {
	defer p.keep(conn)()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.keep(server)()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		defer server.Close()
		p.copy(server, conn)
	})
	defer conn.Close()
	p.tell(conn, server)
}

// copy passes on what a relay says.
func (p *Proxy) copy(to io.Writer, from io.Reader) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		f := p.now()
		if f.Hold != nil {
			<-f.Hold
		}
		if f.Drop {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// tell passes on what Redis says, frame by frame, or something else.
func (p *Proxy) tell(to io.Writer, from io.Reader) {
	type late struct {
		frame []byte
		at    time.Time
	}
	frames := make(chan late, 10_000)
	var group sync.WaitGroup
	defer group.Wait()
	defer close(frames)
	group.Go(func() {
		for f := range frames {
			time.Sleep(time.Until(f.at))
			p.pass(to, f.frame)
		}
	})
	in := bufio.NewReader(from)
	for {
		frame, err := readFrame(in)
		if err != nil {
			return
		}
		frames <- late{frame, time.Now().Add(p.now().Delay)}
	}
}

// pass passes one frame on. Errors show at the next reading.
func (p *Proxy) pass(to io.Writer, frame []byte) {
	f := p.now()
	if f.Hold != nil {
		<-f.Hold
	}
	if f.Drop {
		return
	}
	if head, content, ok := messageOf(frame); ok && f.Lie != nil {
		frame = nil
		for _, told := range f.Lie(content) {
			frame = append(frame, head...)
			frame = append(frame, "$"+strconv.Itoa(len(told))+"\r\n"+string(told)+"\r\n"...)
		}
	}
	for i := range frame {
		if rand.Float64() < f.Flip {
			frame[i] ^= 1 << rand.IntN(8)
		}
	}
	for f.Slow && len(frame) > 0 && p.now().Slow {
		to.Write(frame[:1]) //nolint:errcheck // see above
		frame = frame[1:]
		time.Sleep(time.Second)
	}
	to.Write(frame) //nolint:errcheck // see above
}

// readFrame reads one frame of RESP.
func readFrame(in *bufio.Reader) (frame []byte, err error) {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	switch line[0] {
	case '$':
		if n < 0 {
			return line, nil
		}
		content := make([]byte, n+2)
		_, err = io.ReadFull(in, content)
		return append(line, content...), err
	case '%':
		n *= 2
		fallthrough
	case '*', '>':
		for range n {
			inner, err := readFrame(in)
			if err != nil {
				return nil, err
			}
			line = append(line, inner...)
		}
	}
	return line, nil
}

// messageOf returns what a frame with a message begins with, and the message.
func messageOf(frame []byte) (head, content []byte, ok bool) {
	begin := bytes.Index(frame, []byte("$7\r\nmessage\r\n"))
	if begin < 0 || begin > 8 {
		return nil, nil, false
	}
	in := bufio.NewReader(bytes.NewReader(frame[begin:]))
	size := begin
	for range 2 {
		part, err := readFrame(in)
		if err != nil {
			return nil, nil, false
		}
		size += len(part)
	}
	message, err := readFrame(in)
	if err != nil {
		return nil, nil, false
	}
	_, content, _ = bytes.Cut(message, []byte("\r\n"))
	return frame[:size:size], content[:len(content)-2], true
}
