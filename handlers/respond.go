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

// retryAfter is what a client is told to wait while the database is away.
const retryAfter = 2 * time.Second

// Problem is an error as clients get it: RFC 9457, application/problem+json. Field names the parameter that is wrong,
// Code is the close code that a stream would end with.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Field  string `json:"field,omitempty"`
}

// refusal is an answer to a request that is not served, on any transport: an HTTP status and the close code that means
// the same on a stream. cause is for the log and nil when the client alone is to blame.
type refusal struct {
	status int
	code   closeCode
	detail string
	field  string
	cause  error
	over   *TooMany // the limit that was reached, if one was
}

func invalid(field, detail string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: closeProtocol, detail: detail, field: field}
}

func forbidden(detail string) *refusal {
	return &refusal{status: http.StatusForbidden, code: closeForbidden, detail: detail}
}

func unauthorized(detail string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: closeUnauthorized, detail: detail}
}

// refuse maps an error to what a client is told; field is the parameter that a bad value came in.
func refuse(err error, field string) *refusal {
	switch {
	case errors.Is(err, realtime.ErrMalformed):
		return invalid(field, field+" is not an event id of this server")
	case errors.Is(err, realtime.ErrForeign):
		r := forbidden(field + " is an event id of another owner account")
		r.field = field
		return r
	case errors.Is(err, db.ErrSessionEnded):
		return unauthorized("the session has ended: sign in again")
	case errors.Is(err, db.ErrInvalidID):
		return invalid(field, field+" is not an id")
	case errors.Is(err, db.ErrNotFound):
		return &refusal{status: http.StatusNotFound, code: closeProtocol, detail: "there is no such thing"}
	case errors.Is(err, realtime.ErrNotReady), db.Unavailable(err):
		return &refusal{status: http.StatusServiceUnavailable, code: closeGoingAway, cause: err,
			detail: "the database is away for a moment: try again shortly"}
	default:
		return &refusal{status: http.StatusInternalServerError, code: closeGoingAway, cause: err,
			detail: "something went wrong on our side: try again, and tell the operator if it stays"}
	}
}

// RespondProblem answers with an error as application/problem+json.
func RespondProblem(w http.ResponseWriter, status int, detail, field string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Field: field})
}

// respondRefusal answers a request with a refusal and logs what the client is not to blame for.
func respondRefusal(ctx context.Context, w http.ResponseWriter, log *slog.Logger, r *refusal) {
	if r.cause != nil && ctx.Err() == nil {
		log.Error("request not served", "status", r.status, "error", r.cause)
	}
	if r.over != nil {
		r.over.Respond(w)
		return
	}
	RespondProblem(w, r.status, r.detail, r.field)
}

// RespondJSON answers with a value as JSON that no cache keeps.
func RespondJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}
