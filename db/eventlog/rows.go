package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// logRows are rows of the log as a query returned them. count is the query's own; found says that
// there was any row, also one of nulls, which is not among the changes.
type logRows struct {
	count   int64
	found   bool
	changes []Change
	xids    []string // of the changes
}

// query reads rows of count, number, mark, txOrder, id, owner, type, data, at and xid.
func (l *Log) query(ctx context.Context, query string, args ...any) (logRows, error) {
	reading, cancel := context.WithTimeout(ctx, db.QueryTimeout)
	defer cancel()
	rows, err := l.queryOnce(reading, columnsOf(query, l.raw.Load()), args)
	if isUnreadable(err) {
		return l.queryEach(ctx, query, args)
	}
	return rows, err
}

func (l *Log) queryOnce(ctx context.Context, query string, args []any) (found logRows, err error) {
	rows, err := l.pool.QueryContext(ctx, query, args...)
	if err != nil {
		return logRows{}, err
	}
	defer rows.Close()
	for rows.Next() {
		found.found = true
		var number, mark, txOrder, id *int64
		var owner, typ, xid *string
		var data []byte
		var at *time.Time
		if err := rows.Scan(&found.count, &number, &mark, &txOrder, &id, &owner, &typ, &data, &at, &xid); err != nil {
			return logRows{}, fmt.Errorf("read a row: %w", err)
		}
		if id == nil {
			continue
		}
		c := Change{Position: Position{*number, *txOrder, *id, uint32(*mark)}, Type: *typ, Data: data, At: *at}
		if owner != nil {
			c.OwnerID = *owner
		}
		found.changes, found.xids = append(found.changes, c), append(found.xids, *xid)
	}
	return found, rows.Err()
}

// queryEach is query where the database cannot hand out some row's data, which fails the whole:
// each is asked for its own.
func (l *Log) queryEach(ctx context.Context, query string, args []any) (logRows, error) {
	listing, cancel := context.WithTimeout(ctx, db.QueryTimeout)
	defer cancel()
	rows, err := l.queryOnce(listing, columnsOf(withoutData(query), l.raw.Load()), args)
	if err != nil {
		return rows, err
	}
	for i := range rows.changes {
		c := &rows.changes[i]
		data, err := l.dataOf(ctx, rows.xids[i], c.ID)
		switch {
		case err == nil:
			c.Data = data
		case !isUnreadable(err):
			return rows, err
		}
	}
	return rows, nil
}

func (l *Log) dataOf(ctx context.Context, xid string, id int64) (data json.RawMessage, err error) {
	reading, cancel := context.WithTimeout(ctx, db.QueryTimeout)
	defer cancel()
	err = l.pool.QueryRowContext(reading, columnsOf(`SELECT {data} FROM realtime.events WHERE xid = $1::xid8 AND id = $2`, l.raw.Load()), xid, id).
		Scan((*[]byte)(&data))
	return data, err
}
