//lint:file-ignore SA1019 the library is frozen and still correct

package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// fakeStore is a database of one owner account, 42, with three events in its log and nothing else.
type fakeStore struct{ epoch realtime.Epoch }

func (fakeStore) CanonicalOwnerID(id string) (string, error) {
	if n, err := strconv.ParseInt(id, 10, 32); err == nil {
		return strconv.FormatInt(n, 10), nil
	}
	return "", db.ErrInvalidID
}

func (fakeStore) Accounts(context.Context, string) ([]db.Account, error) {
	return []db.Account{{OwnerID: "42"}}, nil
}

func (fakeStore) Access(_ context.Context, _ db.Caller, ownerID string) (db.Role, error) {
	if ownerID != "42" {
		return "", nil
	}
	return db.RoleOwner, nil
}

func (fakeStore) Verify(_ context.Context, token string) (handlers.Viewer, error) {
	if token == "later" {
		return handlers.Viewer{}, &handlers.TryLater{Detail: "the token cannot be checked", RetryAfter: 3 * time.Second}
	}
	if token != "good" {
		return handlers.Viewer{}, errors.New("the token is not valid here")
	}
	return viewer, nil
}

func (fakeStore) Dashboard(context.Context, string, time.Time) (d db.Dashboard, err error) {
	return d, nil
}

func (fakeStore) Booking(context.Context, string, string) (b db.Booking, err error) { return b, nil }

func (fakeStore) BookingHistory(context.Context, string, string) (c []eventlog.Change, since time.Time, err error) {
	return nil, since, nil
}

func (fakeStore) Metrics(context.Context, string, time.Time) (m db.RealTimeMetrics, v db.Validity, err error) {
	return m, v, nil
}

func (fakeStore) Bookings(context.Context, string, string, int) ([]db.Booking, error) {
	return nil, nil
}

func (fakeStore) Today(context.Context, string, string, time.Time, int) ([]db.Booking, error) {
	return nil, nil
}

func (fakeStore) Listings(context.Context, string, time.Time) ([]db.Listing, error) { return nil, nil }

// News implements handlers.Changes: there are none.
func (fakeStore) ChangesSince(context.Context, db.Version) (n db.Changes, err error) { return n, nil }

// Owner implements handlers.History: events 1, 2 and 3 of batches 1, 2 and 3.
func (fakeStore) Owner(_ context.Context, _ string, after eventlog.Position, limit int) (eventlog.Page, error) {
	if after.Batch > 4 {
		return eventlog.Page{}, eventlog.ErrHistoryGone
	}
	page := eventlog.Page{End: after}
	for n := int64(1); n <= 3; n++ {
		p := eventlog.Position{Batch: n, TxOrder: n, ID: n}
		if p.Compare(after) > 0 {
			if len(page.Changes) == limit {
				page.More = true
				break
			}
			page.End = p
			page.Changes = append(page.Changes, eventlog.Change{Position: p, OwnerID: "42", Type: realtime.BookingCreated, Data: json.RawMessage(`{}`), At: time.UnixMilli(0)})
		}
	}
	return page, nil
}

// Reaches implements realtime.History.
func (fakeStore) Reaches(_ context.Context, _ string, p eventlog.Position) error {
	if p.Batch > 3 {
		return eventlog.ErrHistoryGone
	}
	return nil
}

func (fakeStore) Last(context.Context, string) (eventlog.Position, error) {
	return eventlog.Position{Batch: 3, TxOrder: 3, ID: 3}, nil
}

func (fakeStore) Oldest(context.Context) (eventlog.Position, error) { return eventlog.Position{}, nil }

var viewer = handlers.Viewer{UserID: "7", Expires: time.Now().Add(24 * time.Hour), Early: true}

// streams returns a Server of the store's events over a bus, nil for one that has begun;
// it ends with the test.
func (o fakeStore) streams(t testing.TB, bus *realtime.Bus) *stream.Server {
	return o.logged(t, bus, slog.New(slog.DiscardHandler))
}

// logged is stream with a log.
func (o fakeStore) logged(t testing.TB, bus *realtime.Bus, log *slog.Logger) *stream.Server {
	if bus == nil {
		bus = realtime.NewBus(o)
		bus.Reset(realtime.Encoder{Epoch: o.epoch, Location: time.UTC}, 3)
	}
	streams := &stream.Server{Bus: bus, Accounts: o, Authority: o, Heartbeat: time.Hour, Stall: time.Second,
		Location: time.UTC, Log: log}
	streams.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		streams.Drain(ctx, 0)
		if err := streams.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return streams
}

// open returns the routes of the store, which end with the test.
func (o fakeStore) open(t testing.TB) http.Handler {
	streams := o.streams(t, nil)
	invalidator := handlers.NewInvalidator(o)
	snapshot := &handlers.Snapshot{Present: o, Accounts: o, Invalidator: invalidator, MetricsCache: handlers.NewMetricsCache(invalidator),
		History: o, Bus: streams.Bus, Now: time.Now, Log: streams.Log}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /ws", streams.ServeWebSocket)
	routes.HandleFunc("GET /sse", streams.ServeEvents)
	routes.HandleFunc("GET /owners/{ownerId}/events", snapshot.Events)
	routes.HandleFunc("GET /owners/{ownerId}/bookings", snapshot.Bookings)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		routes.ServeHTTP(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
	})
}

// endOf returns the code that a message closes with, 0 for one that is answered.
func endOf(data []byte) websocket.StatusCode {
	switch {
	case len(data) > 16<<10:
		return websocket.StatusMessageTooBig
	case !utf8.Valid(data):
		return websocket.StatusInvalidFramePayloadData
	}
	return 0
}

