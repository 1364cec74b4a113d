package db

import (
	"context"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
)

// Loader answers the same question about many keys by few queries: those who ask while a query is
// under way wait, and the next one asks for all of them. An answer is never older than its
// question.
type Loader[K comparable, V any] struct {
	// Ask answers about some keys, each once. A key without an answer gets the zero value.
	Ask func(ctx context.Context, keys []K) (map[K]V, error)
	// Most is about how many keys one query asks at most, and Parallel how many queries are under
	// way at once.
	Most, Parallel int
	// Gather is the least time between the beginnings of two queries: when many ask one after the
	// other, as after a restart, those of some milliseconds share one. After a quiet time a query
	// begins at once.
	Gather time.Duration
	// Repeats says that a query which repeats the last one begins at once too: one client who goes
	// on is no crowd.
	Repeats bool

	mu sync.Mutex // guards what follows
	// when the next query may begin, and whether a run waits for that. Both are read and
	// set under the lock under which a query takes its keys, so that none begins unnoticed
	begins    time.Time
	gathering bool
	alone     *K // the key of the last query, if that asked about one
	waiting   map[K]*load[V]
	order     []K
	running   int
}

// load is what some wait for who ask the same.
type load[V any] struct {
	done   chan struct{} // closed when the rest is set
	value  V
	err    error
	asking int    // who still waits
	query  *query // nil before it began
}

// query is one that is under way. It ends when nobody waits for it.
type query struct {
	asking int
	cancel context.CancelFunc
}

// Load returns the answer about a key. It ends with ctx; a query goes on as long as anybody waits.
func (l *Loader[K, V]) Load(ctx context.Context, key K) (value V, err error) {
	if err := ctx.Err(); err != nil {
		return value, err
	}
	l.mu.Lock()
	waits := l.waiting[key]
	if waits == nil {
		if l.waiting == nil {
			l.waiting = make(map[K]*load[V])
		}
		waits = &load[V]{done: make(chan struct{})}
		l.waiting[key] = waits
		l.order = append(l.order, key)
	}
	waits.asking++
	if l.running < l.Parallel {
		l.running++
		go l.run(context.WithoutCancel(ctx))
	}
	l.mu.Unlock()
	select {
	case <-waits.done:
		return waits.value, waits.err
	case <-ctx.Done():
		l.mu.Lock()
		waits.asking--
		if q := waits.query; q != nil {
			if q.asking--; q.asking == 0 {
				q.cancel()
			}
		}
		l.mu.Unlock()
		return value, ctx.Err()
	}
}

// run asks until nobody waits.
func (l *Loader[K, V]) run(ctx context.Context) {
	defer crash.Report("question to the database")
	for {
		ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
		keys, loads := l.next(cancel)
		if len(keys) == 0 {
			cancel()
			return
		}
		answers, err := l.Ask(ctx, keys)
		cancel()
		for i, waits := range loads {
			waits.value, waits.err = answers[keys[i]], err
			close(waits.done)
		}
	}
}

// next waits until the next query may begin. Then it removes and returns some of those who wait,
// but for those who have gone. It returns none, and this run has ended, where nobody waits or
// where another run waits for the next beginning already: that one will ask for all.
func (l *Loader[K, V]) next(cancel context.CancelFunc) (keys []K, loads []*load[V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gathering {
		l.running--
		return nil, nil
	}
	again := l.Repeats && len(l.order) == 1 && l.alone != nil && l.order[0] == *l.alone
	if wait := time.Until(l.begins); wait > 0 && len(l.order) > 0 && !again {
		l.gathering = true
		l.mu.Unlock()
		time.Sleep(wait)
		l.mu.Lock()
		l.gathering = false
	}
	q := &query{cancel: cancel}
	for len(l.order) > 0 && len(keys) < l.Most {
		key := l.order[0]
		l.order = l.order[1:]
		waits := l.waiting[key]
		delete(l.waiting, key)
		if waits.asking > 0 {
			waits.query = q
			q.asking += waits.asking
			keys, loads = append(keys, key), append(loads, waits)
		}
	}
	switch len(keys) {
	case 0:
		l.running--
		return nil, nil
	case 1:
		l.alone = &keys[0]
	default:
		l.alone = nil
	}
	l.begins = time.Now().Add(l.Gather)
	return keys, loads
}
