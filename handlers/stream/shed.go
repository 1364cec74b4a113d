package stream

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// fullRetry and fullSpread are after what time clients are told to come back that
	// found the server full: 5 to 15 s.
	fullRetry  = 5 * time.Second
	fullSpread = 10 * time.Second
	// shedShare is the part of the clients that are waited for which Shed lets go of: one
	// in so many.
	shedShare = 4
)

// SetFull has new streams refused, or served again. Those that are open go on.
func (s *Server) SetFull(full bool) { s.full.Store(full) }

// Full reports whether new streams are refused.
func (s *Server) Full() bool { return s.full.Load() }

// fullRefusal refuses a stream while the server is full. It is nothing that another try
// would mend at once.
func fullRefusal() *handlers.Refusal {
	return &handlers.Refusal{Kind: handlers.Kind{Status: http.StatusServiceUnavailable, Code: handlers.CloseGoingAway},
		Detail: "the server is full for the moment: come back shortly", RetryAfter: fullRetry + rand.N(fullSpread)}
}

// ShedSlowest disconnects those clients that have been waited for longest, as too slow: they come
// back with their position.
func (s *Server) ShedSlowest() {
	var waiting []*session
	since := make(map[*session]int64)
	for _, session := range s.list() {
		if at := session.waitingSince.Load(); at != 0 {
			waiting = append(waiting, session)
			since[session] = at
		}
	}
	slices.SortFunc(waiting, func(a, b *session) int { return cmp.Compare(since[a], since[b]) })
	for _, session := range waiting[:(len(waiting)+shedShare-1)/shedShare] {
		s.tooSlow.Add(1)
		session.end(tooSlow)
	}
}
