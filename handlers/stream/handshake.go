package stream

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// IsUpgrade reports whether a request asks for a WebSocket (RFC 6455, section 4.2.1).
func IsUpgrade(r *http.Request) bool {
	return hasToken(r.Header, "Upgrade", "websocket") && hasToken(r.Header, "Connection", "upgrade")
}

// hasToken reports whether a list of tokens (RFC 9110, section 5.6.1), in one header or
// several, has one.
func hasToken(h http.Header, name, token string) bool {
	for _, value := range h.Values(name) {
		for member := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(member), token) {
				return true
			}
		}
	}
	return false
}

// checkHandshake says what is wrong with a handshake. It sets the headers that the refusal needs.
func checkHandshake(h http.Header, r *http.Request) error {
	switch {
	case !r.ProtoAtLeast(1, 1), !IsUpgrade(r):
		h.Set("Upgrade", "websocket")
		return &handlers.Refusal{Kind: handlers.Kind{Status: http.StatusUpgradeRequired, Code: handlers.CloseProtocol},
			Detail: "this address speaks WebSocket; for Server-Sent Events use /api/sse"}
	case r.Method != http.MethodGet:
		h.Set("Allow", http.MethodGet)
		return &handlers.Refusal{Kind: handlers.Kind{Status: http.StatusMethodNotAllowed, Code: handlers.CloseProtocol}, Detail: "a WebSocket begins with GET"}
	case len(r.Header.Values("Sec-WebSocket-Version")) != 1 || strings.TrimSpace(r.Header.Get("Sec-WebSocket-Version")) != "13":
		h.Set("Upgrade", "websocket")
		h.Set("Sec-WebSocket-Version", "13") // RFC 6455, section 4.4
		return &handlers.Refusal{Kind: handlers.Kind{Status: http.StatusUpgradeRequired, Code: handlers.CloseProtocol},
			Detail: "this server speaks version 13 of WebSocket", Field: "Sec-WebSocket-Version"}
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return handlers.Invalid("Sec-WebSocket-Key", "a handshake has one Sec-WebSocket-Key")
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err != nil || len(key) != 16 {
		return handlers.Invalid("Sec-WebSocket-Key", "Sec-WebSocket-Key must be 16 bytes in base64")
	}
	return nil
}
