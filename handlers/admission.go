package handlers

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Admission bounds how many connections there may be at once. A request's context says where it comes from.
type Admission interface {
	// Connect counts a connection of a user until leave is called, or says that there are too many.
	Connect(ctx context.Context, userID string) (leave func(), err *TooMany)
	// Knock counts a WebSocket whose user is not known, or whose user is about to be turned away, in the same manner.
	Knock(ctx context.Context) (leave func(), err *TooMany)
}

// TooMany refuses what goes beyond a limit. Detail is for whoever asked; RetryAfter is how long he should wait.
type TooMany struct {
	Detail     string
	RetryAfter time.Duration
}

// Error implements error.
func (e *TooMany) Error() string { return e.Detail }

// Respond answers a request with 429 and Retry-After in whole seconds (RFC 6585, section 4).
func (e *TooMany) Respond(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int((e.RetryAfter+time.Second-1)/time.Second))))
	RespondProblem(w, http.StatusTooManyRequests, e.Detail, "")
}

func (e *TooMany) refusal() *refusal {
	return &refusal{status: http.StatusTooManyRequests, code: closeTooMany, detail: e.Detail, over: e}
}

func (s *Stream) connect(ctx context.Context, userID string) (leave func(), err *TooMany) {
	if s.Admission == nil {
		return func() {}, nil
	}
	return s.Admission.Connect(ctx, userID)
}

func (s *Stream) knock(ctx context.Context) (leave func(), err *TooMany) {
	if s.Admission == nil {
		return func() {}, nil
	}
	return s.Admission.Knock(ctx)
}

// cancel gives back what an admission holds when its connection does not come about.
func (a *admission) cancel() {
	if a != nil {
		a.session.sub.Close()
		a.session.leave()
	}
}

// TurnAway refuses a stream whose asker cannot read an HTTP status: it begins, and ends with 4429 at once.
func (s *Stream) TurnAway(w http.ResponseWriter, r *http.Request, why *TooMany) {
	release, ok := s.enter()
	if !ok {
		RespondProblem(w, http.StatusServiceUnavailable, "the server is stopping: come back shortly", "")
		return
	}
	defer release()
	if !wantsUpgrade(r) {
		eventStreamHeaders(w.Header())
		w.Write(errorFrame("", ending{closeTooMany, why.Detail}))
		return
	}
	leave, over := s.knock(r.Context())
	if over != nil {
		why.Respond(w)
		return
	}
	defer leave()
	if ws, err := s.accept(w, r); err == nil { // otherwise the library has answered
		s.turnAway(ws.conn, why.refusal())
	}
}

func wantsUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
