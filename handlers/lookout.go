package handlers

import (
	"context"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// knownFor bounds for how long anything is remembered, should somebody have written past the triggers, or a session have
// reached its end.
const knownFor = time.Minute

// News tells what was committed since a mark.
type News interface {
	News(ctx context.Context, since db.Mark) (db.News, error)
}

// Lookout lets memories answer for the database. Before a memory is used, the log is looked at for what was committed since the
// last time, once for all who ask at the same time, and the memories forget what that concerns: so nothing that is remembered is
// older than the question, and most questions cost a share of one small query.
type Lookout struct {
	news     News
	memories []func(db.News)
	looks    coalescer[struct{}]

	mu    sync.Mutex // guards what follows
	mark  db.Mark    // everything up to here was heeded
	taken time.Time  // when that was
}

// NewLookout returns a Lookout without memories.
func NewLookout(news News) *Lookout { return &Lookout{news: news} }

// tell has forget called with all news. It must be called before the first look.
func (l *Lookout) tell(forget func(db.News)) { l.memories = append(l.memories, forget) }

// Look has the memories heed everything that was committed before it was called. Where that cannot be found out, they forget
// everything; only a database that is away is an error.
func (l *Lookout) Look(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // others may be waiting for it too
	_, err := l.looks.do("", func() (none struct{}, err error) {
		l.mu.Lock()
		since := l.mark
		if time.Since(l.taken) > knownFor {
			since = db.Mark{} // nothing that is remembered is as old: spare the database the search
		}
		l.mu.Unlock()
		n, err := l.news.News(ctx, since)
		if db.Unavailable(err) {
			return none, err
		}
		if err != nil {
			n = db.News{Everything: true}
		}
		for _, forget := range l.memories {
			forget(n)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.mark, l.taken = n.Mark, time.Now()
		return none, nil
	})
	return err
}
