package stream

import (
	"context"
	"errors"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// sessionEnded disconnects a session whose user has signed out, or is not recognised any more.
var sessionEnded = Disconnect{handlers.CloseUnauthorized, handlers.SessionEnded}

// checkAccess ends the session if its viewer may no longer see the account, or has signed out.
func (s *session) checkAccess(ctx context.Context) error {
	s.mu.Lock()
	confirm := s.viewer.Confirm
	if !s.confirmDue {
		confirm = nil
	}
	s.recheckDue, s.confirmDue = false, false
	s.mu.Unlock()
	if confirm != nil && !s.confirm(ctx, confirm) {
		return nil
	}
	s.mu.Lock()
	caller := s.viewer.Caller()
	s.mu.Unlock()
	role, err := s.stream.Accounts.Access(ctx, caller, s.ownerID)
	switch {
	case errors.Is(err, db.ErrSessionEnded):
		s.sendControl("token_expired", struct{}{})
		s.end(sessionEnded)
		return nil
	case err == nil && role == "":
		s.end(Disconnect{handlers.CloseForbidden, "this owner account is not yours any more"})
	}
	return err
}

// confirm asks the portal again who the viewer is, and ends the session unless it is the same user.
// While the portal cannot answer, its last answer counts.
func (s *session) confirm(ctx context.Context, ask func(context.Context) (handlers.Viewer, error)) bool {
	viewer, err := ask(ctx)
	rejected, refused := handlers.Rejected(err)
	if err != nil && (!refused || rejected.Later != nil) {
		return true
	}
	if err == nil && s.extend(viewer) {
		s.mu.Lock()
		s.recheckDue = false // it is checked now
		s.mu.Unlock()
		return true
	}
	s.sendControl("token_expired", struct{}{})
	s.end(sessionEnded)
	return false
}

// extend gives the session a new token's time, if the token is the same user's.
func (s *session) extend(v handlers.Viewer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.UserID != s.viewer.UserID {
		return false
	}
	another := !v.Expires.Equal(s.viewer.Expires) || !v.Issued.Equal(s.viewer.Issued)
	s.viewer.Expires, s.viewer.SessionID = v.Expires, v.SessionID
	s.viewer.Issued, s.viewer.Confirm = v.Issued, v.Confirm
	if another { // each token is warned of once
		s.viewer.Lifetime, s.life, s.warned = v.Lifetime, v.TokenLifetime(time.Now()), false
	}
	s.recheckDue = true
	return true
}
