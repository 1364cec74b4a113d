package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// portal is the portal's side of a hook: it answers as it is told to, and keeps what it was asked.
type portal struct {
	mu     sync.Mutex
	asked  []http.Header
	answer func() (status int, body string)
}

// RoundTrip implements http.RoundTripper.
func (p *portal) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Header.Clone())
	answer := p.answer
	p.mu.Unlock()
	type outcome struct {
		status int
		body   string
	}
	done := make(chan outcome, 1)
	go func() {
		status, body := answer()
		done <- outcome{status, body}
	}()
	select {
	case o := <-done:
		if o.status == 0 {
			return nil, errors.New("no route to the portal")
		}
		return &http.Response{StatusCode: o.status, Header: http.Header{"Location": {"/login"}}, Body: io.NopCloser(strings.NewReader(o.body))}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (p *portal) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

func (p *portal) say(status int, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = func() (int, string) { return status, body }
}

// withHook runs a test in a bubble of its own time.
func withHook(t *testing.T, test func(t *testing.T, p *portal, h *Hook, log *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		p, log := new(portal), new(bytes.Buffer)
		test(t, p, NewHook("https://portal.example/whoami?secret=hidden", func(id string) string { return "canonical " + id }, p,
			slog.New(slog.NewTextHandler(log, nil))), log)
	})
}

func TestHookAnswers(t *testing.T) {
	withHook(t, func(t *testing.T, p *portal, h *Hook, log *bytes.Buffer) {
		soon := time.Now().Add(time.Hour)
		ms := soon.UnixMilli()
		for i, test := range []struct {
			status int
			body   string
			want   string // a user, "nobody" or "later"
		}{
			{200, fmt.Sprintf(`{"userId":"7","expiresAt":%d}`, ms), "canonical 7"},
			{200, fmt.Sprintf(`{"userId":7,"expiresAt":%d}`, soon.Unix()), "canonical 7"},
			{200, fmt.Sprintf(`{"userId":"7","expiresAt":%q}`, soon.Format(time.RFC3339)), "canonical 7"},
			{200, fmt.Sprintf(`{"userId":"7","expiresAt":%d}`, time.Now().Add(-time.Second).UnixMilli()), "nobody"},
			{200, `{"userId":null,"expiresAt":null}`, "nobody"},
			{200, `null`, "nobody"}, // Auth.js
			{200, `{}`, "nobody"},
			{401, ``, "nobody"},
			{403, `{"userId":"7"}`, "nobody"},
			{204, ``, "nobody"},
			{302, ``, "nobody"},
			{200, `{"userId":"7"}`, "later"},
			{200, `{"userId":"7","expiresAt":"tomorrow"}`, "later"},
			{200, `{"userId":"7\u0000","expiresAt":9999999999}`, "later"},
			{200, `{"userId":["7"],"expiresAt":9999999999}`, "later"},
			{200, `<html>`, "later"},
			{500, ``, "later"},
			{404, ``, "later"},
			{429, ``, "later"},
			{0, ``, "later"},
		} {
			p.say(test.status, test.body)
			viewer, err := h.ask(t.Context(), credentials{cookie: fmt.Sprint("session=", i)})
			var later *handlers.TryLater
			got := viewer.UserID
			if errors.Is(err, errUnknownSession) {
				got = "nobody"
			} else if errors.As(err, &later) && later.RetryAfter > 0 {
				got = "later"
			}
			if got != test.want || err == nil && !viewer.Expires.Truncate(time.Second).Equal(soon.Truncate(time.Second)) {
				t.Errorf("%d %s: %+v, %v; want %s", test.status, test.body, viewer, err, test.want)
			}
		}
		if text := log.String(); strings.Contains(text, "hidden") || strings.Contains(text, "session=") {
			t.Errorf("the log tells secrets: %s", text)
		}
	})
}

func TestHookIsAskedSeldom(t *testing.T) {
	withHook(t, func(t *testing.T, p *portal, h *Hook, _ *bytes.Buffer) {
		p.answer = func() (int, string) {
			time.Sleep(time.Second)
			return 200, fmt.Sprintf(`{"userId":"7","expiresAt":%d}`, time.Now().Add(90*time.Second).UnixMilli())
		}
		good := credentials{authorization: "Bearer 1|opaque", cookie: "session=good"}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if viewer, err := h.ask(t.Context(), good); err != nil || viewer.UserID != "canonical 7" {
					t.Errorf("%+v, %v", viewer, err)
				}
			})
		}
		all.Wait()
		if p.count() != 1 || p.asked[0].Get("Cookie") != "session=good" || p.asked[0].Get("Authorization") != "Bearer 1|opaque" {
			t.Errorf("asked %d times: %v", p.count(), p.asked)
		}
		ask := func(c credentials) {
			t.Helper()
			if _, err := h.ask(t.Context(), c); err != nil {
				t.Error(err)
			}
		}
		ask(credentials{cookie: "session=good"}) // another credential
		if p.count() != 2 {
			t.Errorf("asked %d times for two credentials", p.count())
		}
		time.Sleep(hookTTL)
		p.say(401, "") // signed out
		if _, err := h.ask(t.Context(), good); !errors.Is(err, errUnknownSession) {
			t.Errorf("after a minute a session that ended is %v", err)
		}
		p.say(200, fmt.Sprintf(`{"userId":"7","expiresAt":%d}`, time.Now().Add(30*time.Second).UnixMilli()))
		time.Sleep(hookMissTTL)
		ask(good) // signed in again
		time.Sleep(31 * time.Second)
		p.say(401, "")
		if _, err := h.ask(t.Context(), good); !errors.Is(err, errUnknownSession) {
			t.Errorf("after its end a session is %v", err)
		}
	})
}

// TestHookIsBoundedForStrangers lets an address ask for many new sessions while the
// portal does not answer.
func TestHookIsBoundedForStrangers(t *testing.T) {
	withHook(t, func(t *testing.T, p *portal, h *Hook, _ *bytes.Buffer) {
		p.answer = func() (int, string) { time.Sleep(time.Hour); return 200, "" }
		stranger := context.WithValue(t.Context(), clientKey{}, client{key: "192.0.2.1"})
		var all sync.WaitGroup
		began := time.Now()
		for i := range 200 {
			all.Go(func() {
				_, err := h.ask(stranger, credentials{cookie: fmt.Sprint("session=", i)})
				var later *handlers.TryLater
				if !errors.As(err, &later) {
					t.Errorf("%v", err)
				}
			})
		}
		synctest.Wait()
		if got := p.count(); got != maxQuestionsPerAddress {
			t.Errorf("%d questions of a stranger are under way", got)
		}
		all.Go(func() {
			h.ask(context.WithValue(t.Context(), clientKey{}, client{key: "192.0.2.2"}), credentials{cookie: "session=good"})
		})
		synctest.Wait()
		if got := p.count(); got != maxQuestionsPerAddress+1 {
			t.Errorf("somebody else is not asked about: %d", got)
		}
		all.Wait()
		if took := time.Since(began); took != hookTimeout {
			t.Errorf("an answer took %s", took)
		}
		if h.total != 0 || len(h.asking) != 0 {
			t.Errorf("%d %v are left", h.total, h.asking)
		}
		time.Sleep(time.Hour) // the portal's answers end
	})
}
