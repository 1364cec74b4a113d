package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

const (
	// authTimeout is how long a connection may stay without a token.
	authTimeout = 10 * time.Second
	// messageRate and messageBurst are how many messages a second a client may send, and how many
	// at once. Frames without a message have a wider budget: see framing.
	messageRate  = 10
	messageBurst = 30
	// complaintPause is for how long after a complaint a connection's other bad messages
	// are not logged.
	complaintPause = time.Second
)

// clientMessage is anything that a client may send.
type clientMessage struct {
	Type    string `json:"type"`
	OwnerID string `json:"ownerId"`
	Token   string `json:"token"`
}

// noToken ends a connection that sends no token.
var noToken = Disconnect{handlers.CloseUnauthorized, fmt.Sprintf("no token within %.0f seconds", authTimeout.Seconds())}

// awaitAuth reads the token that a connection without one must send first.
func (s *Server) awaitAuth(ctx context.Context, ws *webSocket, ownerID string) (handlers.Viewer, string, error) {
	ws.SetReadDeadline(time.Now().Add(authTimeout))
	data, e := ws.readMessage(ctx)
	if e != nil {
		return handlers.Viewer{}, "", &handlers.Refusal{Kind: handlers.Kind{Code: e.Code}, Detail: e.Reason}
	}
	ws.SetReadDeadline(time.Time{})
	var m clientMessage
	if err := json.Unmarshal(data, &m); err != nil || m.Type != "auth" || m.Token == "" {
		return handlers.Viewer{}, "", handlers.Unauthorized(`the first message must be {"type":"auth","ownerId":"…","token":"…"}`)
	}
	viewer, err := s.Authority.Verify(ctx, m.Token)
	if err != nil {
		return handlers.Viewer{}, "", err
	}
	if m.OwnerID != "" {
		ownerID = m.OwnerID
	}
	return viewer, ownerID, nil
}

// receive handles what the client sends until the connection ends, and returns why it did.
func (s *session) receive(ctx context.Context, ws *webSocket) Disconnect {
	limit := rate.NewLimiter(messageRate, messageBurst)
	logged := rate.Sometimes{Interval: complaintPause}
	complain := func(message string) {
		logged.Do(func() {
			s.stream.log.Warn("client message skipped", "connection", s.id, "reason", message)
		})
		s.sendControl("error", map[string]any{"code": handlers.CloseProtocol, "message": message})
	}
	for {
		data, e := ws.readMessage(ctx)
		if e != nil {
			return *e
		}
		if !limit.Allow() {
			return Disconnect{handlers.CloseTooMany, "too many messages"}
		}
		var m clientMessage
		if err := json.Unmarshal(data, &m); err != nil {
			complain("that is not a JSON object with a type")
			continue
		}
		switch m.Type {
		case "ping":
			s.sendControl("pong", struct{}{})
		case "auth", "refresh":
			if m.OwnerID != "" && m.OwnerID != s.ownerID {
				complain("this connection belongs to another owner account: open a new one")
				continue
			}
			if err := s.renew(ctx, m.Token); err != nil { // the old token counts on
				refused := handlers.RefusalOf(err, "")
				if refused.Cause != nil {
					logged.Do(func() { s.stream.log.Error("token not checked", "connection", s.id, "error", refused.Cause) })
				}
				s.enqueue(refusalMessage(refused, s.ownerID))
			}
		default:
			complain("unknown type: auth, refresh and ping are known")
		}
	}
}

// renew takes a new token for this connection.
func (s *session) renew(ctx context.Context, token string) error {
	viewer, err := s.stream.Authority.Verify(ctx, token)
	if err != nil {
		return err
	}
	if !s.extend(viewer) {
		return handlers.Forbidden("the new token is another user's", "")
	}
	s.sendControl("refreshed", map[string]any{"expiresAt": viewer.Expires.UnixMilli()})
	return nil
}
