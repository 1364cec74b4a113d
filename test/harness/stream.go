//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"
)

// Message is one message of a stream.
type Message struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp int64           `json:"timestamp"`
	OwnerID   string          `json:"ownerId"`
	Data      json.RawMessage `json:"data"`
}

// Field returns a field of the data as text, <nil> where there is none.
func (m Message) Field(name string) string {
	var fields map[string]any
	json.Unmarshal(m.Data, &fields)
	return fmt.Sprint(fields[name])
}

// Stream is a connection of either transport, read to its end.
type Stream struct {
	T        testing.TB
	Messages chan Message
	Closed   websocket.CloseError // valid after messages is closed
	Conn     *websocket.Conn
	Stop     context.CancelFunc
}

// Dial opens a WebSocket. The address's query and the options say who asks for what.
func (p *Program) Dial(t testing.TB, query string, options *websocket.DialOptions) *Stream {
	t.Helper()
	dialing := websocket.DialOptions{}
	if options != nil {
		dialing = *options
	}
	if dialing.HTTPClient == nil {
		dialing.HTTPClient = p.Client
	}
	conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.Base, "http")+"api/ws"+query, &dialing)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, response)
	}
	return Follow(t, conn)
}

// Follow reads an open WebSocket to its end.
func Follow(t testing.TB, conn *websocket.Conn) *Stream {
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(context.Background())
	s := &Stream{T: t, Messages: make(chan Message, 4096), Conn: conn, Stop: cancel}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer close(s.Messages)
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				s.Closed = websocket.CloseError{Code: websocket.CloseStatus(err), Reason: err.Error()}
				return
			}
			var m Message
			if err := json.Unmarshal(data, &m); err != nil {
				t.Errorf("not JSON: %s", data)
			}
			s.Messages <- m
		}
	}()
	t.Cleanup(func() { cancel(); conn.CloseNow(); <-finished })
	return s
}

// Connect opens a WebSocket with a token in the header.
func (p *Program) Connect(t testing.TB, token, ownerID, lastEventID string) *Stream {
	t.Helper()
	return p.Dial(t, "?ownerId="+ownerID+"&lastEventId="+lastEventID,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
}

// Listen opens an event stream with a token in the header.
func (p *Program) Listen(t testing.TB, token, query string, header ...string) *Stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Base+"api/sse"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := p.Client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("GET /api/sse: %s: %s", response.Status, text)
	}
	s := &Stream{T: t, Messages: make(chan Message, 4096), Stop: cancel}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer close(s.Messages)
		defer response.Body.Close()
		s.readEvents(response.Body)
	}()
	t.Cleanup(func() { cancel(); <-finished })
	return s
}

func (s *Stream) readEvents(body io.Reader) {
	var id, event string
	for lines := bufio.NewScanner(body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			var m Message
			if err := json.Unmarshal([]byte(value), &m); err != nil || m.streamID() != id || m.Type != event {
				s.T.Errorf("event %q with id %q has data %s (%v)", event, id, value, err)
			}
			s.Messages <- m
		case "":
			id, event = "", ""
		}
	}
}

// streamID is what an event stream's field id must say: an event's own, or the position of the
// stream, from where a client that comes back by itself lacks nothing.
func (m Message) streamID() string {
	switch {
	case m.Type == "heartbeat", m.Type == "resync", m.Type == "connection_established" && m.Field("recovered") == "true":
		return m.Field("lastEventId")
	}
	return m.ID
}

// Next returns the next message that is wanted; nil wants any.
func (s *Stream) Next(want func(Message) bool) Message {
	s.T.Helper()
	m, open, seen := s.Await(want)
	if !open {
		s.T.Fatalf("the stream ended with %v after %v", s.Closed, seen)
	}
	return m
}

// Await is next; it reports whether the stream was open, instead of failing where it is not.
func (s *Stream) Await(want func(Message) bool) (m Message, open bool, seen []string) {
	s.T.Helper()
	late := time.After(Timeout)
	for {
		select {
		case m, open := <-s.Messages:
			if !open || want == nil || want(m) {
				return m, open, seen
			}
			seen = append(seen, m.Type)
		case <-late:
			s.T.Fatalf("no such message within %s, only %v", Timeout, seen)
		}
	}
}

// OfType wants messages of a type.
func OfType(typ string) func(Message) bool { return func(m Message) bool { return m.Type == typ } }

// IsEvent wants history: what has an id.
func IsEvent(m Message) bool { return m.ID != "" }

// End waits for the stream's end and returns its close code.
func (s *Stream) End() int {
	s.T.Helper()
	late := time.After(Timeout)
	for {
		select {
		case _, open := <-s.Messages:
			if !open {
				return int(s.Closed.Code)
			}
		case <-late:
			s.T.Fatal("the stream does not end")
		}
	}
}

// Send sends a text.
func (s *Stream) Send(text string) {
	s.T.Helper()
	if err := s.Conn.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		s.T.Fatal(err)
	}
}
