package handlers

import "time"

// tick is called by the shared clock: heartbeats, the token's end, and clients that have fallen silent.
func (s *session) tick(now time.Time) {
	s.mu.Lock()
	beat := !now.Before(s.nextBeat)
	// A heartbeat is answered shortly before the next at the latest: whoever vanishes is found out within two.
	slack := s.stream.Heartbeat / 8
	asked, due := s.asked, !s.asked.IsZero() && !now.Before(s.asked.Add(s.stream.Heartbeat-slack))
	if due {
		s.asked = time.Time{}
	}
	if beat {
		s.heartbeat = true
		s.nextBeat, s.asked = now.Add(s.stream.Heartbeat), now
	}
	expires := s.viewer.Expires
	warn := !s.warned && !expires.IsZero() && now.After(expires.Add(-tokenWarning))
	s.warned = s.warned || warn
	expired := !expires.IsZero() && now.After(expires) && s.ending == nil
	s.mu.Unlock()
	switch {
	case expired:
		s.say("token_expired", struct{}{})
		s.end(ending{closeUnauthorized, "the token has ended"})
	case warn:
		s.say("token_expiring", map[string]any{"expiresAt": expires.UnixMilli()})
	}
	if due {
		s.listen(asked.Add(-slack))
	}
	if beat {
		s.transport.ask()
		s.wake()
	}
}

// listen ends a session whose peer has given no sign of life since a time.
func (s *session) listen(since time.Time) {
	heard := s.transport.heard()
	switch {
	case heard.IsZero() || !heard.Before(since):
	case s.transport.reached().Before(since):
		s.end(lost)
	default:
		s.stream.tooSlow.Add(1)
		s.end(deaf)
	}
}

// extend gives the session a new token's time, if the token is the same user's.
func (s *session) extend(v Viewer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.UserID != s.viewer.UserID {
		return false
	}
	s.viewer.Expires, s.viewer.SessionID, s.viewer.Issued = v.Expires, v.SessionID, v.Issued
	s.warned, s.recheck = false, true
	return true
}
