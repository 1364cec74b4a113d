package handlers

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// accessCacheSize is how many roles are cached: at some 200 bytes each, 3 MB.
const accessCacheSize = 1 << 14

// AccessCache is Accounts that cache what a caller may do, as of their Invalidator's last Sync. A
// page that asks for several snapshots, and a crowd of pages, cost one query.
type AccessCache struct {
	accounts Accounts
	hits     hits

	mu         sync.Mutex // guards what follows
	entries    *simplelru.LRU[accessKey, accessEntry]
	generation uint64 // grows by news of access: an answer of an earlier one is not cached
}

// accessKey is what a role was asked for.
type accessKey struct {
	userID, sessionID, ownerID string
	issued                     int64
}

// accessEntry is the role, and until when it is cached.
type accessEntry struct {
	role  db.Role
	until time.Time
}

// NewAccessCache returns an empty cache before accounts, subscribed to an Invalidator.
func NewAccessCache(accounts Accounts, invalidator *Invalidator) *AccessCache {
	entries, err := simplelru.NewLRU[accessKey, accessEntry](accessCacheSize, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	c := &AccessCache{accounts: accounts, entries: entries}
	invalidator.subscribe(c.invalidate)
	return c
}

// CanonicalOwnerID implements Accounts.
func (c *AccessCache) CanonicalOwnerID(id string) (string, error) {
	return c.accounts.CanonicalOwnerID(id)
}

// Accounts implements Accounts.
func (c *AccessCache) Accounts(ctx context.Context, userID string) ([]db.Account, error) {
	return c.accounts.Accounts(ctx, userID)
}

// Access implements Accounts. Only a role is cached, never that there is none.
func (c *AccessCache) Access(ctx context.Context, caller db.Caller, ownerID string) (db.Role, error) {
	key := accessKey{caller.UserID, caller.SessionID, ownerID, caller.Issued.Unix()}
	c.mu.Lock()
	cached, ok := c.entries.Get(key)
	before := c.generation
	c.mu.Unlock()
	now := time.Now()
	ok = ok && now.Before(cached.until)
	c.hits.count(ok)
	if ok {
		return cached.role, nil
	}
	role, err := c.accounts.Access(ctx, caller, ownerID)
	if err != nil || role == "" {
		return role, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before == c.generation {
		c.entries.Add(key, accessEntry{role, now.Add(maxCacheAge)})
	}
	return role, nil
}

// invalidate drops what news makes doubtful.
func (c *AccessCache) invalidate(n db.Changes) {
	if !n.Everything && len(n.Accounts) == 0 && len(n.Users) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	if n.Everything {
		c.entries.Purge()
		return
	}
	for _, key := range c.entries.Keys() {
		if slices.Contains(n.Accounts, key.ownerID) || slices.Contains(n.Users, key.userID) {
			c.entries.Remove(key)
		}
	}
}
