package loadtest

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Operation codes of WebSocket frames (RFC 6455, section 5.2).
const (
	opContinuation = 0
	opText         = 1
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

var errTooLong = fmt.Errorf("a message of more than %d bytes", maxMessage)

// webSocket reads messages from a WebSocket and answers pings.
type webSocket struct {
	reader *bufio.Reader
	conn   net.Conn
	peeked int    // bytes of the buffer that the last message used
	whole  []byte // a message that is not in one piece in the buffer
}

// next implements stream.
func (ws *webSocket) next() ([]byte, error) {
	ws.whole = ws.whole[:0]
	fragmented := false
	for {
		op, final, payload, err := ws.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case opPing:
			ws.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := ws.conn.Write(clientFrame(opPong, payload)); err != nil {
				return nil, fmt.Errorf("answer a ping: %w", err)
			}
		case opPong:
		case opClose:
			e := ended{1005} // no code (section 7.1.5)
			if len(payload) >= 2 {
				e.code = int(binary.BigEndian.Uint16(payload))
			}
			return nil, e
		case opText, opContinuation:
			if (op == opContinuation) != fragmented {
				return nil, errors.New("a continuation of nothing, or a message within another")
			}
			if final && !fragmented {
				return payload, nil
			}
			if len(ws.whole)+len(payload) > maxMessage {
				return nil, errTooLong
			}
			fragmented = true
			if ws.whole = append(ws.whole, payload...); final {
				return ws.whole, nil
			}
		default:
			return nil, fmt.Errorf("a frame with operation code %d", op)
		}
	}
}

// frame reads one frame. Its payload is valid until the next is read.
func (ws *webSocket) frame() (op byte, final bool, payload []byte, err error) {
	ws.reader.Discard(ws.peeked) // it was peeked at
	ws.peeked = 0
	var head [8]byte
	if _, err := io.ReadFull(ws.reader, head[:2]); err != nil {
		return 0, false, nil, err
	}
	op, final = head[0]&0x0F, head[0]&0x80 != 0
	if head[0]&0x70 != 0 || head[1]&0x80 != 0 {
		return 0, false, nil, errors.New("a frame with an extension or a mask")
	}
	length := uint64(head[1])
	switch length {
	case 126:
		_, err = io.ReadFull(ws.reader, head[:2])
		length = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		_, err = io.ReadFull(ws.reader, head[:8])
		length = binary.BigEndian.Uint64(head[:])
	}
	switch {
	case err != nil:
		return 0, false, nil, err
	case length > maxMessage || op >= opClose && length > 125:
		return 0, false, nil, errTooLong
	case length <= uint64(ws.reader.Size()):
		ws.peeked = int(length)
		payload, err = ws.reader.Peek(ws.peeked)
	default:
		payload = make([]byte, length)
		_, err = io.ReadFull(ws.reader, payload)
	}
	return op, final, payload, err
}

// clientFrame is a short frame as a client must send it: masked (RFC 6455, section 5.3).
func clientFrame(op byte, payload []byte) []byte {
	frame := make([]byte, 6, 6+len(payload))
	frame[0], frame[1] = 0x80|op, 0x80|byte(len(payload))
	mask := frame[2:6]
	rand.Read(mask)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	return frame
}

// newKey makes the key of a handshake, and acceptOf the proof that it was
// understood (RFC 6455, section 4.1).
func newKey() string {
	var key [16]byte
	rand.Read(key[:])
	return base64.StdEncoding.EncodeToString(key[:])
}

func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// eventStream reads messages from Server-Sent Events (HTML Standard, section 9.2). Only their data
// is looked at: the message in it has everything.
type eventStream struct {
	reader *bufio.Reader
	data   []byte
}

// next implements stream.
func (es *eventStream) next() ([]byte, error) {
	es.data = es.data[:0]
	inData, has := false, false // the line being read is data; there was data
	for atStart := true; ; {
		part, err := es.reader.ReadSlice('\n')
		whole := err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		part = bytes.TrimSuffix(bytes.TrimSuffix(part, []byte("\n")), []byte("\r"))
		if atStart {
			if whole && len(part) == 0 && has {
				return es.data, nil
			}
			var value []byte
			if value, inData = bytes.CutPrefix(part, []byte("data:")); inData {
				if part = bytes.TrimPrefix(value, []byte(" ")); has {
					es.data = append(es.data, '\n')
				}
				has = true
			}
		}
		if inData {
			if es.data = append(es.data, part...); len(es.data) > maxMessage {
				return nil, errTooLong
			}
		}
		atStart = whole
	}
}
