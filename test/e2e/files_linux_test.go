package e2e

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestSilentConnectionsLeaveRoom starts the program with few file descriptors and opens
// more connections that say nothing than it has: it warns at the start, and REST and
// streams are served all the while.
func TestSilentConnectionsLeaveRoom(t *testing.T) {
	t.Parallel()
	binary, err := harness.Build()
	if err != nil {
		t.Fatal(err)
	}
	portal := dbtest.New(t)
	owner := portal.AddOwner(t, 1)
	arguments := append([]string{"-c", `ulimit -n 400; exec "$0" "$@"`, binary}, harness.ServeFlags(portal.URL, "--limit-exempt", "127.0.0.0/8")...)
	out := harness.Launch(t, nil, "/bin/sh", arguments...).Output
	out.Await(t, `msg="the limit of open files is lower than MAX_CONNECTIONS`)
	p := &harness.Program{Client: &http.Client{Transport: &http.Transport{}}, Output: out, Portal: portal, Base: out.Await(t, "HangarShare Realtime is at ")}
	defer p.Client.CloseIdleConnections()
	p.Ready(t)
	token := harness.TokenFor(t, owner.UserID, harness.Timeout)
	stream := p.Connect(t, token, owner.ID, "")
	stream.Next(harness.OfType("connection_established"))

	address := strings.Trim(strings.TrimPrefix(p.Base, "http://"), "/")
	for i := range 600 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if i%2 == 1 {
			conn.Write([]byte("GET / HTTP/1.1\r\nX-Slow: "))
		}
		if i%50 == 0 {
			p.Client.CloseIdleConnections()
			if status, _, body := p.Get(t, "owners/"+owner.ID+"/metrics", token); status != http.StatusOK {
				t.Fatalf("beside %d silent connections: %d %v", i, status, body)
			}
		}
	}
	p.Connect(t, token, owner.ID, "").Next(harness.OfType("connection_established"))
	portal.Book(t, owner.Hangars[0], portal.AddGuest(t, "Caio", "Brandão"))
	if m := stream.Next(harness.IsEvent); m.Type != "booking_created" {
		t.Errorf("the stream says %s", m.Type)
	}
}
