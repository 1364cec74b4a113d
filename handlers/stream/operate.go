package stream

import (
	"cmp"
	"slices"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// byOperator ends a connection that an operator wants ended: its client comes back.
var byOperator = Disconnect{handlers.CloseGoingAway, "an operator ended the connection: come back"}

// Connection is one open stream.
type Connection struct {
	Connection string    `json:"connection"`
	Owner      string    `json:"owner"`
	User       string    `json:"user"`
	Transport  string    `json:"transport"`
	Since      time.Time `json:"since"`
}

// Open returns how many streams are open of each transport.
func (s *Server) Open() (webSockets, eventStreams int64) {
	return s.counts.open[0].Load(), s.counts.open[1].Load()
}

// List returns open streams of an owner and a user, each "" for any, whose ids come after one,
// in the order of their ids, at most limit.
func (s *Server) List(ownerID, userID, after string, limit int) (list []Connection) {
	for _, session := range s.list() {
		if ownerID != "" && session.ownerID != ownerID || session.id <= after {
			continue
		}
		session.mu.Lock()
		user := session.viewer.UserID
		session.mu.Unlock()
		if userID == "" || user == userID {
			list = append(list, Connection{session.id, session.ownerID, user, transportNames[transportOf(session.transport)], session.since})
		}
	}
	slices.SortFunc(list, func(a, b Connection) int { return cmp.Compare(a.Connection, b.Connection) })
	return list[:min(len(list), limit)]
}

// Disconnect ends connections as an operator wants: those of a user as signed out, others to come
// back.
func (s *Server) Disconnect(which eventlog.Disconnect) {
	for _, session := range s.list() {
		session.mu.Lock()
		user := session.viewer.UserID
		session.mu.Unlock()
		switch {
		case which.User != "" && user == which.User:
			session.sendControl("token_expired", struct{}{})
			session.end(sessionEnded)
		case which.Owner != "" && session.ownerID == which.Owner, which.Connection != "" && session.id == which.Connection:
			session.sendClosing(returnWithin)
			session.end(byOperator)
		}
	}
}
