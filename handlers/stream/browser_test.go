package stream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// closesPage opens a WebSocket for each case, does what the case says when it opens or hears
// something, and reports the code that it saw.
const closesPage = `<!doctype html><title>closes</title><script>
const acts = {
  none: () => {},
  close: (ws) => ws.close(),
  close4000: (ws) => ws.close(4000, 'enough'),
  binary: (ws) => ws.send(new Uint8Array([1])),
  large: (ws) => ws.send(' '.repeat(20000)),
  flood: (ws) => { for (let i = 0; i < 200; i++) ws.send('{"type":"ping"}'); },
  bad: (ws) => ws.send('{"type":"hello"}'),
  later: (ws) => ws.send('{"type":"auth","token":"later"}'),
};
const run = ({ name, url, act, on }) => new Promise((resolve) => {
  const ws = new WebSocket(url, ['hangarshare.v1']);
  let done = false;
  const once = () => { if (!done) { done = true; acts[act](ws); } };
  if (on === 'open') ws.onopen = once;
  else ws.onmessage = once;
  // Chromium calls no close clean where the page had more to send than was taken of it.
  ws.onclose = (event) => resolve([name, event.code + ' ' + (event.wasClean || ws.bufferedAmount > 0)]);
});
(async () => {
  const cases = await (await fetch('/cases')).json();
  const seen = await Promise.all(cases.map(run));
  await fetch('/seen', { method: 'POST', body: JSON.stringify(Object.fromEntries(seen)) });
})();
</script>`

// browserCase is one WebSocket of closesPage.
type browserCase struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Act  string `json:"act"`
	On   string `json:"on"`
	want string
}

// TestCloseCodesInABrowser sees with a real browser, plain and over TLS, every code that
// the server closes with: those that a browser can bring about itself, and all of them
// from a connection that the server closes.
func TestCloseCodesInABrowser(t *testing.T) {
	t.Parallel()
	browser := ""
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("there is no Chromium on this machine")
	}
	o := fakeStore{realtime.NewEpoch("browser")}
	streams := o.streams(t, nil)
	routes := http.NewServeMux()
	routes.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		streams.ServeWebSocket(w, r.WithContext(handlers.WithViewer(r.Context(), handlers.Viewer{UserID: "7"})))
	})
	routes.HandleFunc("/unknown", streams.ServeWebSocket)
	routes.HandleFunc("/rejected", func(w http.ResponseWriter, r *http.Request) {
		streams.ServeWebSocket(w, r.WithContext(handlers.WithViewer(r.Context(), handlers.Viewer{Rejected: "no"})))
	})
	routes.HandleFunc("/close/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		if err := streams.CloseWith(w, r, code, "because"); err != nil {
			t.Error(err)
		}
	})
	var cases []browserCase
	for _, kind := range transports {
		scheme := "ws"
		if kind == "TLS" {
			scheme = "wss"
		}
		base := scheme + "://" + newTestServer(t, kind, routes).Listener.Addr().String()
		add := func(name, path, on, act, want string) {
			cases = append(cases, browserCase{kind + ", " + name, base + path, act, on, want})
		}
		for _, code := range stream.CloseCodes {
			add(fmt.Sprint("closed with ", code), fmt.Sprint("/close/", code), "open", "none", fmt.Sprint(code, " true"))
		}
		add("a bad token", "/rejected", "open", "none", "4401 true")
		add("another's account", "/ws?ownerId=43", "open", "none", "4403 true")
		add("a bad position", "/ws?ownerId=42&lastEventId=x", "open", "none", "4400 true")
		add("a first message without a token", "/unknown", "open", "bad", "4401 true")
		add("a first message that is too long", "/unknown", "open", "large", "1009 true")
		add("a token that cannot be checked", "/unknown", "open", "later", "1013 true")
		add("a binary message", "/ws?ownerId=42", "message", "binary", "4400 true")
		add("a long message", "/ws?ownerId=42", "message", "large", "1009 true")
		add("a flood", "/ws?ownerId=42", "message", "flood", "4429 true")
		add("its own close", "/ws?ownerId=42", "message", "close", "1005 true")
		add("its own close with a code", "/ws?ownerId=42", "message", "close4000", "4000 true")
	}
	seen := make(chan map[string]string, 1)
	page := http.NewServeMux()
	page.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, closesPage)
	})
	page.HandleFunc("GET /cases", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(cases) })
	page.HandleFunc("POST /seen", func(w http.ResponseWriter, r *http.Request) {
		var result map[string]string
		if err := json.NewDecoder(r.Body).Decode(&result); err != nil {
			t.Error(err)
		}
		seen <- result
	})
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	profile, err := os.MkdirTemp("", "hangarshare-closes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// a process of the browser may still be writing there
		late := time.Now().Add(10 * time.Second)
		for os.RemoveAll(profile) != nil && time.Now().Before(late) {
			runtime.Gosched()
		}
	})
	ctx, end := context.WithTimeout(t.Context(), 2*time.Minute)
	defer end()
	command := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--ignore-certificate-errors", "--no-proxy-server",
		"--remote-debugging-port=0", "--user-data-dir="+profile, server.URL)
	// it ends its own processes
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Wait()
	defer end()
	select {
	case result := <-seen:
		for _, c := range cases {
			if got := result[c.Name]; got != c.want {
				t.Errorf("%s: the browser saw %q, want %q", c.Name, got, c.want)
			}
		}
	case <-ctx.Done():
		t.Fatal("the browser did not report within two minutes")
	}
}
