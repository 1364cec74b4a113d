package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// RetryAfter is what a client is told to wait while the database is away.
const RetryAfter = 2 * time.Second

// Kind is what an error means to who asked: an HTTP status and the close code that says the same on
// a stream. This is the one place that gives errors statuses.
type Kind struct {
	Status int
	Code   CloseCode
}

var (
	kindInvalid      = Kind{http.StatusBadRequest, CloseProtocol}
	kindUnauthorized = Kind{http.StatusUnauthorized, CloseUnauthorized}
	kindForbidden    = Kind{http.StatusForbidden, CloseForbidden}
	kindNotFound     = Kind{http.StatusNotFound, CloseProtocol}
	kindConflict     = Kind{http.StatusConflict, CloseProtocol}
	kindGone         = Kind{http.StatusGone, CloseProtocol}
	kindUnsupported  = Kind{http.StatusUnsupportedMediaType, CloseProtocol}
	kindTooMany      = Kind{http.StatusTooManyRequests, CloseTooMany}
	kindInternal     = Kind{http.StatusInternalServerError, CloseTryAgain}
	kindUnavailable  = Kind{http.StatusServiceUnavailable, CloseTryAgain}
)

// vocabulary says what the errors of other packages mean. A detail that begins with a space is
// about the field. What does not make a server try again is the client's to mend, and not logged.
var vocabulary = []struct {
	is     error
	kind   Kind
	detail string
}{
	{realtime.ErrMalformed, kindInvalid, " is not an event id of this server"},
	{realtime.ErrForeign, kindForbidden, " is an event id of another owner account"},
	{db.ErrInvalidID, kindInvalid, " is not an id"},
	{db.ErrInvalidText, kindInvalid, " holds characters that are not possible here"},
	{db.ErrSessionEnded, kindUnauthorized, SessionEnded},
	{db.ErrNotFound, kindNotFound, "there is no such thing"},
	{db.ErrConflict, kindConflict, "this is so already, or somebody else has changed it just now: load it again"},
	{db.ErrDeviceRemoved, kindGone, "this device was removed: its user can add it again, on the device"},
	{db.ErrBusy, kindUnavailable, "too many ask for this at the moment: try again shortly"},
	{realtime.ErrNotReady, kindUnavailable, "the server is starting: try again shortly"},
}

// What clients are told on more than one way.
const (
	// SessionEnded refuses who has signed out, or whose session was ended.
	SessionEnded = "the session has ended: sign in again"
	// DatabaseAway has clients try again where nothing can be asked at this moment.
	DatabaseAway = "the database is away for a moment: try again shortly"
)

// Refusal is an answer to a request that is not served, on any transport. As an error it is one
// that who asked may read. cause is for the log and nil when the client alone is to blame.
type Refusal struct {
	Kind
	Detail     string
	Field      string
	Cause      error
	Limit      *LimitError   // the limit that was reached, if one was
	RetryAfter time.Duration // how long a client should wait where the fault is ours; 0: RetryAfter
}

// Error implements error.
func (r *Refusal) Error() string { return r.Detail }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// TryLater is an error that says nothing about whom it refuses: something that the answer depends
// on is away at this moment. REST answers 503 with Retry-After, a stream ends with 1013.
type TryLater struct {
	Detail     string        // for who asked
	RetryAfter time.Duration // 0: RetryAfter
	Cause      error         // for the log; nil where there is nothing to tell
}

// Error implements error.
func (e *TryLater) Error() string { return e.Detail }

// Unwrap returns the cause.
func (e *TryLater) Unwrap() error { return e.Cause }

// Invalid returns a Refusal that says what is wrong with a field of a request.
func Invalid(field, detail string) *Refusal {
	return &Refusal{Kind: kindInvalid, Detail: detail, Field: field}
}

// Unauthorized returns a Refusal that says that the caller is not recognised.
func Unauthorized(detail string) *Refusal { return &Refusal{Kind: kindUnauthorized, Detail: detail} }

// Forbidden returns a Refusal that says what the caller may not do; field is what that depends on,
// or "".
func Forbidden(detail, field string) *Refusal {
	return &Refusal{Kind: kindForbidden, Detail: detail, Field: field}
}

// Unsupported returns a Refusal that says which form of a request is needed.
func Unsupported(detail, field string) *Refusal {
	return &Refusal{Kind: kindUnsupported, Detail: detail, Field: field}
}

