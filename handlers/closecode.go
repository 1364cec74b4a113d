package handlers

// CloseCode is why a stream ends: a WebSocket close code (RFC 6455, section 7.4; 4000 and up are
// ours). A Server-Sent Events stream ends with the same number in an `error` message.
type CloseCode int

// The endings.
const (
	CloseNormal       CloseCode = 1000
	CloseGoingAway    CloseCode = 1001
	CloseBadFrame     CloseCode = 1002
	CloseBadText      CloseCode = 1007
	CloseTooBig       CloseCode = 1009
	CloseTryAgain     CloseCode = 1013
	CloseProtocol     CloseCode = 4400
	CloseUnauthorized CloseCode = 4401
	CloseForbidden    CloseCode = 4403
	CloseTooSlow      CloseCode = 4408
	CloseTooMany      CloseCode = 4429
)

// Final reports whether coming back the same way would end the same way.
func (c CloseCode) Final() bool {
	return c == CloseProtocol || c == CloseUnauthorized || c == CloseForbidden
}
