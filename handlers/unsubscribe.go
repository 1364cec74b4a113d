package handlers

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime/words"
)

// maxToken is the longest token in an address to unsubscribe by.
const maxToken = 128

//go:embed unsubscribe.html
var unsubscribeHTML string

var unsubscribePage = template.Must(template.New("unsubscribe").Parse(unsubscribeHTML))

// unsubscribePolicy lets the page do nothing but send its form to us.
const unsubscribePolicy = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Unsubscriber ends what a token of a mail stands for; all ends all mails of its user that can be
// ended. db.ErrNotFound: the token stands for nothing.
type Unsubscriber interface {
	Unsubscribe(ctx context.Context, token string, all bool) error
}

// Unsubscribe serves the links by which mails end. Programs that look at every link in a mail fetch
// them too, so only a POST changes anything (RFC 8058). Whatever the token is worth, the answer is
// the same.
type Unsubscribe struct {
	Tokens Unsubscriber
	Log    *slog.Logger
}

// Page shows a form that asks whether it is meant. It changes nothing.
func (u *Unsubscribe) Page(w http.ResponseWriter, r *http.Request) {
	u.respond(w, r, r.URL.Query().Get("t"), false)
}

// End ends what the token stands for.
func (u *Unsubscribe) End(w http.ResponseWriter, r *http.Request) {
	// one click comes in either form (RFC 8058, section 3.2); what cannot be read says nothing
	if err := r.ParseMultipartForm(MaxBody); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		r.Form = r.URL.Query()
	}
	token := r.Form.Get("t")
	if token != "" && len(token) <= maxToken {
		err := u.Tokens.Unsubscribe(r.Context(), token, r.Form.Get("all") == "1")
		if err != nil && !errors.Is(err, db.ErrNotFound) && RefusalOf(err, "").Cause != nil {
			RespondError(w, r, u.Log, err) // it can be tried again
			return
		}
	}
	u.respond(w, r, "", true)
}

func (u *Unsubscribe) respond(w http.ResponseWriter, r *http.Request, token string, done bool) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", unsubscribePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Vary", "Accept-Language")
	err := unsubscribePage.Execute(w, struct {
		*words.Words
		Token        string
		Unsubscribed bool
	}{words.Accepted(r.Header.Get("Accept-Language")), token, done})
	if err != nil && r.Context().Err() == nil {
		u.Log.DebugContext(r.Context(), "the page to unsubscribe was not sent", "error", err)
	}
}
