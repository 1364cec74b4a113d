package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrCursorMoved says that another server, or this one, has made notifications of that part of the
// log already.
var ErrCursorMoved = errors.New("notifications were made of this part of the log already")

// NotifierCursor is how far notifications were made of the log: up to the end of a batch, with its
// mark, of a history. RanAt is up to when what time alone brings was made. Begun is false before
// the first time. Behind says that rows were removed from the log that had not been read.
type NotifierCursor struct {
	Batch  int64
	Mark   uint32
	Epoch  string
	RanAt  time.Time
	Begun  bool
	Behind bool
	Missed int64 // how often that was so
}

// NotifierConsumer is what makes notifications as a consumer of the log: what was removed before it
// was read is counted, and it goes on behind that.
func NotifierConsumer() Consumer {
	return Consumer{
		Applied:    `SELECT b.after FROM realtime.notifier f JOIN realtime.batches b ON b.number = f.batch`,
		Invalidate: `UPDATE realtime.notifier SET behind = true`,
	}
}

// Cursor returns how far notifications were made.
func (n *Notices) Cursor(ctx context.Context) (NotifierCursor, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	return readNotifier(ctx, n.store.pool, cursorQuery)
}

func readNotifier(ctx context.Context, by asker, query string) (c NotifierCursor, err error) {
	var row struct {
		Batch  sql.NullInt64
		Mark   uint32
		Epoch  sql.NullString
		RanAt  sql.NullTime `db:"ran_at"`
		Behind bool
		Missed int64
	}
	if err := by.GetContext(ctx, &row, query); err != nil {
		return c, fmt.Errorf("read how far notifications were made: %w", Explain(err))
	}
	return NotifierCursor{row.Batch.Int64, row.Mark, row.Epoch.String, row.RanAt.Time, row.Batch.Valid, row.Behind, row.Missed}, nil
}

// Begin moves the cursor to a batch of a history, where making begins for the first time, begins
// anew after the log lost a part, or a history begins. What clients hold of an earlier history
// counts for nothing then: revisions go on beyond any that it can have had.
func (n *Notices) Begin(ctx context.Context, was NotifierCursor, epoch string, batch int64, mark uint32, now time.Time) error {
	return n.transact(ctx, was, func(ctx context.Context, tx transaction) error {
		if was.Begun && was.Epoch != epoch {
			if err := restart(ctx, tx); err != nil {
				return err
			}
		}
		missed := 0
		if was.Begun && was.Epoch == epoch {
			missed = 1
		}
		_, err := tx.ExecContext(ctx, `UPDATE realtime.notifier SET batch = $1, mark = $2, epoch = $3::uuid, at = now(),
			ran_at = coalesce(ran_at, $4), behind = false, missed = missed + $5`, batch, mark, epoch, now, missed)
		return err
	})
}

// Follow keeps the cursor where it is and notes another history, whose batches go on from it.
func (n *Notices) Follow(ctx context.Context, was NotifierCursor, epoch string) error {
	return n.transact(ctx, was, func(ctx context.Context, tx transaction) error {
		if err := restart(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE realtime.notifier SET epoch = $1::uuid, behind = false`, epoch)
		return err
	})
}

// restart has every client read its list again. Milliseconds since 1970 are more than revisions
// ever counted.
func restart(ctx context.Context, tx transaction) error {
	var owners []string
	err := tx.SelectContext(ctx, &owners, `UPDATE realtime.notification_accounts SET
		revision = greatest(revision + 1, (date_part('epoch', pg_catalog.clock_timestamp()) * 1000)::bigint),
		floor = greatest(revision + 1, (date_part('epoch', pg_catalog.clock_timestamp()) * 1000)::bigint) RETURNING owner_id`)
	if err != nil || len(owners) == 0 {
		return err
	}
	return noteNotifications(ctx, tx, NotificationNote{Owners: owners})
}
