//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// fakeIngest keeps all bytes that a server reports.
type fakeIngest struct {
	hang bool

	mu   sync.Mutex // guards what follows
	sent bytes.Buffer
}

func (f *fakeIngest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	r.Header.Write(&f.sent)
	f.sent.Write(body)
	f.mu.Unlock()
	if f.hang {
		<-r.Context().Done()
	}
}

func (f *fakeIngest) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent.String()
}

// dsnOf is how a server is told of a fake ingest.
func dsnOf(ingest string) string {
	return strings.Replace(ingest, "://", "://0123456789abcdef@", 1) + "/1"
}

// TestCrashIsReported has a server end as by a fault that nobody recovers from, and the next one
// that starts in its place report that, once.
func TestCrashIsReported(t *testing.T) {
	t.Parallel()
	fake := &fakeIngest{}
	web := httptest.NewServer(fake)
	t.Cleanup(web.Close)
	portal, program, data := dbtest.New(t), harness.OwnBinary(t), filepath.Join(t.TempDir(), "data")
	serve := func() *harness.Process {
		process := harness.Launch(t, nil, program, harness.ServeFlags(portal.URL, "--sentry-dsn", dsnOf(web.URL), "--data-dir", data)...)
		process.Output.Await(t, "HangarShare Realtime is at ")
		return process
	}
	serve().End(syscall.SIGABRT) // the runtime's own end of a process, with all goroutines
	serve().End(syscall.SIGTERM)
	if sent := fake.text(); strings.Count(sent, `"an earlier run of this server crashed"`) == 0 || !strings.Contains(sent, "SIGABRT: abort") ||
		!strings.Contains(sent, `"function":"`) {
		t.Errorf("reported was %s", sent)
	}
	before := len(fake.text())
	serve().End(syscall.SIGTERM)
	if again := fake.text()[before:]; strings.Contains(again, "crashed") {
		t.Errorf("it is reported again: %s", again)
	}
}

// TestReportsTellNoSecrets has a server report errors while clients bring secrets in
// every way that they can.
func TestReportsTellNoSecrets(t *testing.T) {
	t.Parallel()
	fake := &fakeIngest{}
	web := httptest.NewServer(fake)
	t.Cleanup(web.Close)
	portal := dbtest.New(t)
	owner, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Marina", "Duarte")
	proxy, through := harness.BeforeDatabase(t, portal.URL)
	behind := *portal
	behind.URL = through
	p := harness.Serve(t, &behind, "--sentry-dsn", dsnOf(web.URL), "--data-dir", t.TempDir())
	token := harness.TokenFor(t, owner.UserID, time.Hour)
	live := p.Connect(t, token, owner.ID, "")
	live.Next(harness.OfType("connection_established"))
	portal.Book(t, owner.Hangars[0], guest)
	live.Next(harness.IsEvent)

	proxy.Set(harness.Refuse)
	proxy.Cut()
	const ticket, cookie, address, password = "K7QX2MZP4RWT6YBN3VLC5HJD2F", "9f8e7d6c5b4a39281706f5e4d3c2b1a0", "marina.duarte@hangar.example", "correct-horse-battery"
	send := func(method, path, body string, header ...string) {
		request, err := http.NewRequestWithContext(t.Context(), method, p.Base+"api/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := p.WithoutRetries().Client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	harness.Eventually(t, "reported", func() bool {
		send(http.MethodGet, "owners/"+owner.ID+"/bookings", "", "Authorization", "Bearer "+token)
		send(http.MethodGet, "owners/"+owner.ID+"/bookings", "", "Cookie", "jwt="+token+"; hangarshare_refresh="+cookie)
		send(http.MethodPost, "auth/login", `{"email":"`+address+`","password":"`+password+`"}`, "Content-Type", "application/json")
		send(http.MethodGet, "sse?ticket="+ticket, "")
		for _, options := range []*websocket.DialOptions{
			{Subprotocols: []string{"hangarshare.v1", "bearer." + token}}, {HTTPHeader: http.Header{"Cookie": {"jwt=" + token}}},
		} {
			if conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.Base, "http")+"api/ws?ownerId="+owner.ID, options); err == nil {
				conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"auth","ownerId":"`+owner.ID+`","token":"`+token+`"}`))
				conn.CloseNow()
			}
		}
		return strings.Contains(fake.text(), "not served") && strings.Contains(fake.text(), "the log cannot be read")
	})
	proxy.Set(harness.Pass)
	p.Ready(t)
	p.Stop()
	sent := fake.text()
	for what, secret := range map[string]string{
		"the token": token, "the token's claims": strings.Split(token, ".")[1], "the token's signature": strings.Split(token, ".")[2],
		"a ticket": ticket, "a cookie": cookie, "an address": address, "a password": password, "a guest": "Marina", "the database": through,
		"the key": harness.Secret,
	} {
		if strings.Contains(sent, secret) {
			t.Errorf("%s was reported: %s", what, sent)
		}
	}
}

// TestIngestThatHangs serves and stops as without reports.
func TestIngestThatHangs(t *testing.T) {
	t.Parallel()
	fake := &fakeIngest{hang: true}
	web := httptest.NewServer(fake)
	t.Cleanup(web.Close)
	portal := dbtest.New(t)
	owner, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	proxy, through := harness.BeforeDatabase(t, portal.URL)
	behind := *portal
	behind.URL = through
	p := harness.Serve(t, &behind, "--sentry-dsn", dsnOf(web.URL), "--data-dir", t.TempDir())
	live := p.Connect(t, harness.TokenFor(t, owner.UserID, time.Hour), owner.ID, "")
	live.Next(harness.OfType("connection_established"))
	proxy.Set(harness.Refuse)
	proxy.Cut()
	harness.Eventually(t, "reported", func() bool { return strings.Contains(fake.text(), "the log cannot be read") })
	proxy.Set(harness.Pass)
	booking := portal.Book(t, owner.Hangars[0], guest)
	if m := live.Next(harness.IsEvent); m.Field("bookingId") != booking {
		t.Errorf("the booking %s was made, the stream tells %s", booking, m.Data)
	}
	if code := p.Stop(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.Output)
	}
}
