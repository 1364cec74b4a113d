package db

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// maxPayload is how many bytes of text a notification carries at most: PostgreSQL refuses 8,000
// (manual, NOTIFY).
const maxPayload = 7500

// MaxNotified is how many bytes one notification of a Notifier carries.
var MaxNotified = base64.RawStdEncoding.DecodedLen(maxPayload - len(payloadPrefix("")) - tokenSize)

// tokenSize is the length of a listener's token, crypto/rand.Text.
const tokenSize = 26

// payloadPrefix begins the payloads of a server's notifications that carry something.
func payloadPrefix(token string) string { return token + " " }

// Notifier sends what a server has to tell the others to their listeners, in transactions of its
// own. These write nothing, so that PostgreSQL has them wait for no disk and no standby: what they
// say is in the log.
type Notifier struct {
	pool  *sqlx.DB
	token string
}

// NewNotifier returns a notifier whose messages its own server's listener leaves out.
func NewNotifier(pool *sqlx.DB, own *Listener) *Notifier { return &Notifier{pool, own.token} }

// Notify sends a message of at most MaxNotified bytes to every other server that listens.
func (n *Notifier) Notify(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	payload := payloadPrefix(n.token) + base64.RawStdEncoding.EncodeToString(message)
	_, err := n.pool.ExecContext(ctx, `SELECT pg_catalog.pg_notify('realtime', $1)`, payload)
	if err != nil {
		return fmt.Errorf("notify the other servers: %w", Explain(err))
	}
	return nil
}

// message returns what a payload carries, if it is one of a Notifier: text is the rest behind the
// sender's token.
func message(payload, own string) (decoded []byte, carries, ours bool) {
	token, text, carries := strings.Cut(payload, " ")
	if !carries || token == own {
		return nil, carries, token == own
	}
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, true, false
	}
	return decoded, true, false
}
