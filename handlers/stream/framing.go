package stream

import (
	"encoding/binary"
	"errors"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// maxMessage is the most bytes that a client's message may have: a token with 200
	// groups has 11,000.
	maxMessage = 16 << 10
	// frameRate and frameBurst are how many frames a client may send a second and at once, whatever
	// is in them; byteRate and byteBurst the same for bytes, heads of frames included.
	frameRate  = 20
	frameBurst = 120
	byteRate   = 8 << 10
	byteBurst  = 64 << 10
	// maxStray is the most bytes that a client may send on an event stream, on which it
	// has nothing to say.
	maxStray = 4 << 10
	// maxFollowed is for how many bytes behind what was too much a client's close frame is looked
	// for: what a browser may have sent before it read ours.
	maxFollowed = 1 << 20
	// maxControlPayload is the most bytes of a control frame's payload (RFC 6455, section 5.5).
	maxControlPayload = 125
)

// Opcodes (RFC 6455, section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// errFraming says that a client's frames are not read any further; framing knows why.
var errFraming = errors.New("the client's frames break a rule")

// framing walks over the frames that a client sends before the WebSocket library reads them. It
// holds them to RFC 6455, section 5, to the size of a message and to the budget of a connection:
// their heads show all of that. It knows when the client has said its last word.
type framing struct {
	head      [14]byte // of the frame that is being read
	headLen   int
	remaining int64 // bytes of its payload that are still to come
	message   int64 // bytes of the message that is being read, as far as heads have told
	open      bool  // a message has begun and lacks fragments
	closed    bool  // the client's close frame has come; what is behind it counts for nothing
	reason    []byte
	fault     *Disconnect // why nothing is read any further
	lost      bool        // and where the next frame begins is not known either

	frames, bytes *rate.Limiter
}

// begin gives the budget.
func (f *framing) begin() {
	f.frames, f.bytes = rate.NewLimiter(frameRate, frameBurst), rate.NewLimiter(byteRate, byteBurst)
}

// check walks over bytes as they come and returns how many of them lie before the first frame that
// breaks a rule, which is then the fault.
func (f *framing) check(b []byte, now time.Time) (good int) {
	frames := 0
	for i := 0; i < len(b) && !f.closed; {
		if f.remaining == 0 && f.headLen == 0 {
			good, frames = i, frames+1
		}
		i += f.step(b[i:])
		if f.fault != nil {
			f.follow(b[i:])
			return good
		}
	}
	if !f.frames.AllowN(now, frames) || !f.bytes.AllowN(now, len(b)) {
		f.fault = &Disconnect{handlers.CloseTooMany, "too many frames or bytes"}
		return 0
	}
	return len(b)
}

// follow walks over bytes behind the fault, up to the client's close frame. A client that was only
// too much closes in order (RFC 6455, section 1.4); of one that breaks the protocol nothing more is
// looked at (section 7.1.7).
func (f *framing) follow(b []byte) {
	first := f.fault
	f.lost = f.lost || first.Code != handlers.CloseTooMany && first.Code != handlers.CloseTooBig
	for len(b) > 0 && !f.closed && !f.lost {
		f.fault = nil
		b = b[f.step(b):]
		f.lost = f.fault != nil && f.fault.Code != handlers.CloseTooBig
	}
	f.lost = f.lost || f.remaining > maxFollowed // nobody waits for the end of that
	f.fault = first
}

// step walks over the next byte of a head, or over what there is of a payload.
func (f *framing) step(b []byte) (n int) {
	if f.remaining > 0 {
		n = int(min(f.remaining, int64(len(b))))
		f.payload(b[:n])
	} else {
		n = 1
		f.head[f.headLen] = b[0]
		f.headLen++
		f.fault = f.readHead()
	}
	if f.fault == nil && f.headLen > 1 && f.headLen == f.headSize() && f.remaining == 0 {
		f.fault = f.endFrame()
	}
	return n
}

// headSize returns how many bytes the head has that is being read, at least 2.
func (f *framing) headSize() int {
	if f.headLen < 2 {
		return 2
	}
	switch f.head[1] & 0x7F {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

func badFrame(reason string) *Disconnect { return &Disconnect{handlers.CloseBadFrame, reason} }

// readHead looks at the head as far as it has come.
func (f *framing) readHead() *Disconnect {
	opcode := f.head[0] & 0x0F
	final, control := f.head[0]&0x80 != 0, opcode >= opClose
	switch f.headLen {
	case 1:
		switch {
		case f.head[0]&0x70 != 0:
			return badFrame("a reserved bit is set, and no extension was agreed on")
		case opcode > opBinary && !control, opcode > opPong:
			return badFrame("an unknown opcode")
		case control && !final:
			return badFrame("a control frame in fragments")
		case opcode == opContinuation && !f.open:
			return badFrame("a continuation of nothing")
		case !control && opcode != opContinuation && f.open:
			return badFrame("a new message within another")
		}
		return nil
	case 2:
		switch {
		case f.head[1]&0x80 == 0:
			return badFrame("a client's frames are masked")
		case control && f.head[1]&0x7F > maxControlPayload:
			return badFrame("a control frame of more than 125 bytes")
		}
	}
	if f.headLen < f.headSize() {
		return nil
	}
	length := uint64(f.head[1] & 0x7F)
	switch length {
	case 126:
		if length = uint64(binary.BigEndian.Uint16(f.head[2:])); length < 126 {
			return badFrame("a length written longer than it must be")
		}
	case 127:
		if length = binary.BigEndian.Uint64(f.head[2:]); length <= 0xFFFF || length>>63 != 0 {
			return badFrame("a length written longer than it must be, or with its highest bit")
		}
	}
	f.remaining = int64(length)
	if !control {
		f.open = !final
		if length > maxMessage || f.message+int64(length) > maxMessage {
			return &Disconnect{handlers.CloseTooBig, "a message may have 16384 bytes"}
		}
		f.message += int64(length)
	}
	return nil
}

// payload takes in a part of the payload.
func (f *framing) payload(b []byte) {
	if f.head[0]&0x0F == opClose {
		mask := f.head[f.headLen-4 : f.headLen]
		for _, masked := range b {
			f.reason = append(f.reason, masked^mask[len(f.reason)%4])
		}
	}
	f.remaining -= int64(len(b))
}

// endFrame is called when a frame has come as a whole.
func (f *framing) endFrame() *Disconnect {
	f.headLen = 0
	if !f.open && f.head[0]&0x0F < opClose {
		f.message = 0
	}
	if f.head[0]&0x0F != opClose {
		return nil
	}
	if len(f.reason) > 0 {
		if len(f.reason) == 1 || !isCloseCode(binary.BigEndian.Uint16(f.reason)) {
			return badFrame("a close frame without a valid code")
		}
		if !utf8.Valid(f.reason[2:]) {
			return &Disconnect{handlers.CloseBadText, "a reason that is not UTF-8"}
		}
	}
	f.closed = true
	return nil
}

// isCloseCode reports whether a close frame may carry a code (RFC 6455, section 7.4, and the
// registry of IANA that it began).
func isCloseCode(code uint16) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004, code == 1005, code == 1006:
		return false
	}
	return code >= 1000 && code <= 1014
}
