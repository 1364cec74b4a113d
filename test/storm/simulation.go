package main

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// scenario is one storm: all clients lose their connection at time 0 and come back.
type scenario struct {
	name    string
	clients int
	// spread bounds the wait before the first try, which is a random part of it.
	spread time.Duration
	// handshakes and queries are what all servers together, and their PostgreSQL, do in a second.
	handshakes, queries float64
	// queriesEach is how many questions one connection costs PostgreSQL: 0 where all is remembered.
	queriesEach float64
	// patience is how long a client waits for the answer to its handshake.
	patience time.Duration
	// shedding has servers answer at once with a time to come back, when the queue is longer than a
	// client's patience, and forget tries whose client has gone.
	shedding bool
}

// longestWait bounds the wait between two tries, as the browser client does.
const longestWait = 30 * time.Second

// outcome says when each client was back, sorted, and how much work was done in vain.
type outcome struct {
	back []time.Duration
	// wasted is how many handshakes were completed for clients that had gone.
	wasted int
	// refused is how many tries were answered with a time to come back.
	refused int
}

// try is one client's attempt at a moment.
type try struct {
	at    time.Duration
	count int
}

// agenda is a heap of tries, the earliest first.
type agenda []try

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(try)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// simulate plays the storm: two queues one behind the other, each served in the order of arrival.
// It ends when every client is back. The same seed gives the same outcome.
func simulate(s scenario, seed uint64) outcome {
	random := rand.New(rand.NewPCG(seed, 1))
	part := func(bound time.Duration) time.Duration {
		return time.Duration(random.Float64() * float64(bound))
	}
	waiting := make(agenda, s.clients)
	for i := range waiting {
		waiting[i].at = part(s.spread)
	}
	heap.Init(&waiting)
	handshake := perSecond(s.handshakes, 1)
	question := perSecond(s.queries, s.queriesEach)
	var o outcome
	var doorFree, databaseFree time.Duration // when each queue has served all that came so far
	for len(waiting) > 0 {
		now := waiting[0].at
		door := max(doorFree, now) + handshake
		done := door
		if question > 0 {
			done = max(databaseFree, door) + question
		}
		late := done-now > s.patience
		switch {
		case late && s.shedding:
			// The answer costs next to nothing, and says when the queue will have drained.
			o.refused++
			waiting[0].at = now + part(2*(done-now))
			heap.Fix(&waiting, 0)
			continue
		case late:
			o.wasted++
			waiting[0].count++
			bound := min(longestWait, time.Second<<min(waiting[0].count, 10))
			waiting[0].at = now + s.patience + part(bound)
			heap.Fix(&waiting, 0)
		default:
			heap.Pop(&waiting)
			o.back = append(o.back, done)
		}
		doorFree = door
		if question > 0 {
			databaseFree = done
		}
	}
	return o
}

// perSecond returns how long count pieces of work take at a rate per second.
func perSecond(rate, count float64) time.Duration {
	if count == 0 {
		return 0
	}
	return time.Duration(count / rate * float64(time.Second))
}

// quantile returns when the given part of all clients was back.
func (o outcome) quantile(part float64) time.Duration {
	return o.back[min(len(o.back)-1, int(part*float64(len(o.back))))]
}
