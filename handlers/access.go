package handlers

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// accessMemory is how many decisions are remembered: at some 200 bytes each, 3 MB.
const accessMemory = 1 << 14

// RememberedAccess is Accounts that remember what a caller may do, as of their Lookout's last look: a client that asks for several
// snapshots, and a crowd of them, cost one question. Streams are better served by Accounts that do not, since they ask once.
type RememberedAccess struct {
	accounts Accounts

	mu        sync.Mutex // guards what follows
	decisions *simplelru.LRU[question, decision]
	forgotten uint64 // news that concerned access: what was asked before is not remembered after it
}

// question is what a role was asked for.
type question struct {
	userID, sessionID, ownerID string
	issued                     int64
}

// decision is the answer, and until when it is remembered.
type decision struct {
	role  db.Role
	until time.Time
}

// NewRememberedAccess returns a memory of accounts' answers that heeds what a Lookout tells.
func NewRememberedAccess(accounts Accounts, lookout *Lookout) *RememberedAccess {
	decisions, err := simplelru.NewLRU[question, decision](accessMemory, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	a := &RememberedAccess{accounts: accounts, decisions: decisions}
	lookout.tell(a.forget)
	return a
}

// CanonicalOwnerID implements Accounts.
func (a *RememberedAccess) CanonicalOwnerID(id string) (string, error) {
	return a.accounts.CanonicalOwnerID(id)
}

// Accounts implements Accounts.
func (a *RememberedAccess) Accounts(ctx context.Context, userID string) ([]db.Account, error) {
	return a.accounts.Accounts(ctx, userID)
}

// Access implements Accounts. Only what a caller may do is remembered, never that he may do nothing.
func (a *RememberedAccess) Access(ctx context.Context, c db.Caller, ownerID string) (db.Role, error) {
	q := question{c.UserID, c.SessionID, ownerID, c.Issued.Unix()}
	a.mu.Lock()
	known, ok := a.decisions.Get(q)
	before := a.forgotten
	a.mu.Unlock()
	now := time.Now()
	if ok && now.Before(known.until) {
		return known.role, nil
	}
	role, err := a.accounts.Access(ctx, c, ownerID)
	if err != nil || role == "" {
		return role, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if before == a.forgotten {
		a.decisions.Add(q, decision{role, now.Add(knownFor)})
	}
	return role, nil
}

// forget forgets what news makes doubtful.
func (a *RememberedAccess) forget(n db.News) {
	if !n.Everything && len(n.Accounts) == 0 && len(n.Users) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgotten++
	if n.Everything {
		a.decisions.Purge()
		return
	}
	for _, q := range a.decisions.Keys() {
		if slices.Contains(n.Accounts, q.ownerID) || slices.Contains(n.Users, q.userID) {
			a.decisions.Remove(q)
		}
	}
}
