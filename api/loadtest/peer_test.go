//lint:file-ignore SA1019 the library is frozen and still correct; here it is the peer that was not written by us

package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"nhooyr.io/websocket"
)

const establishedMessage = `{"type":"connection_established","timestamp":1,"ownerId":"7","data":{"lastEventId":"after-0"}}`

// oneConnection opens a connection to a server and reads it to its end, which the
// server brings about.
func oneConnection(t *testing.T, transport Transport, server http.HandlerFunc) *connection {
	t.Helper()
	f := httptest.NewServer(server)
	defer f.Close()
	api, err := newClient(f.URL, false)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Options: Options{Transport: transport}, api: api, disconnects: map[int]int{}}
	c := &connection{run: r, who: Subscriber{fakeToken, fakeOwner}, index: newEventIndex(Subscriber{})}
	c.last.Store(-1)
	if err := c.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.receive()
	return c
}

func TestWebSocketAnswersPings(t *testing.T) {
	t.Parallel()
	c := oneConnection(t, WebSocket, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn.Write(ctx, websocket.MessageText, []byte(establishedMessage))
		reading := conn.CloseRead(ctx)
		for range 3 {
			if err := conn.Ping(ctx); err != nil {
				t.Error(err)
			}
		}
		fragmented, err := conn.Writer(ctx, websocket.MessageText)
		if err != nil {
			t.Error(err)
			return
		}
		for _, part := range []string{event(1)[:20], event(1)[20:]} {
			fmt.Fprint(fragmented, part)
		}
		fragmented.Close()
		conn.Close(4429, "too many")
		<-reading.Done()
	})
	if len(c.received) != 1 || c.run.disconnects[4429] != 1 {
		t.Errorf("received %v, disconnects %v", c.received, c.run.disconnects)
	}
}

func TestEventStreamInChunks(t *testing.T) {
	t.Parallel()
	c := oneConnection(t, EventStream, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, text := range []string{": hello\r\n\r\ndata: ", establishedMessage, "\r\n\r\n", "id: e1\nda", "ta:" + event(1), "\n\n", "event: x\n\n", "data: unfinished"} {
			fmt.Fprint(w, text)
			http.NewResponseController(w).Flush()
		}
	})
	if len(c.received) != 1 || c.run.unreadable.Load() != 0 || c.run.disconnects[lostWithoutCode] != 1 {
		t.Errorf("received %v, disconnects %v", c.received, c.run.disconnects)
	}
}
