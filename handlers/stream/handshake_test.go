package stream_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/frametest"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// TestHandshake upgrades, or is told by application/problem+json why not.
func TestHandshake(t *testing.T) {
	t.Parallel()
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	good := func(change func(http.Header)) http.Header {
		h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {key}}
		change(h)
		return h
	}
	set := func(name string, values ...string) func(http.Header) {
		return func(h http.Header) { h[http.CanonicalHeaderKey(name)] = values }
	}
	s := newTestServer(t, "plain", fakeStore{realtime.NewEpoch("handshake")}.open(t))
	for name, test := range map[string]struct {
		change func(http.Header)
		want   int
	}{
		"good":                           {func(http.Header) {}, 101},
		"another protocol first":         {set("Upgrade", "foo, websocket"), 101},
		"in capitals":                    {set("Upgrade", "WebSocket"), 101},
		"in two headers":                 {set("Upgrade", "foo", "websocket"), 101},
		"a list of connection options":   {set("Connection", "keep-alive, Upgrade"), 101},
		"an offer of compression":        {set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-unknown; a=1"), 101},
		"a broken offer":                 {set("Sec-WebSocket-Extensions", ";;,=,\"", ""), 101},
		"many protocols":                 {set("Sec-WebSocket-Protocol", strings.Repeat("a, ", 500)+"b", "hangarshare.v1", "c"), 101},
		"no upgrade":                     {set("Upgrade"), 426},
		"only another protocol":          {set("Upgrade", "h2c"), 426},
		"no connection option":           {set("Connection", "keep-alive"), 426},
		"version 8":                      {set("Sec-WebSocket-Version", "8"), 426},
		"no version":                     {set("Sec-WebSocket-Version"), 426},
		"a version that is no number":    {set("Sec-WebSocket-Version", "13.0"), 426},
		"two versions":                   {set("Sec-WebSocket-Version", "13", "8"), 426},
		"no key":                         {set("Sec-WebSocket-Key"), 400},
		"two keys":                       {set("Sec-WebSocket-Key", key, key), 400},
		"a short key":                    {set("Sec-WebSocket-Key", "AAAA"), 400},
		"a key that is not base64":       {set("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!=="), 400},
		"a key with a line's end behind": {set("Sec-WebSocket-Key", key+"\t"), 101},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/ws?ownerId=42", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = good(test.change)
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.want {
				t.Fatalf("answered by %s, want %d", response.Status, test.want)
			}
			if extensions := response.Header.Values("Sec-WebSocket-Extensions"); len(extensions) > 0 {
				t.Errorf("agreed on %v", extensions)
			}
			if name == "many protocols" && response.Header.Get("Sec-WebSocket-Protocol") != stream.Subprotocol {
				t.Errorf("chose %v", response.Header)
			}
			if test.want == 101 {
				return
			}
			var p handlers.Problem
			if err := json.NewDecoder(response.Body).Decode(&p); err != nil || p.Status != test.want || p.Detail == "" {
				t.Errorf("no problem, but %+v, %v", p, err)
			}
			if test.want == 426 && response.Header.Get("Upgrade") != "websocket" {
				t.Errorf("426 without Upgrade: %v", response.Header)
			}
			if strings.Contains(name, "version") && response.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("426 without the version: %v", response.Header)
			}
		})
	}
}

// TestTokenThatCannotBeChecked tells a client to come back, or to keep what it has, on
// each way a token comes.
func TestTokenThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	o := fakeStore{realtime.NewEpoch("later")}
	streams := o.streams(t, nil)
	later := handlers.Viewer{Later: &handlers.TryLater{Detail: "the issuer is away", RetryAfter: 3 * time.Second}}
	serve := func(v *handlers.Viewer) testServer {
		return newTestServer(t, "TLS", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if v != nil {
				r = r.WithContext(handlers.WithViewer(r.Context(), *v))
			}
			streams.ServeWebSocket(w, r)
		}))
	}
	ends := func(c *frametest.Client) {
		t.Helper()
		for _, want := range []string{"text error", "close 1013"} {
			if got, err := c.Next(); got != want {
				t.Errorf("got %q, %v, want %s", got, err, want)
			}
		}
		c.Write(frametest.CloseFrame(1013, ""))
		if err := c.End(); err != nil {
			t.Error(err)
		}
	}
	c, err := frametest.Open(serve(&later).dial(t), "/ws")
	if err != nil {
		t.Fatal(err)
	}
	ends(c)
	if c, err = frametest.Open(serve(nil).dial(t), "/ws"); err != nil {
		t.Fatal(err)
	}
	c.Write(frametest.Frame(0x81, []byte(`{"type":"auth","ownerId":"42","token":"later"}`)))
	ends(c)
	early := later
	early.Early = true
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	streams.ServeWebSocket(w, r.WithContext(handlers.WithViewer(r.Context(), early)))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "3" {
		t.Errorf("Authorization is answered by %d %v", w.Code, w.Header())
	}
	c = serve(&viewer).join(t)
	c.Write(frametest.Frame(0x81, []byte(`{"type":"refresh","token":"later"}`)))
	if err := c.Await("error"); err != nil {
		t.Error(err)
	}
	c.Write(frametest.Frame(0x81, []byte(`{"type":"ping"}`)))
	if err := c.Await("pong"); err != nil {
		t.Errorf("the stream does not go on: %v", err)
	}
}

// TestBadMessagesAreLoggedSeldom sends as many bad messages as a client may at once.
func TestBadMessagesAreLoggedSeldom(t *testing.T) {
	t.Parallel()
	var text lines
	streams := fakeStore{realtime.NewEpoch("bad")}.logged(t, nil, slog.New(slog.NewTextHandler(&text, nil)))
	s := newTestServer(t, "plain", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams.ServeWebSocket(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
	}))
	c, began := s.join(t), time.Now()
	for range 25 {
		c.Write(frametest.Frame(0x81, []byte(`{"type":"hello"}`)))
		if err := c.Await("error"); err != nil {
			t.Fatal(err)
		}
	}
	most := 1 + int(time.Since(began)/time.Second)
	if n := text.count("client message skipped"); n < 1 || n > most {
		t.Errorf("%d lines about 25 bad messages, want 1 to %d", n, most)
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}
