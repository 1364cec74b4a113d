package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
)

const (
	// maxBulk bounds one string that Redis may send: a message is at most maxMessage bytes long.
	maxBulk = maxMessage + 1024
	// maxLine, maxElements and maxDepth bound the rest of what may come.
	maxLine     = 4096
	maxElements = 4096
	maxDepth    = 8
)

// errProtocol says that what came from Redis is not its protocol, or not an answer to anything.
var errProtocol = errors.New("Redis does not keep to its protocol")

// guard is a connection that hands on only what a well-behaved Redis may send: frames of RESP
// (protocol specification of Redis, versions 2 and 3) of bounded size, and as many answers as there
// were questions. The client library panics or reserves any amount of memory for others, which a
// broken or malicious Redis must not bring about.
type guard struct {
	net.Conn
	stop func() bool // the watch over the context

	in    *bufio.Reader
	frame bytes.Buffer // what was checked and not yet handed on

	asking  asking
	pending atomic.Int64 // answers that are due
}

// newGuard wraps a connection, which ends with ctx.
func newGuard(ctx context.Context, conn net.Conn) *guard {
	return &guard{Conn: conn, in: bufio.NewReaderSize(conn, maxLine), stop: context.AfterFunc(ctx, func() { conn.Close() })}
}

// Close closes the connection.
func (g *guard) Close() error {
	g.stop()
	return g.Conn.Close()
}

// Write counts the answers that are due, and writes.
func (g *guard) Write(p []byte) (int, error) {
	due, err := g.asking.count(p)
	if err != nil {
		return 0, err
	}
	g.pending.Add(due)
	return g.Conn.Write(p)
}

// Read hands on what was checked, frame by frame.
func (g *guard) Read(p []byte) (int, error) {
	for g.frame.Len() == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	return g.frame.Read(p)
}

// next reads one frame, and leaves it out where nobody asked for its like.
func (g *guard) next() error {
	g.frame.Reset()
	if _, err := g.in.Peek(1); err != nil {
		return err // between frames: a deadline may pass here without harm
	}
	f := frame{}
	if err := g.copyFrame(&f, 0); err != nil {
		g.frame.Reset()
		g.Conn.Close() // a part of a frame is lost: nothing that follows makes sense
		return err
	}
	switch {
	case f.isMessage():
		return nil
	case f.kind == '>' && !f.isSubscription():
		g.frame.Reset()
		return nil
	}
	if g.pending.Add(-1) < 0 {
		g.frame.Reset()
		g.Conn.Close()
		return fmt.Errorf("%w: an answer to nothing", errProtocol)
	}
	return nil
}

// frame is what counts of a frame: its type, how many elements it has, and the first one.
type frame struct {
	kind     byte
	elements int
	first    string
}

func (f *frame) isMessage() bool {
	return (f.kind == '>' || f.kind == '*') && f.elements == 3 && f.first == "message"
}

func (f *frame) isSubscription() bool {
	return f.elements == 3 && (f.first == "subscribe" || f.first == "unsubscribe")
}

// copyFrame copies a frame, and those in it, from the connection.
func (g *guard) copyFrame(f *frame, depth int) error {
	line, err := g.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return fmt.Errorf("%w: a line of more than %d bytes", errProtocol, maxLine)
	}
	if err != nil {
		return err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return fmt.Errorf("%w: a line without an end", errProtocol)
	}
	g.frame.Write(line)
	kind, rest := line[0], line[1:len(line)-2]
	if depth == 0 {
		f.kind = kind
	}
	switch kind {
	case '+', '-', ',', '(':
		return nil
	case '_':
		if len(rest) != 0 {
			return fmt.Errorf("%w: a null with content", errProtocol)
		}
		return nil
	case '#':
		if len(rest) != 1 {
			return fmt.Errorf("%w: a boolean of %d bytes", errProtocol, len(rest))
		}
		return nil
	case ':':
		return g.checkInteger(rest)
	case '$', '=', '!':
		return g.copyString(f, rest, depth)
	case '*', '>', '~', '%':
		return g.copyElements(f, kind, rest, depth)
	}
	return fmt.Errorf("%w: a frame of type %q", errProtocol, kind)
}

