package stream

import (
	"net/http"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// Opened counts the connections since the start.
func (s *Server) Opened() int64 { return s.opened.Load() }

// CloseWith upgrades a request and closes the WebSocket at once.
func (s *Server) CloseWith(w http.ResponseWriter, r *http.Request, code int, reason string) error {
	ws, err := s.accept(w, r)
	if err != nil {
		return err
	}
	ws.close(Disconnect{handlers.CloseCode(code), reason})
	return nil
}

// CloseCodes are the codes that a stream may end with.
var CloseCodes = []handlers.CloseCode{handlers.CloseNormal, handlers.CloseGoingAway, handlers.CloseBadFrame, handlers.CloseBadText, handlers.CloseTooBig, handlers.CloseTryAgain,
	handlers.CloseProtocol, handlers.CloseUnauthorized, handlers.CloseForbidden, handlers.CloseTooSlow, handlers.CloseTooMany}
