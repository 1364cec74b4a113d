//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package stream_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// busyStore is a store that does something while it is asked for access.
type busyStore struct {
	fakeStore
	busy func()
}

func (b *busyStore) Access(context.Context, db.Caller, string) (db.Role, error) {
	b.busy()
	return db.RoleOwner, nil
}

// TestWhoComesWhileTheServerStopsIsToldSo has the server begin to stop while a client is being
// admitted: it is told goodbye like all the others, on either transport.
func TestWhoComesWhileTheServerStopsIsToldSo(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/ws", "/sse"} {
		o := fakeStore{realtime.NewEpoch("late")}
		bus := realtime.NewBus(o)
		bus.Reset(realtime.Encoder{Epoch: o.epoch, Location: time.UTC}, 3)
		accounts := &busyStore{fakeStore: o}
		streams := &stream.Server{Bus: bus, Accounts: accounts, Authority: o, Heartbeat: time.Minute, Stall: time.Second,
			Location: time.UTC, Log: slog.New(slog.DiscardHandler)}
		streams.Start()
		accounts.busy = func() { streams.Drain(t.Context(), 0) }
		routes := http.NewServeMux()
		routes.HandleFunc("GET /ws", streams.ServeWebSocket)
		routes.HandleFunc("GET /sse", streams.ServeEvents)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			routes.ServeHTTP(w, r.WithContext(handlers.WithViewer(r.Context(), viewer)))
		}))
		told := told(t, server.URL+path+"?ownerId=42")
		first := strings.Index(told, `"type":"connection_established"`)
		if first < 0 || first > strings.Index(told, `"type":"server_closing"`) || !strings.Contains(told, "1001") && !strings.Contains(told, "StatusGoingAway") {
			t.Errorf("%s: told %q", path, told)
		}
		if err := streams.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}

// told returns all that a stream says until it ends, its close code included.
func told(t *testing.T, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if strings.Contains(address, "/sse") {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(address, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	var all strings.Builder
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return all.String() + err.Error()
		}
		all.Write(text)
	}
}
