package handlers

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
)

// Content is what a GET answers with, and its validator: a client that has it already is told so,
// and gets no body (RFC 9110, section 13.1.2).
type Content struct {
	body []byte
	tag  string
}

// NewContent returns a body as Content. Its entity tag is weak, because the same content may be
// sent compressed, and a sum of the body alone: what a body shows can change without a new
// position, when an hour or a midnight comes.
func NewContent(body []byte) Content {
	sum := sha256.Sum256(body)
	return Content{body, `W/"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`}
}

// jsonContent returns a value as Content.
func jsonContent(value any) (Content, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return Content{}, err
	}
	return NewContent(append(body, '\n')), nil
}

// Respond answers with the content, or with 304 to who has it. Whatever keeps it asks again before
// each use, so that an answer is never older than its question.
func (c Content) Respond(w http.ResponseWriter, r *http.Request, contentType string) {
	w.Header().Set("ETag", c.tag)
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-cache")
	}
	if c.heldBy(r) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(c.body)
}

// respondPrivate is Respond for what one user may see, as JSON: no shared cache keeps it.
func (c Content) respondPrivate(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "private, no-cache")
	c.Respond(w, r, "application/json")
}

// respondPrivate answers with a value as JSON that one user may see, and its validator.
func respondPrivate(w http.ResponseWriter, r *http.Request, log *slog.Logger, value any) {
	content, err := jsonContent(value)
	if err != nil {
		RespondError(w, r, log, err)
		return
	}
	content.respondPrivate(w, r)
}

// heldBy reports whether a request says that its client has the content. Tags are compared weakly
// (section 8.8.3.2); ours have no comma.
func (c Content) heldBy(r *http.Request) bool {
	for _, tags := range r.Header.Values("If-None-Match") {
		for tag := range strings.SplitSeq(tags, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(c.tag, "W/") {
				return true
			}
		}
	}
	return false
}
