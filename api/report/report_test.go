package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/freeport"
	"github.com/hangarshare/hangarshare-realtime/test/leaktest"
)

// ingest is a fake of Sentry's: it keeps all bytes that reach it.
type ingest struct {
	answer func(w http.ResponseWriter, r *http.Request)
	came   chan struct{} // has a value when more has come than was looked at

	mu    sync.Mutex // guards what follows
	bytes bytes.Buffer
	count int
}

func newIngest(answer func(w http.ResponseWriter, r *http.Request)) *ingest {
	return &ingest{answer: answer, came: make(chan struct{}, 1)}
}

// await waits until what has come is enough: a stop waits for it a moment only.
func (i *ingest) await(t *testing.T, enough func(sent string, events int) bool) {
	t.Helper()
	for late := time.After(time.Minute); !enough(i.text()); {
		select {
		case <-i.came:
		case <-late:
			sent, events := i.text()
			t.Fatalf("only %d events have come: %s", events, sent)
		}
	}
}

func (i *ingest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	i.mu.Lock()
	i.count++
	fmt.Fprintf(&i.bytes, "%s %s\n", r.Method, r.URL)
	r.Header.Write(&i.bytes)
	i.bytes.Write(body)
	i.mu.Unlock()
	select {
	case i.came <- struct{}{}:
	default:
	}
	if i.answer != nil {
		i.answer(w, r)
	}
}

func (i *ingest) text() (string, int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.bytes.String(), i.count
}

// dsn is the DSN of an ingest at an address.
func dsn(address string) string {
	return strings.Replace(address, "://", "://0123456789abcdef0123456789abcdef@", 1) + "/1"
}

