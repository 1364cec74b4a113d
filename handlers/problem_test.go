package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"golang.org/x/crypto/bcrypt"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// meanings are every error that callers branch on and what a client is told of it; 500 is
// what is our fault.
var meanings = []struct {
	err    error
	status int
	code   CloseCode
}{
	{realtime.ErrMalformed, 400, 4400}, {realtime.ErrForeign, 403, 4403}, {realtime.ErrNotReady, 503, 1013},
	{realtime.ErrBehind, 500, 1013}, {realtime.ErrOtherEpoch, 500, 1013},
	{db.ErrInvalidID, 400, 4400}, {db.ErrInvalidText, 400, 4400}, {db.ErrSessionEnded, 401, 4401}, {db.ErrNotFound, 404, 4400},
	{db.ErrConflict, 409, 4400}, {eventlog.ErrHistoryGone, 500, 1013}, {db.ErrNotPermitted, 500, 1013}, {eventlog.ErrNotLeader, 500, 1013},
	{db.ErrUnavailable, 503, 1013}, {db.ErrBusy, 503, 1013}, {context.DeadlineExceeded, 503, 1013}, {io.ErrUnexpectedEOF, 503, 1013},
	{errors.New("a programming error"), 500, 1013}, {errPanicked, 500, 1013}, {bcrypt.ErrPasswordTooLong, 500, 1013},
	{bcrypt.InvalidCostError(99), 500, 1013}, {errors.New("sign token: no key"), 500, 1013}, {context.Canceled, 500, 1013},
	{errWrongPassword, 401, 4401}, {errBusy, 429, 4429}, {Stopping, 503, 1013}, {Unauthorized("no"), 401, 4401},
	{Forbidden("no", "Origin"), 403, 4403}, {Unsupported("no", "Content-Type"), 415, 4400},
	{&LimitError{Detail: "no"}, 429, 4429}, {&TryLater{Detail: "no"}, 503, 1013},
}

func TestErrorsHaveOneMeaning(t *testing.T) {
	t.Parallel()
	all := slices.Clone(meanings)
	for _, class := range strings.Fields(`01 02 03 08 09 0A 0B 0F 0L 0P 0Z 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F
		40 42 44 53 54 55 57 58 72 F0 HV P0 XX ZZ`) {
		m := meanings[0]
		m.err, m.status, m.code = &pq.Error{Code: pqerror.Code(class + "000"), Message: "SQL text"}, http.StatusInternalServerError, CloseTryAgain
		if slices.Contains([]string{"08", "3D", "53", "57", "58"}, class) {
			m.status = http.StatusServiceUnavailable
		}
		all = append(all, m)
	}
	for _, m := range all {
		r := RefusalOf(fmt.Errorf("read: %w", m.err), "after")
		if r.Status != m.status || r.Code != m.code {
			t.Errorf("%v means %d and %d, want %d and %d", m.err, r.Status, r.Code, m.status, m.code)
		}
		if r.Status == 500 && r.Cause == nil || r.Status < 500 && r.Cause != nil {
			t.Errorf("%v: cause %v", m.err, r.Cause)
		}
		answer := httptest.NewRecorder()
		respondRefusal(t.Context(), answer, slog.New(slog.DiscardHandler), r)
		wait := answer.Header().Get("Retry-After") != ""
		if answer.Code != m.status || wait != (m.status == 503 || m.status == 429) || strings.Contains(answer.Body.String(), "SQL") {
			t.Errorf("%v is answered by %d %v %s", m.err, answer.Code, answer.Header(), answer.Body)
		}
	}
}
