package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// maxTarget is the most bytes of a request's address (RFC 9110, section 4.1 asks for 8000 where
// there is no reason against it; ours have some 200).
const maxTarget = 4 << 10

// Timeouts bound how long a client may take. Zero is the default of each.
type Timeouts struct {
	Header time.Duration // for the TLS handshake, and for a request's head; default 10 s
	Body   time.Duration // for a request's body; default 10 s
	Answer time.Duration // to take an answer that is not a stream; default 60 s
	Idle   time.Duration // without a request on an open connection; default 2 min
	// silence after which an HTTP/2 peer is asked for a sign of life; default 20 s
	HTTP2Ping time.Duration
}

func (t Timeouts) orDefaults() Timeouts {
	or := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	or(&t.Header, 10*time.Second)
	or(&t.Body, 10*time.Second)
	or(&t.Answer, time.Minute)
	or(&t.Idle, 2*time.Minute)
	or(&t.HTTP2Ping, 20*time.Second)
	return t
}

// requestDeadlines gives a request's body and answer their time, and refuses what is too long. A
// body is read whole before the handler begins: ours are short. A stream's answer has no end; its
// sessions see to slow clients themselves.
func (s *Server) requestDeadlines(next http.Handler) http.Handler {
	limits := s.Timeouts.orDefaults()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		deadline := time.Now().Add(limits.Answer)
		if isStream(r) {
			deadline = time.Time{} // also where an earlier request on the connection had one
		}
		// not supported by what a test answers to, where nobody is slow
		control.SetWriteDeadline(deadline)
		if len(r.RequestURI) > maxTarget {
			handlers.RespondProblem(w, http.StatusRequestURITooLong, "the address may have 4096 bytes", "")
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			control.SetReadDeadline(time.Now().Add(limits.Body))
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, handlers.MaxBody))
			if err != nil {
				refuseBody(w, err)
				return
			}
			control.SetReadDeadline(time.Time{})
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}

// refuseBody answers a request whose body could not be read, and ends its connection,
// which the rest of the body is on.
func refuseBody(w http.ResponseWriter, err error) {
	w.Header().Set("Connection", "close")
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		handlers.RespondProblem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body may have %d bytes", handlers.MaxBody), "body")
	case errors.Is(err, os.ErrDeadlineExceeded):
		handlers.RespondProblem(w, http.StatusRequestTimeout, "the body did not arrive in time", "body")
	default:
		handlers.RespondProblem(w, http.StatusBadRequest, "the body could not be read", "body")
	}
}