func (g *guard) checkInteger(rest []byte) error {
	if _, err := strconv.ParseInt(string(rest), 10, 64); err != nil {
		return fmt.Errorf("%w: %q is no number", errProtocol, rest)
	}
	return nil
}

// length reads a length; -1 is the null of RESP2.
func length(rest []byte, most int) (int, error) {
	n, err := strconv.ParseInt(string(rest), 10, 32)
	if err != nil || n < -1 || int(n) > most {
		return 0, fmt.Errorf("%w: a length of %q", errProtocol, rest)
	}
	return int(n), nil
}

// copyString copies what follows a string's length.
func (g *guard) copyString(f *frame, rest []byte, depth int) error {
	n, err := length(rest, maxBulk)
	if err != nil || n < 0 {
		return err
	}
	start := g.frame.Len()
	if _, err := io.CopyN(&g.frame, g.in, int64(n)+2); err != nil {
		return err
	}
	content := g.frame.Bytes()[start:]
	if !bytes.HasSuffix(content, []byte("\r\n")) {
		return fmt.Errorf("%w: a string without an end", errProtocol)
	}
	if depth == 1 && f.first == "" {
		f.first = string(content[:min(n, 16)])
	}
	return nil
}

// copyElements copies what follows an array's length.
func (g *guard) copyElements(f *frame, kind byte, rest []byte, depth int) error {
	n, err := length(rest, maxElements)
	if err != nil {
		return err
	}
	if n < 0 && kind != '*' || depth == maxDepth {
		return fmt.Errorf("%w: an array of %d at depth %d", errProtocol, n, depth)
	}
	if kind == '%' {
		n *= 2
	}
	if depth == 0 {
		f.elements = n
	}
	for range n {
		if g.frame.Len() > 2*maxBulk {
			return fmt.Errorf("%w: a frame of more than %d bytes", errProtocol, 2*maxBulk)
		}
		if err := g.copyFrame(f, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// asking counts the answers that commands ask for, as they are written: an array of strings each.
type asking struct {
	line   []byte // a line so far
	skip   int    // bytes of a string to come, with its end
	args   int    // strings of the command to come
	total  int
	name   []byte // of the command
	naming bool   // the string to come is the name
}

// count takes what is written next and returns how many answers it completes the questions of.
func (a *asking) count(p []byte) (due int64, err error) {
	for len(p) > 0 {
		if a.skip > 0 {
			n := min(a.skip, len(p))
			if a.naming {
				a.name = append(a.name, p[:n]...)
			}
			a.skip, p = a.skip-n, p[n:]
			if a.skip == 0 {
				due += a.endString()
			}
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			a.line = append(a.line, p...)
			return due, nil
		}
		a.line, p = append(a.line, p[:end+1]...), p[end+1:]
		if err := a.header(); err != nil {
			return due, err
		}
		a.line = a.line[:0]
	}
	return due, nil
}

// header takes the line before a command or a string.
func (a *asking) header() error {
	if len(a.line) < 4 {
		return fmt.Errorf("count a command: a line of %d bytes", len(a.line))
	}
	n, err := strconv.Atoi(string(a.line[1 : len(a.line)-2]))
	switch {
	case err != nil || n < 0:
		return fmt.Errorf("count a command: a length of %q", a.line)
	case a.line[0] == '*' && a.args == 0 && n > 0:
		a.args, a.total, a.name = n, n, a.name[:0]
	case a.line[0] == '$' && a.args > 0:
		a.skip, a.naming = n+2, a.args == a.total
	default:
		return fmt.Errorf("count a command: unexpected %q", a.line)
	}
	return nil
}

// endString ends a string, and perhaps the command: it asks for one answer, a subscription for one
// for each channel.
func (a *asking) endString() int64 {
	if a.args--; a.args > 0 {
		return 0
	}
	switch string(bytes.ToUpper(bytes.TrimSpace(a.name))) {
	case "SUBSCRIBE", "UNSUBSCRIBE":
		return int64(max(1, a.total-1))
	}
	return 1
}
