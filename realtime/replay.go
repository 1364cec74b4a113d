package realtime

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

const (
	// pageEvents is how many events one read of the log brings.
	pageEvents = 1024
	// keptEvents and keptPages bound what was read and is kept for others who are behind: at about
	// 600 bytes an event, 10 MB.
	keptEvents = 16384
	keptPages  = 256
	// pageTimeout bounds one read of the log, the waiting in line included.
	pageTimeout = 30 * time.Second
)

// page is a part of an owner's log: all events after one position up to another. It never changes.
type page struct {
	ownerID    string
	after, end eventlog.Position
	events     []*Event
}

// holds reports whether what follows a position is in the page.
func (p *page) holds(ownerID string, position eventlog.Position) bool {
	return p.ownerID == ownerID && p.after.Compare(position) <= 0 && position.Compare(p.end) < 0
}

// from returns at most limit of the page's events after a position, and the position up
// to which that is everything.
func (p *page) from(position eventlog.Position, limit int) ([]*Event, eventlog.Position) {
	first := sort.Search(len(p.events), func(i int) bool { return p.events[i].Position.Compare(position) > 0 })
	rest := p.events[first:]
	if len(rest) <= limit {
		return rest, p.end
	}
	return rest[:limit], rest[limit-1].Position
}

// replay reads the log for those who are behind the memory. They come in crowds, after a stop or an
// outage, and want much the same: what one of them read is kept for a while for the others, and
// a reader that starts a little earlier soon meets it.
type replay struct {
	history History
	reads   singleflight.Group

	mu      sync.Mutex // guards what follows
	pages   []*page    // by age
	events  int        // in pages
	cleared int        // how often everything was forgotten
}

// next returns at most limit of an owner's events after a position, and the position up
// to which that is everything.
func (r *replay) next(ctx context.Context, b *Bus, ownerID string, after eventlog.Position, limit int) ([]*Event, eventlog.Position, error) {
	p := r.find(ownerID, after)
	if p == nil {
		read := r.reads.DoChan(fmt.Sprint(ownerID, after), func() (any, error) {
			// others wait for it too
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageTimeout)
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

func (r *replay) find(ownerID string, after eventlog.Position) *page {
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
func (r *replay) read(ctx context.Context, b *Bus, ownerID string, after eventlog.Position) (*page, error) {
	r.mu.Lock()
	cleared := r.cleared
	r.mu.Unlock()
	// Everything up to the head of before the query will have been read: the memory has the rest.
	head, enc := b.Head(), b.Encoder()
	read, err := ReadPage(ctx, r.history, enc, ownerID, after, pageEvents)
	if err != nil {
		return nil, err
	}
	p := &page{ownerID: ownerID, after: after, end: read.End, events: read.Events}
	if end := eventlog.EndOfBatch(head); !read.More && p.end.Compare(end) < 0 {
		p.end = end
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cleared == cleared {
		r.keep(p)
	}
	return p, nil
}

// Page is a part of an owner's history: everything after a position up to End. More says that there
// is more; a page may hold no event and yet come further.
type Page struct {
	Events []*Event
	End    eventlog.Position
	More   bool
}

// ReadPage reads an owner's events after a position from the log, at most limit. It returns
// eventlog.ErrHistoryGone where something follows that cannot be told.
func ReadPage(ctx context.Context, history History, enc Encoder, ownerID string, after eventlog.Position, limit int) (Page, error) {
	read, err := history.Owner(ctx, ownerID, after, limit)
	if err != nil {
		return Page{}, err
	}
	p := Page{Events: make([]*Event, 0, len(read.Changes)), End: read.End, More: read.More}
	for _, c := range read.Changes {
		switch row := enc.Decode(c); row.Meaning {
		case Message:
			p.Events = append(p.Events, row.Event)
		case Lost:
			return Page{}, eventlog.ErrHistoryGone
		}
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

// clear forgets what was read of an owner, or of all: history is no longer what it was.
func (r *replay) clear(ownerID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleared++
	kept := r.pages
	r.pages, r.events = nil, 0
	for _, p := range kept {
		if ownerID != "" && p.ownerID != ownerID {
			r.keep(p)
		}
	}
}

// knows looks for a position among the pages: the place of the event in one of them, if
// it is there.
func (r *replay) knows(ownerID string, position eventlog.Position) (at eventlog.Position, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range slices.Backward(r.pages) {
		if p.ownerID != ownerID {
			continue
		}
		if p.after.Compare(position) == 0 && p.after.Mark != 0 {
			return p.after, true
		}
		if at, known := findEvent(p.events, position); known {
			return at, true
		}
	}
	return at, false
}

// findEvent looks for the event at a position.
func findEvent(events []*Event, position eventlog.Position) (at eventlog.Position, found bool) {
	i := sort.Search(len(events), func(i int) bool { return events[i].Position.Compare(position) >= 0 })
	if i < len(events) && events[i].Position.Compare(position) == 0 {
		return events[i].Position, true
	}
	return at, false
}
