package handlers

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/hangarshare/hangarshare-realtime/db"
)

const (
	// accessKept is for how long it is remembered who may do what: as long as a revocation may go unnoticed at most, if the
	// log that tells of it cannot be read.
	accessKept = 2 * time.Second
	// accessMemory is how many decisions are remembered: at some 200 bytes each, 3 MB.
	accessMemory = 1 << 14
)

// RememberedAccess is Accounts that remember for a moment what a caller may do, until Forget says that it may have changed: a
// client that asks for several snapshots, and a crowd of them, cost one question. Streams are better served by Accounts that do
// not, since they ask once.
type RememberedAccess struct {
	accounts Accounts

	mu        sync.Mutex // guards what follows
	decisions *simplelru.LRU[question, decision]
	forgotten uint64 // calls of Forget: what was asked before one is not remembered after it
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

// NewRememberedAccess returns a memory of accounts' answers.
func NewRememberedAccess(accounts Accounts) *RememberedAccess {
	decisions, err := simplelru.NewLRU[question, decision](accessMemory, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &RememberedAccess{accounts: accounts, decisions: decisions}
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
		a.decisions.Add(q, decision{role, now.Add(accessKept)})
	}
	return role, nil
}

// Forget forgets what is remembered of an account or, when that is empty, of a user; all when both are.
func (a *RememberedAccess) Forget(ownerID, userID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgotten++
	if ownerID == "" && userID == "" {
		a.decisions.Purge()
		return
	}
	for _, q := range a.decisions.Keys() {
		if ownerID != "" && q.ownerID == ownerID || ownerID == "" && q.userID == userID {
			a.decisions.Remove(q)
		}
	}
}
