package realtime

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// pageEvents is how many events one read of the log brings.
	pageEvents = 1024
	// keptEvents and keptPages bound what was read and is kept for others who are behind: at about 600 bytes an event, 10 MB.
	keptEvents = 16384
	keptPages  = 256
	// pageTimeout bounds one read of the log, the waiting in line included.
	pageTimeout = 30 * time.Second
)

// page is a part of an owner's log: all events after one position up to another. It never changes.
type page struct {
	ownerID    string
	after, end db.Position
	events     []*Event
}

// holds reports whether what follows a position is in the page.
func (p *page) holds(ownerID string, position db.Position) bool {
	return p.ownerID == ownerID && p.after.Compare(position) <= 0 && position.Compare(p.end) < 0
}

// from returns at most limit of the page's events after a position, and the position up to which that is everything.
func (p *page) from(position db.Position, limit int) ([]*Event, db.Position) {
	first := sort.Search(len(p.events), func(i int) bool { return p.events[i].Position.Compare(position) > 0 })
	rest := p.events[first:]
	if len(rest) <= limit {
		return rest, p.end
	}
	return rest[:limit], rest[limit-1].Position
}

// replay reads the log for those who are behind the memory. They come in crowds, after a stop or an outage, and want much
// the same: what one of them read is kept for a while for the others, and whoever starts a little earlier soon meets it.
type replay struct {
	history History
	reads   singleflight.Group

	mu      sync.Mutex // guards what follows
	pages   []*page    // by age
	events  int        // in pages
	cleared int        // how often everything was forgotten
}

// next returns at most limit of an owner's events after a position, and the position up to which that is everything.
func (r *replay) next(ctx context.Context, b *Bus, ownerID string, after db.Position, limit int) ([]*Event, db.Position, error) {
	p := r.find(ownerID, after)
	if p == nil {
		read := r.reads.DoChan(fmt.Sprint(ownerID, after), func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageTimeout) // others wait for it too
			defer cancel()
			return r.read(ctx, b, ownerID, after)
		})
		select {
		case <-ctx.Done():
			return nil, after, ctx.Err()
		case result := <-read:
			if result.Err != nil {
				return nil, after, result.Err
			}
			p = result.Val.(*page)
		}
	}
	events, end := p.from(after, limit)
	return events, end, nil
}

func (r *replay) find(ownerID string, after db.Position) *page {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range slices.Backward(r.pages) {
		if p.holds(ownerID, after) {
			return p
		}
	}
	return nil
}

// read reads the page after a position and keeps it.
func (r *replay) read(ctx context.Context, b *Bus, ownerID string, after db.Position) (*page, error) {
	r.mu.Lock()
	cleared := r.cleared
	r.mu.Unlock()
	// Everything up to the head of before the query will have been read: the memory has the rest.
	head, enc := b.Head(), b.Encoder()
	changes, more, err := r.history.Owner(ctx, ownerID, after, pageEvents)
	if err != nil {
		return nil, err
	}
	p := &page{ownerID: ownerID, after: after, end: after, events: make([]*Event, 0, len(changes))}
	for _, c := range changes {
		e, err := enc.Encode(c)
		if err != nil {
			return nil, err
		}
		p.events = append(p.events, e)
		p.end = e.Position
	}
	if end := db.EndOfBatch(head); !more && p.end.Compare(end) < 0 {
		p.end = end
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cleared == cleared {
		r.keep(p)
	}
	return p, nil
}

// keep adds a page and lets the oldest go. The caller holds the lock.
func (r *replay) keep(p *page) {
	r.pages = append(r.pages, p)
	r.events += len(p.events)
	for r.events > keptEvents || len(r.pages) > keptPages {
		r.events -= len(r.pages[0].events)
		r.pages[0] = nil
		r.pages = r.pages[1:]
	}
}

// clear forgets what was read: history is no longer what it was.
func (r *replay) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages, r.events = nil, 0
	r.cleared++
}
