package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Types of rows that servers write for each other. A server that does not know them steps
// over them.
const (
	// TypeProbe is written to measure how long a row takes.
	TypeProbe = ".probe"
	// TypeDisconnect has every server end connections: its data is a Disconnect.
	TypeDisconnect = ".disconnect"
)

// noteTimeout bounds the writing of such a row.
const noteTimeout = 3 * time.Second

// Disconnect says which connections an operator wants ended: exactly one of its fields is set.
type Disconnect struct {
	User       string `json:"user,omitempty"`
	Owner      string `json:"owner,omitempty"`
	Connection string `json:"connection,omitempty"`
}

// Probe writes a row to measure by, and notifies as a writer does.
func (l *Log) Probe(ctx context.Context) error { return l.note(ctx, TypeProbe, nil) }

// Disconnect has every server of the installation end connections.
func (l *Log) Disconnect(ctx context.Context, which Disconnect) error {
	return l.note(ctx, TypeDisconnect, which)
}

func (l *Log) note(ctx context.Context, typ string, data any) error {
	var text *string
	if data != nil {
		encoded, err := json.Marshal(data)
		if err != nil {
			return fmt.Errorf("encode %s: %w", typ, err)
		}
		said := string(encoded)
		text = &said
	}
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	_, err := l.pool.ExecContext(ctx, `WITH noted AS (INSERT INTO realtime.events (type, data) VALUES ($1, $2::json) RETURNING true)
		SELECT realtime.ring() FROM noted`, typ, text)
	if err != nil {
		return fmt.Errorf("write %s into the log: %w", typ, db.Explain(err))
	}
	return nil
}