// start returns a Reporter that sends to an ingest.
func start(t *testing.T, address string) *Reporter {
	t.Helper()
	r, err := New(Options{DSN: dsn(address), Environment: "test", Release: "hangarshare@test"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// secrets must not appear in any byte that leaves.
var secrets = map[string]string{
	"a token":       "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
	"a ticket":      "K7QX2MZP4RWT6YBN3VLC5HJD2F",
	"a cookie":      "hangarshare_refresh=9f8e7d6c5b4a39281706f5e4d3c2b1a0",
	"an address":    "marina.duarte@hangar.example",
	"a password":    "correct-horse-battery",
	"a DSN":         "postgres://portal:s3cr3t-of-the-portal@db.internal:5432/portal",
	"a guest":       "Marina Duarte",
	"where it is":   "203.0.113.77",
	"where it is 6": "2001:db8::77",
}

func TestSecretsStay(t *testing.T) {
	defer leaktest.None(t)
	fake := newIngest(nil)
	web := httptest.NewServer(fake)
	defer web.Close()
	r := start(t, web.URL)
	log := slog.New(r.Handler(slog.DiscardHandler)).With("user", secrets["a guest"], "component", "stream")
	for name, text := range map[string]string{
		"a token":     `parse "` + secrets["a token"] + `": no such key; bearer.` + secrets["a token"] + ` Authorization: Bearer ` + secrets["a token"] + " " + secrets["a token"],
		"a ticket":    `GET /api/sse?ticket=` + secrets["a ticket"] + ` and ` + secrets["a ticket"],
		"a cookie":    `Cookie: ` + secrets["a cookie"],
		"an address":  `no user ` + secrets["an address"] + ` <` + secrets["an address"] + `>`,
		"a password":  `password=` + secrets["a password"] + ` or password: ` + secrets["a password"],
		"a DSN":       `cannot connect to ` + secrets["a DSN"],
		"a guest":     `pq: invalid input syntax for type integer: "` + secrets["a guest"] + `"; Key (guest_name)=(` + secrets["a guest"] + `) 'x ` + secrets["a guest"] + `'`,
		"where it is": `read tcp 203.0.113.77:443->[2001:db8::77]:5: reset from 2001:db8::77`,
	} {
		log.Error("failed: "+name, "error", errors.New(text), "connection", secrets["a ticket"], "owner", secrets["a guest"], "status", 503,
			slog.Group("request", "component", secrets["a guest"]))
		func() {
			defer func() {
				log.Error("panicked: "+name, "cause", recover(), "stack", secrets["a guest"], "route", "GET /api/owners/{ownerId}/metrics")
			}()
			panic(text)
		}()
	}
	fake.await(t, func(_ string, events int) bool { return events >= 16 })
	r.Close()
	sent, count := fake.text()
	if count != 16 {
		t.Errorf("%d events were sent", count)
	}
	for what, secret := range secrets {
		if strings.Contains(sent, secret) {
			t.Errorf("%s left: %s", what, lineWith(sent, secret))
		}
	}
	for _, part := range strings.Split(secrets["a token"], ".") {
		if strings.Contains(sent, part) {
			t.Errorf("a part of a token left: %s", lineWith(sent, part))
		}
	}
	for _, wanted := range []string{`"status":"503"`, `"component":"stream"`, `"fingerprint":["failed: a token"]`, `"environment":"test"`, `"release":"hangarshare@test"`,
		`GET /api/owners/{ownerId}/metrics`, `"function":"TestSecretsStay`, `invalid input syntax for type integer`, `"level":"fatal"`, `"type":"errors.errorString"`} {
		if !strings.Contains(sent, wanted) {
			t.Errorf("nothing says %s", wanted)
		}
	}
	if name, _, _ := strings.Cut(hostname(t), "."); strings.Contains(sent, `"server_name":"`+name) {
		t.Errorf("the machine's name left")
	}
}

func lineWith(text, part string) string {
	at := strings.Index(text, part)
	return text[max(0, at-200):min(len(text), at+len(part)+50)]
}

func TestKindsAreBounded(t *testing.T) {
	defer leaktest.None(t)
	fake := newIngest(nil)
	web := httptest.NewServer(fake)
	defer web.Close()
	r := start(t, web.URL)
	log := slog.New(r.Handler(slog.DiscardHandler))
	for i := range 500 {
		log.Error("the database is away", "error", fmt.Errorf("attempt %d", i))
	}
	log.Error("something else")
	log.Warn("no error")
	fake.await(t, func(sent string, _ int) bool { return strings.Contains(sent, "something else") })
	r.Close()
	sent, count := fake.text()
	if same := strings.Count(sent, `"fingerprint":["the database is away"]`); same < 1 || same > 10 {
		t.Errorf("%d events of one kind were sent", same)
	}
	if !strings.Contains(sent, "something else") || strings.Contains(sent, "no error") || count > 11 {
		t.Errorf("of others: %d events in all, %s", count, sent)
	}
}

// TestIngestMayBeAway has logging never wait for an ingest, and a stop neither.
func TestIngestMayBeAway(t *testing.T) {
	closed := freeport.Address(t)
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"answers": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"id":"1"}`)) },
		"refuses": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"fails":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"hangs":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"closed": nil,
	} {
		t.Run(name, func(t *testing.T) {
			defer leaktest.None(t)
			fake := newIngest(answer)
			address := "http://" + closed
			if answer != nil {
				web := httptest.NewServer(fake)
				defer web.Close()
				address = web.URL
			}
			r := start(t, address)
			var kept countingHandler
			log := slog.New(r.Handler(&kept))
			log.Error("the first")
			before := runtime.NumGoroutine()
			for i := range 3000 {
				log.Error(fmt.Sprint("kind ", i%maxKinds), "error", io.ErrUnexpectedEOF)
			}
			if after := runtime.NumGoroutine(); after > before+10 {
				t.Errorf("%d goroutines before 3,000 errors, %d after", before, after)
			}
			if kept.records != 3001 {
				t.Errorf("the log has %d records", kept.records)
			}
			if answer != nil {
				fake.await(t, func(_ string, events int) bool { return events > 0 })
			}
			r.Close()
		})
	}
}

func TestBadDSN(t *testing.T) {
	defer leaktest.None(t)
	for _, text := range []string{"", "sentry", "https://secret-key@", "ftp://k@h/1"} {
		if _, err := New(Options{DSN: text}); err == nil || strings.Contains(err.Error(), "secret-key") || !strings.Contains(err.Error(), "SENTRY_DSN") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
