package stream_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// block is one event of an event stream, field by field.
type block map[string]string

// blocks reads an event stream to its end.
func blocks(t *testing.T, text string) (list []block) {
	t.Helper()
	for part := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		b := block{}
		for line := range strings.SplitSeq(part, "\n") {
			name, value, found := strings.Cut(line, ": ")
			if !found || b[name] != "" {
				t.Errorf("a line %q", line)
			}
			b[name] = value
		}
		list = append(list, b)
	}
	return list
}

// TestEventStreamInEachVersionOfHTTP has a stream end, and sees that each version of HTTP can tell
// that from a lost connection, as far as it can, and gets the same events.
func TestEventStreamInEachVersionOfHTTP(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"HTTP/1.0": "", "HTTP/1.1": "chunked", "HTTP/2.0": ""} {
		for _, encrypted := range []bool{false, true} {
			if version == "HTTP/2.0" && !encrypted {
				continue
			}
			t.Run(fmt.Sprintf("%s/TLS=%t", version, encrypted), func(t *testing.T) {
				t.Parallel()
				o := fakeStore{realtime.NewEpoch("versions")}
				streams := o.streams(t, nil)
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					streams.ServeEvents(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
				}))
				s.EnableHTTP2 = version == "HTTP/2.0"
				kind := "plain"
				if encrypted {
					kind = "TLS"
					s.StartTLS()
				} else {
					s.Start()
				}
				t.Cleanup(s.Close)
				var response *http.Response
				var err error
				if version == "HTTP/2.0" {
					response, err = s.Client().Get(s.URL + "?ownerId=42")
				} else {
					conn := testServer{s, kind}.dial(t)
					fmt.Fprintf(conn, "GET /?ownerId=42 %s\r\nHost: localhost\r\n\r\n", version)
					response, err = http.ReadResponse(bufio.NewReader(conn), nil)
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(response.TransferEncoding, " "); got != want {
					t.Errorf("the body is %q, want %q", got, want)
				}
				lines := bufio.NewReader(response.Body)
				first, err := lines.ReadString('}') // the stream has begun
				if err != nil {
					t.Fatal(err)
				}
				streams.Drain(t.Context(), 0)
				rest, err := io.ReadAll(lines) // for HTTP/1.1 an error without the last chunk
				if err != nil {
					t.Errorf("the stream breaks off: %v", err)
				}
				list := blocks(t, first+string(rest))
				if n := len(list); n != 3 || list[0]["event"] != "connection_established" || list[1]["event"] != "server_closing" || list[2]["event"] != "error" {
					t.Errorf("the stream says %v", list)
				}
			})
		}
	}
}

// TestHeadOpensNoStream asks by HEAD for what GET would answer.
func TestHeadOpensNoStream(t *testing.T) {
	t.Parallel()
	streams := fakeStore{realtime.NewEpoch("head")}.streams(t, nil)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams.ServeEvents(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	for query, want := range map[string]int{"?ownerId=42": http.StatusOK, "?ownerId=43": http.StatusForbidden} {
		conn := testServer{s, "TLS"}.dial(t)
		conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "HEAD /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", query)
		text, err := io.ReadAll(conn)
		if head, body, _ := strings.Cut(string(text), "\r\n\r\n"); err != nil || body != "" || !strings.Contains(head, strconv.Itoa(want)) {
			t.Errorf("HTTP/1.1 %s: %v %q", query, err, text)
		}
		response, err := s.Client().Head(s.URL + "/" + query)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if response.ProtoMajor != 2 || response.StatusCode != want || len(body) > 0 || err != nil {
			t.Errorf("%s %s: %s %q %v", response.Proto, query, response.Status, body, err)
		}
		if want == http.StatusOK && response.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("HEAD says %v", response.Header)
		}
	}
	if n := streams.Opened(); n != 0 {
		t.Errorf("HEAD opened %d streams", n)
	}
}