// FuzzClientMessage sends anything on a real WebSocket: it is answered by one message or, when it
// is too long or no text, by a close code, and the session goes on.
func FuzzClientMessage(f *testing.F) {
	for _, text := range []string{``, `{}`, `[]`, `null`, `"text"`, `{"type":"ping"}`, `{"type":7}`, `{"type":"auth","token":"good","ownerId":"42"}`,
		`{"type":"refresh","token":"bad"}`, `{"type":"refresh","token":"good","ownerId":"43"}`, `{"type":"ping"}{"type":"ping"}`,
		`{"TYPE":"ping"}`, "\xff\xfe", "{\"type\":\"\u0000\"}", strings.Repeat("[", 16000), strings.Repeat(" ", 16384), strings.Repeat(" ", 16385)} {
		f.Add([]byte(text))
	}
	server := httptest.NewServer(fakeStore{realtime.NewEpoch("fuzz")}.open(f))
	f.Cleanup(server.Close)
	address := "ws" + strings.TrimPrefix(server.URL, "http") + "/ws?ownerId=42"
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn, _, err := websocket.Dial(ctx, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		next := func() (typ string, err error) {
			_, text, err := conn.Read(ctx)
			if err != nil {
				return "", err
			}
			var m struct{ Type string }
			if err := json.Unmarshal(text, &m); err != nil {
				t.Errorf("not JSON: %s", text)
			}
			return m.Type, nil
		}
		if typ, err := next(); err != nil || typ != "connection_established" {
			t.Fatal(typ, err)
		}
		if err := conn.Write(ctx, websocket.MessageText, data); err != nil {
			t.Fatal(err)
		}
		reply, err := next()
		if ends := endOf(data); ends != 0 {
			if code := websocket.CloseStatus(err); code != ends {
				t.Errorf("%d bytes are answered by %q, %v, want %d", len(data), reply, err, ends)
			}
			return
		}
		if err != nil || (reply != "error" && reply != "pong" && reply != "refreshed") {
			t.Errorf("%q is answered by %q, %v", data, reply, err)
		}
		if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		if typ, err := next(); err != nil || typ != "pong" {
			t.Errorf("after %q a ping is answered by %q, %v", data, typ, err)
		}
	})
}

// page is a response that its reader leaves as soon as something of the stream arrived.
type page struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
}

// SetWriteDeadline is what a stream expects of a connection.
func (page) SetWriteDeadline(time.Time) error { return nil }

// Flush implements http.Flusher.
func (p page) Flush() {
	p.ResponseRecorder.Flush()
	if p.Body.Len() > 0 {
		p.leave()
	}
}

// FuzzRequest asks with any query and any Last-Event-ID: the answer is what was asked for, or a
// problem that blames the client and names the field, never a fault of ours, and a stream that
// lacks something says so.
func FuzzRequest(f *testing.F) {
	epoch := realtime.NewEpoch("fuzz")
	good := epoch.Format("42", eventlog.Position{Batch: 2, TxOrder: 2, ID: 2})
	foreign := epoch.Format("43", eventlog.Position{Batch: 2, TxOrder: 2, ID: 2})
	other := realtime.NewEpoch("other").Format("42", eventlog.Position{Batch: 2})
	for _, query := range []string{"", "ownerId=42", "ownerId=43", "ownerId=%00", "ownerId=42&lastEventId=" + good, "lastEventId=" + foreign,
		"lastEventId=" + other, "after=" + good + "&limit=1", "after=x", "limit=0", "limit=1001", "limit=9999999999999999999", "limit=1&limit=x",
		"%", ";", "a=%zz&after=" + good, "after=" + epoch.Format("42", eventlog.Position{Batch: 99})} {
		for endpoint := range uint8(3) {
			f.Add(endpoint, query, "")
			f.Add(endpoint, query, good)
		}
	}
	f.Add(uint8(0), "ownerId=42", "\x00\r\nX: y")
	routes := fakeStore{epoch}.open(f)
	f.Fuzz(func(t *testing.T, endpoint uint8, query, lastEventID string) {
		path := []string{"/sse", "/owners/42/events", "/owners/42/bookings"}[endpoint%3]
		ctx, leave := context.WithTimeout(t.Context(), time.Minute)
		defer leave()
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path, RawQuery: query}, Host: "localhost",
			Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{}}
		if lastEventID != "" {
			r.Header.Set("Last-Event-ID", lastEventID)
		}
		w := page{httptest.NewRecorder(), leave}
		routes.ServeHTTP(w, r.WithContext(ctx))
		body := w.Body.String()
		switch w.Code {
		case http.StatusOK:
			if path == "/sse" && !strings.Contains(body, "connection_established") {
				t.Errorf("a stream begins with %q", body)
			}
			if path == "/sse" && strings.Contains(body, `"recovered":false`) != strings.Contains(body, "event: resync") {
				t.Errorf("a stream that lacks something must say so, and no other: %s", body)
			}
			if path != "/sse" && !json.Valid([]byte(body)) {
				t.Errorf("not JSON: %s", body)
			}
		case http.StatusBadRequest, http.StatusForbidden:
			var p handlers.Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != w.Code || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %v %s", w.Code, w.Header(), body)
			}
			if w.Code == http.StatusBadRequest && p.Field == "" {
				t.Errorf("no field is named: %s", body)
			}
		default:
			t.Errorf("%s?%s with %q: %d %s", path, query, lastEventID, w.Code, body)
		}
	})
}
