package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// Types of rows that servers write for each other. A server that does not know them steps
// over them.
const (
	// TypeProbe is written to measure how long a row takes.
	TypeProbe = ".probe"
	// TypeDisconnect has every server end connections: its data is a Disconnect.
	TypeDisconnect = ".disconnect"
	// TypeNote says whose notifications changed: its data is a db.NotificationNote.
	TypeNote = db.TypeNote
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

// LargeRows calls each with the rows of a large transaction that are of some types, in the order of
// their insertion, page by page.
func (l *Log) LargeRows(ctx context.Context, large *Large, types []string, each func([]Change) error) error {
	const step = 5000
	for after := int64(0); ; {
		rows, err := l.query(ctx, `SELECT 0 AS count, $3::bigint AS number, 0::bigint AS mark, n.* FROM (
				SELECT 0::bigint AS turn, id, {owner} AS owner, {type} AS type, {data} AS data, at, xid::text AS xid
				FROM realtime.events WHERE xid = $1::xid8 AND id > $2 AND type = ANY ($4::text[]) ORDER BY id LIMIT $5) n ORDER BY n.id`,
			large.xid, after, large.Batch, pq.Array(types), step)
		if err != nil {
			return fmt.Errorf("read the rows of a large transaction: %w", err)
		}
		if len(rows.changes) > 0 {
			if err := each(rows.changes); err != nil {
				return err
			}
			after = rows.changes[len(rows.changes)-1].ID
		}
		if len(rows.changes) < step {
			return nil
		}
	}
}
