package stream

import (
	"time"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// confirmInterval is how often the portal is asked again who a viewer is, where only it knows.
	confirmInterval = 20 * time.Second
	// tokenWarning is how long before its end a token is announced to be expiring, or, where that
	// is less, warningShare: the part of its life that is left then is one of so many.
	tokenWarning = 60 * time.Second
	warningShare = 6
)

// tick is called by the shared clock: heartbeats, the token's end, and clients that have fallen
// silent. How often clients are told in connection_established; newLiveness of web/static/parts.js
// is what they do with it.
func (s *session) tick(now time.Time) {
	s.mu.Lock()
	beat := !now.Before(s.nextHeartbeat)
	// A heartbeat is answered shortly before the next at the latest: a client that
	// vanishes is found out within two.
	slack := s.stream.Heartbeat / 8
	pingedAt := s.pingedAt
	answerDue := !pingedAt.IsZero() && !now.Before(pingedAt.Add(s.stream.Heartbeat-slack))
	if answerDue {
		s.pingedAt = time.Time{}
	}
	if beat {
		s.heartbeatDue = true
		s.nextHeartbeat, s.pingedAt = now.Add(s.stream.Heartbeat), now
	}
	expires := s.viewer.Expires
	warnFrom := expires.Add(-min(tokenWarning, s.life/warningShare))
	warn := !s.warned && !expires.IsZero() && !now.Before(warnFrom)
	s.warned = s.warned || warn
	expired := !expires.IsZero() && now.After(s.viewer.Deadline()) && s.disconnect == nil
	confirm := s.viewer.Confirm != nil && !s.nextConfirm.IsZero() && !now.Before(s.nextConfirm)
	if confirm || s.nextConfirm.IsZero() {
		s.nextConfirm = now.Add(confirmInterval)
	}
	s.confirmDue = s.confirmDue || confirm
	s.recheckDue = s.recheckDue || confirm
	s.mu.Unlock()
	switch {
	case expired:
		s.sendControl("token_expired", struct{}{})
		s.end(Disconnect{handlers.CloseUnauthorized, "the token has ended"})
	case warn:
		s.sendControl("token_expiring", map[string]any{"expiresAt": expires.UnixMilli()})
	}
	if answerDue {
		s.checkPeer(pingedAt.Add(-slack))
	}
	if beat {
		s.transport.ping()
	}
	if beat || confirm {
		s.wake()
	}
}

// checkPeer ends a session whose peer has given no sign of life since a time.
func (s *session) checkPeer(since time.Time) {
	lastRead := s.transport.lastRead()
	switch {
	case lastRead.IsZero() || !lastRead.Before(since):
	case s.transport.lastAck().Before(since):
		s.end(connectionLost)
	default:
		s.stream.tooSlow.Add(1)
		s.end(unresponsive)
	}
}
