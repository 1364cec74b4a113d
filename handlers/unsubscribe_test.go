package handlers

import (
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/realtime/words"
)

// TestUnsubscribeSpeaksEachLanguage: the page that a mail leads to asks and answers in the language
// of the browser.
func TestUnsubscribeSpeaksEachLanguage(t *testing.T) {
	t.Parallel()
	u := &Unsubscribe{Log: slog.New(slog.DiscardHandler)}
	for _, language := range words.Languages() {
		said := func(serve http.HandlerFunc) string {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/unsubscribe?t=x", nil)
			r.Header.Set("Accept-Language", "xx, "+language+";q=0.8")
			serve(w, r)
			return html.UnescapeString(w.Body.String())
		}
		own := words.Of(language)
		asked, done := said(u.Page), said(func(w http.ResponseWriter, r *http.Request) { u.respond(w, r, "", true) })
		for _, text := range []string{`lang="` + language + `"`, own.Page.Title, own.Page.Ask, own.Unsubscribe, own.Page.All} {
			if !strings.Contains(asked, text) {
				t.Errorf("the question in %s does not say %q: %s", language, text, asked)
			}
		}
		if !strings.Contains(done, own.Page.Done) {
			t.Errorf("the answer in %s does not say %q: %s", language, own.Page.Done, done)
		}
	}
}