// TestEventStreamNamesItsPosition sees where a client that comes back by itself comes back from:
// not behind a loss that it was not told of.
func TestEventStreamNamesItsPosition(t *testing.T) {
	t.Parallel()
	o := fakeStore{realtime.NewEpoch("positions")}
	at := func(n int64) string { return o.epoch.Format("42", eventlog.Position{Batch: n, TxOrder: n, ID: n}) }
	lost := realtime.NewEpoch("another").Format("42", eventlog.Position{Batch: 1, TxOrder: 1, ID: 1})
	for name, test := range map[string]struct {
		from string
		want []string // event and id
	}{
		"from now":       {"", []string{"connection_established " + at(3)}},
		"from an event":  {at(3), []string{"connection_established " + at(3)}},
		"behind":         {at(1), []string{"connection_established " + at(1), "booking_created " + at(2), "booking_created " + at(3)}},
		"from elsewhere": {lost, []string{"connection_established ", "resync " + at(3)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithTimeout(t.Context(), time.Minute)
			defer leave()
			w := &events{ResponseRecorder: httptest.NewRecorder(), want: len(test.want), leave: leave}
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/sse?ownerId=42&lastEventId="+test.from, nil)
			r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
			o.open(t).ServeHTTP(w, r)
			var got []string
			for _, b := range blocks(t, w.Body.String()) {
				got = append(got, b["event"]+" "+b["id"])
				if b["event"] != "booking_created" && strings.HasPrefix(b["data"], `{"id"`) {
					t.Errorf("a control message with an id: %s", b["data"])
				}
			}
			if strings.Join(got, ", ") != strings.Join(test.want, ", ") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// events is a response whose reader leaves after some events.
type events struct {
	*httptest.ResponseRecorder
	want  int
	leave context.CancelFunc
}

// SetWriteDeadline is what a stream expects of a connection.
func (*events) SetWriteDeadline(time.Time) error { return nil }

// Flush implements http.Flusher.
func (e *events) Flush() {
	e.ResponseRecorder.Flush()
	if strings.Count(e.Body.String(), "\n\n") >= e.want {
		e.leave()
	}
}

// TestRefusedEventStreams asks for streams that will not be. Who can read a status gets one; an
// EventSource is told when to come back, and never after what is final.
func TestRefusedEventStreams(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		viewer      handlers.Viewer
		query       string
		code        string
		status      int // where the token came in Authorization
		least, most int // of retry, in ms
	}{
		"a bad token":           {handlers.Viewer{Rejected: "no"}, "", "4401", 401, 86400000, 86400000},
		"another's account":     {handlers.Viewer{UserID: "7"}, "?ownerId=43", "4403", 403, 86400000, 86400000},
		"a bad position":        {handlers.Viewer{UserID: "7"}, "?ownerId=42&lastEventId=x", "4400", 400, 86400000, 86400000},
		"not checked":           {handlers.Viewer{Later: &handlers.TryLater{Detail: "later", RetryAfter: 7 * time.Second}}, "", "1013", 503, 1000, 7000},
		"not checked, no hint":  {handlers.Viewer{Later: &handlers.TryLater{Detail: "later"}}, "", "1013", 503, 1000, 2000},
		"not checked, for long": {handlers.Viewer{Later: &handlers.TryLater{Detail: "later", RetryAfter: time.Minute}}, "", "1013", 503, 1000, 60000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams := fakeStore{realtime.NewEpoch("refused")}.streams(t, nil)
			ask := func(early bool) *httptest.ResponseRecorder {
				v := test.viewer
				v.Early = early
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodGet, "/sse"+test.query, nil)
				streams.ServeEvents(w, r.WithContext(handlers.WithViewer(r.Context(), v)))
				return w
			}
			if w := ask(true); w.Code != test.status || (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("a header's sender gets %d %v", w.Code, w.Header())
			}
			w := ask(false)
			list := blocks(t, w.Body.String())
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" || len(list) != 1 ||
				list[0]["event"] != "error" || !strings.Contains(list[0]["data"], `"code":`+test.code) {
				t.Fatalf("an EventSource gets %d %v", w.Code, list)
			}
			if retry, err := strconv.Atoi(list[0]["retry"]); err != nil || retry < test.least || retry > test.most {
				t.Errorf("it is told to come back after %q ms, want %d to %d", list[0]["retry"], test.least, test.most)
			}
			if !strings.HasPrefix(w.Body.String(), "retry: ") {
				t.Errorf("retry comes after the message: %s", w.Body)
			}
			if strings.Contains(list[0]["data"], "retryMs") != (test.code == "1013") {
				t.Errorf("it is told %s", list[0]["data"])
			}
		})
	}
}

// TestStreamsSayWhenToComeBack draws the time for each stream.
func TestStreamsSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	o := fakeStore{realtime.NewEpoch("retry")}
	routes, drawn := o.open(t), map[string]bool{}
	for range 8 {
		ctx, leave := context.WithTimeout(t.Context(), time.Minute)
		w := &events{ResponseRecorder: httptest.NewRecorder(), want: 1, leave: leave}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/sse?ownerId=42", nil)
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
		routes.ServeHTTP(w, r)
		leave()
		retry := blocks(t, w.Body.String())[0]["retry"]
		if ms, err := strconv.Atoi(retry); err != nil || ms < 1000 || ms > 5000 {
			t.Errorf("retry: %s", retry)
		}
		drawn[retry] = true
	}
	if len(drawn) < 2 {
		t.Errorf("all eight come back after the same time: %v", drawn)
	}
}

// TestRequestsWaitForTheStart asks a server whose bus has not begun, on every way.
func TestRequestsWaitForTheStart(t *testing.T) {
	t.Parallel()
	o := fakeStore{realtime.NewEpoch("start")}
	bus := realtime.NewBus(o)
	streams := o.streams(t, bus)
	invalidator := handlers.NewInvalidator(o)
	snapshot := &handlers.Snapshot{Present: o, Accounts: o, Invalidator: invalidator, MetricsCache: handlers.NewMetricsCache(invalidator),
		History: o, Bus: bus, Now: time.Now, Log: streams.Log}
	arrived := make(chan string, 3)
	routes := http.NewServeMux()
	for pattern, serve := range map[string]http.HandlerFunc{
		"/ws": streams.ServeWebSocket, "/sse": streams.ServeEvents, "/owners/{ownerId}/bookings": snapshot.Bookings,
	} {
		routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			arrived <- pattern
			serve(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
		})
	}
	s := newTestServer(t, "plain", routes)
	done := make(chan error, 3)
	go func() {
		c := s.join(t)
		c.Close()
		done <- nil
	}()
	for _, path := range []string{"/sse?ownerId=42", "/owners/42/bookings"} {
		go func() {
			response, err := http.Get(s.URL + path)
			if err == nil {
				if response.StatusCode != http.StatusOK {
					err = fmt.Errorf("%s: %s", path, response.Status)
				}
				response.Body.Close()
			}
			done <- err
		}()
	}
	for range cap(arrived) {
		<-arrived
	}
	select {
	case err := <-done:
		t.Errorf("somebody did not wait: %v", err)
		done <- err
	default:
	}
	bus.Reset(realtime.Encoder{Epoch: o.epoch, Location: time.UTC}, 3)
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
