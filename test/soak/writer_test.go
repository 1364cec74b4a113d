package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// travellers is how many hangars without bookings change between owners.
	travellers = 6
	// livePerOwner is how many bookings an owner has before more are deleted than made.
	livePerOwner = 60
	// transactionLimit bounds a transaction beside the time that it is held open.
	transactionLimit = 30 * time.Second
	// lockLimit is how long a writer waits for another's row; then it rolls back.
	lockLimit = time.Second
)

// writer commits ordinary SQL to the portal's tables through connections of its own, and
// notes what it committed.
type writer struct {
	soak   *soak
	number int
	random *rand.Rand
	count  int64
}

// transaction is one transaction of a writer, and the events that it must leave in the log.
type transaction struct {
	*sqlx.Tx
	ctx      context.Context
	expected map[string]int // booking id → number of events
	created  []string
	deleted  []string
}

// noted is a transaction that was committed, or, when it is not known, perhaps.
type noted struct {
	token    int64
	known    bool
	expected map[string]int
}

// notes are what all writers committed.
type notes struct {
	mu   sync.Mutex // guards list
	list []noted
}

func (n *notes) add(what noted) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, what)
}

// liveBookings are the bookings that exist, as far as the writers know.
type liveBookings struct {
	mu  sync.Mutex // guards ids
	ids []string
}

func (l *liveBookings) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

// pick returns a random booking: in one of three cases one of the newest five, so that
// writers meet.
func (l *liveBookings) pick(r *rand.Rand) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.ids)
	if n == 0 {
		return "0"
	}
	if r.IntN(3) == 0 {
		return l.ids[n-1-r.IntN(min(n, 5))]
	}
	return l.ids[r.IntN(n)]
}

func (l *liveBookings) change(created, deleted []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, created...)
	if len(deleted) > 0 {
		l.ids = slices.DeleteFunc(l.ids, func(id string) bool { return slices.Contains(deleted, id) })
	}
}

// commitTimes says when the transaction that made a booking began to commit.
type commitTimes struct {
	mu sync.Mutex // guards at
	at map[string]time.Time
}

func (c *commitTimes) add(bookings []string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = make(map[string]time.Time)
	}
	for _, id := range bookings {
		c.at[id] = at
	}
}

// pop returns and forgets a booking's time.
func (c *commitTimes) pop(booking string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.at[booking]
	delete(c.at, booking)
	return at
}

func (s *soak) newWriter(number int) *writer {
	return &writer{soak: s, number: number, random: s.random("writer", number)}
}

// work writes until ctx ends.
func (w *writer) work(ctx context.Context) {
	pool := w.open()
	defer pool.Close()
	for ctx.Err() == nil {
		rest(around(w.random, w.soak.plan.thinking), ctx.Done())
		w.transact(ctx, pool, w.something)
	}
}

// open returns the writer's own pool; it is not the network between server and database
// that it goes through.
func (w *writer) open() *sqlx.DB {
	url := fmt.Sprintf("%s&application_name=portal&lock_timeout=%d", w.soak.postgres.URL(), lockLimit.Milliseconds())
	var pool *sqlx.DB
	w.soak.await("database for a writer", func() (ok bool) {
		var err error
		pool, err = db.Open(context.Background(), url)
		return err == nil
	})
	return pool
}

// transact runs one transaction. ctx hurries it, but does not end it.
func (w *writer) transact(ctx context.Context, pool *sqlx.DB, work func(context.Context, *transaction) error) (committed bool) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionLimit+w.soak.plan.held)
	defer cancel()
	tx, err := pool.BeginTxx(limited, nil)
	if err != nil {
		rest(50*time.Millisecond, ctx.Done()) // PostgreSQL is away
		return false
	}
	w.count++
	x := &transaction{Tx: tx, ctx: limited, expected: make(map[string]int)}
	token := int64(w.number)<<40 | w.count
	if _, err = x.ExecContext(limited, `INSERT INTO soak.journal (token) VALUES ($1)`, token); err == nil {
		err = work(ctx, x)
	}
	if err != nil {
		x.Rollback()
		w.soak.report.rolledBack.Add(1)
		return false
	}
	w.soak.commits.add(x.created, time.Now())
	err = x.Commit()
	w.soak.notes.add(noted{token, err == nil, x.expected})
	w.soak.live.change(x.created, x.deleted)
	if err != nil {
		w.soak.report.unknown.Add(1)
		return false
	}
	w.soak.report.committed.Add(1)
	return true
}

// errChanged is a change of mind: the transaction is rolled back.
var errChanged = errors.New("rolled back at will")

// something is a random transaction: a few statements, perhaps within savepoints, perhaps held
// open, perhaps rolled back.
func (w *writer) something(ctx context.Context, x *transaction) error {
	for range 1 + w.random.IntN(4) {
		do := w.statement
		if w.random.IntN(6) == 0 {
			do = w.withinSavepoint
		}
		if err := do(x); err != nil {
			return err
		}
		if w.random.IntN(4) == 0 { // others come in between
			rest(upTo(w.random, 30*time.Millisecond), ctx.Done())
		}
	}
	if w.random.IntN(1000) < w.soak.plan.holding { // with its locks
		w.soak.report.held.Add(1)
		rest(upTo(w.random, w.soak.plan.held), ctx.Done())
	}
	switch chance := w.random.IntN(100); {
	case chance < 12:
		rest(upTo(w.random, 100*time.Millisecond), ctx.Done())
	case chance < 22:
		return errChanged
	}
	return nil
}

// withinSavepoint does something that may be taken back, or fail, without the rest of the
// transaction.
func (w *writer) withinSavepoint(x *transaction) error {
	if _, err := x.ExecContext(x.ctx, `SAVEPOINT here`); err != nil {
		return err
	}
	expected, created, deleted := maps.Clone(x.expected), slices.Clone(x.created), slices.Clone(x.deleted)
	err := w.statement(x)
	fails := w.random.IntN(3) == 0
	if err == nil && fails {
		_, err = x.ExecContext(x.ctx, `UPDATE bookings SET status = 'nonsense' WHERE id = (SELECT max(id) FROM bookings)`)
	}
	var refused *pq.Error
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	if err != nil || w.random.IntN(2) == 0 {
		x.expected, x.created, x.deleted = expected, created, deleted
		_, err = x.ExecContext(x.ctx, `ROLLBACK TO SAVEPOINT here`)
		return err
	}
	_, err = x.ExecContext(x.ctx, `RELEASE SAVEPOINT here`)
	return err
}

// run executes a statement that returns the ids of bookings, each of which must leave a
// number of events.
func (x *transaction) run(events int, query string, args ...any) (ids []string, err error) {
	if err := x.SelectContext(x.ctx, &ids, query, args...); err != nil {
		return nil, err
	}
	for _, id := range ids {
		x.expected[id] += events
	}
	return ids, nil
}