// LimitError refuses what goes beyond a limit. Detail is for the caller; RetryAfter is
// how long to wait.
type LimitError struct {
	Detail     string
	RetryAfter time.Duration
}

// Error implements error.
func (e *LimitError) Error() string { return e.Detail }

// Respond answers a request with 429 and Retry-After in whole seconds (RFC 6585, section 4).
func (e *LimitError) Respond(w http.ResponseWriter) {
	w.Header().Set("Retry-After", wholeSeconds(e.RetryAfter))
	RespondProblem(w, http.StatusTooManyRequests, e.Detail, "")
}

// Rejected returns the viewer that a credential makes which is no good, or cannot be checked at
// this moment, if err says that it is so.
func Rejected(err error) (Viewer, bool) {
	var later *TryLater
	switch {
	case err == nil:
		return Viewer{}, false
	case errors.As(err, &later):
		return Viewer{Later: later}, true
	}
	refused := RefusalOf(err, "")
	return Viewer{Rejected: refused.Detail}, refused.Kind == kindUnauthorized
}

func notFound(detail string) *Refusal { return &Refusal{Kind: kindNotFound, Detail: detail} }

func conflict(detail string) *Refusal { return &Refusal{Kind: kindConflict, Detail: detail} }

// Stopping refuses what comes while the server says goodbye.
var Stopping = &Refusal{Kind: kindUnavailable, Detail: "the server is stopping: come back shortly"}

// RefusalOf maps an error to what a client is told; field is the parameter that a bad
// value came in.
func RefusalOf(err error, field string) *Refusal {
	var ready *Refusal
	if errors.As(err, &ready) {
		return ready
	}
	var over *LimitError
	if errors.As(err, &over) {
		return &Refusal{Kind: kindTooMany, Detail: over.Detail, Limit: over}
	}
	var later *TryLater
	if errors.As(err, &later) {
		return &Refusal{Kind: kindUnavailable, Detail: later.Detail, Cause: later.Cause, RetryAfter: later.RetryAfter}
	}
	for _, word := range vocabulary {
		if !errors.Is(err, word.is) {
			continue
		}
		r := &Refusal{Kind: word.kind, Detail: word.detail}
		if r.Detail[0] == ' ' {
			r.Field, r.Detail = field, orSomething(field)+r.Detail
		}
		if r.Kind == kindUnavailable {
			r.Cause = err
		}
		return r
	}
	if db.Unavailable(err) {
		return &Refusal{Kind: kindUnavailable, Cause: err, Detail: DatabaseAway}
	}
	return &Refusal{Kind: kindInternal, Cause: err,
		Detail: "something went wrong on our side: try again, and tell the operator if it stays"}
}

func orSomething(field string) string {
	if field == "" {
		return "something in the request"
	}
	return field
}

// Problem is an error as clients get it: RFC 9457, application/problem+json. Field names the
// parameter that is wrong.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Field  string `json:"field,omitempty"`
	// Request is the request's id, by which the log tells more.
	Request string `json:"request,omitempty"`
}

// RequestIDHeader carries the id of a request, in its answer too; see PositionHeader for its form.
const RequestIDHeader = "X-Request-Id"

// RespondProblem answers with an error as application/problem+json.
func RespondProblem(w http.ResponseWriter, status int, detail, field string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", strconv.Itoa(int(RetryAfter.Seconds())))
	}
	if status == http.StatusUnauthorized {
		if h.Get("WWW-Authenticate") == "" { // who answers for operators asks for something else
			h.Set("WWW-Authenticate", "Bearer")
		}
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Field: field, Request: h.Get(RequestIDHeader)})
}

// RespondError answers a request with what an error means, and logs what the client is
// not to blame for.
func RespondError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	respondRefusal(r.Context(), w, log, RefusalOf(err, ""))
}

// respondRefusal answers a request with a refusal and logs what the client is not to blame for.
func respondRefusal(ctx context.Context, w http.ResponseWriter, log *slog.Logger, r *Refusal) {
	if r.Cause != nil && ctx.Err() == nil {
		log.ErrorContext(ctx, "request not served", "status", r.Status, "error", r.Cause)
	}
	if r.Limit != nil {
		r.Limit.Respond(w)
		return
	}
	if r.RetryAfter > 0 {
		w.Header().Set("Retry-After", wholeSeconds(r.RetryAfter))
	}
	RespondProblem(w, r.Status, r.Detail, r.Field)
}

// wholeSeconds writes a time for Retry-After (RFC 9110, section 10.2.3), rounded up, at least 1.
func wholeSeconds(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}
