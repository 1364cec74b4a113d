package loadtest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// bookAtOnce is how many bookings may be on their way to the database at the same time.
const bookAtOnce = 8

// marks remembers when bookings were committed.
type marks struct {
	mu sync.RWMutex
	at map[string]time.Time // by booking id
}

func (m *marks) set(id string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == nil {
		m.at = map[string]time.Time{}
	}
	m.at[id] = at
}

func (m *marks) get(id []byte) (time.Time, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at, ok := m.at[string(id)]
	return at, ok
}

// book commits bookings at the wanted rate until ctx ends; done waits for the last of them. A
// booking that is due while all hands are full is made as soon as one is free: the rate does not
// fall because the database is slow for a moment.
func (r *run) book(ctx context.Context, done *sync.WaitGroup) {
	var next atomic.Int64
	start := time.Now()
	for range bookAtOnce {
		done.Go(func() {
			for {
				n := next.Add(1) - 1
				sleepUntil(ctx, start.Add(time.Duration(float64(n)/r.Rate*float64(time.Second))))
				if ctx.Err() != nil {
					return
				}
				r.bookOne(ctx, r.Subscribers[int(n)%len(r.Subscribers)].OwnerID)
			}
		})
	}
}

// bookOne commits one booking. Its time counts from just before the commit is sent.
func (r *run) bookOne(ctx context.Context, ownerID string) {
	id, commit, err := r.Booker.Book(ctx, ownerID)
	if err == nil {
		r.marks.set(id, time.Now())
		err = commit()
	}
	switch {
	case err == nil:
		r.booked.Add(1)
	case ctx.Err() == nil:
		r.bookFailed.Add(1)
		r.mu.Lock()
		if r.bookError == nil {
			r.bookError = err
		}
		r.mu.Unlock()
	}
}
