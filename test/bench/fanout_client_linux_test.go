package bench

import (
	"bytes"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// fanoutClient is one connection as its reader knows it: an idle one costs nothing else.
type fanoutClient struct {
	fd, owner int
	webSocket bool
	seen      uint64 // number of the message that came last
	head      [4]byte
	headLen   int
	left      int // of the frame that is being read
	tail      []byte
}

// read reads all connections until the run ends.
func (r *fanoutRun) read() {
	events, buffer := make([]unix.EpollEvent, 512), make([]byte, 256<<10)
	for open := len(r.clients); open > 0; {
		n, err := unix.EpollWait(r.poll, events, -1)
		if err != nil && err != unix.EINTR {
			r.tb.Error(err)
			return
		}
		for _, event := range events[:max(n, 0)] {
			c := r.clients[event.Fd]
			n, err := unix.Read(c.fd, buffer)
			switch {
			case n > 0:
				r.receive(c, buffer[:n])
			case err != unix.EAGAIN && err != unix.EINTR:
				unix.EpollCtl(r.poll, unix.EPOLL_CTL_DEL, c.fd, nil)
				r.gone.Add(1)
				open--
			}
		}
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// receive counts what a connection received, and answers pings.
func (r *fanoutRun) receive(c *fanoutClient, b []byte) {
	if !c.webSocket {
		r.scan(c, b)
		return
	}
	for len(b) > 0 {
		if c.left == 0 {
			c.head[c.headLen] = b[0]
			c.headLen++
			b = b[1:]
			switch {
			case c.headLen == 2 && c.head[1] == 0: // a ping: answered with a masked pong
				unix.Write(c.fd, []byte{0x8A, 0x80, 0, 0, 0, 0})
				c.headLen = 0
			case c.headLen == 2 && c.head[1] < 126:
				c.left = int(c.head[1])
			case c.headLen == 4:
				c.left = int(binary.BigEndian.Uint16(c.head[2:]))
			}
			continue
		}
		n := min(c.left, len(b))
		r.scan(c, b[:n])
		if c.left -= n; c.left == 0 {
			c.headLen = 0
		}
		b = b[n:]
	}
}

// stamp is what a message is recognised by: "@", 10 digits of its owner's count, ".", 16
// of its time in microseconds.
const stampSize = 1 + 10 + 1 + 16

// scan looks for stamps, also such as are cut in two.
func (r *fanoutRun) scan(c *fanoutClient, b []byte) {
	if len(c.tail) > 0 {
		missing := stampSize - len(c.tail)
		c.tail = append(c.tail, b[:min(missing, len(b))]...)
		if len(c.tail) < stampSize {
			return
		}
		r.deliver(c, c.tail)
		c.tail, b = c.tail[:0], b[missing:]
	}
	for {
		at := bytes.IndexByte(b, '@')
		if at < 0 {
			return
		}
		if b = b[at:]; len(b) < stampSize {
			c.tail = append(c.tail, b...)
			return
		}
		r.deliver(c, b[:stampSize])
		b = b[stampSize:]
	}
}

func (r *fanoutRun) deliver(c *fanoutClient, stamp []byte) {
	number := digits(stamp[1:11])
	switch {
	case number == c.seen+1:
	case number > c.seen:
		r.lost.Add(number - c.seen - 1)
	default:
		r.doubled.Add(1)
		return
	}
	c.seen = number
	if r.delivered.Add(1)%sampleEvery == 0 && r.sampling.Load() {
		late := time.Since(time.UnixMicro(int64(digits(stamp[12:]))))
		r.mu.Lock()
		r.samples = append(r.samples, late)
		r.mu.Unlock()
	}
}

func digits(text []byte) (n uint64) {
	for _, d := range text {
		n = 10*n + uint64(d-'0')
	}
	return n
}
