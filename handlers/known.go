package handlers

import (
	"slices"
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
	hangars   map[string]string                   // whose answer a hangar is in
	computing map[string]*doubts                  // by owner
}

// knownAnswer is an answer and when it is true, if there is no news.
type knownAnswer struct {
	answer
	from     time.Time
	validity db.Validity
}

// doubts is what there was news of while an answer was computed.
type doubts struct {
	owner   bool
	hangars map[string]bool
}

// NewKnownMetrics returns an empty memory that heeds what a Lookout tells.
func NewKnownMetrics(lookout *Lookout) *KnownMetrics {
	k := &KnownMetrics{hangars: make(map[string]string), computing: make(map[string]*doubts)}
	answers, err := simplelru.NewLRU(knownOwners, func(ownerID string, known knownAnswer) {
		for _, id := range known.validity.Hangars {
			if k.hangars[id] == ownerID {
				delete(k.hangars, id)
			}
		}
	})
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	k.answers = answers
	lookout.tell(k.forget)
	return k
}

// forget forgets what news makes doubtful.
func (k *KnownMetrics) forget(n db.News) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n.Everything {
		k.answers.Purge()
		for _, d := range k.computing {
			d.owner = true
		}
	}
	for _, id := range n.Owners {
		k.answers.Remove(id)
		if d := k.computing[id]; d != nil {
			d.owner = true
		}
	}
	for _, id := range n.Hangars {
		k.answers.Remove(k.hangars[id])
		for _, d := range k.computing {
			d.hangars[id] = true
		}
	}
}

// get returns the answer for an owner that is true at the instant now.
func (k *KnownMetrics) get(ownerID string, now time.Time) (answer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.answers.Get(ownerID)
	return known.answer, ok && !now.Before(known.from) && now.Before(known.validity.Until)
}

// compute has an answer for an owner computed at the instant now, and keeps it for as long as it is valid. It must not be called
// for one owner twice at the same time.
func (k *KnownMetrics) compute(ownerID string, now time.Time, compute func() (answer, db.Validity, error)) (answer, error) {
	d := &doubts{hangars: make(map[string]bool)}
	k.mu.Lock()
	k.computing[ownerID] = d
	k.mu.Unlock()
	known := knownAnswer{from: now}
	var err error
	defer func() { // also when compute panics
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.computing, ownerID)
		if err == nil && !d.owner && !slices.ContainsFunc(known.validity.Hangars, func(id string) bool { return d.hangars[id] }) {
			k.keep(ownerID, known)
		}
	}()
	known.answer, known.validity, err = compute()
	return known.answer, err
}

// keep keeps an answer, if it is valid for a while. The caller holds the lock.
func (k *KnownMetrics) keep(ownerID string, known knownAnswer) {
	if limit := known.from.Add(knownFor); known.validity.Until.After(limit) {
		known.validity.Until = limit
	}
	k.answers.Remove(ownerID)
	if !known.from.Before(known.validity.Until) {
		return
	}
	k.answers.Add(ownerID, known)
	for _, id := range known.validity.Hangars {
		k.hangars[id] = ownerID
	}
}
