package handlers

// closeCode is why a stream ends: a WebSocket close code (RFC 6455, section 7.4; 4000 and up are ours). A Server-Sent
// Events stream ends with the same number in an `error` message.
type closeCode int

// The endings.
const (
	closeNormal       closeCode = 1000
	closeGoingAway    closeCode = 1001
	closeTooBig       closeCode = 1009
	closeProtocol     closeCode = 4400
	closeUnauthorized closeCode = 4401
	closeForbidden    closeCode = 4403
	closeTooSlow      closeCode = 4408
	closeTooMany      closeCode = 4429
)

// ending is why and how a session ends. A lost connection has no code: there is nobody left to tell.
type ending struct {
	code   closeCode
	reason string
}

var (
	lost    = ending{reason: "connection lost"}
	tooSlow = ending{closeTooSlow, "too slow: come back with lastEventId"}
	// deaf is for a client that takes bytes in, but answers nothing: it is told, and not waited for.
	deaf = ending{closeTooSlow, "too slow: no answer to a ping"}
)
