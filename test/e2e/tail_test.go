package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// startTail runs tail until stop is called, which returns its exit code.
func startTail(t *testing.T, flags ...string) (out, log *harness.Output, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, log = harness.NewOutput(), harness.NewOutput()
	code := make(chan int, 1)
	go func() {
		code <- harness.Run(ctx, append([]string{"tail", "--jwt-secret", harness.Secret}, flags...), out, log)
	}()
	stopped := false
	stop = func() int {
		cancel()
		stopped = true
		return <-code
	}
	t.Cleanup(func() {
		if !stopped {
			stop()
		}
		if t.Failed() {
			t.Logf("tail said:\n%s", log)
		}
	})
	return out, log, stop
}

// TestTail follows a stream through lost connections, and again from where it ended.
func TestTail(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	proxy := harness.NewProxy(t, "tcp", strings.TrimSuffix(strings.TrimPrefix(s.Base, "http://"), "/"))
	out, log, stop := startTail(t, "--json", "--url", "http://"+proxy.Address(), "--owner", s.Owner.ID, "--user", s.Owner.UserID)
	out.Await(t, `"type":"connection_established"`)

	var bookings []string
	book := func(guest string) {
		id := s.Portal.Book(t, s.Owner.Hangars[0], guest)
		bookings = append(bookings, id)
	}
	book(s.Guest)
	out.Await(t, `"bookingId":"`+bookings[0]+`"`)
	for range 3 { // the connection is lost, and a booking made meanwhile
		proxy.Set(harness.Refuse)
		proxy.Cut()
		book(s.Guest)
		proxy.Set(harness.Pass)
		out.Await(t, `"bookingId":"`+bookings[len(bookings)-1]+`"`)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
	after := log.Await(t, "after=")
	book(s.Portal.AddGuest(t, "Bruno", "\x1b[31mRed\u202e\u009b"))

	again, _, stopAgain := startTail(t, "--json", "--url", s.Base, "--owner", s.Owner.ID, "--user", s.Owner.UserID, "--after", after)
	again.Await(t, `"bookingId":"`+bookings[len(bookings)-1]+`"`)
	stopAgain()
	var seen []string
	for line := range strings.Lines(out.String() + again.String()) {
		if strings.ContainsAny(line, "\x1b\u202e\u009b") {
			t.Errorf("a terminal would obey %q", line)
		}
		var m harness.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch m.Type {
		case "booking_created":
			seen = append(seen, m.Field("bookingId"))
		case "resync", "heartbeat":
			t.Errorf("%s", line)
		}
	}
	if strings.Join(seen, " ") != strings.Join(bookings, " ") {
		t.Errorf("seen are the bookings %v, made were %v", seen, bookings)
	}
	if last := lastMessage(t, again); last.Field("guestName") != "Bruno \x1b[31mRed\u202e\u009b" {
		t.Errorf("the escaped name is %q", last.Field("guestName"))
	}
}

// lastMessage returns the last event of an output of JSON lines.
func lastMessage(t *testing.T, out *harness.Output) (last harness.Message) {
	t.Helper()
	for line := range strings.Lines(out.String()) {
		var m harness.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m.ID != "" {
			last = m
		}
	}
	return last
}

// TestTailForPeople prints lines to read, also of a name that a terminal would obey.
func TestTailForPeople(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t, "--heartbeat-interval", "100ms")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(s.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, _ := startTail(t, "--url", s.Base, "--token", file)
	out.Await(t, "connection established owner "+s.Owner.ID)
	booking := s.Portal.Book(t, s.Owner.Hangars[0], s.Portal.AddGuest(t, "Bruno", "\x1b]0;title\a"))
	line := out.Await(t, "booking created        #"+booking+" ")
	if !strings.Contains(line, ", Bruno �]0;title�, ") || !strings.HasSuffix(line, ", BRL 220.50") {
		t.Errorf("the line says %q", line)
	}
	if line := out.Await(t, "overview updated       "); !strings.Contains(line, " spaces are occupied; ") {
		t.Errorf("the overview is told as %q", line)
	}
	out.Await(t, "notifications updated  1 unread, 1 unseen; 1 changed")
	if strings.Contains(out.String(), "heartbeat") {
		t.Errorf("heartbeats are shown: %s", out)
	}
}

// TestTailIsRefused ends with one line where coming back would not help.
func TestTailIsRefused(t *testing.T) {
	t.Parallel()
	s := harness.NewSetup(t)
	other := s.Portal.AddOwner(t, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("a shop")) }))
	t.Cleanup(elsewhere.Close)
	file := filepath.Join(dbtest.Dir(t), "token")
	if err := os.WriteFile(file, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		flags []string
		says  string
	}{
		"another's account": {[]string{"--url", s.Base, "--owner", other.ID, "--user", s.Owner.UserID}, "403"},
		"a bad token":       {[]string{"--url", s.Base, "--token", file}, "401"},
		"a bad position":    {[]string{"--url", s.Base, "--user", s.Owner.UserID, "--after", "x"}, "400"},
		"no server of ours": {[]string{"--url", elsewhere.URL, "--user", s.Owner.UserID}, "no event stream"},
		"no address":        {[]string{"--url", "live.portal.example", "--user", s.Owner.UserID}, "--url"},
		"no file":           {[]string{"--url", s.Base, "--token", file + "x"}, "--token takes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			code := harness.Run(t.Context(), append([]string{"tail", "--jwt-secret", harness.Secret}, c.flags...), &out, &out)
			if code != 1 || !strings.Contains(out.String(), c.says) || strings.Contains(out.String(), "lost") {
				t.Errorf("exit code %d: %s", code, &out)
			}
		})
	}
}
