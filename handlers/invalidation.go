package handlers

import (
	"context"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// maxCacheAge bounds how long anything is cached: a write may have gone past the triggers, and a
// session may have reached its end.
const maxCacheAge = time.Minute

// Changes tells what was committed since a version.
type Changes interface {
	ChangesSince(ctx context.Context, since db.Version) (db.Changes, error)
}

// Invalidator keeps caches as fresh as the database. Sync comes before each use of a
// cache: it reads what was committed since the last Sync and has the caches drop what
// that concerns. Nothing that is cached is then older than the question. Requests that
// ask at the same time share one small query.
type Invalidator struct {
	changes Changes
	caches  []func(db.Changes)
	syncs   flightGroup[struct{}]

	mu       sync.Mutex // guards what follows
	version  db.Version // the caches have dropped what changed up to here
	syncedAt time.Time
}

// NewInvalidator returns an Invalidator without caches.
func NewInvalidator(changes Changes) *Invalidator { return &Invalidator{changes: changes} }

// subscribe adds a cache: invalidate is called with all news. It must come before the first Sync.
func (i *Invalidator) subscribe(invalidate func(db.Changes)) { i.caches = append(i.caches, invalidate) }

// Sync has the caches drop what was changed by anything committed before the call. Where that
// cannot be found out they drop everything. Only a database that is away is an error.
func (i *Invalidator) Sync(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // others may be waiting for it too
	_, err := i.syncs.do("", func() (none struct{}, err error) {
		i.mu.Lock()
		since := i.version
		if time.Since(i.syncedAt) > maxCacheAge {
			since = db.Version{} // nothing in a cache is as old: spare the database the search
		}
		i.mu.Unlock()
		n, err := i.changes.ChangesSince(ctx, since)
		if db.Unavailable(err) {
			return none, err
		}
		if err != nil {
			n = db.Changes{Everything: true}
		}
		for _, invalidate := range i.caches {
			invalidate(n)
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		i.version, i.syncedAt = n.Version, time.Now()
		return none, nil
	})
	return err
}
