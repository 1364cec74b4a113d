package handlers

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// knownOwners is how many answers are kept: at some 500 bytes each, 8 MB.
const knownOwners = 1 << 14

// KnownMetrics are answers about owners' numbers that were computed and are still true, as of its Lookout's last look.
type KnownMetrics struct {
	mu        sync.Mutex                          // guards what follows
	answers   *simplelru.LRU[string, knownAnswer] // by owner
	computing map[string]bool                     // by owner; true when there was news of him meanwhile
}

// knownAnswer is an answer and when it is true, if there is no news.
type knownAnswer struct {
	answer
	from, until time.Time
}

// NewKnownMetrics returns an empty memory that heeds what a Lookout tells.
func NewKnownMetrics(lookout *Lookout) *KnownMetrics {
	answers, err := simplelru.NewLRU[string, knownAnswer](knownOwners, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	k := &KnownMetrics{answers: answers, computing: make(map[string]bool)}
	lookout.tell(k.forget)
	return k
}

// forget forgets what news makes doubtful.
func (k *KnownMetrics) forget(n db.News) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n.Everything {
		k.answers.Purge()
		for ownerID := range k.computing {
			k.computing[ownerID] = true
		}
	}
	for _, ownerID := range n.Owners {
		k.answers.Remove(ownerID)
		if _, ok := k.computing[ownerID]; ok {
			k.computing[ownerID] = true
		}
	}
}

// get returns the answer for an owner that is true at the instant now.
func (k *KnownMetrics) get(ownerID string, now time.Time) (answer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.answers.Get(ownerID)
	return known.answer, ok && !now.Before(known.from) && now.Before(known.until)
}

// compute has an answer for an owner computed at the instant now, and keeps it until when it says. It must not be called for
// one owner twice at the same time.
func (k *KnownMetrics) compute(ownerID string, now time.Time, compute func() (a answer, until time.Time, err error)) (answer, error) {
	k.mu.Lock()
	k.computing[ownerID] = false
	k.mu.Unlock()
	known := knownAnswer{from: now}
	var err error
	defer func() { // also when compute panics
		k.mu.Lock()
		defer k.mu.Unlock()
		spoiled := k.computing[ownerID]
		delete(k.computing, ownerID)
		if limit := now.Add(knownFor); known.until.After(limit) {
			known.until = limit
		}
		if !spoiled && err == nil && now.Before(known.until) {
			k.answers.Add(ownerID, known)
		}
	}()
	known.answer, known.until, err = compute()
	return known.answer, err
}
