//lint:file-ignore SA1019 the library is frozen and still correct

package handlers_test

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

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// office is a database of one owner account, 42, with three events in its log and nothing else.
type office struct{ epoch realtime.Epoch }

func (office) CanonicalOwnerID(id string) (string, error) {
	if n, err := strconv.ParseInt(id, 10, 32); err == nil {
		return strconv.FormatInt(n, 10), nil
	}
	return "", db.ErrInvalidID
}

func (office) Accounts(context.Context, string) ([]db.Account, error) {
	return []db.Account{{OwnerID: "42"}}, nil
}

func (office) Access(_ context.Context, _ db.Caller, ownerID string) (db.Role, error) {
	if ownerID != "42" {
		return "", nil
	}
	return db.RoleOwner, nil
}

func (office) Verify(_ context.Context, token string) (handlers.Viewer, error) {
	if token != "good" {
		return handlers.Viewer{}, errors.New("the token is not valid here")
	}
	return viewer, nil
}

func (office) Metrics(context.Context, string, time.Time) (m db.RealTimeMetrics, v db.Validity, err error) {
	return m, v, nil
}

func (office) Bookings(context.Context, string, int) ([]db.Booking, error) { return nil, nil }

func (office) Today(context.Context, string, time.Time, int) ([]db.Booking, error) { return nil, nil }

func (office) Listings(context.Context, string, time.Time) ([]db.Listing, error) { return nil, nil }

// News implements handlers.News: there are none.
func (office) News(context.Context, db.Mark) (n db.News, err error) { return n, nil }

// Owner implements handlers.History: events 1, 2 and 3 of batches 1, 2 and 3.
func (office) Owner(_ context.Context, _ string, after db.Position, limit int) (changes []db.Change, more bool, err error) {
	if after.Batch > 4 {
		return nil, false, db.ErrHistoryGone
	}
	for n := int64(1); n <= 3; n++ {
		p := db.Position{Batch: n, Turn: n, ID: n}
		if p.Compare(after) > 0 {
			changes = append(changes, db.Change{Position: p, OwnerID: "42", Type: realtime.BookingCreated, Data: json.RawMessage(`{}`), At: time.UnixMilli(0)})
		}
	}
	if len(changes) > limit {
		return changes[:limit], true, nil
	}
	return changes, false, nil
}

func (office) Last(context.Context, string) (db.Position, error) {
	return db.Position{Batch: 3, Turn: 3, ID: 3}, nil
}

func (office) Oldest(context.Context) (db.Position, error) { return db.Position{}, nil }

var viewer = handlers.Viewer{UserID: "7", Expires: time.Now().Add(24 * time.Hour), Early: true}

// open returns the routes of the office, which end with the test.
func (o office) open(f *testing.F) http.Handler {
	bus := realtime.NewBus(o)
	bus.Begin(realtime.Encoder{Epoch: o.epoch, Location: time.UTC}, 3)
	quiet := slog.New(slog.DiscardHandler)
	stream := &handlers.Stream{Bus: bus, Accounts: o, Authority: o, Heartbeat: time.Minute, Stall: time.Second, Location: time.UTC, Log: quiet}
	stream.Start()
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stream.Drain(ctx, 0)
		if err := stream.Shutdown(ctx); err != nil {
			f.Error(err)
		}
	})
	lookout := handlers.NewLookout(o)
	snapshot := &handlers.Snapshot{Present: o, Accounts: o, Lookout: lookout, Known: handlers.NewKnownMetrics(lookout),
		History: o, Bus: bus, Now: time.Now, Log: quiet}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /ws", stream.ServeWebSocket)
	routes.HandleFunc("GET /sse", stream.ServeEvents)
	routes.HandleFunc("GET /owners/{ownerId}/events", snapshot.Events)
	routes.HandleFunc("GET /owners/{ownerId}/bookings", snapshot.Bookings)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		routes.ServeHTTP(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
	})
}

// FuzzClientMessage sends anything on a real WebSocket: it is answered by one message or, when it is too long, by 1009,
// and the session goes on.
func FuzzClientMessage(f *testing.F) {
	for _, text := range []string{``, `{}`, `[]`, `null`, `"text"`, `{"type":"ping"}`, `{"type":7}`, `{"type":"auth","token":"good","ownerId":"42"}`,
		`{"type":"refresh","token":"bad"}`, `{"type":"refresh","token":"good","ownerId":"43"}`, `{"type":"ping"}{"type":"ping"}`,
		`{"TYPE":"ping"}`, "\xff\xfe", "{\"type\":\"\u0000\"}", strings.Repeat("[", 4000), strings.Repeat(" ", 5000)} {
		f.Add([]byte(text))
	}
	server := httptest.NewServer(office{realtime.NewEpoch("fuzz")}.open(f))
	f.Cleanup(server.Close)
	address := "ws" + strings.TrimPrefix(server.URL, "http") + "/ws?ownerId=42"
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
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
		if len(data) > 4096 {
			if code := websocket.CloseStatus(err); code != 1009 {
				t.Errorf("%d bytes are answered by %q, %v, want 1009", len(data), reply, err)
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

// FuzzRequest asks with any query and any Last-Event-ID: the answer is what was asked for, or a problem that blames the client
// and names the field, never a fault of ours, and a stream that lacks something says so.
func FuzzRequest(f *testing.F) {
	epoch := realtime.NewEpoch("fuzz")
	good := epoch.Format("42", db.Position{Batch: 2, Turn: 2, ID: 2})
	foreign := epoch.Format("43", db.Position{Batch: 2, Turn: 2, ID: 2})
	other := realtime.NewEpoch("other").Format("42", db.Position{Batch: 2})
	for _, query := range []string{"", "ownerId=42", "ownerId=43", "ownerId=%00", "ownerId=42&lastEventId=" + good, "lastEventId=" + foreign,
		"lastEventId=" + other, "after=" + good + "&limit=1", "after=x", "limit=0", "limit=1001", "limit=9999999999999999999", "limit=1&limit=x",
		"%", ";", "a=%zz&after=" + good, "after=" + epoch.Format("42", db.Position{Batch: 99})} {
		for endpoint := range uint8(3) {
			f.Add(endpoint, query, "")
			f.Add(endpoint, query, good)
		}
	}
	f.Add(uint8(0), "ownerId=42", "\x00\r\nX: y")
	routes := office{epoch}.open(f)
	f.Fuzz(func(t *testing.T, endpoint uint8, query, lastEventID string) {
		path := []string{"/sse", "/owners/42/events", "/owners/42/bookings"}[endpoint%3]
		ctx, leave := context.WithTimeout(t.Context(), 10*time.Second)
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
