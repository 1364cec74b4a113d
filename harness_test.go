//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	testSecret = "a secret of the tests, long enough to sign"
	// patience bounds every wait for a signal: it is never reached unless something is broken.
	patience = 20 * time.Second
)

// program is a running server and its database.
type program struct {
	base   string // http://127.0.0.1:port/
	client *http.Client
	dbURL  string
	portal *dbtest.Portal
	stop   func() int // stops it and returns the exit code
	output *output
}

// serve starts the program in this process on the portal's database.
func serve(t testing.TB, portal *dbtest.Portal, flags ...string) *program {
	t.Helper()
	return serveTo(t, portal, http.DefaultClient, flags...)
}

// serveTo is serve for a client of the test's own.
func serveTo(t testing.TB, portal *dbtest.Portal, client *http.Client, flags ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out := newOutput()
	args := append([]string{"serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		"--database-url", portal.URL, "--jwt-secret", testSecret}, flags...)
	code := make(chan int, 1)
	go func() { code <- run(ctx, args, out, out) }()
	p := &program{client: client, portal: portal, dbURL: portal.URL, output: out}
	p.stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { p.stop() })
	p.base = out.await(t, "HangarShare Realtime is at ")
	p.ready(t)
	return p
}

// build makes the program's binary once.
var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join("bin", "hangarshare-test")
	text, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, text)
	}
	return binary, nil
})

// ready waits until the server says that it is.
func (p *program) ready(t testing.TB) {
	t.Helper()
	eventually(t, "ready", func() bool {
		r, err := p.client.Get(p.base + "readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// eventually waits for what has no signal of its own.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(10 * time.Millisecond); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not %s after %s", what, patience)
		}
	}
}

func tokenFor(t testing.TB, userID string, lifetime time.Duration) string {
	t.Helper()
	token, _, err := api.NewTokens([]byte(testSecret)).Sign(userID, "", lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// get asks for a path under /api/ with a token, if there is one.
func (p *program) get(t testing.TB, path, token string) (status int, header http.Header, body map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"api/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := p.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return response.StatusCode, response.Header, body
}

// message is one message of a stream.
type message struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp int64           `json:"timestamp"`
	OwnerID   string          `json:"ownerId"`
	Data      json.RawMessage `json:"data"`
}

func (m message) field(name string) string {
	var fields map[string]any
	json.Unmarshal(m.Data, &fields)
	return fmt.Sprint(fields[name])
}

// stream is a connection of either transport, read to its end.
type stream struct {
	t        testing.TB
	messages chan message
	closed   websocket.CloseError // valid after messages is closed
	conn     *websocket.Conn
	stop     context.CancelFunc
}

// dial opens a WebSocket. The address's query and the options say who asks for what.
func (p *program) dial(t testing.TB, query string, options *websocket.DialOptions) *stream {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.base, "http")+"api/ws"+query, options)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, response)
	}
	return follow(t, conn)
}

func follow(t testing.TB, conn *websocket.Conn) *stream {
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(context.Background())
	s := &stream{t: t, messages: make(chan message, 4096), conn: conn, stop: cancel}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer close(s.messages)
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				s.closed = websocket.CloseError{Code: websocket.CloseStatus(err), Reason: err.Error()}
				return
			}
			var m message
			if err := json.Unmarshal(data, &m); err != nil {
				t.Errorf("not JSON: %s", data)
			}
			s.messages <- m
		}
	}()
	t.Cleanup(func() { cancel(); conn.CloseNow(); <-finished })
	return s
}

// connect opens a WebSocket with a token in the header.
func (p *program) connect(t testing.TB, token, ownerID, lastEventID string) *stream {
	t.Helper()
	return p.dial(t, "?ownerId="+ownerID+"&lastEventId="+lastEventID,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
}

// listen opens an event stream with a token in the header.
func (p *program) listen(t testing.TB, token, query string, header ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"api/sse"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := p.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("GET /api/sse: %s: %s", response.Status, text)
	}
	s := &stream{t: t, messages: make(chan message, 4096), stop: cancel}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer close(s.messages)
		defer response.Body.Close()
		s.readEvents(response.Body)
	}()
	t.Cleanup(func() { cancel(); <-finished })
	return s
}

func (s *stream) readEvents(body io.Reader) {
	var id, event string
	for lines := bufio.NewScanner(body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			var m message
			if err := json.Unmarshal([]byte(value), &m); err != nil || m.ID != id || m.Type != event {
				s.t.Errorf("event %q with id %q has data %s (%v)", event, id, value, err)
			}
			s.messages <- m
		case "":
			id, event = "", ""
		}
	}
}

// next returns the next message that is wanted; nil wants any.
func (s *stream) next(want func(message) bool) message {
	s.t.Helper()
	late := time.After(patience)
	var seen []string
	for {
		select {
		case m, open := <-s.messages:
			if !open {
				s.t.Fatalf("the stream ended with %v after %v", s.closed, seen)
			}
			if want == nil || want(m) {
				return m
			}
			seen = append(seen, m.Type)
		case <-late:
			s.t.Fatalf("no such message within %s, only %v", patience, seen)
		}
	}
}

// of wants messages of a type.
func of(typ string) func(message) bool { return func(m message) bool { return m.Type == typ } }

// isEvent wants history: what has an id.
func isEvent(m message) bool { return m.ID != "" }

// end waits for the stream's end and returns its close code.
func (s *stream) end() int {
	s.t.Helper()
	late := time.After(patience)
	for {
		select {
		case _, open := <-s.messages:
			if !open {
				return int(s.closed.Code)
			}
		case <-late:
			s.t.Fatal("the stream does not end")
		}
	}
}

// send sends a text.
func (s *stream) send(text string) {
	s.t.Helper()
	if err := s.conn.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// output is what a program wrote, line by line, for those who wait for a line.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func newOutput() *output { return &output{grown: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grown)
	o.grown = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits for a line with a prefix and returns the rest of it.
func (o *output) await(t testing.TB, prefix string) string {
	t.Helper()
	late := time.After(patience)
	for {
		o.mu.Lock()
		text, grown := o.text.String(), o.grown
		o.mu.Unlock()
		if _, rest, found := strings.Cut(text, prefix); found {
			if line, _, whole := strings.Cut(rest, "\n"); whole {
				return line
			}
		}
		select {
		case <-grown:
		case <-late:
			t.Fatalf("no line %q… in:\n%s", prefix, text)
		}
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func fromJSON(t *testing.T, from io.Reader, value any) {
	t.Helper()
	if err := json.NewDecoder(from).Decode(value); err != nil {
		t.Fatal(err)
	}
}
