//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestTLS streams over HTTPS: a WebSocket over HTTP/1.1, and several event streams over
// one connection of HTTP/2.
func TestTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile, pool := harness.NewCertificate(t)
	trust := &tls.Config{RootCAs: pool}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	var connections atomic.Int32
	modern := &http.Client{Transport: &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connections.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}}}
	t.Cleanup(old.CloseIdleConnections)
	t.Cleanup(modern.CloseIdleConnections)
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	token := harness.TokenFor(t, o.UserID, time.Hour)
	p := harness.ServeTo(t, portal, modern, "--tls-cert-file", certFile, "--tls-key-file", keyFile, "--heartbeat-interval", "1s")
	response, err := modern.Get(p.Base + "healthz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.ProtoMajor != 2 || response.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("answered by %s with %v", response.Proto, response.Header)
	}
	ws := p.Dial(t, "?ownerId="+o.ID, &websocket.DialOptions{HTTPClient: old, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	streams := []*harness.Stream{ws}
	for range 3 {
		streams = append(streams, p.Listen(t, token, "?ownerId="+o.ID))
	}
	for _, stream := range streams {
		if hello := stream.Next(nil); hello.Type != "connection_established" {
			t.Errorf("the first message is %s", hello.Type)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("HTTP/2 takes %d connections for 3 streams", n)
	}
	booking := portal.Book(t, o.Hangars[0], guest)
	for _, stream := range streams {
		if m := stream.Next(harness.IsEvent); m.Field("bookingId") != booking {
			t.Errorf("got %s", m.Data)
		}
		stream.Next(harness.OfType("heartbeat"))
	}
	stopped := make(chan int, 1)
	go func() { stopped <- p.Stop() }()
	for _, stream := range streams {
		stream.Next(harness.OfType("server_closing"))
		if stream == ws {
			stream.End()
		} else if m := stream.Next(harness.OfType("error")); m.Field("code") != "1001" {
			t.Errorf("an event stream ends with %s", m.Data)
		}
	}
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d", code)
	}
}
