package stream

import (
	"context"
	"net/http"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// Limiter bounds how many connections there may be at once. A request's context says where it comes
// from.
type Limiter interface {
	// Acquire counts a connection of a user until release is called, or says that there
	// are too many.
	Acquire(ctx context.Context, userID string) (release func(), err *handlers.LimitError)
	// AcquireAnonymous does the same for a WebSocket whose user is not known, or is about
	// to be refused.
	AcquireAnonymous(ctx context.Context) (release func(), err *handlers.LimitError)
}

func (s *Server) acquire(ctx context.Context, userID string) (release func(), err *handlers.LimitError) {
	if s.Limiter == nil {
		return func() {}, nil
	}
	return s.Limiter.Acquire(ctx, userID)
}

func (s *Server) acquireAnonymous(ctx context.Context) (release func(), err *handlers.LimitError) {
	if s.Limiter == nil {
		return func() {}, nil
	}
	return s.Limiter.AcquireAnonymous(ctx)
}

// cancel gives back what an admitted request holds whose connection does not come about.
func (a *admitted) cancel() {
	if a != nil {
		a.session.sub.Close()
		a.session.release()
	}
}

// RefuseOverLimit refuses a stream whose client cannot read an HTTP status: it begins,
// and ends with 4429 at once.
func (s *Server) RefuseOverLimit(w http.ResponseWriter, r *http.Request, why *handlers.LimitError) {
	if s.Stopping() {
		s.RefuseStopping(w, r, false)
		return
	}
	release, ok := s.track()
	if !ok {
		s.refuseEarly(w, r, handlers.Stopping)
		return
	}
	defer release()
	if !IsUpgrade(r) {
		s.refuseEvents(w, r, handlers.Viewer{}, why)
		return
	}
	if wrong := checkHandshake(w.Header(), r); wrong != nil {
		s.refuseEarly(w, r, wrong)
		return
	}
	leave, over := s.acquireAnonymous(r.Context())
	if over != nil {
		why.Respond(w)
		return
	}
	defer leave()
	ws, err := s.accept(w, r)
	if err != nil {
		return // the library has answered
	}
	defer s.handshake(ws)()
	s.refuseAccepted(ws, why)
}
