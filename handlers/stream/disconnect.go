package stream

import (
	"math/rand/v2"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// Disconnect is why and how a session ends. A lost connection has no code: nobody is left
// to be told.
type Disconnect struct {
	Code   handlers.CloseCode
	Reason string
}

var (
	connectionLost = Disconnect{Reason: "connection lost"}
	goingAway      = Disconnect{handlers.CloseGoingAway, "the server is stopping"}
	tooSlow        = Disconnect{handlers.CloseTooSlow, "too slow: come back with lastEventId"}
	// unresponsive is for a client that takes bytes in, but answers nothing: it is told,
	// and not waited for.
	unresponsive = Disconnect{handlers.CloseTooSlow, "too slow: no answer to a ping"}
)

// errorMessage tells a Disconnect, or what was refused. after is when a client may come back; 0
// where nothing better is known than handlers.RetryAfter.
func errorMessage(ownerID string, e Disconnect, after time.Duration) *realtime.Event {
	data := map[string]any{"code": e.Code, "message": e.Reason}
	var retry time.Duration
	switch {
	case e.Code.Final():
		retry = neverRetry
	case e.Code == handlers.CloseTryAgain:
		if after == 0 {
			after = handlers.RetryAfter
		}
		data["retryMs"] = after.Milliseconds()
		fallthrough
	case after > 0:
		retry = jitter(after)
	}
	m, err := realtime.NewMessage("error", ownerID, time.Now(), data)
	if err != nil {
		panic(err) // a mistake of ours, shown by any test
	}
	m.Retry = retry
	return m
}

// refusalMessage tells a refusal on a stream.
func refusalMessage(r *handlers.Refusal, ownerID string) *realtime.Event {
	after := r.RetryAfter
	if r.Limit != nil {
		after = r.Limit.RetryAfter
	}
	return errorMessage(ownerID, Disconnect{r.Code, r.Detail}, after)
}

// closingMessage says that a stream ends, or does not begin, through no fault of its client, which
// should come back after a random part of a time.
func closingMessage(ownerID string, within time.Duration) *realtime.Event {
	m, err := realtime.NewMessage("server_closing", ownerID, time.Now(), map[string]any{"retryMs": within.Milliseconds()})
	if err != nil {
		panic(err) // as above
	}
	if within < minRetry {
		m.Retry = within - rand.N(within)
	} else {
		m.Retry = jitter(within)
	}
	return m
}
