package eventlog

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db/xid"
)

// waitingTransaction is a transaction that has ended and is to be numbered.
type waitingTransaction struct {
	xid     uint64
	txOrder int64 // its last insertion
	rows    int
	size    int // bytes of data
}

// large reports whether a transaction is a batch of its own, which each of its owners reads in
// pieces while everybody else goes on.
func (t waitingTransaction) large() bool { return t.rows > wholeBatch || t.size > wholeBytes }

// numberBacklog numbers all that is visible now and was not to the last batch in several batches,
// because it is too much for one: each has at most wholeBatch rows, or is a single large
// transaction. Their order is that of the transactions' last insertions, as within a batch, so no
// row's changes are told in another order than they were made in.
//
// A batch needs two snapshots. Those between are none that the database ever had; they see the
// transactions of the batches up to there, and say of those that come later that they are under
// way. These are few, because transactions that are under way at the same time are: see plan.
func (n *Sequencer) numberBacklog(ctx context.Context) (Numbered, error) {
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return n.execute(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ`) },
		n.numberWaiting,
		func(ctx context.Context) error {
			if n.quiet {
				return nil
			}
			return n.execute(ctx, `SELECT pg_catalog.pg_notify('realtime', $1)`, n.announce)
		},
		func(ctx context.Context) error { return n.execute(ctx, `COMMIT`) },
		n.readLast,
	} {
		if err := step(ctx); err != nil {
			return Numbered{}, err // the connection is closed, and the transaction with it
		}
	}
	return n.head(), nil
}

// execute runs a statement within the time of a step.
func (n *Sequencer) execute(ctx context.Context, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	_, err := n.conn.ExecContext(ctx, statement, args...)
	return err
}

func (n *Sequencer) numberWaiting(ctx context.Context) error {
	reading, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	var text string
	if err := n.conn.GetContext(reading, &text, `SELECT pg_current_snapshot()::text`); err != nil {
		return err
	}
	now, err := xid.Parse(text)
	if err != nil {
		return err
	}
	before, err := xid.Parse(n.last.After)
	if err != nil {
		return err
	}
	fresh := xid.Between(before, now)
	var waiting []waitingTransaction
	for i := range fresh.Lo {
		if waiting, err = n.readWaiting(ctx, fresh.Lo[i], fresh.Hi[i], waiting); err != nil {
			return err
		}
	}
	const step = 500
	for planned := range slices.Chunk(plan(before, now, waiting), step) {
		if err := n.insert(ctx, planned); err != nil {
			return err
		}
	}
	return nil
}

// readWaiting appends the transactions with ids from lo up to, and without, hi that have rows in
// the log. Of a large one it reads only as much as it takes to know that it is large. They are in
// the order of the ids, not of the texts that are selected.
func (n *Sequencer) readWaiting(ctx context.Context, lo, hi uint64, waiting []waitingTransaction) ([]waitingTransaction, error) {
	const step = 5000
	xid, id := lo, int64(math.MinInt64)
	for {
		count := 0
		err := n.rows(ctx, func(rows *sql.Rows) error {
			count++
			var size int
			if err := rows.Scan(&xid, &id, &size); err != nil {
				return err
			}
			if len(waiting) == 0 || waiting[len(waiting)-1].xid != xid {
				waiting = append(waiting, waitingTransaction{xid: xid})
			}
			last := &waiting[len(waiting)-1]
			last.rows, last.size, last.txOrder = last.rows+1, last.size+size, id
			return nil
		}, `SELECT e.xid::text, e.id, coalesce(octet_length(e.data::text), 0) FROM realtime.events e
			WHERE (e.xid, e.id) > ($1::xid8, $2::bigint) AND e.xid < $3::xid8 ORDER BY e.xid, e.id LIMIT $4`, xid, id, hi, step)
		if err != nil {
			return nil, err
		}
		if count < step {
			return waiting, nil
		}
		last := &waiting[len(waiting)-1]
		if !last.large() {
			continue
		}
		if err := n.rows(ctx, func(rows *sql.Rows) error { return rows.Scan(&last.txOrder) },
			`SELECT max(id) FROM realtime.events WHERE xid = $1::xid8`, xid); err != nil {
			return nil, err
		}
		id = math.MaxInt64
	}
}

// rows calls each for every row of a query, within the time of a step.
func (n *Sequencer) rows(ctx context.Context, each func(*sql.Rows) error, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, sequencerTimeout)
	defer cancel()
	rows, err := n.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
	}
	return rows.Err()
}

// plannedBatch is a batch to be made: the snapshot after it, and the transaction that it
// is if that is large.
type plannedBatch struct {
	after xid.Snapshot
	large uint64
}

// plan divides transactions that have ended by now, and had not before, into batches.
// waiting is in the order of ids.
//
// The snapshot after a batch sees everything that before saw and the transactions of the
// batches up to it. Its upper end is just above the greatest of them, so of the others it
// must name only those with smaller ids whose last insertion came later: they were open
// when one of the batch inserted its last.
func plan(before, now xid.Snapshot, waiting []waitingTransaction) (batches []plannedBatch) {
	order := slices.Clone(waiting)
	slices.SortFunc(order, func(a, b waitingTransaction) int { return cmp.Compare(a.txOrder, b.txOrder) })
	upper, below := before.Upper, 0 // how many of waiting lie below upper
	later := map[uint64]struct{}{}  // of those below upper, the ones of no batch yet
	cut := func(some []waitingTransaction) {
		for _, t := range some {
			upper = max(upper, t.xid+1)
		}
		for ; below < len(waiting) && waiting[below].xid < upper; below++ {
			later[waiting[below].xid] = struct{}{}
		}
		for _, t := range some {
			delete(later, t.xid)
		}
		after := xid.Snapshot{Upper: upper, Open: slices.Collect(maps.Keys(later))}
		for _, xid := range now.Open {
			if xid < upper {
				after.Open = append(after.Open, xid)
			}
		}
		slices.Sort(after.Open)
		planned := plannedBatch{after: after}
		if some[0].large() {
			planned.large = some[0].xid
		}
		batches = append(batches, planned)
	}
	from, sum := 0, waitingTransaction{}
	for i, t := range order {
		sum.rows, sum.size = sum.rows+t.rows, sum.size+t.size
		if i > from && sum.large() {
			cut(order[from:i])
			from, sum = i, t
		}
	}
	if from < len(order) {
		cut(order[from:])
	}
	return batches
}

// insert makes batches after the last one.
func (n *Sequencer) insert(ctx context.Context, planned []plannedBatch) error {
	var numbers []int64
	var befores, afters, large []string
	number, before := n.last.Number, n.last.After
	for _, p := range planned {
		number++
		numbers, befores, afters = append(numbers, number), append(befores, before), append(afters, p.after.String())
		large = append(large, xid.Decimals([]uint64{p.large})[0])
		before = afters[len(afters)-1]
	}
	err := n.execute(ctx, `INSERT INTO realtime.batches (number, before, after, bound, large)
		SELECT number, before::pg_snapshot, after::pg_snapshot, pg_snapshot_xmax(after::pg_snapshot), nullif(large, '0')::xid8
		FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::text[]),
			pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[])) AS planned(number, before, after, large)`,
		pq.Array(numbers), pq.Array(befores), pq.Array(afters), pq.Array(large))
	if err != nil {
		return err
	}
	n.last.Number, n.last.After = number, before
	return nil
}
