package stream

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// TestCloseFrameFollowsWhatWaits closes a WebSocket while the kernel takes nothing more: the reason
// comes after all that waits, as soon as the client reads again.
func TestCloseFrameFollowsWhatWaits(t *testing.T) {
	t.Parallel()
	message := &realtime.Event{JSON: bytes.Repeat([]byte("x"), 32<<10)}
	full, closed := make(chan int), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(closed)
		ws, err := (&Server{Heartbeat: time.Minute}).accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		sent := 0
		for done := true; done; sent++ {
			if done, err = ws.tryWrite(net.Buffers{ws.frame(message)}); err != nil {
				t.Error(err)
			}
		}
		full <- sent
		ws.close(tooSlow)
	}))
	defer server.Close()
	client, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fmt.Fprint(client, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	reader := bufio.NewReader(client)
	if response, err := http.ReadResponse(reader, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(response, err)
	}
	var frames bytes.Buffer
	for range <-full {
		frames.Write(textFrame(message))
	}
	frames.Write(closeFrame(tooSlow))
	got := make([]byte, frames.Len())
	client.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := io.ReadFull(reader, got); err != nil || !bytes.Equal(got, frames.Bytes()) {
		t.Errorf("read %d of %d bytes, equal %t: %v", n, frames.Len(), bytes.Equal(got, frames.Bytes()), err)
	}
	client.Write(append([]byte{0x88, 0x82, 0, 0, 0, 0}, binary.BigEndian.AppendUint16(nil, uint16(handlers.CloseTooSlow))...))
	<-closed
}
