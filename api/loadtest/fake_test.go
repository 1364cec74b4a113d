package loadtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	fakeToken = "let-me-in"
	fakeOwner = "7"
)

// fake is a server that misbehaves on purpose. Its history has events e1 to eN;
// "after-K" is the position behind eK.
type fake struct {
	*httptest.Server
	gone  bool // history does not reach back
	start func(connection int) string
	// messages that a connection is sent once it is established
	script func(connection int) []string
	code   int // closes with it after the script; 0 stays open
	write  func(conn net.Conn, frames []byte)
	over   chan struct{} // closed when the test is

	mu      sync.Mutex // guards what follows
	history []string
	live    []chan string // to each connection, after its script
}

func newFake(t *testing.T, f *fake) *fake {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/auth/demo", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"token":%q,"ownerId":%q,"accounts":[{"ownerId":%q}]}`, fakeToken, fakeOwner, fakeOwner)
	})
	mux.HandleFunc("GET /api/auth/me", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+fakeToken {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"detail":"who are you?"}`)
			return
		}
		fmt.Fprintf(w, `{"accounts":[{"ownerId":%q},{"ownerId":"8"}]}`, fakeOwner)
	})
	mux.HandleFunc("GET /api/owners/{owner}/events", f.events)
	mux.HandleFunc("GET /api/ws", f.serve)
	mux.HandleFunc("GET /api/sse", f.serve)
	if f.start == nil {
		f.start = func(int) string { return "after-0" }
	}
	if f.script == nil {
		f.script = func(int) []string { return f.history }
	}
	if f.write == nil {
		f.write = func(conn net.Conn, frames []byte) { conn.Write(frames) }
	}
	f.over = make(chan struct{})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(func() { close(f.over); f.Close() })
	return f
}

// position returns how many events lie before a position: an event's id, or "after-K".
func position(text string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(text, "after-"), "e"))
	if err != nil {
		panic(err)
	}
	return n
}

func (f *fake) events(w http.ResponseWriter, r *http.Request) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	limit = min(limit, 3) // pages are short, so that more than one is needed
	after := position(r.URL.Query().Get("after"))
	f.mu.Lock()
	defer f.mu.Unlock()
	events := []json.RawMessage{}
	for _, message := range f.history[min(after, len(f.history)):min(after+limit, len(f.history))] {
		events = append(events, json.RawMessage(message))
	}
	json.NewEncoder(w).Encode(map[string]any{"events": events, "hasMore": after+limit < len(f.history), "resync": f.gone})
}

// serve streams over the connection itself.
func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	number, live := len(f.live), make(chan string, 100)
	f.live = append(f.live, live)
	f.mu.Unlock()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	var out bytes.Buffer
	isSocket := strings.HasSuffix(r.URL.Path, "/ws")
	frame := eventFrame
	if isSocket {
		frame = textFrame
		fmt.Fprintf(&out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			acceptOf(r.Header.Get("Sec-WebSocket-Key")))
	} else {
		out.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
	}
	established := fmt.Sprintf(`{"type":"connection_established","timestamp":1,"ownerId":%q,"data":{"lastEventId":%q}}`, fakeOwner, f.start(number))
	for _, message := range append([]string{established}, f.script(number)...) {
		out.Write(frame(message))
	}
	if f.code != 0 {
		out.Write(farewell(isSocket, f.code))
	}
	f.write(conn, out.Bytes())
	if f.code != 0 {
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, buffered)
	}()
	for {
		select {
		case message := <-live:
			conn.Write(frame(message))
		case <-gone:
			return
		case <-f.over:
			conn.Close()
			<-gone
			return
		}
	}
}

func farewell(isSocket bool, code int) []byte {
	if isSocket {
		return binary.BigEndian.AppendUint16([]byte{0x88, 2}, uint16(code))
	}
	return eventFrame(fmt.Sprintf(`{"type":"error","timestamp":1,"ownerId":%q,"data":{"code":%d,"message":"enough"}}`, fakeOwner, code))
}

func textFrame(message string) []byte {
	frame := []byte{0x81, byte(len(message))}
	if len(message) > 125 {
		frame = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(message)))
	}
	return append(frame, message...)
}

func eventFrame(message string) []byte { return []byte("event: x\ndata: " + message + "\n\n") }

func event(n int) string { return bookingEvent(n, "b0") }

func bookingEvent(n int, bookingID string) string {
	return fmt.Sprintf(`{"id":"e%d","type":"booking_created","timestamp":%d,"ownerId":%q,"data":{"bookingId":%q}}`, n, n, fakeOwner, bookingID)
}

// events lists events in a given order.
func events(numbers ...int) []string {
	var all []string
	for _, n := range numbers {
		all = append(all, event(n))
	}
	return all
}

// eachTransport runs a test on both transports.
func eachTransport(t *testing.T, test func(t *testing.T, transport Transport)) {
	for _, transport := range []Transport{WebSocket, EventStream} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			test(t, transport)
		})
	}
}

// options returns those of a short load test of a fake.
func (f *fake) options(transport Transport, connections int) Options {
	return Options{
		URL: f.URL, Connections: connections, Duration: 1, Transport: transport, Drain: time.Minute,
		Subscribers: []Subscriber{{fakeToken, fakeOwner}},
	}
}

// booker publishes a booking's event when it is committed.
type booker struct {
	fake     *fake
	bookings atomic.Int64
}

// Book implements Booker.
func (b *booker) Book(_ context.Context, _ string) (string, func() error, error) {
	id := fmt.Sprint("b", b.bookings.Add(1))
	return id, func() error {
		b.fake.mu.Lock()
		defer b.fake.mu.Unlock()
		message := bookingEvent(len(b.fake.history)+1, id)
		b.fake.history = append(b.fake.history, message)
		for _, connection := range b.fake.live {
			connection <- message
		}
		return nil
	}, nil
}
