package eventlog

import (
	"context"

	"github.com/lib/pq"
)

// What the tests in eventlog_test, which need a database, see of the package's inside.

// WaitingTransactions returns the ids of the transactions of the log from lo up to, and without, hi
// as the numbering finds them, each with its number of rows.
func (n *Sequencer) WaitingTransactions(ctx context.Context, lo, hi uint64) (ids []uint64, rows []int, err error) {
	waiting, err := n.readWaiting(ctx, lo, hi, nil)
	for _, t := range waiting {
		ids, rows = append(ids, t.xid), append(rows, t.rows)
	}
	return ids, rows, err
}

// Hurry gives a page no time to fill, as a slow machine does.
func (l *Log) Hurry() { l.pageTime = 0 }

// LastsAtOnce returns the positions of the newest messages of some owners, as one query gives them.
// Those of whom it says nothing are left out.
func (l *Log) LastsAtOnce(ctx context.Context, ownerIDs []string) (map[string]Position, error) {
	var rows []struct {
		Owner     string
		Large     bool
		Batch, ID int64
		TxOrder   int64 `db:"turn"`
		Mark      uint32
	}
	err := l.pool.SelectContext(ctx, &rows, lastsQuery, pq.Array(ownerIDs))
	lasts := make(map[string]Position)
	for _, r := range rows {
		if !r.Large {
			lasts[r.Owner] = Position{r.Batch, r.TxOrder, r.ID, r.Mark}
		}
	}
	return lasts, err
}
