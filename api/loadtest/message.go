package loadtest

import (
	"bytes"
	"encoding/json"
)

// Types of message that mean something to a load test.
const (
	typeEstablished = "connection_established"
	typeMetrics     = "metrics_updated"
	typeCreated     = "booking_created"
	typeResync      = "resync"
	typeError       = "error"
)

// message is what is read of a message. Its slices are valid until the next is read.
type message struct {
	id, typ, ownerID, data []byte
	timestamp              int64
}

// read finds a message's fields. The common form, data at the end and no escapes
// before it, costs no decoding.
func read(text []byte) (message, bool) {
	if m, ok := scan(text); ok {
		return m, true
	}
	var full struct {
		ID        string          `json:"id"`
		Type      string          `json:"type"`
		OwnerID   string          `json:"ownerId"`
		Timestamp int64           `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &full); err != nil || full.Type == "" {
		return message{}, false
	}
	return message{[]byte(full.ID), []byte(full.Type), []byte(full.OwnerID), full.Data, full.Timestamp}, true
}

func scan(b []byte) (m message, ok bool) {
	if len(b) == 0 || b[0] != '{' {
		return m, false
	}
	for len(b) > 1 {
		name, rest, ok := quoted(b[1:])
		if !ok || len(rest) < 2 || rest[0] != ':' {
			return m, false
		}
		rest = rest[1:]
		switch string(name) {
		case "id":
			m.id, rest, ok = quoted(rest)
		case "type":
			m.typ, rest, ok = quoted(rest)
		case "ownerId":
			m.ownerID, rest, ok = quoted(rest)
		case "timestamp":
			m.timestamp, rest, ok = digits(rest)
		case "data":
			m.data = rest[:len(rest)-1]
			return m, len(m.typ) > 0 && rest[len(rest)-1] == '}'
		default:
			return m, false
		}
		if !ok || len(rest) == 0 || rest[0] != ',' {
			return m, false
		}
		b = rest
	}
	return m, false
}

// quoted reads a JSON string without escapes.
func quoted(b []byte) (value, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	end := bytes.IndexByte(b[1:], '"') + 1
	if end == 0 || bytes.IndexByte(b[1:end], '\\') >= 0 {
		return nil, nil, false
	}
	return b[1:end], b[end+1:], true
}

func digits(b []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && i < 18 && '0' <= b[i] && b[i] <= '9'; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	return n, b[i:], i > 0
}

var bookingKey = []byte(`"bookingId":"`)

// bookingID returns the booking that an event's data is about.
func bookingID(data []byte) []byte {
	at := bytes.Index(data, bookingKey)
	if at < 0 {
		return nil
	}
	id, _, _ := quoted(data[at+len(bookingKey)-1:])
	return id
}
